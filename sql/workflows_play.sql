-- The four ready workflows played to their end, and what the engine does on
-- the way: conditions, versions, limits, expressions.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_play;
\c idflow_play
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_play SET idflow.notice = off;
CREATE ROLE pl_app LOGIN;
CREATE ROLE pl_owner LOGIN;
GRANT SET ON PARAMETER idflow.actor TO pl_app;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO pl_app, pl_owner;
GRANT CREATE ON SCHEMA hr TO pl_owner;
CREATE TABLE hr.person (id int PRIMARY KEY, name text, manager text, level int);
CREATE TABLE hr.grant_of (id int PRIMARY KEY, person int REFERENCES hr.person, right_name text);
GRANT ALL ON hr.person, hr.grant_of TO pl_app;
INSERT INTO idflow.profile_member VALUES ('hr_manager', 'mary'), ('resource_owner', 'rolf');
CREATE FUNCTION public.history(r bigint) RETURNS TABLE (actor text, activity text, transition text, comment text)
	LANGUAGE sql AS 'SELECT actor, activity, transition, comment FROM idflow.event WHERE request = r ORDER BY seq';

SELECT name, (SELECT version FROM idflow.deploy(definition)) FROM idflow.ready() WHERE name LIKE 'User\_%' ORDER BY name;
SELECT w.name, a.position, a.name AS activity, a.template, a.actors FROM idflow.workflow w JOIN idflow.activity a ON a.workflow = w.id
	ORDER BY w.name, a.position;
SELECT idflow.attach('User_Onboarding', 'hr.person', '{INSERT}');
SELECT idflow.attach('User_ChangeName', 'hr.person', '{UPDATE}', columns => '{name}');
SELECT idflow.attach('User_ResourcesUpdate', 'hr.grant_of', '{INSERT}');
SELECT idflow.attach('User_Offboarding', 'hr.person', '{DELETE}'), idflow.attach('User_Offboarding', 'hr.grant_of', '{DELETE}');

\c - pl_app
-- onboarding
SET idflow.actor = 'hana';
INSERT INTO hr.person VALUES (1, 'Ada', 'mary', 1);
SELECT idflow.last_request() AS r \gset
SELECT activity, activity_state, state FROM idflow.request WHERE id = :r;
SET idflow.actor = 'mary';
SELECT idflow.approve(task, 'welcome') FROM idflow.inbox;
SELECT * FROM public.history(:r);
-- a name, while somebody edits another column
SET idflow.actor = 'hana';
UPDATE hr.person SET name = 'Ada L' WHERE id = 1;
UPDATE hr.person SET level = 2 WHERE id = 1;
SELECT * FROM hr.person;
SET idflow.actor = 'mary';
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT * FROM hr.person;
-- rights, declined
SET idflow.actor = 'hana';
INSERT INTO hr.grant_of VALUES (1, 1, 'root');
SELECT idflow.last_request() AS r \gset
SET idflow.actor = 'rolf';
SELECT idflow.decline(task, 'no') FROM idflow.inbox;
SELECT state FROM idflow.request WHERE id = :r;
SELECT * FROM public.history(:r);
SET idflow.actor = 'hana';
INSERT INTO hr.grant_of VALUES (1, 1, 'mail');
SET idflow.actor = 'rolf';
SELECT idflow.approve(task) FROM idflow.inbox;
-- a leaver: all rows in one request
SET idflow.actor = 'hana';
BEGIN;
SELECT idflow.begin_request('Ada leaves') AS r \gset
DELETE FROM hr.grant_of WHERE person = 1;
DELETE FROM hr.person WHERE id = 1;
SELECT idflow.submit(:r);
COMMIT;
SET idflow.actor = 'mary';
SELECT title, target FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT (SELECT count(*) FROM hr.person) AS people, (SELECT count(*) FROM hr.grant_of) AS grants;

-- without their actors: deploy warns, and only the admins decide
\c - :me
SET client_min_messages = warning;
SELECT name, (SELECT version FROM idflow.deploy(xmlparse(document regexp_replace(definition::text, '<Actor [^>]*/>', '', 'g')))) FROM idflow.ready() WHERE name LIKE 'User\_%' ORDER BY name;
\c - pl_app
SET idflow.actor = 'hana';
INSERT INTO hr.person VALUES (2, 'Bob', 'mary', 1);
SET idflow.actor = 'mary';
SELECT count(*) FROM idflow.inbox;
\c - :me
SELECT idflow.approve(task) FROM idflow.inbox;

