-- Separation of duties between activities: SeparateFrom.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_separation;
\c idflow_separation
CREATE EXTENSION idflow;
CREATE ROLE se_app LOGIN;
CREATE ROLE se_ann LOGIN;
CREATE ROLE se_bea LOGIN;
CREATE ROLE se_cid LOGIN;
INSERT INTO idflow.profile_member VALUES ('first', 'se_ann'), ('first', 'se_bea'), ('second', 'se_ann'), ('second', 'se_bea'), ('second', 'se_cid');
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.payee (id int PRIMARY KEY, account text);
GRANT SELECT, INSERT, UPDATE ON hr.payee TO se_app, se_ann, se_bea, se_cid;

-- ------------------------------------------------------------ the definition
CREATE FUNCTION pg_temp.wf(separate text, template text DEFAULT 'Review') RETURNS text LANGUAGE sql AS $$
SELECT format('<Workflow Identifier="Payee" DisplayName_L1="A payee">
 <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
 <Activity Identifier="First" DisplayName_L1="First" Template="ReviewWithFeedback"><Actor Profile="first"/></Activity>
 <Activity Identifier="Second" DisplayName_L1="Second" Template="%s" SeparateFrom="%s"><Actor Profile="second"/></Activity>
 <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>', template, separate) $$;
SELECT d.separate, v.line, v.element, v.message, v.hint
  FROM unnest(ARRAY['First', 'First, Request', 'First Request', '', ' , ', 'Secnd', 'Second', 'Persist', 'First,Frist']) WITH ORDINALITY d (separate, n),
       idflow.validate(pg_temp.wf(separate)) v ORDER BY n, v.message;
SELECT v.line, v.element, v.message, v.hint FROM idflow.validate(replace(pg_temp.wf('First'), 'Template="Persist"', 'Template="Persist" SeparateFrom="First"')) v;
SELECT name, version FROM idflow.deploy(pg_temp.wf('First')::xml);
SELECT idflow.export('Payee')::text LIKE '%SeparateFrom="First"%' AS exported,
       (SELECT version FROM idflow.deploy(idflow.export('Payee'))) AS same_version;
SELECT idflow.attach('Payee', 'hr.payee', '{INSERT,UPDATE}');

-- ------------------------------------------------ who voted here, not there
\c - se_app
SET idflow.notice = off;
INSERT INTO hr.payee VALUES (1, 'DE01');
\c - se_ann
SELECT activity, verbs, blocked FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT activity, blocked FROM idflow.inbox;
-- everybody who is left is shown, she is not
SELECT activity, principal, via, vote FROM idflow.decider ORDER BY activity, principal;
SELECT task FROM idflow.inbox \gset
SELECT idflow.approve(:task);
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.decline(:task);
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.claim(:task);
SELECT idflow.save(:task, '{"account": "MINE"}');
SELECT idflow.abort(:task);
SELECT sqlstate, message FROM idflow.approve_all(ARRAY[:task]);
-- being added by name doesn't help her
\c - :me
SELECT idflow.add_candidate(:task, 'se_ann');
\c - se_ann
SELECT via, blocked FROM idflow.inbox;
SELECT idflow.approve(:task);
-- the function behind the inbox speaks of oneself only
\c - se_cid
SELECT idflow.separated(r.id, t.workflow_id, t.position, t.activity_state) FROM idflow.request r JOIN idflow.task t ON t.id = r.task;
SELECT activity, blocked FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.payee;

-- -------------------------------------- a round whose vote is void counts too
\c - se_app
SET idflow.notice = off;
INSERT INTO hr.payee VALUES (2, 'DE02');
\c - se_bea
-- asking for work on it is acting, too
SELECT idflow.refine(task, 'se_app') FROM idflow.inbox;
\c - se_app
SELECT idflow.save(task, '{"account": "DE22"}') FROM idflow.inbox;
SELECT idflow.execute(task) FROM idflow.inbox;
\c - se_ann
SELECT idflow.approve(task) FROM idflow.inbox;
\c - se_bea
SELECT activity, blocked FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
-- nobody may any more: that is said
\c - :me
DELETE FROM idflow.profile_member WHERE principal = 'se_cid';
SELECT idflow.decidable(id) FROM idflow.request WHERE state = 'open';
SELECT reason, on_whom FROM idflow.waiting;
INSERT INTO idflow.profile_member VALUES ('second', 'se_cid');
\c - se_cid
SELECT idflow.decline(task) FROM idflow.inbox;

-- ------------------- somebody who acted on another's behalf, and for whom
\c - se_app
SET idflow.notice = off;
INSERT INTO hr.payee VALUES (3, 'DE03');
\c - se_ann
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
ALTER TABLE idflow.event DISABLE TRIGGER keep_event;
UPDATE idflow.event SET on_behalf_of = 'se_cid' WHERE transition = 'ReviewWithFeedback-ReviewPending-Approve' AND request = (SELECT max(id) FROM idflow.request);
ALTER TABLE idflow.event ENABLE TRIGGER keep_event;
\c - se_cid
SELECT blocked FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
\c - se_ann
SELECT idflow.approve(task) FROM idflow.inbox;
\c - se_bea
SELECT idflow.approve(task) FROM idflow.inbox;

-- ------------------------ from the request itself, where four eyes are off
\c - :me
CREATE FUNCTION pg_temp.wf(separate text, template text DEFAULT 'Review') RETURNS text LANGUAGE sql AS $$
SELECT format('<Workflow Identifier="Payee" DisplayName_L1="A payee" FourEyes="false">
 <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
 <Activity Identifier="First" DisplayName_L1="First" Template="ReviewWithFeedback"><Actor Profile="first"/></Activity>
 <Activity Identifier="Second" DisplayName_L1="Second" Template="%s" SeparateFrom="%s"><Actor Profile="second"/></Activity>
 <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>', template, separate) $$;
SELECT version FROM idflow.deploy(pg_temp.wf('Request', 'ReviewWithFeedback')::xml);
\c - se_ann
SET idflow.notice = off;
INSERT INTO hr.payee VALUES (4, 'DE04');
SELECT activity, blocked FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT activity, blocked FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
-- but work on it that a reviewer asks for is hers to do
\c - se_bea
SELECT idflow.refine(task) FROM idflow.inbox;
\c - se_ann
SELECT activity_state, blocked FROM idflow.inbox;
SELECT idflow.execute(task) FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
\c - se_bea
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.payee ORDER BY id;

SELECT idflow.detach('Payee', 'hr.payee');
\c :home
DROP DATABASE idflow_separation;
DROP ROLE se_app, se_ann, se_bea, se_cid;
