-- a role that is dropped and made again under its name inherits nothing
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_binding;
\c idflow_binding
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_binding SET idflow.notice = off;
CREATE ROLE bd_app LOGIN;
CREATE ROLE bd_boss LOGIN;
CREATE ROLE bd_team LOGIN;
CREATE ROLE bd_mate LOGIN;
CREATE ROLE bd_about LOGIN;
CREATE ROLE bd_admin LOGIN IN ROLE idflow_admin;
CREATE SCHEMA bd;
GRANT USAGE ON SCHEMA bd TO PUBLIC;
CREATE TABLE bd.person (id int PRIMARY KEY, name text, boss text, about text);
CREATE TABLE bd.room (id int PRIMARY KEY, name text);
CREATE TABLE bd.thing (id int PRIMARY KEY, boss text);
GRANT SELECT, INSERT, UPDATE ON bd.person, bd.room, bd.thing TO PUBLIC;
INSERT INTO idflow.profile_member VALUES ('bd_rooms', 'bd_team'), ('bd_rooms', 'bd_mate'), ('bd_rooms', 'someone');
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Person" DisplayName_L1="Person" Subject="SQL:new.about">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="bd_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Room" DisplayName_L1="Room">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback" Approvals="2"><Actor Profile="bd_rooms"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Thing" DisplayName_L1="Thing">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Expression="SQL:new.boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<NotificationAspect Identifier="Tell" SubjectExpression_L1="Literal:look">
  <PointCut Activity="Person:Review" ActivityState="ReviewPending" Mode="Before"/><Recipient Type="Actor"/>
</NotificationAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'bd.person');
SELECT idflow.attach('Room', 'bd.room');
SELECT idflow.attach('Thing', 'bd.thing');

-- before: everything that a name may have a part in
\c - bd_app
INSERT INTO bd.person VALUES (1, 'asked', NULL, 'bd_about');
SELECT idflow.last_request() AS asked \gset
INSERT INTO bd.person VALUES (2, 'claimed');
SELECT idflow.last_request() AS claimed \gset
INSERT INTO bd.person VALUES (3, 'refined');
SELECT idflow.last_request() AS refined \gset
INSERT INTO bd.room VALUES (1, 'voted');
SELECT idflow.last_request() AS voted \gset
INSERT INTO bd.thing VALUES (1, 'bd_boss');
SELECT idflow.last_request() AS thing \gset
INSERT INTO bd.room VALUES (2, 'added');
SELECT idflow.last_request() AS added \gset
SELECT idflow.begin_request('collected') AS collected \gset
SELECT idflow.add_deputy('bd_app', 'bd_mate', tstzrange(NULL, NULL)) AS link \gset
SELECT count(*) AS sees FROM idflow.request;
\c - bd_boss
SELECT count(*) AS inbox FROM idflow.inbox;
SELECT count(*) AS notified FROM idflow.notification;
SELECT idflow.claim(task) FROM idflow.inbox WHERE request = :claimed;
SELECT idflow.refine(task) FROM idflow.inbox WHERE request = :refined;
SELECT task AS asked_task FROM idflow.inbox WHERE request = :asked \gset
SELECT task AS thing_task FROM idflow.inbox WHERE request = :thing \gset
SELECT id AS claimed_task FROM idflow.task WHERE request = :claimed \gset
\c - bd_team
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :voted;
\c - bd_admin
SELECT id AS added_task FROM idflow.task WHERE request = :added \gset
SELECT id AS voted_task FROM idflow.task WHERE request = :voted \gset
SELECT id AS refined_task FROM idflow.task WHERE request = :refined \gset
SELECT idflow.add_candidate(:added_task, 'bd_boss');
\c - bd_about
SELECT count(*) AS about_me FROM idflow.request;

\c - :me
DROP ROLE bd_app, bd_boss, bd_team, bd_about;
CREATE ROLE bd_app LOGIN;
CREATE ROLE bd_boss LOGIN;
CREATE ROLE bd_team LOGIN;
CREATE ROLE bd_about LOGIN;