-- conditions, titles, several reviewers, versions pinned to requests
SET client_min_messages = warning;
SELECT version FROM idflow.deploy($$<Workflow Identifier="W" DisplayName_L1="W" Title="SQL:'hire ' || new.name" Subject="SQL:new.name" MaxSteps="20">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Senior" DisplayName_L1="Senior" Template="Review" IfExpression="SQL:new.level &gt; 5"><Actor Principal="chief"/></Activity>
	<Activity Identifier="Boss" DisplayName_L1="Boss" Template="Review"><Actor Expression="SQL:new.manager"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.detach('User_Onboarding', 'hr.person', true), idflow.attach('W', 'hr.person');
\c - pl_app
SET idflow.actor = 'hana';
INSERT INTO hr.person VALUES (10, 'low', 'mary', 1);
INSERT INTO hr.person VALUES (11, 'high', 'mary', 9);
INSERT INTO hr.person VALUES (12, 'none', NULL, 1);
SELECT title, subject, activity FROM idflow.request WHERE state = 'open' ORDER BY id;
SELECT reason, on_whom FROM idflow.waiting ORDER BY request;
\c - :me
SET client_min_messages = warning;
-- version 2 asks somebody else; what is under way keeps version 1
SELECT version FROM idflow.deploy($$<Workflow Identifier="W" DisplayName_L1="W">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Boss" DisplayName_L1="Boss" Template="Review"><Actor Expression="SQL:ARRAY['zoe', new.manager]"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
\c - pl_app
SET idflow.actor = 'hana';
INSERT INTO hr.person VALUES (13, 'new', 'mary', 9);
SET idflow.actor = 'zoe';
SELECT title, via FROM idflow.inbox;
SET idflow.actor = 'mary';
SELECT title FROM idflow.inbox ORDER BY request;
SELECT state FROM idflow.approve_all((SELECT array_agg(task ORDER BY task) FROM idflow.inbox));
SET idflow.actor = 'chief';
SELECT idflow.approve(task) FROM idflow.inbox;
SET idflow.actor = 'mary';
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT id FROM hr.person ORDER BY id;
SELECT activity, transition, comment FROM idflow.event WHERE transition = 'Skip' ORDER BY request;

-- too many steps; a workflow that writes nothing
\c - :me
SET client_min_messages = error;
SELECT version FROM idflow.deploy($$<Workflow Identifier="W" DisplayName_L1="W" MaxSteps="1">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
INSERT INTO hr.person VALUES (20, 'x', NULL, 1);
SELECT state FROM idflow.request WHERE id = idflow.last_request();
SELECT version FROM idflow.deploy($$<Workflow Identifier="W" DisplayName_L1="W">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/></Workflow>$$);
INSERT INTO hr.person VALUES (21, 'x', NULL, 1);
SELECT state FROM idflow.request WHERE id = idflow.last_request();
SELECT version FROM idflow.deploy($$<Workflow Identifier="W" DisplayName_L1="W">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
INSERT INTO hr.person VALUES (22, 'at once', NULL, 1);
SELECT id, name FROM hr.person WHERE id >= 20;

-- expressions: what they may not do
CREATE TABLE hr.e (id int PRIMARY KEY, v text);
ALTER TABLE hr.e OWNER TO pl_owner;
CREATE FUNCTION public.try(expression text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(xmlparse(document format('<Workflow Identifier="E" DisplayName_L1="E">
		<Activity Identifier="Request" DisplayName_L1="R" Template="Action"/>
		<Activity Identifier="Review" DisplayName_L1="R" Template="Review"><Actor Expression="%s"/></Activity>
		<Activity Identifier="Persist" DisplayName_L1="P" Template="Persist"/></Workflow>', expression)));
	PERFORM idflow.attach('E', 'hr.e');
	RETURN 'fits';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
CREATE FUNCTION hr.owners() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_user::text $$;
ALTER FUNCTION hr.owners() OWNER TO pl_owner;
CREATE VIEW hr.whom AS SELECT 'mary'::text AS who;
ALTER VIEW hr.whom OWNER TO pl_owner;
SELECT e, public.try(e) FROM (VALUES ('SQL:new.nosuch'), ('SQL:random()::text'), ('SQL:nosuch(1)'), ('SQL:old.v'), ('Literal:mary'),
	('SQL:(SELECT nextval(''idflow.task_id_seq'')::text)'), ('SQL:hr.owners()'), ('SQL:request.requester || request.id'), ('SQL:request.x'),
	('SQL:(SELECT unnest(ARRAY[''a'', ''b'', NULL]))'), ('SQL:(SELECT who FROM hr.whom)')) v (e);
INSERT INTO hr.e VALUES (1, 'x');
SELECT principal FROM idflow.decider WHERE request = idflow.last_request();
-- the view's owner redefines it: his function must not run as who deployed
CREATE OR REPLACE VIEW hr.whom AS SELECT hr.owners() AS who;
INSERT INTO hr.e VALUES (2, 'x');
-- nor that of a type of his own
SELECT public.try('SQL:new.v');
INSERT INTO hr.e VALUES (3, 'mary');
SET ROLE pl_owner;
CREATE TYPE hr.mood AS (m text);
CREATE FUNCTION hr.mood_text(hr.mood) RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_user::text $$;
CREATE CAST (hr.mood AS text) WITH FUNCTION hr.mood_text(hr.mood) AS IMPLICIT;
RESET ROLE;
ALTER TABLE hr.e ADD COLUMN w hr.mood;
SELECT public.try('SQL:new.w::text');

-- 10,000 refusals: the backend does not grow
SELECT sum(total_bytes) AS before FROM pg_backend_memory_contexts \gset
DO $$
DECLARE
	verb text;
	n int := 0;
BEGIN
	FOR i IN 1..1000 LOOP
		FOREACH verb IN ARRAY ARRAY['approve(1)', 'approve(NULL)', 'decline(987654)', 'save(1, ''[]'')', 'claim(987654)', 'release(NULL)',
			'withdraw(987654)', 'submit(1)', 'resolve(1, 1, ''{}'')', 'attach(''none'', ''hr.e'')'] LOOP
			BEGIN
				EXECUTE 'SELECT idflow.' || verb;
			EXCEPTION WHEN OTHERS THEN n := n + 1;
			END;
		END LOOP;
	END LOOP;
	RAISE WARNING '% refused', n;
END $$;
SELECT sum(total_bytes) - :before < 1000000 AS stays FROM pg_backend_memory_contexts;

\c :home
REVOKE SET ON PARAMETER idflow.actor FROM pl_app;
DROP DATABASE idflow_play;
DROP ROLE pl_app, pl_owner;
