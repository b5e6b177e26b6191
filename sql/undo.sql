-- undo: asking for the reverse of what was committed.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_undo;
\c idflow_undo
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_undo SET idflow.notice = off;
ALTER DATABASE idflow_undo SET datestyle = 'ISO';
CREATE ROLE un_app LOGIN;
CREATE ROLE un_boss LOGIN;
CREATE ROLE un_owner LOGIN;
CREATE SCHEMA un;
GRANT USAGE ON SCHEMA un TO PUBLIC;
CREATE TABLE un.grants (id int PRIMARY KEY, person text NOT NULL, role text, level int DEFAULT 1, stamp text, UNIQUE (person, role));
GRANT SELECT, INSERT, UPDATE, DELETE ON un.grants TO un_app;
CREATE FUNCTION un.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stamp := coalesce(OLD.stamp, '') || '*'; RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON un.grants FOR EACH ROW EXECUTE FUNCTION un.stamp();
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Grant" DisplayName_L1="A grant" Title="SQL:coalesce(new.person, old.person)">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="un_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Grant', 'un.grants', '{INSERT,UPDATE,DELETE}');
CREATE PROCEDURE public.others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('test');
	EXECUTE statement;
	COMMIT;
END$$;
CREATE FUNCTION public.history(r bigint) RETURNS TABLE (actor text, via text, transition text, comment text) LANGUAGE sql AS $$
	SELECT actor, via, transition, comment FROM idflow.event WHERE request = r ORDER BY seq $$;
CALL others('INSERT INTO un.grants VALUES (50, ''zoe'', ''auditor''), (51, ''yan'', ''auditor''), (52, ''xia'', ''auditor'')');

\c - un_app
INSERT INTO un.grants VALUES (1, 'ann', 'admin');
SELECT idflow.last_request() AS i1 \gset
SELECT idflow.withdraw(:i1);
SELECT idflow.undo(:i1);
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.undo(0);
UPDATE un.grants SET role = 'guest', level = 7 WHERE id = 50;
SELECT idflow.last_request() AS n1 \gset
SELECT idflow.undo(:n1);
\c - un_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - un_owner
SELECT idflow.undo(:n1);
\c - un_app
SELECT idflow.undo(:n1, 'a mistake') AS z1 \gset
SELECT state, activity, title, parent = :n1 AS parent, requester FROM idflow.request WHERE id = :z1;
SELECT operation, key, old_row, new_row FROM idflow.change WHERE request = :z1;
SELECT idflow.last_request() = :z1 AS last;
\c - :me
CALL public.others('UPDATE un.grants SET level = 8 WHERE id = 50');
\c - un_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - un_app
SELECT idflow.resolve(:z1, (SELECT id FROM idflow.change WHERE request = :z1), '{"level": "live"}');
\c - :me
SELECT * FROM un.grants WHERE id = 50;
SELECT * FROM public.history(:z1);
-- a deletion, whose values must be for the eyes of who undoes it
\c - un_app
DELETE FROM un.grants WHERE id = 51;
SELECT idflow.last_request() AS n2 \gset
\c - un_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
REVOKE SELECT ON un.grants FROM un_app;
GRANT SELECT (id, person, role) ON un.grants TO un_app;
\c - un_app
SELECT idflow.undo(:n2);
\c - :me
GRANT SELECT ON un.grants TO un_app;
ALTER TABLE un.grants ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON un.grants USING (true);
\c - un_app
SELECT idflow.undo(:n2);
\c - :me
ALTER TABLE un.grants DISABLE ROW LEVEL SECURITY;
REVOKE INSERT ON un.grants FROM un_app;
\c - un_app
SELECT idflow.undo(:n2);
-- whoever decided it saw them, and needs the privilege; nobody approves his own
\c - un_boss
SELECT idflow.undo(:n2);
\c - :me
GRANT INSERT ON un.grants TO un_app, un_boss;
\c - un_boss
SELECT idflow.undo(:n2) AS z2 \gset
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :z2;
\echo :LAST_ERROR_SQLSTATE
\c - un_app
SELECT idflow.undo(:n2);
\echo :LAST_ERROR_SQLSTATE
\c - un_boss
SELECT idflow.withdraw(:z2);
\c - un_app
SELECT idflow.undo(:n2) IS NOT NULL AS made;
\c - un_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM un.grants WHERE id = 51;


\c :home :me
DROP DATABASE idflow_undo WITH (FORCE);
DROP ROLE un_app, un_boss, un_owner;
