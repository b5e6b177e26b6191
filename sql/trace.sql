-- The trace: what each expression of a workflow gave.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_trace;
\c idflow_trace
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE tr_app LOGIN;
CREATE ROLE tr_boss LOGIN;
CREATE ROLE tr_auditor LOGIN IN ROLE idflow_auditor;
CREATE SCHEMA tr;
GRANT USAGE ON SCHEMA tr TO PUBLIC;
CREATE TABLE tr.account (id int PRIMARY KEY, login text, salary int);
GRANT SELECT, INSERT, UPDATE ON tr.account TO tr_app;
CREATE FUNCTION public.account(identifier text, trace text) RETURNS xml LANGUAGE sql AS $$
SELECT format('<Workflow Identifier="%s" DisplayName_L1="An account" Title="SQL:''account '' || new.login" Trace="%s">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Senior" DisplayName_L1="Senior" Template="Review" IfExpression="SQL:new.salary > 1000">
    <Actor Profile="senior"/>
  </Activity>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review">
    <Actor Expression="SQL:ARRAY[''tr_boss'', NULL]"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>', identifier, trace)::xml $$;
SELECT name FROM idflow.deploy(public.account('Traced', 'true'));
SELECT idflow.attach('Traced', 'tr.account');

\c - tr_app
SET idflow.notice = off;
INSERT INTO tr.account VALUES (1, 'one', 10);
\c - tr_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - tr_auditor
SELECT t.step, t.activity, t.activity_state, c.seq AS change, t.what, t.expression, t.result, t.hidden
	FROM idflow.trace(1) t JOIN idflow.change c ON c.id = t.change ORDER BY t.step;

-- who takes part in a request doesn't see what its expressions see
\c - tr_app
SELECT * FROM idflow.trace(1);
SELECT * FROM idflow.trace_step;
SELECT * FROM idflow.request_document(1);

-- without Trace nothing is kept, unless the session wants it
\c - :me
SELECT name FROM idflow.deploy(public.account('Traced', 'false'));
\c - tr_app
SET idflow.notice = off;
INSERT INTO tr.account VALUES (2, 'two', 10);
SET idflow.trace = on;
INSERT INTO tr.account VALUES (3, 'three', 2000);
-- what is refused leaves no trace: it is part of the transaction
BEGIN;
INSERT INTO tr.account VALUES (4, 'four', 10);
ROLLBACK;
-- reading writes none
SELECT count(*) FROM idflow.decider;
\c - tr_auditor
SELECT s.request, count(*) FROM idflow.trace_step s GROUP BY 1 ORDER BY 1;
SELECT what, result FROM idflow.trace(3);

\c :home :me
DROP DATABASE idflow_trace;
DROP ROLE tr_app, tr_boss, tr_auditor;
