-- Those whom a request needs are gone, or don't wait: the last holder of a
-- profile, the role that deployed the workflow, an approver's patience.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_stranded;
\c idflow_stranded
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_stranded SET idflow.notice = off;
CREATE ROLE sr_app LOGIN;
GRANT SET ON PARAMETER idflow.actor TO sr_app;
CREATE SCHEMA sr;
GRANT USAGE ON SCHEMA sr TO sr_app;
CREATE TABLE sr.badge (id int PRIMARY KEY, holder text);
GRANT SELECT, INSERT ON sr.badge TO sr_app;
INSERT INTO idflow.profile_member VALUES ('guard', 'gus');
SELECT idflow.require_approval('sr.badge', profile => 'guard');

-- The profile's last holder is gone.
\c - sr_app
SET idflow.actor = 'anna';
INSERT INTO sr.badge VALUES (1, 'ada'), (2, 'bob');
SELECT request AS r1, lead AS r2 FROM (SELECT id AS request, lead(id) OVER (ORDER BY id) FROM idflow.request) r ORDER BY 1 LIMIT 1 \gset
SET idflow.actor = 'gus';
SELECT task AS t1 FROM idflow.inbox WHERE request = :r1 \gset
SELECT task AS t2 FROM idflow.inbox WHERE request = :r2 \gset
\c - :me
DELETE FROM idflow.profile_member WHERE principal = 'gus';
\c - sr_app
-- gus may not any more, and anna not yet; the requests wait, and say so
SET idflow.actor = 'gus';
SELECT idflow.approve(:t1);
SELECT count(*) FROM idflow.inbox;
SET idflow.actor = 'anna';
SELECT idflow.approve(:t1);
SELECT request - :r1 AS request, reason, on_whom, replace(remedy, :'t1', '<task>') AS remedy FROM idflow.waiting WHERE request = :r1;
SELECT count(*) AS deciders FROM idflow.decider WHERE request = :r1;
SELECT state FROM idflow.request WHERE id IN (:r1, :r2);
-- an admin asks somebody, or somebody becomes a guard
\c - :me
SELECT idflow.add_candidate(:t1, 'nina');
INSERT INTO idflow.profile_member VALUES ('guard', 'gina');
\c - sr_app
SET idflow.actor = 'nina';
SELECT idflow.approve(:t1);
SET idflow.actor = 'gina';
SELECT idflow.approve(:t2);
SELECT * FROM sr.badge ORDER BY id;

