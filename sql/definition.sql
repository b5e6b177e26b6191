--
-- Definitions: ready ones, deploying, versions, exporting
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;

CREATE ROLE regress_idflow_chief IN ROLE idflow_admin;
CREATE ROLE regress_idflow_second IN ROLE idflow_admin;
CREATE ROLE regress_idflow_nobody;

-- The definitions that come with idflow
SELECT name, description FROM idflow.ready();
SELECT name FROM idflow.ready('User_Onboarding');
SELECT idflow.ready('User_Onbording');
SELECT r.name, v.* FROM idflow.ready() AS r, idflow.validate(r.definition::text) AS v;

BEGIN;
DELETE FROM idflow.activity WHERE workflow IN (SELECT id FROM idflow.workflow WHERE name LIKE 'User\_%');
DELETE FROM idflow.workflow WHERE name LIKE 'User\_%';
SET LOCAL ROLE regress_idflow_chief;
SELECT d.name, d.version, d.display_name, d.title, d.subject, d.max_steps,
       d.four_eyes, d.exact, d.nested, d.options, d.deployed_by
  FROM idflow.ready() AS r, idflow.deploy(r.definition) AS d;
RESET ROLE;
SELECT w.name AS workflow, a.position, a.name, a.display_name, a.template,
       a.if_expression, a.actors, a.options
  FROM idflow.workflow AS w JOIN idflow.activity AS a ON a.workflow = w.id
 WHERE w.name LIKE 'User\_%'
 ORDER BY w.name COLLATE "C", w.version DESC, a.position;
-- what is exported is what was deployed, and deploys to the same version
SET LOCAL ROLE regress_idflow_chief;
SELECT idflow.export('User_Onboarding');
SELECT d.name, d.version FROM idflow.deploy(idflow.export('User_Onboarding')) AS d;
-- without its Actors each loads, too, and says what that means
SELECT d.name, d.version
  FROM idflow.ready() AS r,
       idflow.deploy(regexp_replace(r.definition::text, '<Actor[^>]*>', '', 'g')::xml) AS d;
-- the documented form of the other three: without Review
SELECT d.name, d.version
  FROM idflow.ready('User_ChangeName') AS r,
       idflow.deploy(regexp_replace(r.definition::text, '<Activity Identifier="Review".*</Activity>', '')::xml) AS d;
ROLLBACK;