-- tasks and claims
\c - bd_boss
SELECT count(*) AS inbox FROM idflow.inbox;
SELECT count(*) AS sees FROM idflow.request;
SELECT count(*) AS notified FROM idflow.notification;
SELECT idflow.approve(:asked_task);
SELECT idflow.decline(:asked_task);
SELECT idflow.claim(:asked_task);
SELECT idflow.release(:claimed_task);
SELECT idflow.approve(:claimed_task);
SELECT idflow.approve(:thing_task);
SELECT idflow.approve(:added_task);
SELECT idflow.save(:asked_task, '{"name": "mine"}');
SELECT * FROM idflow.approve_all(ARRAY[:asked_task, :claimed_task]);
SELECT count(*) FROM idflow.decider;
-- nor by setting the name, nor as somebody who is no role at all
\c - :me
SET idflow.actor = 'bd_boss';
SET ROLE bd_mate;
SELECT idflow.approve(:asked_task);
\c - :me
ALTER ROLE bd_boss RENAME TO bd_elsewhere;
SET idflow.actor = 'bd_boss';
SET ROLE bd_mate;
SELECT count(*) FROM idflow.inbox WHERE workflow <> 'Room';
SELECT idflow.approve(:asked_task);
\c - :me
ALTER ROLE bd_elsewhere RENAME TO bd_boss;

-- requests of his: as requester and as subject
\c - bd_app
SELECT count(*) AS sees FROM idflow.request;
SELECT count(*) AS changes FROM idflow.change;
SELECT count(*) AS events FROM idflow.event;
SELECT idflow.withdraw(:asked);
SELECT idflow.submit(:collected);
SELECT idflow.resume_request(:collected);
SELECT idflow.comment(:asked, 'hm');
SELECT idflow.execute(:refined_task);
SELECT idflow.save(:refined_task, '{"name": "mine"}');
SELECT count(*) FROM idflow.inbox;
SELECT count(*) FROM idflow.drafts(NULL::bd.person);
SELECT count(*) FROM idflow.deputy;
SELECT idflow.drop_deputy(:link);
\c - bd_about
SELECT count(*) AS about_me FROM idflow.request;
-- his deputy has it from nobody any more
\c - bd_mate
SELECT count(*) FROM idflow.inbox WHERE on_behalf_of IS NOT NULL;

-- a profile that was given to the name, a vote that was cast under it
\c - bd_team
SELECT count(*) AS inbox FROM idflow.inbox;
SELECT count(*) AS sees FROM idflow.request;
SELECT idflow.approve(:added_task);
\c - bd_admin
SELECT principal FROM idflow.directory WHERE profile = 'bd_rooms' ORDER BY 1;
INSERT INTO idflow.profile_member VALUES ('bd_rooms', 'bd_team') ON CONFLICT DO NOTHING;
SELECT principal FROM idflow.directory WHERE profile = 'bd_rooms' ORDER BY 1;
\c - bd_team
-- the vote of the former one is void, so this one votes for himself
SELECT given, needed FROM idflow.inbox WHERE request = :voted;
SELECT idflow.approve(:voted_task);
SELECT principal, vote, superseded FROM idflow.vote WHERE request = :voted ORDER BY seq;

-- what stays open is told, and is moved on
\c - bd_admin
SELECT request = :asked AS asked, reason, on_whom FROM idflow.waiting WHERE request IN (:asked, :claimed) ORDER BY request;
SELECT idflow.reassign(:asked_task);
SELECT idflow.move_tasks('bd_boss', 'bd_mate', 'has left');
\c - bd_mate
SELECT request = :asked AS asked, request = :claimed AS claimed, via, claimed_by FROM idflow.inbox WHERE workflow = 'Person' ORDER BY request;
-- it would be written as the role that made it, which is gone
SELECT idflow.approve(:asked_task);
SELECT idflow.decline(:asked_task);
SELECT id = :asked AS asked, state FROM idflow.request WHERE id = :asked;

