-- Asking for a change of a table on which one has no privilege
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;
SET idflow.notice = off;
CREATE ROLE regress_propose_owner;
CREATE ROLE regress_propose_lent;
CREATE ROLE regress_propose_admin;
CREATE ROLE regress_propose_ann;
CREATE ROLE regress_propose_bob;
CREATE ROLE regress_propose_boss;
GRANT idflow_admin TO regress_propose_admin;
CREATE SCHEMA regress_propose AUTHORIZATION regress_propose_owner;
GRANT USAGE, CREATE ON SCHEMA regress_propose TO regress_propose_admin;
-- to name the table
GRANT USAGE ON SCHEMA regress_propose TO regress_propose_lent, regress_propose_ann, regress_propose_bob, regress_propose_boss;
SET ROLE regress_propose_owner;
CREATE DOMAIN regress_propose.level AS int CHECK (VALUE BETWEEN 1 AND 9);
CREATE TABLE regress_propose.access (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person text NOT NULL,
  app text NOT NULL,
  level regress_propose.level NOT NULL DEFAULT 1,
  tags text[],
  info jsonb,
  label text GENERATED ALWAYS AS (person || ':' || app) STORED,
  granted_by text DEFAULT current_user,
  UNIQUE (person, app));
INSERT INTO regress_propose.access (person, app, level) VALUES ('regress_propose_ann', 'wiki', 2), ('regress_propose_bob', 'payroll', 9);
RESET ROLE;
INSERT INTO idflow.profile_member VALUES ('regress_propose_staff', 'regress_propose_ann'), ('regress_propose_staff', 'regress_propose_bob');

CREATE FUNCTION pg_temp.wf(apply_as text, first text DEFAULT 'Action') RETURNS xml LANGUAGE sql AS $$
SELECT format('<ConfigurationFile><Workflow Identifier="regress_propose" DisplayName_L1="Access" ApplyAs=%s Title="SQL:''access of '' || new.person">
  <Activity Identifier="Ask" DisplayName_L1="Ask" Template="%s"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="regress_propose_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Profile Identifier="regress_propose_staff"/></ConfigurationFile>', '"' || apply_as || '"', first)::xml
$$;
GRANT EXECUTE ON FUNCTION pg_temp.wf TO PUBLIC;

-- ------------------------------------------------ who may lend whose rights
SELECT message, hint FROM idflow.validate(pg_temp.wf('regress_propose_lent', 'Review')::text) WHERE severity = 'error';
SELECT idflow.deploy(pg_temp.wf('regress_propose_nobody'));
SELECT idflow.deploy(pg_temp.wf(current_user));
SET ROLE regress_propose_admin;
SELECT idflow.deploy(pg_temp.wf('regress_propose_lent'));
RESET ROLE;
GRANT regress_propose_lent TO regress_propose_admin;
SET ROLE regress_propose_admin;
SELECT name, version FROM idflow.deploy(pg_temp.wf('regress_propose_lent'));
RESET ROLE;
SELECT idflow.export('regress_propose')::text LIKE '%ApplyAs="regress_propose_lent"%' AS kept;

-- the owner attaches: his triggers run as the role, so he must have it, too
GRANT idflow_admin TO regress_propose_owner;
SET ROLE regress_propose_owner;
SELECT idflow.attach('regress_propose', 'regress_propose.access', '{INSERT,UPDATE,DELETE}');
RESET ROLE;
GRANT regress_propose_lent TO regress_propose_owner;
SET ROLE regress_propose_owner;
SELECT idflow.attach('regress_propose', 'regress_propose.access', '{INSERT,UPDATE,DELETE}');
GRANT INSERT, UPDATE (level, tags, info, granted_by), DELETE, SELECT (id) ON regress_propose.access TO regress_propose_lent;
SET client_min_messages = warning;
SELECT idflow.attach('regress_propose', 'regress_propose.access', '{INSERT,UPDATE,DELETE}');
RESET client_min_messages;
RESET ROLE;

-- ------------------------------------------------------- no rule, no request
SET ROLE regress_propose_ann;
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_ann", "app": "payroll"}');
RESET ROLE;
SELECT count(*) FROM idflow.deploy($$<ConfigurationFile><AccessControlRule Identifier="regress_propose_own" DisplayName_L1="own"
   EntityType="regress_propose.access" Profile="regress_propose_staff">
   <Entry Permission="/Custom/Workflows/regress_propose/Ask/ActionPending" CanExecute="true"/>
   <Filter Binding="Access.Person" CurrentUser="true"/></AccessControlRule></ConfigurationFile>$$);

-- --------------------------------------------------------------- an INSERT
SET ROLE regress_propose_ann;
SELECT idflow.propose('regress_propose.access', 'insert', '{"person": "regress_propose_ann", "app": "payroll", "level": 3, "tags": ["a", "b"], "info": {"x": [1, null]}}',
                      comment => 'month end') > 0 AS asked;
SELECT state, activity, requester, title FROM idflow.request WHERE id = idflow.last_request();
SELECT seq, actor, via, transition, comment FROM idflow.event WHERE request = idflow.last_request() ORDER BY seq;
-- he sees what he wrote, not what defaults made of the rest
SELECT operation, key, old_row, new_row FROM idflow.change WHERE request = idflow.last_request();
-- not for others
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "payroll"}');
RESET ROLE;
SET ROLE regress_propose_boss;
SELECT title, requester, operation, verbs FROM idflow.inbox;
SELECT new_row - 'id' AS new_row FROM idflow.change WHERE request IN (SELECT request FROM idflow.inbox);
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT person, app, level, tags, info, label, granted_by FROM regress_propose.access ORDER BY person, app;

