-- The story that `make demo` tells.  Read by psql from its standard input, in a
-- new database that holds organisation.sql.
\set QUIET on
\pset null '(null)'
\set QUIET off

\echo
\echo '=== Before the curtain: an organisation, an application, four workflows'
\echo
\echo 'The tables are those of any personnel system. Nothing in them knows of workflows.'
\echo
\set ECHO queries
SELECT (SELECT count(*) FROM hr.person) AS people, (SELECT count(DISTINCT manager_id) FROM hr.person) AS managers,
       (SELECT count(*) FROM hr.department) AS departments, (SELECT count(*) FROM hr.account) AS accounts,
       (SELECT count(*) FROM hr.role_grant) AS role_grants;
\set ECHO none

\echo 'The application connects as one role, hr_app. It has plain privileges, and it may say'
\echo 'on whose behalf it acts. New sessions load the library, so that it notices nothing.'
\echo
\set ECHO queries
CREATE EXTENSION idflow;
ALTER DATABASE demo SET session_preload_libraries = 'idflow';
CREATE ROLE hr_app LOGIN;
GRANT USAGE ON SCHEMA hr TO hr_app;
GRANT SELECT ON ALL TABLES IN SCHEMA hr TO hr_app;
GRANT INSERT, UPDATE, DELETE ON hr.person, hr.account, hr.role_grant TO hr_app;
GRANT SET ON PARAMETER idflow.actor TO hr_app;
\set ECHO none

\set QUIET on
\c
\set QUIET off
\echo
\echo 'Who holds which profile is read from the organisation itself.'
\echo
\set ECHO queries
SELECT idflow.set_directory('hr.directory');
SELECT profile, principal, display_name FROM idflow.directory WHERE profile IN ('hr_manager', 'resource_owner') ORDER BY profile, principal;
\set ECHO none

\echo 'Four workflows come with idflow. They are deployed as they are, and each is put in front'
\echo 'of the tables and operations it is about.'
\echo
\set ECHO queries
SELECT name, description FROM idflow.ready() ORDER BY name;
SELECT d.name, d.version FROM idflow.ready() r, LATERAL idflow.deploy(r.definition) d WHERE r.name LIKE 'User%' ORDER BY d.name;
SELECT idflow.attach('User_Onboarding', 'hr.person', '{INSERT}');
SELECT idflow.attach('User_ChangeName', 'hr.person', '{UPDATE}', columns => '{full_name}');
SELECT idflow.attach('User_ResourcesUpdate', 'hr.role_grant', '{INSERT}');
SELECT idflow.attach('User_Offboarding', t::regclass, '{DELETE}') FROM unnest('{hr.person,hr.account,hr.role_grant}'::text[]) t;
SELECT workflow, target, operation, columns, enabled FROM idflow.gate ORDER BY workflow, target::text;
\set ECHO none

\set QUIET on
\c - hr_app
\set QUIET off

\echo
\echo '=== 1. Somebody joins'
\echo
\echo 'Hana Novak of HR enters a new colleague. The application sends the INSERT it always sent;'
\echo 'all it adds is who is sitting at the screen.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'hana.novak';
SET LOCAL idflow.comment = 'starts on Monday';
\set QUIET off
INSERT INTO hr.person (login, full_name, email, department, manager_id)
VALUES ('lena.fischer', 'Lena Fischer', 'lena.fischer@example.org', 'Engineering', 3) RETURNING id, login;
\set QUIET on
COMMIT;
\set QUIET off
SELECT count(*) AS rows_in_the_table FROM hr.person WHERE login = 'lena.fischer';
\set ECHO none

\echo 'The row is not there: it is a draft. Marco Ricci, a manager, looks into his inbox.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'marco.ricci';
\set QUIET off
SELECT task, request, workflow, activity_state, requester, target, operation FROM idflow.inbox;
\set ECHO none
SELECT task, request FROM idflow.inbox ORDER BY task DESC LIMIT 1 \gset
\echo 'What is he asked to agree to?'
\echo
\set ECHO queries
SELECT column_name, draft FROM idflow.change_diff WHERE request = :request;
SELECT idflow.approve(:task, 'welcome aboard');
\set QUIET on
COMMIT;
\set QUIET off
SELECT id, login, full_name, department, manager_id FROM hr.person WHERE login = 'lena.fischer';
\set ECHO none

\echo 'Committed with his approval, in the same transaction. The history says who did what:'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'hana.novak';
\set QUIET off
SELECT seq, actor, activity, to_state, comment FROM idflow.event WHERE request = :request ORDER BY seq;
\set QUIET on
COMMIT;
\set QUIET off
\set ECHO none

\echo
\echo '=== 2. A name changes, and somebody else edits the same row'
\echo
\echo 'Nora Keane marries. Only full_name is guarded.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'hana.novak';
\set QUIET off
UPDATE hr.person SET full_name = 'Nora Bright' WHERE login = 'nora.keane';
\set QUIET on
COMMIT;
\set QUIET off
\set ECHO none

\echo
\echo 'While that waits, another department moves her. Its column is not guarded, so this is'
\echo 'done at once.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'sven.berg';
\set QUIET off
UPDATE hr.person SET department = 'Research' WHERE login = 'nora.keane';
\set QUIET on
COMMIT;
\set QUIET off
SELECT login, full_name, department FROM hr.person WHERE login = 'nora.keane';
\set ECHO none