-- a new task is asked of whoever has the name now
\c - bd_app
INSERT INTO bd.person VALUES (4, 'new');
SELECT idflow.last_request() AS new \gset
\c - bd_boss
SELECT request = :new AS new FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;

-- a role that is renamed has a part in nothing until it has its name again
\c - bd_app
INSERT INTO bd.person VALUES (5, 'renamed');
SELECT idflow.last_request() AS renamed \gset
\c - :me
ALTER ROLE bd_boss RENAME TO bd_chief;
\c - bd_chief
SELECT count(*) FROM idflow.inbox;
\c - :me
CREATE ROLE bd_boss LOGIN;
\c - bd_boss
SELECT count(*) FROM idflow.inbox;
\c - :me
DROP ROLE bd_boss;
ALTER ROLE bd_chief RENAME TO bd_boss;
\c - bd_boss
SELECT request = :renamed AS renamed FROM idflow.inbox;

-- in one session
\c - :me
SET ROLE bd_app;
INSERT INTO bd.person VALUES (6, 'session');
SELECT idflow.last_request() IS NOT NULL AS known;
RESET ROLE;
DROP ROLE bd_app;
CREATE ROLE bd_app LOGIN;
SET ROLE bd_app;
SELECT idflow.last_request() IS NOT NULL AS known;
RESET ROLE;

-- people who are no database roles are known by their names
SET idflow.actor = 'someone';
SELECT count(*) FROM idflow.inbox WHERE request = :added;
RESET idflow.actor;
SELECT idflow.binding('someone') IS NULL AS none, idflow.is_bound('someone', NULL) AS by_name,
	idflow.is_bound('bd_boss', idflow.binding('bd_boss')) AS same, idflow.is_bound('bd_app', idflow.binding('bd_boss')) AS other,
	idflow.is_bound('bd_app', idflow.binding('bd_boss') # (1::bigint << 40)) AS of_another_database;
SELECT p, idflow.place_is_bound(idflow.place(p, t), idflow.binding('bd_boss')) FROM (VALUES ('u:bd_boss', NULL),
	('u:bd_boss', 'a:u:bd_app'), ('u:bd_app', ':u:bd_boss'), ('u:bd_app', NULL), ('p:bd_app', NULL)) v (p, t);
-- roles that come and go while the session knows them, few or many
\c - :me
SELECT idflow.binding('bd_new') IS NULL AS none;
BEGIN;
CREATE ROLE bd_new;
SELECT idflow.binding('bd_new') IS NOT NULL AS made;
ALTER ROLE bd_new RENAME TO bd_newer;
SELECT idflow.binding('bd_new') IS NULL AS none, idflow.binding('bd_newer') IS NOT NULL AS renamed;
DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE ROLE bd_many_%s', i); END LOOP; END $$;
SELECT idflow.binding('bd_many_1') IS NOT NULL AS first, idflow.binding('bd_many_1000') IS NOT NULL AS last,
	idflow.binding('bd_many_1001') IS NULL AS none, idflow.binding('bd_newer') IS NOT NULL AS renamed;
ROLLBACK;
SELECT idflow.binding('bd_newer') IS NULL AND idflow.binding('bd_many_1') IS NULL AS none;
BEGIN;
DO $$ BEGIN EXECUTE format('CREATE ROLE bd_%s', repeat('x', 60)); END $$;
SELECT idflow.binding('bd_' || repeat('x', 60)) IS NOT NULL AS longest, idflow.binding('bd_' || repeat('x', 61)) IS NULL AS too_long;
ROLLBACK;
-- nobody else calls the trigger's function or writes bindings
\c - bd_mate
UPDATE idflow.candidate SET binding = NULL;
UPDATE idflow.request SET requester_binding = NULL;
INSERT INTO idflow.profile_member VALUES ('bd_rooms', 'bd_mate');

\c :home :me
DROP DATABASE idflow_binding;
DROP ROLE bd_app, bd_boss, bd_team, bd_mate, bd_about, bd_admin;