-- --------------------------------------------------------------- an UPDATE
SELECT id AS ann FROM regress_propose.access WHERE person = 'regress_propose_ann' AND app = 'wiki' \gset
SELECT id AS bob FROM regress_propose.access WHERE person = 'regress_propose_bob' \gset
SET ROLE regress_propose_ann;
SELECT idflow.propose('regress_propose.access', 'UPDATE', '{"level": 4, "tags": null}', jsonb_build_object('id', :ann)) > 0 AS asked;
SELECT operation, old_row, new_row FROM idflow.change WHERE request = idflow.last_request();
RESET ROLE;
SET ROLE regress_propose_boss;
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request IN (SELECT request FROM idflow.inbox) ORDER BY 1;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT level, tags FROM regress_propose.access WHERE id = :ann;

-- --------------------------------------------------------------- a DELETE
SET ROLE regress_propose_ann;
SELECT idflow.propose('regress_propose.access', 'DELETE', NULL, jsonb_build_object('id', :ann)) > 0 AS asked;
RESET ROLE;
SET ROLE regress_propose_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT count(*) FROM regress_propose.access WHERE id = :ann;

-- --------------------------------------------------------------- arguments
SET ROLE regress_propose_bob;
SELECT idflow.propose(NULL, 'INSERT', '{}');
SELECT idflow.propose('regress_propose.access', NULL, '{}');
SELECT idflow.propose('regress_propose.access', 'TRUNCATE', '{}');
SELECT idflow.propose('regress_propose.access', 'INSERT', NULL);
SELECT idflow.propose('regress_propose.access', 'INSERT', '[1]');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"persn": "x"}');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"ctid": "(0,1)"}');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "x"}', '{"id": 1}');
SELECT idflow.propose('regress_propose.access', 'UPDATE', '{}', jsonb_build_object('id', :bob));
SELECT idflow.propose('regress_propose.access', 'UPDATE', '{"level": 1}');
SELECT idflow.propose('regress_propose.access', 'UPDATE', '{"level": 1}', '{"person": "regress_propose_bob"}');
SELECT idflow.propose('regress_propose.access', 'DELETE', '{"level": 1}', jsonb_build_object('id', :bob));
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "x", "level": "much"}');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "x", "level": 10}');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": null}');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "x", "id": 7}');
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "x", "label": "y"}');
SELECT idflow.propose('pg_class', 'INSERT', '{"relname": "x"}');
-- what the role itself may not do nobody may ask for through it
SELECT idflow.propose('regress_propose.access', 'UPDATE', '{"app": "x"}', jsonb_build_object('id', :bob));
BEGIN;
SELECT idflow.begin_request() > 0 AS begun;
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "x"}');
ROLLBACK;
RESET ROLE;

-- ------------------------------------ plain DML is applied as who issues it
GRANT INSERT ON regress_propose.access TO regress_propose_bob;
SET ROLE regress_propose_bob;
INSERT INTO regress_propose.access (person, app) VALUES ('regress_propose_bob', 'crm');
SELECT requested_role, apply_as_of IS NULL AS own FROM idflow.request WHERE id = idflow.last_request();
RESET ROLE;
REVOKE INSERT ON regress_propose.access FROM regress_propose_bob;
SET ROLE regress_propose_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT idflow.decline(task) FROM idflow.inbox;
RESET ROLE;

-- a proposal that is taken back, and undone by who holds the privilege only
SET ROLE regress_propose_bob;
SELECT idflow.propose('regress_propose.access', 'INSERT', '{"person": "regress_propose_bob", "app": "x"}') > 0 AS asked;
SELECT idflow.withdraw(idflow.last_request());
SELECT idflow.propose('regress_propose.access', 'UPDATE', '{"level": 1}', jsonb_build_object('id', :bob)) > 0 AS asked;
RESET ROLE;
SET ROLE regress_propose_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SET ROLE regress_propose_bob;
SELECT idflow.undo(idflow.last_request());
RESET ROLE;

SET client_min_messages = warning;
SELECT idflow.detach('regress_propose', 'regress_propose.access', true);
SELECT idflow.drop_access_rule('regress_propose_own');
DELETE FROM idflow.profile_member WHERE profile LIKE 'regress_propose%';
DELETE FROM idflow.profile WHERE identifier LIKE 'regress_propose%';
DROP SCHEMA regress_propose CASCADE;
DROP ROLE regress_propose_ann, regress_propose_bob, regress_propose_boss, regress_propose_admin, regress_propose_lent, regress_propose_owner;
