-- The ready definitions that are files: each deploys, fits its table, and is
-- played; the last one is the life of a user in five workflows.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_configuration;
\c idflow_configuration
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_configuration SET idflow.notice = off;
ALTER DATABASE idflow_configuration SET client_min_messages = warning;
ALTER DATABASE idflow_configuration SET idflow.languages = 'en, de';
CREATE ROLE cf_app LOGIN;
GRANT SET ON PARAMETER idflow.actor TO cf_app;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO cf_app;
CREATE TABLE hr.person (id int PRIMARY KEY, first_name text, last_name text, login text UNIQUE, email text, manager text, is_draft boolean DEFAULT false);
CREATE TABLE hr.account (login text PRIMARY KEY, password_hash text);
CREATE TABLE hr.bot (id int PRIMARY KEY, purpose text, login text);
CREATE TABLE hr.grant_of (id int PRIMARY KEY, login text, right_name text);
GRANT ALL ON ALL TABLES IN SCHEMA hr TO cf_app;
INSERT INTO idflow.profile_member VALUES ('manager', 'mona'), ('manager', 'max'), ('hr_manager', 'hugo'), ('resource_owner', 'rosa'),
	('helpdesk', 'hedi'), ('security_officer', 'sam');
CREATE FUNCTION public.act(who text, verb text DEFAULT 'approve') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE t bigint; x text; s text;
BEGIN
	PERFORM set_config('idflow.actor', who, true);
	FOR t, x IN SELECT task, title FROM idflow.inbox ORDER BY task LOOP
		EXECUTE format('SELECT idflow.%I($1)', verb) INTO s USING t;
		RETURN NEXT x || ': ' || s;
	END LOOP;
END $$;
SELECT name FROM idflow.ready() ORDER BY name COLLATE "C";

BEGIN;
SELECT d.name, d.version FROM idflow.ready('Manager_Approval') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Manager_Approval', 'hr.person');
SET LOCAL idflow.actor = 'anna';
INSERT INTO hr.person (id, first_name, last_name, manager) VALUES (1, 'Ada', 'Lovelace', 'mona'), (2, 'Bob', 'Builder', 'max');
SELECT public.act('mona');
SELECT id FROM hr.person;
ROLLBACK;

BEGIN;
SELECT d.name, d.version FROM idflow.ready('Rights_Request') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Rights_Request', 'hr.grant_of');
SET LOCAL idflow.actor = 'anna';
INSERT INTO hr.grant_of VALUES (1, 'anna', 'print'), (2, 'anna', 'root');
SET LOCAL idflow.actor = 'rosa';
SELECT idflow.approve(min(task)), idflow.decline(max(task)) FROM idflow.inbox;
SELECT aspect, principal, subject FROM idflow.notification ORDER BY id;
ROLLBACK;

BEGIN;
INSERT INTO hr.person VALUES (1, 'Ada', 'Lovelace', 'ada', 'ada@example.org', 'mona', false);
SELECT d.name, d.version FROM idflow.ready('Leaver') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Leaver', 'hr.person', '{DELETE}');
SET LOCAL idflow.actor = 'anna';
DELETE FROM hr.person WHERE id = 1;
SELECT public.act('hugo');
SELECT kind, script, payload -> 'key' AS key FROM idflow.job;
ROLLBACK;

BEGIN;
INSERT INTO hr.account VALUES ('ada', 'old secret');
SELECT d.name, d.version FROM idflow.ready('Password_Change') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Password_Change', 'hr.account', '{UPDATE}');
SET LOCAL idflow.actor = 'ada';
UPDATE hr.account SET password_hash = 'new secret' WHERE login = 'ada';
SELECT count(*) FROM idflow.change_diff;
SELECT public.act('hedi');
SELECT * FROM hr.account;
SELECT principal, subject, body FROM idflow.notification;
ROLLBACK;

BEGIN;
SELECT d.name, d.version FROM idflow.ready('Bot_Creation') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Bot_Creation', 'hr.bot');
SET LOCAL idflow.actor = 'anna';
INSERT INTO hr.bot VALUES (1, 'Night backup'), (2, 'Night backup');
SELECT public.act('sam');
SELECT * FROM hr.bot ORDER BY id;
ROLLBACK;

