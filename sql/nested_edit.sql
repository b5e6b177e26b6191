-- save, rebase and resolve beside changes that triggers write
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE SCHEMA ne;
CREATE TABLE ne.person (id int PRIMARY KEY, name text, dept text);
CREATE TABLE ne.account (person int PRIMARY KEY, login text, dept text);
SELECT count(*) FROM idflow.deploy($$
<Workflow Identifier="Ne" DisplayName_L1="Person" Nested="Include">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="boss"/><Actor Principal="chef"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
INSERT INTO ne.person VALUES (1, 'Ann', 'it'), (2, 'Ben', 'hr');
INSERT INTO ne.account VALUES (1, 'ann', 'it'), (2, 'ben', 'hr');
SELECT idflow.attach('Ne', 'ne.person', '{INSERT,UPDATE,DELETE}');
SELECT idflow.attach('Ne', 'ne.account', '{INSERT,UPDATE,DELETE}');
CREATE FUNCTION ne.follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO ne.account VALUES (NEW.id, lower(NEW.name), NEW.dept);
	ELSE
		UPDATE ne.account SET login = lower(NEW.name), dept = NEW.dept WHERE person = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ne.person FOR EACH ROW EXECUTE FUNCTION ne.follow();
CREATE FUNCTION pg_temp.changes(r bigint) RETURNS TABLE (seq int, target regclass, operation text, old_row jsonb, new_row jsonb) LANGUAGE sql AS $$
	SELECT seq, target, operation, old_row, new_row FROM idflow.change WHERE request = r ORDER BY seq $$;
CREATE PROCEDURE others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('test');
	EXECUTE statement;
	COMMIT;
END$$;

-- save without a change's number: there is only one that somebody has made
SET idflow.actor = 'app';
INSERT INTO ne.person VALUES (3, 'Cy', 'it');
SELECT idflow.last_request() AS r \gset
SELECT * FROM pg_temp.changes(:r);
SET idflow.actor = 'boss';
SELECT idflow.save(task, '{"name": "Cyrus"}') FROM idflow.inbox WHERE request = :r;
SELECT * FROM pg_temp.changes(:r);
SET idflow.actor = 'chef';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
SELECT * FROM ne.account WHERE person = 3;

-- rebase: what the trigger would write is drafted upon what is there now
SET idflow.actor = 'app';
UPDATE ne.person SET name = 'Anna' WHERE id = 1;
SELECT idflow.last_request() AS r \gset
SELECT * FROM pg_temp.changes(:r);
RESET idflow.actor;
CALL others('UPDATE ne.person SET name = ''Anne'', dept = ''hr'' WHERE id = 1');
SET idflow.actor = 'app';
SELECT idflow.rebase(:r);
SELECT * FROM pg_temp.changes(:r);
SET idflow.actor = 'boss';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
SELECT * FROM ne.person p JOIN ne.account a ON a.person = p.id WHERE p.id = 1;

-- resolve to what is there: nothing is left but what triggers would have written
SET idflow.actor = 'app';
UPDATE ne.person SET name = 'Benno' WHERE id = 2;
SELECT idflow.last_request() AS r \gset
RESET idflow.actor;
CALL others('UPDATE ne.person SET name = ''Benny'' WHERE id = 2');
SET idflow.actor = 'boss';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
SELECT idflow.resolve(:r, (SELECT min(id) FROM idflow.change WHERE request = :r), '{"name": "live"}');
SELECT * FROM ne.person p JOIN ne.account a ON a.person = p.id WHERE p.id = 2;
SELECT count(*) AS tasks FROM idflow.inbox WHERE request = :r;
RESET idflow.actor;
DROP PROCEDURE others;
DROP EXTENSION idflow CASCADE;
DROP SCHEMA ne CASCADE;
