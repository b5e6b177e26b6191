-- Access rules: a profile acts at a state of an activity, on the rows that the
-- rule's filters let through; alone, or beside the activity's Actor.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_access_rule;
\c idflow_access_rule
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE ac_app LOGIN;
CREATE ROLE ac_ann LOGIN;
CREATE ROLE ac_bob LOGIN;
CREATE ROLE ac_cat LOGIN;
CREATE SCHEMA ac;
GRANT USAGE ON SCHEMA ac TO PUBLIC;
CREATE TABLE ac.person (id int PRIMARY KEY, name text, manager text, dept text);
GRANT SELECT, INSERT, UPDATE, DELETE ON ac.person TO ac_app;
INSERT INTO idflow.profile_member VALUES ('manager', 'ac_ann'), ('manager', 'ac_bob'), ('security', 'ac_bob'), ('security', 'ac_cat');
CREATE FUNCTION public.try(t bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN idflow.approve(t); EXCEPTION WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm; END $$;
-- rules stand beside workflows, in any order, and are in force with the deploy
SELECT name, version FROM idflow.deploy($$
<ConfigurationFile>
  <AccessControlRule Identifier="OwnPeople" DisplayName_L1="Managers review their own people" EntityType="ac.person" Profile="manager">
    <Entry Permission="/Custom/Workflows/Person/Review/ReviewPending" CanExecute="true"/>
    <Filter Binding="Person.Manager" CurrentUser="true"/>
  </AccessControlRule>
  <Profile Identifier="manager" DisplayName_L1="Managers" DisplayName_L2="Vorgesetzte"/>
  <Workflow Identifier="Person" DisplayName_L1="A person" Title="SQL:coalesce(new.name, old.name)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"/>
    <Activity Identifier="Check" DisplayName_L1="Check" Template="Review"><Actor Profile="security"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
</ConfigurationFile>$$);
SELECT identifier, display_name, profile, entity_type FROM idflow.access_rule;
SELECT * FROM idflow.profile;
SELECT idflow.attach('Person', 'ac.person', '{INSERT,UPDATE,DELETE}');

\c - ac_app
SET idflow.notice = off;
INSERT INTO ac.person VALUES (1, 'of ann', 'ac_ann', 'a'), (2, 'of bob', 'ac_bob', 'b'), (3, 'of nobody', NULL, 'c');
-- the inbox has what one may act on, and no more
\c - ac_ann
SELECT title, activity, via FROM idflow.inbox ORDER BY 1;
SELECT title, principal, via FROM idflow.decider d JOIN idflow.request r ON r.id = d.request ORDER BY 1;
SELECT public.try(2);
SELECT public.try(1);
\c - ac_bob
SELECT title, activity, via FROM idflow.inbox ORDER BY 1;
SELECT public.try(2);
-- nobody's people are for an admin
\c - ac_cat
SELECT title FROM idflow.inbox ORDER BY 1;
\c - :me
SELECT r.title, w.reason, w.on_whom FROM idflow.waiting w JOIN idflow.request r ON r.id = w.request ORDER BY 1;
-- who decided, and by what right
SELECT r.title, v.principal, v.via FROM idflow.vote v JOIN idflow.request r ON r.id = v.request ORDER BY 1;

-- --------------------------------------------------- beside an Actor: both
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <AccessControlRule Identifier="CheckDept" DisplayName_L1="Managers check departments a and b" EntityType="ac.person" Profile="manager">
    <Entry Permission="/Custom/Workflows/Person/Check" CanExecute="true"/>
    <Filter Binding="dept" Value="a" Group="1"/>
    <Filter Binding="manager" Value="ac_nobody" Operator="NotEquals" Group="1"/>
    <Filter Binding="dept" Value="b" Group="2"/>
  </AccessControlRule>
</ConfigurationFile>$$);
-- open tasks: the right is asked when it is used; the inbox follows with reassign
\c - ac_cat
SELECT title, via FROM idflow.inbox ORDER BY 1;
SELECT public.try(max(task)) FROM idflow.inbox;
\c - :me
SELECT idflow.reassign(id) FROM idflow.task WHERE state = 'open' AND activity = 'Check' ORDER BY id;
\c - ac_cat
SELECT title FROM idflow.inbox ORDER BY 1;
\c - ac_bob
SELECT title, via FROM idflow.inbox ORDER BY 1;
SELECT title, public.try(task) FROM idflow.inbox ORDER BY 1;
\c - :me
SELECT * FROM ac.person ORDER BY id;
-- a rule that is gone restricts nothing
SELECT idflow.drop_access_rule('CheckDept');
SELECT idflow.drop_access_rule('CheckDept');

-- ---------------------------------------- the row before and the row after
\c - ac_app
SET idflow.notice = off;
UPDATE ac.person SET manager = 'ac_bob' WHERE id = 1;
DELETE FROM ac.person WHERE id = 2;
\c - ac_ann
SELECT title, operation FROM idflow.inbox;
\c - ac_bob
SELECT title, operation FROM idflow.inbox;
\c - :me
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <AccessControlRule Identifier="OwnPeople" DisplayName_L1="Managers review their own people" EntityType="ac.person" Profile="manager">
    <Entry Permission="/Custom/Workflows/Person/Review/ReviewPending" CanExecute="true" IsPreCondition="false"/>
    <Filter Binding="Manager" CurrentUser="true"/>
  </AccessControlRule>