-- Attributes, and where they go
SELECT d.name, d.version, d.display_name, d.title, d.subject, d.max_steps,
       d.four_eyes, d.exact, d.nested, d.options
  FROM idflow.deploy('
<Workflow xmlns="urn:example:configuration" Identifier="regress_full" DisplayName_L1="Full" DisplayName_L2="Voll"
    VariablesType="Workflow_User" IdentifierPrefix="F" Title="SQL:''Person '' || new.name"
    Subject="SQL:new.login" MaxSteps="100" Trace="1" FourEyes="false" Exact="0"
    Nested="Separate" PendingPolicy="Merge">
  <!-- comments are kept in the export -->
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action" WorkflowOverviewDisable="1"/>
  <Activity Identifier="First look" DisplayName_L1="Look &amp; see" DisplayName_L3="Regarder"
      Template="Review" IfExpression="SQL:new.salary &gt; 1000" Approvals="1" Declines="1">
    <Actor Profile="hr_manager"/>
    <Actor Principal="alice@example.com"/>
    <Actor Expression="SQL:(SELECT p.manager FROM hr.person p WHERE p.id = new.id)"/>
    <Actor Expression="Literal:bob"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist" ArgumentBlockProvisioning="true"/>
</Workflow>') AS d \gx
SELECT a.position, a.name, a.display_name, a.template, a.if_expression, a.options, a.actors
  FROM idflow.workflow AS w JOIN idflow.activity AS a ON a.workflow = w.id
 WHERE w.name = 'regress_full' ORDER BY a.position \gx
SELECT idflow.export('regress_full');
SELECT d.version FROM idflow.deploy(idflow.export('regress_full')) AS d;

-- Versions
CREATE FUNCTION pg_temp.wf(title text) RETURNS xml LANGUAGE sql AS $$
  SELECT format('<Workflow Identifier="regress_v" DisplayName_L1="%s"><Activity Identifier="R" DisplayName_L1="R" Template="Review"><Actor Profile="p"/></Activity><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>', title)::xml
$$;
SELECT d.version, d.display_name FROM idflow.deploy(pg_temp.wf('one')) AS d;
SELECT d.version, d.display_name FROM idflow.deploy(pg_temp.wf('one')) AS d;
SELECT d.version, d.display_name FROM idflow.deploy(pg_temp.wf('two')) AS d;
-- going back is a new version: the newest is in force
SELECT d.version, d.display_name FROM idflow.deploy(pg_temp.wf('one')) AS d;
SELECT version, display_name, (SELECT count(*) FROM idflow.activity AS a WHERE a.workflow = w.id) AS activities
  FROM idflow.workflow AS w WHERE name = 'regress_v' ORDER BY version;
SELECT idflow.export('regress_v', 2);
SELECT idflow.export('regress_v', 3)::text = idflow.export('regress_v')::text AS newest;
SELECT idflow.export('regress_v', 4);
SELECT idflow.export('regress_none');
-- neither layout nor comments, order of attributes, namespace, wrapping matter
SELECT d.version FROM idflow.deploy('<?xml version="1.0" encoding="ISO-8859-1"?>
<!-- the same once more -->
<c:ConfigurationFile xmlns:c="urn:x">
  <c:Profile Identifier="p" DisplayName_L1="P"/>
  <?editor fold?>
  <c:Workflow
      DisplayName_L1=''one''
      Identifier="regress_v"  >
    <!-- look -->
    <c:Activity Template="Review" DisplayName_L1="R" Identifier="R">

      <c:Actor Profile="&#112;"></c:Actor>
    </c:Activity>
    <c:Activity Identifier="P" DisplayName_L1="P" Template="Persist"></c:Activity>
  </c:Workflow>
</c:ConfigurationFile>') AS d;
-- the order of activities does
SELECT d.version FROM idflow.deploy('<Workflow Identifier="regress_v" DisplayName_L1="one"><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/><Activity Identifier="R" DisplayName_L1="R" Template="Review"><Actor Profile="p"/></Activity></Workflow>') AS d;
-- many workflows in one file, in their order
SELECT d.name, d.version FROM idflow.deploy('<ConfigurationFile>
  <Workflow Identifier="regress_b" DisplayName_L1="B"><Activity Identifier="R" DisplayName_L1="R" Template="Review"><Actor Profile="p"/></Activity><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>
  <Workflow Identifier="regress_a" DisplayName_L1="A"><Activity Identifier="R" DisplayName_L1="R" Template="Review"><Actor Profile="p"/></Activity><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>
</ConfigurationFile>') AS d;
-- in the target list
SELECT (idflow.deploy(idflow.export(w))).version FROM unnest('{regress_a,regress_b}'::text[]) AS w;

-- Warnings: what is allowed but hardly meant
SELECT v.* FROM idflow.validate('<ConfigurationFile>
  <Workflow Identifier="a" DisplayName_L1="A"><Activity Identifier="R" DisplayName_L1="R" Template="Review"/></Workflow>
  <Workflow Identifier="b" DisplayName_L1="B"><Activity Identifier="R" DisplayName_L1="R" Template="Action"/>
    <Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>
  <Workflow Identifier="c" DisplayName_L1="C"><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/>
    <Activity Identifier="A" DisplayName_L1="R" Template="Action"/></Workflow>
  <Workflow Identifier="d" DisplayName_L1="D"><Activity Identifier="A" DisplayName_L1="R" Template="Action"><Actor Profile="p"/></Activity>
    <Activity Identifier="R" DisplayName_L1="R" Template="Review"><Actor Profile="p"/></Activity>
    <Activity Identifier="P" DisplayName_L1="P" Template="Persist" IfExpression="SQL:new.wanted"/></Workflow>
</ConfigurationFile>') AS v;

-- Who may do what
SET ROLE regress_idflow_nobody;
SELECT idflow.deploy(NULL);
SELECT idflow.workflow_changed();
SELECT count(*) FROM idflow.ready();
SELECT count(*) FROM idflow.validate('<Workflow/>');
SELECT idflow.export('regress_v', 1);
RESET ROLE;
-- the role that deployed is the one whose rights the expressions have
SET ROLE regress_idflow_chief;
SELECT d.version, d.deployed_by FROM idflow.deploy(pg_temp.wf('chief')) AS d;
SET ROLE regress_idflow_second;
SELECT d.version, d.deployed_by FROM idflow.deploy(pg_temp.wf('chief')) AS d;
RESET ROLE;
DROP ROLE regress_idflow_chief;
SET ROLE regress_idflow_second;
SELECT d.version, d.deployed_by FROM idflow.deploy(pg_temp.wf('chief')) AS d;
RESET ROLE;

-- Nothing that lies in the search_path is used
CREATE SCHEMA regress_shadow;
CREATE FUNCTION regress_shadow.equals(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
CREATE OPERATOR regress_shadow.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_shadow.equals);
CREATE FUNCTION regress_shadow.max(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
CREATE TABLE regress_shadow.workflow ();
SET search_path = regress_shadow, pg_catalog;
SELECT d.version FROM idflow.deploy(idflow.export('regress_v', 1)) AS d;
RESET search_path;
DROP SCHEMA regress_shadow CASCADE;

-- Sessions hear of it on a subscriber as well
SELECT tgname, tgenabled FROM pg_trigger
 WHERE tgrelid = 'idflow.workflow'::regclass AND NOT tgisinternal;

-- In a read-only transaction only reading works
BEGIN READ ONLY;
SELECT count(*) FROM idflow.validate('<Workflow/>');
SAVEPOINT s;
SELECT d.version FROM idflow.deploy(pg_temp.wf('read-only')) AS d;
ROLLBACK TO s;
SELECT idflow.export('regress_v', 1) IS NOT NULL AS exported;
COMMIT;

-- A database that is not UTF-8: a document's own encoding declaration is void
\set this :DBNAME
SET client_min_messages = warning;
DROP DATABASE IF EXISTS regress_idflow_latin1;
CREATE DATABASE regress_idflow_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C';
\c regress_idflow_latin1
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION idflow;
SELECT d.name, d.version, d.display_name, d.deployed_by = current_user AS mine
  FROM idflow.deploy('<?xml version="1.0" encoding="UTF-16"?><Workflow Identifier="Prüfung" DisplayName_L1="Über&#223;icht"><Activity Identifier="R" DisplayName_L1="R" Template="Review"><Actor Profile="Größe"/></Activity><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>') AS d;
SELECT idflow.export('Prüfung');
SELECT d.version FROM idflow.deploy(idflow.export('Prüfung')) AS d;
SELECT actors FROM idflow.activity ORDER BY position LIMIT 1;
SELECT * FROM idflow.validate('<Wörkflow/>');
SELECT count(*) FROM idflow.validate('<Workflow Identifier="&#8364;"/>');
\c :this
DROP DATABASE regress_idflow_latin1;

DELETE FROM idflow.activity WHERE workflow IN (SELECT id FROM idflow.workflow WHERE name LIKE 'regress\_%');
DELETE FROM idflow.workflow WHERE name LIKE 'regress\_%';
DROP ROLE regress_idflow_second;
DROP ROLE regress_idflow_nobody;
