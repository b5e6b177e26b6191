-- undo and expiry take back all that a request did to a row, in whatever steps
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
SET client_min_messages = notice;
CREATE SCHEMA us;
CREATE TABLE us.acct (id int PRIMARY KEY, login text UNIQUE, level int, note text);
CREATE TABLE us.item (id int PRIMARY KEY, val int, hits int DEFAULT 0);
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Acct" DisplayName_L1="Account">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Item" DisplayName_L1="Item" Nested="Include">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
INSERT INTO us.acct VALUES (1, 'ann', 1, 'a'), (2, 'ben', 2, 'b'), (3, 'cy', 3, 'c'), (4, 'dan', 4, 'd');
INSERT INTO us.item VALUES (1, 0), (2, 0);
SELECT idflow.attach('Acct', 'us.acct', '{INSERT,UPDATE,DELETE}');
SELECT idflow.attach('Item', 'us.item', '{INSERT,UPDATE,DELETE}');
CREATE FUNCTION pg_temp.yes() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', 'boss', true);
	RETURN QUERY SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
END $$;
CREATE FUNCTION pg_temp.changes(r bigint) RETURNS TABLE (seq int, operation text, key jsonb, old_row jsonb, new_row jsonb) LANGUAGE sql AS $$
	SELECT seq, operation, key, old_row, new_row FROM idflow.change WHERE request = r ORDER BY seq $$;
SET idflow.actor = 'app';

-- columns, and then the key
BEGIN;
SELECT idflow.begin_request('columns, and the key') AS r \gset
UPDATE us.acct SET level = 10, login = 'anna' WHERE id = 1;
UPDATE us.acct SET id = 11 WHERE id = 1;
SELECT idflow.submit(:r);
COMMIT;
SELECT pg_temp.yes();
SELECT * FROM us.acct ORDER BY id;
SELECT idflow.undo(:r) AS u \gset
SELECT * FROM pg_temp.changes(:u);
SELECT pg_temp.yes();
SELECT * FROM us.acct ORDER BY id;

-- a row that gives its place to another
BEGIN;
SELECT idflow.begin_request('another in its place') AS r \gset
DELETE FROM us.acct WHERE id = 2;
INSERT INTO us.acct VALUES (2, 'ben', 20, 'another');
UPDATE us.acct SET level = 30 WHERE id = 3;
UPDATE us.acct SET id = 33 WHERE id = 3;
INSERT INTO us.acct VALUES (3, 'new', 31, 'in its place');
SELECT idflow.submit(:r);
COMMIT;
SELECT pg_temp.yes();
SELECT * FROM us.acct ORDER BY id;
SELECT idflow.undo(:r) AS u \gset
SELECT * FROM pg_temp.changes(:u);
SELECT pg_temp.yes();
SELECT * FROM us.acct ORDER BY id;

-- somebody has been there since: a conflict, as for any change
BEGIN;
SELECT idflow.begin_request('and since') AS r \gset
UPDATE us.acct SET level = 40, note = 'dd' WHERE id = 4;
UPDATE us.acct SET id = 44 WHERE id = 4;
SELECT idflow.submit(:r);
COMMIT;
SELECT pg_temp.yes();
SELECT idflow.undo(:r) AS u \gset
BEGIN;
SELECT idflow.bypass('test');
UPDATE us.acct SET level = 41 WHERE id = 44;
COMMIT;
SELECT pg_temp.yes();
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :u ORDER BY column_name;
SELECT idflow.withdraw(:u);

-- what triggers do to the row afterwards: twice to one column, back to where it was, to its key
CREATE FUNCTION us.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.hits < 2 THEN
		UPDATE us.item SET val = CASE WHEN NEW.val = 7 THEN 0 ELSE NEW.val + 10 END, hits = NEW.hits + 1 WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER again AFTER UPDATE ON us.item FOR EACH ROW EXECUTE FUNCTION us.again();
CREATE FUNCTION us.number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE us.item SET id = NEW.id + 100 WHERE id = NEW.id AND NEW.id < 100;
	RETURN NULL;
END $$;
CREATE TRIGGER number AFTER INSERT ON us.item FOR EACH ROW EXECUTE FUNCTION us.number();
UPDATE us.item SET val = 1 WHERE id = 1;
SELECT idflow.last_request() AS r1 \gset
UPDATE us.item SET val = 7 WHERE id = 2;
SELECT idflow.last_request() AS r2 \gset
INSERT INTO us.item VALUES (3, 3, 9);
SELECT idflow.last_request() AS r3 \gset
SELECT * FROM pg_temp.changes(:r1);
SELECT pg_temp.yes();
SELECT * FROM us.item ORDER BY id;
DROP TRIGGER again ON us.item;
SELECT idflow.undo(:r1) AS u1, idflow.undo(:r2) AS u2, idflow.undo(:r3) AS u3 \gset
SELECT * FROM pg_temp.changes(:u1);
SELECT * FROM pg_temp.changes(:u2);
SELECT * FROM pg_temp.changes(:u3);
SELECT pg_temp.yes();
SELECT * FROM us.item ORDER BY id;
DROP TRIGGER number ON us.item;

-- expiry does the same
BEGIN;
SELECT idflow.begin_request('for a time', expires_at => '2100-01-01') AS r \gset
UPDATE us.acct SET level = 10, note = 'for a time' WHERE id = 1;
UPDATE us.acct SET id = 11 WHERE id = 1;
SELECT idflow.submit(:r);
COMMIT;
SELECT pg_temp.yes();
RESET idflow.actor;
UPDATE idflow.request SET expires_at = '2001-01-01' WHERE id = :r;
UPDATE idflow.timer SET due_at = '2001-01-01' WHERE request = :r;
ALTER TABLE us.acct DROP COLUMN note;
SELECT idflow.run_due();
SELECT * FROM us.acct WHERE id IN (1, 11);
SELECT data - 'request' AS data FROM idflow.event WHERE request = :r AND transition = 'Expire';
SET idflow.actor = 'app';

-- columns that are gone, renamed or of another type since
ALTER TABLE us.acct ADD note text, ADD rank int, ADD code text;
UPDATE us.acct SET level = 50, note = 'n', rank = 5, code = 'c' WHERE id = 2;
SELECT idflow.last_request() AS r \gset
UPDATE us.acct SET note = 'only this' WHERE id = 3;
SELECT idflow.last_request() AS r2 \gset
DELETE FROM us.acct WHERE id = 44;
SELECT idflow.last_request() AS r3 \gset
SELECT pg_temp.yes();
ALTER TABLE us.acct DROP COLUMN note;
ALTER TABLE us.acct RENAME rank TO grade;
SELECT idflow.undo(:r) AS u \gset
SELECT * FROM pg_temp.changes(:u);
SELECT idflow.withdraw(:u);
ALTER TABLE us.acct RENAME grade TO rank;
ALTER TABLE us.acct ALTER code TYPE varchar(10);
SELECT idflow.undo(:r);
ALTER TABLE us.acct ALTER code TYPE text;
SELECT idflow.undo(:r, 'after all') AS u \gset
SELECT data FROM idflow.event WHERE request = :u AND transition = 'Undo';
SELECT * FROM pg_temp.changes(:u);
SELECT idflow.undo(:r2);
SELECT idflow.undo(:r3) AS u3 \gset
SELECT pg_temp.yes();
SELECT * FROM us.acct ORDER BY id;

RESET idflow.actor;
SET client_min_messages = warning;
DROP EXTENSION idflow CASCADE;
DROP SCHEMA us CASCADE;
