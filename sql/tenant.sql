-- tenants: people of one are kept out of another's requests
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_tenant;
\c idflow_tenant
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_tenant SET idflow.notice = off;
CREATE ROLE te_a LOGIN;			-- requester, chief and clerk of tenant a
CREATE ROLE te_a_chief LOGIN;
CREATE ROLE te_a_two LOGIN;
CREATE ROLE te_b LOGIN;			-- the same of b
CREATE ROLE te_b_chief LOGIN;
CREATE ROLE te_both LOGIN;		-- chief in a, clerk in b
CREATE ROLE te_none LOGIN;		-- chief of no tenant
CREATE ROLE te_nobody LOGIN;	-- not in the directory
CREATE ROLE te_admin LOGIN IN ROLE idflow_admin;
CREATE ROLE te_auditor LOGIN IN ROLE idflow_auditor;
CREATE SCHEMA te;
GRANT USAGE ON SCHEMA te TO PUBLIC;
CREATE TABLE te.person (id int PRIMARY KEY, name text, boss text, about text);
CREATE TABLE te.room (id int PRIMARY KEY, name text);
CREATE TABLE te.thing (id int PRIMARY KEY, boss text);
CREATE TABLE te.directory (principal text, profile text, tenant text, active boolean DEFAULT true, email text);
GRANT SELECT, INSERT, UPDATE ON te.person, te.room, te.thing TO PUBLIC;
INSERT INTO te.directory VALUES ('te_a', 'clerk', 'a'), ('te_a_chief', 'chief', 'a'), ('te_a_two', 'chief', 'a'),
	('te_b', 'clerk', 'b'), ('te_b_chief', 'chief', 'b'), ('te_both', 'chief', 'a'), ('te_both', 'clerk', 'b'), ('te_none', 'chief', NULL);
SELECT idflow.set_directory('te.directory');
SELECT principal, profile, tenant FROM idflow.directory ORDER BY 1, 2;
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Person" DisplayName_L1="Person" Subject="SQL:new.about">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Profile="chief"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<NotificationAspect Identifier="Tell" SubjectExpression_L1="Literal:look">
  <PointCut Activity="Person:Review" ActivityState="ReviewPending" Mode="Before"/>
  <Recipient Type="Actor"/><Recipient Type="Profile" Profile="clerk"/><Recipient Type="Expression" Expression="SQL:'te_b_chief'"/>
</NotificationAspect>
<Workflow Identifier="Room" DisplayName_L1="Room">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review" Approvals="all"><Actor Profile="chief"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Thing" DisplayName_L1="Thing">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Expression="SQL:new.boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'te.person');
SELECT idflow.attach('Room', 'te.room');
SELECT idflow.attach('Thing', 'te.thing');

\c - te_a
INSERT INTO te.person VALUES (1, 'of a', NULL, 'te_b');
SELECT idflow.last_request() AS a \gset
SELECT id AS a_task FROM idflow.task WHERE request = :a \gset
INSERT INTO te.thing VALUES (1, 'te_b_chief');
SELECT idflow.last_request() AS thing \gset
SELECT id AS thing_task FROM idflow.task WHERE request = :thing \gset
SELECT tenant FROM idflow.request WHERE id = :a;
\c - te_b
INSERT INTO te.person VALUES (2, 'of b');
SELECT idflow.last_request() AS b \gset
SELECT id AS b_task FROM idflow.task WHERE request = :b \gset
\c - te_nobody
INSERT INTO te.person VALUES (3, 'of none');
SELECT idflow.last_request() AS none \gset
SELECT id AS none_task FROM idflow.task WHERE request = :none \gset
SELECT tenant FROM idflow.request WHERE id = :none;

