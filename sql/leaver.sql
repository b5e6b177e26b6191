-- who leaves and who joins among those who decide
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_leaver;
\c idflow_leaver
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_leaver SET idflow.notice = off;
CREATE ROLE lv_app LOGIN;
CREATE ROLE lv_old LOGIN;
CREATE ROLE lv_new LOGIN;
CREATE ROLE lv_admin LOGIN IN ROLE idflow_admin;
CREATE SCHEMA lv;
GRANT USAGE ON SCHEMA lv TO PUBLIC;
CREATE TABLE lv.person (id int PRIMARY KEY, name text);
CREATE TABLE lv.room (id int PRIMARY KEY, name text);
CREATE TABLE lv.directory (principal text, profile text, active boolean);
GRANT SELECT, INSERT ON lv.person, lv.room TO PUBLIC;
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Person" DisplayName_L1="Person">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="lv_old"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Room" DisplayName_L1="Room">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Profile="lv_rooms"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'lv.person');
SELECT idflow.attach('Room', 'lv.room');
\c - lv_app
INSERT INTO lv.person VALUES (1, 'ann');
SELECT idflow.last_request() AS r1 \gset
INSERT INTO lv.person VALUES (2, 'bob');
SELECT idflow.last_request() AS r2 \gset
SELECT idflow.move_tasks('lv_old', 'lv_app', 'mine');
-- a task asked of somebody by name, and claimed
\c - lv_old
SELECT idflow.claim(task) FROM idflow.inbox WHERE request = :r1;
\c - lv_new
INSERT INTO lv.person VALUES (3, 'cat');
SELECT idflow.last_request() AS r3 \gset
SELECT count(*) FROM idflow.inbox;
\c - lv_admin
SELECT idflow.move_tasks('lv_old', 'lv_new', NULL);
SELECT idflow.move_tasks('lv_old', 'lv_new', ' ');
SELECT idflow.move_tasks('lv_old', 'lv_old', 'x');
SELECT idflow.move_tasks('nobody', 'lv_new', 'x');
-- all at once, but what the other one requested himself
SELECT idflow.move_tasks('lv_old', 'lv_new', 'lv_old has left');
SELECT actor, via, transition, comment, data->>'principal' AS principal, data->>'moved_from' AS moved_from
	FROM idflow.event WHERE request = :r1 AND transition = 'AddCandidate';
\c - lv_new
SELECT request = :r1 AS first, via, claimed_by FROM idflow.inbox ORDER BY request;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r1;
-- it stays with him while it is refined and comes back
SELECT idflow.refine(task) FROM idflow.inbox WHERE request = :r2;
\c - lv_app
SELECT task AS t2 FROM idflow.inbox \gset
SELECT idflow.execute(:t2);
\c - lv_new
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r2;
-- who joins a profile has the tasks that are open already, who leaves it has none
\c - lv_app
INSERT INTO lv.room VALUES (1, 'attic');
\c - lv_new
SELECT count(*) FROM idflow.inbox;
\c - :me
INSERT INTO idflow.profile_member VALUES ('lv_rooms', 'lv_new');
\c - lv_new
SELECT workflow, via FROM idflow.inbox;
SELECT task AS t4 FROM idflow.inbox \gset
\c - :me
-- nor who is not active in a directory
INSERT INTO lv.directory VALUES ('lv_new', 'lv_rooms', false), ('lv_old', 'lv_rooms', true);
SELECT idflow.set_directory('lv.directory');
\c - lv_new
SELECT count(*) FROM idflow.inbox;
SELECT idflow.approve(:t4);
\c - lv_old
SELECT workflow, via FROM idflow.inbox WHERE workflow = 'Room';
SELECT idflow.approve(:t4);
\c :home :me
DROP DATABASE idflow_leaver;
DROP ROLE lv_app, lv_old, lv_new, lv_admin;