\echo 'Marco approves. The approved column is merged onto the row as it stands now: both survive.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'marco.ricci';
\set QUIET off
SELECT task, request, workflow, requester, operation, key FROM idflow.inbox;
\set ECHO none
SELECT task, request FROM idflow.inbox ORDER BY task DESC LIMIT 1 \gset
\set ECHO queries
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :request;
SELECT idflow.approve(:task);
\set QUIET on
COMMIT;
\set QUIET off
SELECT login, full_name, department FROM hr.person WHERE login = 'nora.keane';
\set ECHO none

\echo
\echo '=== 3. Rights are asked for, and refused'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'igor.petrov';
SET LOCAL idflow.comment = 'I want to look something up';
\set QUIET off
INSERT INTO hr.role_grant (person_id, role_name) VALUES (9999, 'payroll_reader');
\set ECHO none
\echo
\echo 'Igor may see his request and who decides it, but he cannot decide it himself:'
\echo
\set ECHO queries
SELECT principal, via FROM idflow.decider WHERE request = idflow.last_request() AND vote IS NULL ORDER BY principal;
\set QUIET on
COMMIT;
\set QUIET off
\set ECHO none
\echo 'Greta Olsen owns that resource, and declines.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'greta.olsen';
\set QUIET off
\set ECHO none
SELECT task, request FROM idflow.inbox ORDER BY task DESC LIMIT 1 \gset
\set ECHO queries
SELECT task, request, workflow, requester, target, operation FROM idflow.inbox;
SELECT idflow.decline(:task, 'salaries are not for browsing');
\set QUIET on
COMMIT;
BEGIN;
SET LOCAL idflow.actor = 'igor.petrov';
\set QUIET off
SELECT id, workflow, state, activity, activity_state FROM idflow.request WHERE id = :request;
SELECT actor, transition, comment FROM idflow.event WHERE request = :request AND comment IS NOT NULL ORDER BY seq;
\set QUIET on
COMMIT;
\set QUIET off
SELECT count(*) AS granted FROM hr.role_grant WHERE person_id = 9999 AND role_name = 'payroll_reader';
\set ECHO none

\echo
\echo '=== 4. Somebody leaves'
\echo
\echo 'Rows of three tables go together, so Hana opens a request by hand, deletes the children'
\echo 'first as foreign keys want it, and submits everything as one.'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'hana.novak';
\set QUIET off
SELECT idflow.begin_request('Igor Petrov leaves the company');
DELETE FROM hr.role_grant WHERE person_id = 9999;
DELETE FROM hr.account WHERE person_id = 9999;
DELETE FROM hr.person WHERE id = 9999;
SELECT idflow.submit(idflow.last_request());
\set QUIET on
COMMIT;
\set QUIET off
\set ECHO none

\echo 'One request, one task, many rows:'
\echo
\set ECHO queries
\set QUIET on
BEGIN;
SET LOCAL idflow.actor = 'greta.olsen';
\set QUIET off
SELECT task, request, title, requester FROM idflow.inbox;
\set ECHO none
SELECT task, request FROM idflow.inbox ORDER BY task DESC LIMIT 1 \gset
\set ECHO queries
SELECT seq, target, operation, key FROM idflow.change WHERE request = :request ORDER BY seq;
SELECT idflow.approve(:task, 'badge and laptop are back');
\set QUIET on
COMMIT;
\set QUIET off
SELECT (SELECT count(*) FROM hr.person WHERE id = 9999) AS person, (SELECT count(*) FROM hr.account WHERE person_id = 9999) AS accounts,
       (SELECT count(*) FROM hr.role_grant WHERE person_id = 9999) AS role_grants;
\set ECHO none

\set QUIET on
\c - postgres
\set QUIET off
\echo
\echo '=== 5. Work outside the database'
\echo
\echo 'A bot is asked for. Its login is made up so that no other has it; when Greta has'
\echo 'approved, a job waits for an agent, which makes the account and says so.'
\echo
\set ECHO queries
\set QUIET on
SET client_min_messages = warning;
CREATE TABLE hr.bot (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, purpose text NOT NULL, login text);
GRANT SELECT, INSERT ON hr.bot TO hr_app;
\set QUIET off
SELECT d.name, d.version FROM idflow.ready('Bot_Creation') r, LATERAL idflow.deploy(r.definition) d;
SELECT idflow.attach('Bot_Creation', 'hr.bot');
SELECT idflow.add_provisioning('hr.bot', 'accounts');
\set QUIET on
SET idflow.actor = 'hana.novak';
\set QUIET off
INSERT INTO hr.bot (purpose) VALUES ('Night backup'), ('Night backup');
\set QUIET on
SET idflow.actor = 'greta.olsen';
\set QUIET off
SELECT title, idflow.approve(task) FROM idflow.inbox WHERE workflow = 'Bot_Creation' ORDER BY task;
SELECT purpose, login FROM hr.bot ORDER BY id;
\echo 'The agent, which may be any program that speaks SQL:'
SELECT id AS job, kind, payload -> 'new' AS account FROM idflow.take_job('accounts', '1 minute');
\set ECHO none
SELECT id AS job FROM idflow.job WHERE state = 'running' \gset
\set ECHO queries
SELECT idflow.finish_job(:job, '{"account": "made"}');
SELECT request, reason, on_whom FROM idflow.waiting WHERE reason = 'job';
\set QUIET on
RESET idflow.actor;
RESET client_min_messages;
\set QUIET off
\set ECHO none

\set QUIET on
\c - postgres
\set QUIET off
\echo
\echo '=== What remains: the report'
\echo
\set ECHO queries
SELECT id, workflow, version, title, requester, state, closed_at IS NOT NULL AS closed FROM idflow.request ORDER BY id;
SELECT subject, state, detail FROM idflow.health();
\set ECHO none
\echo 'The end.'