-- who is asked, who sees
\c - te_a_chief
SELECT request = :a AS a, via FROM idflow.inbox;
SELECT id = :a AS a FROM idflow.request ORDER BY id;
SELECT principal FROM idflow.decider WHERE request = :a ORDER BY 1;
\c - te_none
SELECT request = :none AS none, via FROM idflow.inbox;
SELECT id = :none AS none FROM idflow.request ORDER BY id;
\c - te_both
-- chief in a, and in b a clerk, who decides nothing
SELECT request = :a AS a, via FROM idflow.inbox;
SELECT id = :a AS a FROM idflow.request ORDER BY id;
SELECT idflow.approve(:b_task);
INSERT INTO te.person VALUES (4, 'of which?');
\c - te_auditor
SELECT count(*) FROM idflow.request;
\c - te_admin
SELECT count(*) FROM idflow.request;
SELECT principal, cc FROM idflow.notification WHERE request = :a ORDER BY 1;
SELECT request = :thing AS thing, reason, on_whom FROM idflow.waiting WHERE request = :thing;

-- a chief of another tenant who knows the numbers, and the subject there
\c - te_b_chief
SELECT request = :b AS b FROM idflow.inbox;
SELECT count(*) FROM idflow.request WHERE id <> :b;
SELECT count(*) FROM idflow.event WHERE request <> :b;
SELECT count(*) FROM idflow.change WHERE request <> :b;
SELECT count(*) FROM idflow.candidate WHERE request <> :b;
SELECT count(*) FROM idflow.task WHERE request <> :b;
SELECT count(*) FROM idflow.change_diff WHERE request <> :b;
SELECT count(*) FROM idflow.decider_rows(:a);
SELECT count(*) FROM idflow.decider_rows(:none);
SELECT idflow.decidable(:a), idflow.change_image(:a, 1, 'new');
SELECT count(*) FROM idflow.drafts(NULL::te.person) WHERE name <> 'of b';
SELECT idflow.approve(:a_task);
SELECT idflow.decline(:a_task);
SELECT idflow.claim(:a_task);
SELECT idflow.release(:a_task);
SELECT idflow.refine(:a_task, 'te_b');
SELECT idflow.delegate(:a_task, 'te_b');
SELECT idflow.save(:a_task, '{"name": "mine"}');
SELECT idflow.abort(:a_task);
SELECT idflow.approve(:thing_task);
SELECT idflow.approve(:none_task);
SELECT * FROM idflow.approve_all(ARRAY[:a_task, :none_task]);
SELECT idflow.comment(:a, 'hm');
SELECT idflow.withdraw(:a);
SELECT idflow.undo(:a);
SELECT idflow.override(:a, 'mine');
SELECT idflow.resolve(:a, 1, '{}');
SELECT count(*) FROM idflow.simulate(:a);
SELECT count(*) FROM idflow.notification WHERE request <> :b;
-- names with a tenant's place in them
SELECT idflow.place('p:chief', 'a') <> ALL (idflow.my_places()) AS kept_out, idflow.my_places();
\c - te_b
SELECT count(*) FROM idflow.request WHERE id <> :b;
-- nor as somebody's deputy
\c - te_a_chief
SELECT idflow.add_deputy('te_a_chief', 'te_b_chief', tstzrange(NULL, NULL)) > 0 AS to_another;
SELECT idflow.add_deputy('te_a_chief', 'te_a', tstzrange(NULL, NULL)) > 0 AS to_his_own;
\c - te_b_chief
SELECT request = :b AS b, on_behalf_of FROM idflow.inbox;
SELECT count(*) FROM idflow.request WHERE id <> :b;
SELECT idflow.approve(:a_task);
\c - te_admin
SELECT principal, on_behalf_of FROM idflow.decider WHERE request = :a ORDER BY 1;