</ConfigurationFile>$$);
SELECT idflow.reassign(id) FROM idflow.task WHERE state = 'open' AND activity = 'Review' ORDER BY id;
\c - ac_bob
SELECT title, operation FROM idflow.inbox ORDER BY 2;
-- ------------------------------------------------------- whom one may delegate to
\c - :me
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <AccessControlRule Identifier="Refine" DisplayName_L1="Security may be asked" EntityType="ac.person" Profile="security">
    <Entry Permission="/Custom/Workflows/Person/Review/RefinePending" CanExecute="true"/>
  </AccessControlRule>
</ConfigurationFile>$$);
\c - ac_bob
SELECT idflow.refine(task, 'ac_ann') FROM idflow.inbox WHERE operation = 'UPDATE';
SELECT idflow.refine(task) FROM idflow.inbox WHERE operation = 'UPDATE';
SELECT idflow.refine(task, 'ac_cat') FROM idflow.inbox WHERE operation = 'UPDATE';
\c - ac_cat
SELECT idflow.delegate(task, 'ac_ann') FROM idflow.inbox;
SELECT idflow.execute(task) FROM idflow.inbox;
\c - :me
-- a profile lost is authority lost
DELETE FROM idflow.profile_member WHERE principal = 'ac_bob';
\c - ac_bob
SELECT public.try(max(id)) FROM idflow.task WHERE state = 'open';
SELECT idflow.drop_access_rule('OwnPeople');
DELETE FROM idflow.access_rule;

-- ------------------------------------------------------------------ bad input
\c - :me
CREATE FUNCTION public.rule(children text) RETURNS text LANGUAGE sql AS $$
SELECT E'<ConfigurationFile>\n<AccessControlRule Identifier="R" DisplayName_L1="R" EntityType="x" Profile="p">' || children || '</AccessControlRule></ConfigurationFile>' $$;
SELECT c, v.severity, v.line, v.element, v.message, v.hint FROM unnest(ARRAY['',
	'<Entry Permission="/" CanExecute="true"/>', '<Entry Permission="/Custom/Workflows/W" CanExecute="true"/>', '<Entry Permission="/Custom/Workflows/W/A"/>', '<Entry Permission="/Custom/Workflows/W"/>', '<Entry Permission="/Custom/Workflows/"/>',
	'<Entry Permission="/Custom/Workflows/W/A/Nowhere" CanExecute="true"/>', '<Entry Permission="/Other" CanExecute="true"/>',
	'<Entry Permission="/Workflows/WorkflowInstance/Query"/>', '<Entry Permission="/Custom/Workflows/W/A/Approved" FullAccessProperties="true"/>',
	'<Entry Permission="/Custom/Workflows/W/A/Approved"/><Filter Binding="x"/>', '<Entry Permission="/Custom/Workflows/W/A/Approved"/><Filter Binding="x" Value="1" CurrentUser="true"/>',
	'<Entry Permission="/Custom/Workflows/W/A/Approved"/><Filter Binding="x" Value="1" Dimension="d"/>', '<Entry Permission="/Custom/Workflows/W/A/Approved"/><Filter Binding="x" Value="1" SingleRole="true"/>'
	]) WITH ORDINALITY u (c, o), LATERAL idflow.validate(public.rule(c)) v ORDER BY o;
SELECT v.line, v.element, v.message, v.hint FROM idflow.validate('<ConfigurationFile>
<Profile Identifier="p"/>
<Profile Identifier="p"/>
<AccessControlRule Identifier="R" DisplayName_L1="R" EntityType="x" Profile="p"><Entry Permission="/Custom/Workflows/W/A/Approved"/></AccessControlRule>
<AccessControlRule Identifier="R" DisplayName_L1="R" EntityType="x" Profile="p"><Entry Permission="/Custom/Workflows/W/A/Approved"/></AccessControlRule>
</ConfigurationFile>') v;
SELECT v.message, v.hint FROM idflow.validate('<ConfigurationFile/>') v;
-- one transaction: the last workflow is wrong, and nothing is in force
SELECT idflow.deploy('<ConfigurationFile><Profile Identifier="new"/>
<Workflow Identifier="New" DisplayName_L1="New"><Activity Identifier="Persist" DisplayName_L1="P" Template="Persist"/></Workflow>
<Workflow Identifier="Wrong" DisplayName_L1="Wrong"/></ConfigurationFile>');
SELECT count(*) FROM idflow.profile WHERE identifier = 'new';
SELECT count(*) FROM idflow.workflow WHERE name = 'New';

\c :home :me
DROP DATABASE idflow_access_rule;
DROP ROLE ac_app, ac_ann, ac_bob, ac_cat;