BEGIN;
INSERT INTO hr.person VALUES (1, 'Ada', 'Lovelace', 'ada', 'ada@example.org', 'mona', false);
SELECT d.name, d.version FROM idflow.ready('Homonym_Check') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Homonym_Check', 'hr.person');
SET LOCAL idflow.actor = 'anna';
INSERT INTO hr.person (id, first_name, last_name) VALUES (2, 'Lovelace', 'Ada'), (3, 'Grace', 'Hopper');
SELECT r.title, h.filter, h.key FROM idflow.request r, LATERAL idflow.homonyms(r.id) h ORDER BY 1, 2;
ROLLBACK;

-- ------------------------------------------------------- the life of a user
SELECT d.name, d.version FROM idflow.ready('Directory_User') r, LATERAL idflow.deploy(r.definition) d;
-- each exports to a file that deploys to the same version
SELECT d.name, d.version FROM idflow.workflow w, LATERAL idflow.deploy(idflow.export(w.name)) d WHERE w.name LIKE 'Directory\_User\_%' ORDER BY d.name COLLATE "C";
SELECT idflow.attach('Directory_User_NewInternal', 'hr.person');
SELECT idflow.attach('Directory_User_ChangeName', 'hr.person', '{UPDATE}', columns => '{last_name}');
SELECT idflow.attach('Directory_User_Transfer', 'hr.person', '{UPDATE}', columns => '{manager}');
SELECT idflow.attach('Directory_User_Offboarding', 'hr.person', '{DELETE}');
SELECT idflow.attach('Directory_User_Rights', 'hr.grant_of', '{INSERT,DELETE}');
\c - cf_app
-- joiner: checks, a login, a draft, a homonym, a review
SET idflow.actor = 'anna';
SET idflow.language = 'de-DE';
INSERT INTO hr.person (id, first_name) VALUES (1, 'Ada');
INSERT INTO hr.person (id, first_name, last_name, manager) VALUES (1, 'Ada', 'Lovelace', 'mona');
INSERT INTO hr.person (id, first_name, last_name, manager) VALUES (2, 'Alan', 'Lovelace', 'mona');
SELECT new_row FROM idflow.change ORDER BY id;
SELECT column_name, label FROM idflow.change_diff WHERE column_name = 'email' LIMIT 1;
SELECT public.act('hugo');
SELECT * FROM hr.person ORDER BY id;
INSERT INTO hr.person (id, first_name, last_name) VALUES (3, 'Ada', 'Lovelace');
SELECT h.link, h.key FROM idflow.homonyms(idflow.last_request()) h;
-- declined without a manager: back to the requester, who gives one
SELECT public.act('hugo', 'decline');
SELECT state, activity FROM idflow.request WHERE id = idflow.last_request();
SELECT idflow.save(task, '{"manager": "mona", "first_name": "Augusta"}') FROM idflow.inbox;
SELECT public.act('anna', 'execute');
SELECT public.act('hugo');
-- mover: the new manager agrees, and nobody else can
UPDATE hr.person SET manager = 'max' WHERE id = 1;
UPDATE hr.person SET manager = login WHERE id = 1;
SELECT public.act('mona');
SELECT public.act('max');
-- a new name and another manager at once pass both workflows
UPDATE hr.person SET last_name = 'King', manager = 'mona' WHERE id = 1;
SELECT public.act('hugo');
SELECT workflow, activity, state FROM idflow.request WHERE id = idflow.last_request();
SELECT public.act('mona');
-- rights, and the leaver with all that is his
INSERT INTO hr.grant_of VALUES (1, 'alovelace', 'print');
SELECT public.act('rosa');
BEGIN;
SELECT idflow.begin_request('Ada leaves') > 0;
DELETE FROM hr.person WHERE id = 1;
DELETE FROM hr.grant_of WHERE login = 'alovelace';
SELECT idflow.submit(idflow.last_request());
COMMIT;
SELECT public.act('hugo');
SELECT workflow, activity, state FROM idflow.request WHERE id = idflow.last_request();
SELECT public.act('rosa');
SELECT * FROM hr.person ORDER BY id;
SELECT * FROM hr.grant_of;
\c - :me
SELECT aspect, address, principal, cc, subject FROM idflow.notification ORDER BY id;
SELECT kind, script FROM idflow.job;
\c :home :me
DROP DATABASE idflow_configuration;
DROP OWNED BY cf_app;
DROP ROLE cf_app;
