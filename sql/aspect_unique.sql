-- BuildUniqueValueAspect: a value that no row has, and no open draft asks for.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_aspect_unique;
\c idflow_aspect_unique
CREATE EXTENSION idflow;
CREATE ROLE un_app LOGIN;
CREATE ROLE un_boss LOGIN;
CREATE SCHEMA un;
GRANT USAGE ON SCHEMA un TO PUBLIC;
CREATE TABLE un.person (id int PRIMARY KEY, first text, last text, login text, former text, mail text);
CREATE TABLE un.mailbox (address text PRIMARY KEY);
CREATE TABLE un.reserved (login text PRIMARY KEY);
GRANT SELECT, INSERT, UPDATE, DELETE ON un.person TO un_app;
INSERT INTO un.person VALUES (1, 'Ann', 'Bee', 'abee', NULL, 'abee@example.org');
INSERT INTO un.mailbox VALUES ('ABee1@example.org');
INSERT INTO un.reserved VALUES ('root');
CREATE FUNCTION public.decide() RETURNS SETOF text LANGUAGE sql AS
$$SELECT a.state || coalesce(': ' || a.message, '') FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a$$;
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
  <Workflow Identifier="Person" DisplayName_L1="A person" Title="SQL:coalesce(new.login, new.last)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="un_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
  <!-- a login: first letter and name, then with a number; not that of a person, not a mailbox, not reserved, not a former one -->
  <BuildUniqueValueAspect Identifier="Login" Binding="login" IterationsCount="3" HistorizeBinding="former" Message_L1="No login is free"
      Expression="SQL:lower(left(new.first, 1) || new.last) || CASE WHEN iteration &gt; 0 THEN iteration::text ELSE '' END"
      SqlCheckExpression="SELECT 1 FROM un.reserved r WHERE r.login = @VALUE">
    <PointCut Activity="Person:Request" ActivityState="Executed"/>
    <UnicityCheckRule TargetEntityType="un.person"/>
    <UnicityCheckRule TargetEntityType="un.mailbox" TargetExpression="SQL:lower(split_part(new.address, '@', 1))"/>
  </BuildUniqueValueAspect>
  <BuildUniqueValueAspect Identifier="Mail" Binding="mail" Priority="-1" OnlyIfNew="true"
      SqlBuildExpression="SELECT new.login || '@example.org'" SqlCheckExpression="EXISTS (SELECT FROM un.mailbox m WHERE lower(m.address) = lower(@VALUE) AND '@VALUE' &lt;&gt; '')">
    <PointCut Activity="Person:Request" ActivityState="Executed"/>
  </BuildUniqueValueAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'un.person', '{INSERT,UPDATE}');
\c - un_app
SET idflow.notice = off;
-- abee is a person's, abee1 a mailbox's
INSERT INTO un.person (id, first, last) VALUES (2, 'Al', 'Bee');
-- and abee2 is now an open draft's
INSERT INTO un.person (id, first, last) VALUES (3, 'Aby', 'Bee');
-- none is left
\set VERBOSITY terse
INSERT INTO un.person (id, first, last) VALUES (4, 'Ada', 'Bee');
\set VERBOSITY default
-- reserved
INSERT INTO un.person (id, first, last) VALUES (5, 'R', 'oot');
-- several in one statement, and in one request
INSERT INTO un.person (id, first, last) VALUES (6, 'C', 'D'), (7, 'C', 'D');
BEGIN;
SELECT idflow.begin_request('two at once') AS r \gset
INSERT INTO un.person (id, first, last) VALUES (8, 'C', 'D');
INSERT INTO un.person (id, first, last) VALUES (9, 'C', 'D');
SELECT idflow.submit(:r);
COMMIT;
-- what is withdrawn is free again
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'abee2' OR title LIKE '%Bee' AND state = 'open' ORDER BY id LIMIT 1;
INSERT INTO un.person (id, first, last) VALUES (10, 'Ada', 'Bee');
SELECT c.new_row -> 'id' AS id, c.new_row -> 'login' AS login, c.new_row -> 'mail' AS mail FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY 1;
\c - un_boss
SELECT public.decide();
\c - :me
SELECT id, login, former, mail FROM un.person ORDER BY id;
-- nothing is held that no draft asks for
SELECT count(*) FROM idflow.pending_key;
-- a new name: the former login is kept, and stays taken; the address is of new rows only
\c - un_app
SET idflow.notice = off;
UPDATE un.person SET last = 'Zed' WHERE id = 1;
-- the same value again is no other's
UPDATE un.person SET first = 'Cc' WHERE id = 6;
\c - un_boss
SELECT public.decide();
\c - un_app
SET idflow.notice = off;
INSERT INTO un.person (id, first, last) VALUES (11, 'Art', 'Bee');
\c - :me
SELECT id, first, last, login, former, mail FROM un.person WHERE id IN (1, 6) ORDER BY id;
SELECT new_row -> 'login' AS login FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open';
-- a manual value that an open draft has is taken, too
\c - :me
SELECT count(*) FROM idflow.deploy(replace(replace(idflow.export('Person')::text, 'Priority="-1"', 'Priority="-1" IfExpression="SQL:false"'),
	'Binding="login" IterationsCount="3"', 'Binding="login" IterationsCount="3" IfExpression="SQL:new.login IS NULL"')::xml);