-- The role that deployed a workflow is gone.  Its expressions ran as that role,
-- so nobody can run them.
\c - :me
SET client_min_messages = warning;
CREATE ROLE sr_deployer IN ROLE idflow_admin;
CREATE TABLE sr.key (id int PRIMARY KEY, door text, keeper text);
GRANT SELECT, INSERT ON sr.key TO sr_app;
\set definition '''<Workflow Identifier="Key" DisplayName_L1="Key" Title="SQL:new.door"><Activity Identifier="Ask" DisplayName_L1="Ask" Template="Action"/><Activity Identifier="First" DisplayName_L1="First" Template="Review"><Actor Profile="guard"/></Activity><Activity Identifier="Keeper" DisplayName_L1="Keeper" Template="Review"><Actor Expression="SQL:new.keeper"/></Activity><Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>'''
SET ROLE sr_deployer;
SELECT version, deployed_by FROM idflow.deploy(:definition);
RESET ROLE;
SELECT idflow.attach('Key', 'sr.key');
\c - sr_app
SET idflow.actor = 'anna';
INSERT INTO sr.key VALUES (1, 'vault', 'kim');
SELECT idflow.last_request() AS k1 \gset
INSERT INTO sr.key VALUES (2, 'cellar', 'kim');
SELECT idflow.last_request() AS k2 \gset
INSERT INTO sr.key VALUES (3, 'attic', 'kim');
SELECT idflow.last_request() AS k3 \gset
SET idflow.actor = 'gina';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k3;
\c - :me
DROP ROLE sr_deployer;
\c - sr_app
-- no new request, and no step that asks an expression; nothing is left half done
SET idflow.actor = 'anna';
INSERT INTO sr.key VALUES (4, 'gate', 'kim');
SET idflow.actor = 'gina';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k1;
SELECT activity, activity_state FROM idflow.request WHERE id = :k1;
SELECT count(*) AS votes FROM idflow.decider WHERE request = :k1 AND vote IS NOT NULL;
SELECT count(*) AS requests FROM idflow.request WHERE title = 'gate';
-- who is asked by an expression is known no more, and can't decide
SET idflow.actor = 'kim';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k3;
-- what needs no expression goes on
SET idflow.actor = 'gina';
SELECT idflow.decline(task, 'not now') FROM idflow.inbox WHERE request = :k1;
SET idflow.actor = 'anna';
SELECT idflow.withdraw(:k2);
\c - :me
SET client_min_messages = warning;
SELECT subject, state, detail, hint FROM idflow.health() WHERE detail LIKE '%sr_deployer%';
-- deployed again by a role that is there, it is a new version; what is under
-- way keeps its own, and health() goes on saying so
SELECT version FROM idflow.deploy(:definition);
SELECT subject, state, detail, hint FROM idflow.health() WHERE detail LIKE '%sr_deployer%';
\c - sr_app
SET idflow.actor = 'anna';
INSERT INTO sr.key VALUES (4, 'gate', 'kim');
SELECT title, activity FROM idflow.request WHERE id = idflow.last_request();
SET idflow.actor = 'kim';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k3;
-- the role comes back
\c - :me
CREATE ROLE sr_deployer;
SELECT count(*) FROM idflow.health() WHERE detail LIKE '%sr_deployer%';
\c - sr_app
SET idflow.actor = 'kim';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k3;
SELECT * FROM sr.key;

-- An expression that takes long is under the timeout of whoever makes it run:
-- the approver, when it names those who come after him.
\c - :me
SET client_min_messages = warning;
CREATE TABLE sr.car (id int PRIMARY KEY, wheels int);
GRANT SELECT, INSERT ON sr.car TO sr_app;
SELECT version FROM idflow.deploy($$<Workflow Identifier="Car" DisplayName_L1="Car">
	<Activity Identifier="Ask" DisplayName_L1="Ask" Template="Action"/>
	<Activity Identifier="First" DisplayName_L1="First" Template="Review"><Actor Profile="guard"/></Activity>
	<Activity Identifier="Count" DisplayName_L1="Count" Template="Review">
		<Actor Expression="SQL:(SELECT 'kim' FROM generate_series(1, new.wheels) g ORDER BY g LIMIT 1)"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.attach('Car', 'sr.car');
\c - sr_app
SET idflow.actor = 'anna';
INSERT INTO sr.car VALUES (1, 2000000000);
SELECT idflow.last_request() AS car \gset
SET idflow.actor = 'gina';
SELECT task AS cart FROM idflow.inbox WHERE request = :car \gset
SET statement_timeout = '200ms';
SELECT idflow.approve(:cart);
-- one cancel ends the whole of approve_all
SELECT * FROM idflow.approve_all(ARRAY[:cart]);
RESET statement_timeout;
-- all as before: nobody has voted, and the session is nobody but gina
SELECT activity, activity_state FROM idflow.request WHERE id = :car;
SELECT count(*) AS votes FROM idflow.decider WHERE request = :car AND vote IS NOT NULL;
SELECT current_user, idflow.actor(), current_setting('search_path') AS search_path;
SELECT idflow.decline(:cart, 'too many wheels');

\c :home :me
REVOKE SET ON PARAMETER idflow.actor FROM sr_app;
DROP DATABASE idflow_stranded;
DROP ROLE sr_app, sr_deployer;