-- nobody puts one of another tenant to a task
SELECT idflow.add_candidate(:a_task, 'te_b_chief');
SELECT idflow.add_candidate(:a_task, 'te_nobody');
SELECT idflow.add_candidate(:none_task, 'te_a_chief');
SELECT idflow.add_candidate(:none_task, 'te_nobody');
SELECT idflow.add_candidate(:thing_task, 'te_a_chief');
SELECT idflow.move_tasks('te_a_chief', 'te_b_chief', 'has left');
\c - te_a_chief
SELECT request = :thing AS thing FROM idflow.inbox WHERE workflow = 'Thing';
SELECT idflow.refine(:a_task, 'te_b');
SELECT idflow.refine(:a_task);
\c - te_a
SELECT idflow.delegate(:a_task, 'te_b');
SELECT idflow.execute(:a_task);

-- a quota of all is of those of the tenant
INSERT INTO te.room VALUES (1, 'attic');
SELECT idflow.last_request() AS room \gset
\c - te_a_two
SELECT needed, given FROM idflow.inbox WHERE request = :room;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :room;
\c - te_both
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :room;
\c - te_a_chief
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :room;

-- it counts where people are when they act: who moves loses the tenant's tasks and keeps his own requests
\c - te_a_two
SELECT idflow.claim(:a_task);
\c - :me
UPDATE te.directory SET tenant = 'b' WHERE principal IN ('te_a', 'te_a_two');
\c - te_a_two
SELECT count(*) FROM idflow.inbox WHERE request = :a;
SELECT idflow.approve(:a_task);
-- what he voted on there as well
SELECT count(*) FROM idflow.request WHERE id IN (:a, :room);
\c - te_a
SELECT id = :a AS a, state FROM idflow.request WHERE id = :a;
\c - te_b_chief
SELECT count(*) FROM idflow.inbox WHERE request = :a;
\c - te_a_chief
-- who has gone keeps nobody off by his claim
SELECT claimed_by FROM idflow.inbox WHERE request = :a;
SELECT idflow.approve(:a_task);
\c - te_b_chief
SELECT idflow.approve(:b_task);
\c - te_none
SELECT idflow.approve(:none_task);

-- access rules, and who is not active
\c - te_a_chief
INSERT INTO te.person VALUES (5, 'of a');
SELECT idflow.last_request() AS a5 \gset
SELECT id AS a5_task FROM idflow.task WHERE request = :a5 \gset
\c - :me
UPDATE te.directory SET active = false WHERE principal = 'te_both';
\c - te_both
SELECT idflow.approve(:a5_task);
\c - :me
SELECT idflow.deploy($$<ConfigurationFile><AccessControlRule Identifier="AChief" DisplayName_L1="A chief" Profile="chief" EntityType="te.person">
  <Entry Permission="/Custom/Workflows/Person/Review/ReviewPending" CanExecute="true"/></AccessControlRule></ConfigurationFile>$$);
UPDATE te.directory SET active = true WHERE principal = 'te_both';
\c - te_b_chief
SELECT idflow.approve(:a5_task);
\c - te_both
SELECT idflow.approve(:a5_task);

-- a directory without tenants opens nothing of those who had one
\c - te_b
INSERT INTO te.person VALUES (6, 'of b');
SELECT idflow.last_request() AS b6 \gset
SELECT id AS b6_task FROM idflow.task WHERE request = :b6 \gset
\c - :me
ALTER TABLE te.directory DROP COLUMN tenant;
\c - te_a_chief
SELECT count(*) FROM idflow.inbox;
SELECT idflow.approve(:b6_task);
\c - te_b
SELECT state FROM idflow.request WHERE id = :b6;
\c - te_admin
SELECT idflow.override(:b6, 'there are no tenants any more');
\c - te_b
INSERT INTO te.person VALUES (7, 'of nobody');
\c - te_a_chief
SELECT title FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT id, name FROM te.person ORDER BY id;

\c :home :me
DROP DATABASE idflow_tenant;
DROP ROLE te_a, te_a_chief, te_a_two, te_b, te_b_chief, te_both, te_none, te_nobody, te_admin, te_auditor;