\c - un_app
SET idflow.notice = off;
INSERT INTO un.person (id, login) VALUES (20, 'xy');
INSERT INTO un.person (id, first, last) VALUES (21, 'X', 'Y');
SELECT new_row -> 'login' AS login FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY r.id;

-- ------------------------------------------------------------------ bad input
\c - :me
CREATE FUNCTION public.file(attributes text, rules text DEFAULT '') RETURNS text LANGUAGE sql AS $$
SELECT '<ConfigurationFile><Workflow Identifier="Bad" DisplayName_L1="Bad">
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="x"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
<BuildUniqueValueAspect Identifier="B" Binding="x" ' || attributes || '><PointCut Activity="Bad:Review" ActivityState="Approved"/>' || rules || '</BuildUniqueValueAspect></ConfigurationFile>' $$;
SELECT a, v.line, v.element, v.message, v.hint FROM (VALUES
	(1, 'Expression="Literal:x" SqlBuildExpression="SELECT 1" SqlCheckExpression="true"', ''), (2, 'SqlCheckExpression="true"', ''), (3, 'Expression="Literal:x"', ''),
	(4, 'Expression="Literal:x"', '<UnicityCheckRule TargetEntityType="a"/><UnicityCheckRule TargetEntityType="a"/>'), (5, 'Expression="Literal:x"', '<UnicityCheckRule/>'),
	(6, 'Expression="Literal:x" SqlCheckExpression="true" IterationsCount="-1"', ''), (7, 'Expression="Literal:x" SqlCheckExpression="true" SimulationExpression="C#:y"', '')) x (n, a, r),
	LATERAL idflow.validate(public.file(a, r)) v ORDER BY n;
CREATE TABLE un.bad (id int PRIMARY KEY, x text);
CREATE FUNCTION public.try(attributes text, rules text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(public.file(attributes, rules)::xml);
	PERFORM idflow.attach('Bad', 'un.bad');
	RETURN 'attached';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SET client_min_messages = warning;
SELECT n, public.try(a, r) FROM (VALUES
	(1, 'Expression="Literal:x"', '<UnicityCheckRule TargetEntityType="un.nosuch"/>'), (2, 'Expression="Literal:x"', '<UnicityCheckRule TargetEntityType="un.reserved"/>'),
	(3, 'Expression="Literal:x"', '<UnicityCheckRule TargetEntityType="un.reserved" TargetBinding="login" SourceBinding="nosuch"/>'),
	(4, 'Expression="SQL:new.nosuch" SqlCheckExpression="true"', ''), (5, 'SqlBuildExpression="DELETE FROM un.reserved" SqlCheckExpression="true"', ''),
	(6, 'Expression="Literal:x" SqlCheckExpression="SELECT 1); DROP TABLE un.reserved; --"', ''),
	(7, 'Expression="Literal:x" SqlCheckExpression="SELECT 1 FROM un.reserved WHERE login = @VALUE"', '<UnicityCheckRule TargetEntityType="un.reserved" TargetBinding="Login" SourceExpression="SQL:upper(value)"/>')) x (n, a, r) ORDER BY n;
RESET client_min_messages;
SELECT count(*) FROM un.reserved;

\c :home :me
DROP DATABASE idflow_aspect_unique;
DROP ROLE un_app, un_boss;
