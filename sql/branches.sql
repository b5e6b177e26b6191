-- Where activities lead: conditions, transitions, loops, other workflows, and
-- the proof that a definition is sound.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_branches;
\c idflow_branches
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE br_app LOGIN;
CREATE ROLE br_boss LOGIN;
CREATE ROLE br_chief LOGIN;
CREATE SCHEMA br;
GRANT USAGE ON SCHEMA br TO PUBLIC;
CREATE TABLE br.buy (id int PRIMARY KEY, what text, price int);
GRANT SELECT, INSERT, UPDATE ON br.buy TO br_app;
CREATE FUNCTION public.act(verb text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; t bigint := (SELECT max(task) FROM idflow.inbox WHERE title = what);
BEGIN
	EXECUTE format('SELECT idflow.%I($1)', verb) INTO s USING t;
	RETURN s || coalesce(' at ' || (SELECT activity FROM idflow.request r WHERE r.title = what), '');
END $$;
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Buy" DisplayName_L1="A purchase" Title="SQL:new.what" MaxSteps="30">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review">
    <Actor Principal="br_boss"/>
    <Transition On="Approved" To="Persist" IfExpression="SQL:new.price &lt; 100"/>
    <Transition On="Declined" To="Request" IfExpression="SQL:new.what &lt;&gt; 'never'"/>
    <Transition On="Aborted" To="Second" IfExpression="SQL:new.what = 'second'"/>
  </Activity>
  <Activity Identifier="Chief" DisplayName_L1="Chief" Template="ReviewWithFeedback">
    <Actor Principal="br_chief"/>
    <Transition On="Declined" To="Review"/>
    <Transition On="Approved" To="Persist"/>
  </Activity>
  <Activity Identifier="Second" DisplayName_L1="Second" Template="Action">
    <Actor Principal="br_chief"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Buy', 'br.buy');

-- cheap: one review, and past the chief
\c - br_app
SET idflow.notice = off;
INSERT INTO br.buy VALUES (1, 'pen', 5), (2, 'car', 5000), (3, 'never', 5), (4, 'second', 5000);
\c - br_boss
SELECT public.act('approve', 'pen');
-- dear: the chief, who sends it back, and again
SELECT public.act('approve', 'car');
\c - br_chief
SELECT public.act('decline', 'car');
\c - br_boss
SELECT public.act('approve', 'car');
\c - br_chief
SELECT public.act('approve', 'car');
\c - :me
SELECT * FROM br.buy ORDER BY id;
-- declined: back to the requester, who may change the draft, and asks again
\c - br_boss
SELECT public.act('decline', 'never');
\c - br_app
SET idflow.notice = off;
SELECT title, state, activity FROM idflow.request WHERE title = 'never';
INSERT INTO br.buy VALUES (5, 'chair', 500);
\c - br_boss
SELECT public.act('decline', 'chair');
\c - br_app
SELECT activity, activity_state, verbs FROM idflow.inbox;
SELECT idflow.save(task, '{"price": 50}') FROM idflow.inbox;
SELECT public.act('execute', 'chair');
\c - br_boss
SELECT public.act('approve', 'chair');
-- aborted by a reviewer: sent on, if the transition says so; withdrawn: over
SELECT public.act('abort', 'second');
\c - br_chief
SELECT public.act('execute', 'second');
\c - br_app
SET idflow.notice = off;
INSERT INTO br.buy VALUES (6, 'chair 2', 500);
SELECT idflow.withdraw(max(id)) FROM idflow.request;
\c - :me
SELECT * FROM br.buy ORDER BY id;
SELECT e.activity, e.transition, e.to_state FROM idflow.event e JOIN idflow.request r ON r.id = e.request WHERE r.title = 'car' ORDER BY seq;
SELECT count(*), count(DISTINCT v.task) FROM idflow.vote v JOIN idflow.request r ON r.id = v.request WHERE r.title = 'car';

-- a loop ends by MaxSteps
\c - br_app
SET idflow.notice = off;
INSERT INTO br.buy VALUES (7, 'loop', 500);
\c - :me
DO $$
DECLARE t bigint;
BEGIN
	FOR i IN 1..40 LOOP
		PERFORM set_config('idflow.actor', 'br_boss', true);
		SELECT max(task) INTO t FROM idflow.inbox WHERE title = 'loop' AND activity = 'Review';
		EXIT WHEN t IS NULL;
		PERFORM idflow.decline(t);
		PERFORM set_config('idflow.actor', 'br_app', true);
		SELECT max(task) INTO t FROM idflow.inbox WHERE title = 'loop';
		EXIT WHEN t IS NULL;
		PERFORM idflow.execute(t);
	END LOOP;
END $$;
SELECT state FROM idflow.request WHERE title = 'loop';
SELECT transition, comment FROM idflow.event e JOIN idflow.request r ON r.id = e.request WHERE r.title = 'loop' ORDER BY seq DESC LIMIT 1;
SELECT idflow.detach('Buy', 'br.buy');

-- ------------------------------------------------------------- other workflows
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="First" DisplayName_L1="First" Title="SQL:new.what">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review">
    <Actor Principal="br_boss"/>
    <Transition On="Approved" To="Small" IfExpression="SQL:new.price &lt; 100"/>
  </Activity>
  <Activity Identifier="Large" DisplayName_L1="Large" Template="ContinueWith" ArgumentCalledWorkflow="Common"/>
  <Activity Identifier="Small" DisplayName_L1="Small" Template="ContinueWith" ArgumentCalledWorkflow="Common:Persist"/>
</Workflow>
<Workflow Identifier="Common" DisplayName_L1="Common">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Chief" DisplayName_L1="Chief" Template="Review"><Actor Principal="br_chief"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('First', 'br.buy');
\c - br_app
SET idflow.notice = off;
INSERT INTO br.buy VALUES (11, 'small one', 5), (12, 'large one', 5000);
\c - br_boss
SELECT public.act('approve', 'small one'), public.act('approve', 'large one');
\c - br_chief
SELECT title, workflow, activity FROM idflow.request WHERE state = 'open' ORDER BY id;
SELECT public.act('approve', 'large one');
\c - :me
SELECT * FROM br.buy WHERE id > 10 ORDER BY id;
SELECT r.title, e.activity, e.transition, e.comment FROM idflow.event e JOIN idflow.request r ON r.id = e.request WHERE r.title = 'large one' ORDER BY seq;
-- a workflow that isn't there, or has no such activity
SELECT name FROM idflow.deploy($$
<Workflow Identifier="First" DisplayName_L1="First" Title="SQL:new.what">
  <Activity Identifier="On" DisplayName_L1="On" Template="ContinueWith" ArgumentCalledWorkflow="Common:Nowhere"/>
</Workflow>$$);
INSERT INTO br.buy VALUES (13, 'nowhere', 5);
SELECT name FROM idflow.deploy($$
<Workflow Identifier="First" DisplayName_L1="First" Title="SQL:new.what">
  <Activity Identifier="On" DisplayName_L1="On" Template="ContinueWith" ArgumentCalledWorkflow="Nowhere"/>
</Workflow>$$);
INSERT INTO br.buy VALUES (13, 'nowhere', 5);
-- two that call each other end by MaxSteps
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="First" DisplayName_L1="First" MaxSteps="100" Title="Literal:round and round"><Activity Identifier="On" DisplayName_L1="On" Template="ContinueWith" ArgumentCalledWorkflow="Other"/></Workflow>
<Workflow Identifier="Other" DisplayName_L1="Other" MaxSteps="100"><Activity Identifier="On" DisplayName_L1="On" Template="ContinueWith" ArgumentCalledWorkflow="First"/></Workflow>
</ConfigurationFile>$$);
INSERT INTO br.buy VALUES (13, 'round', 5);
SELECT state FROM idflow.request WHERE title = 'round and round';

-- ------------------------------------------------------------------- soundness
CREATE FUNCTION public.flow(VARIADIC activities text[]) RETURNS TABLE (line int, element text, message text, hint text) LANGUAGE sql AS $$
SELECT v.line, v.element, v.message, v.hint FROM idflow.validate(format(E'<Workflow Identifier="W" DisplayName_L1="W">\n%s\n</Workflow>', (
	SELECT string_agg(format('<Activity Identifier="%s" DisplayName_L1="x" Template="%s"%s>%s%s</Activity>', split_part(a, ' ', 1), split_part(a, ' ', 2),
		CASE WHEN a ~ 'If' THEN ' IfExpression="SQL:true"' WHEN a ~ 'ContinueWith' THEN ' ArgumentCalledWorkflow="V"' END,
		CASE WHEN split_part(a, ' ', 2) ~ 'Review' THEN '<Actor Profile="x"/>' END,
		(SELECT string_agg(format('<Transition On="%s" To="%s"%s/>', t[1], t[2], CASE WHEN t[3] = '?' THEN ' IfExpression="SQL:true"' END), '')
		 FROM regexp_matches(a, '(\w+)->(\w+)(\??)', 'g') t)), E'\n' ORDER BY o)
	FROM unnest(activities) WITH ORDINALITY u (a, o)))) v WHERE v.severity = 'error' $$;
SELECT * FROM public.flow('A Action', 'B Review', 'C Persist');
-- what can't be reached
SELECT * FROM public.flow('A Action', 'B Review Approved->D', 'C Review', 'D Persist');
SELECT * FROM public.flow('A Action', 'B ContinueWith', 'C Review', 'D Persist');
-- an end that can't be
SELECT * FROM public.flow('A Action', 'B Review Approved->A', 'C Persist');
SELECT * FROM public.flow('A Action', 'B Review Approved->C', 'C Review Approved->B', 'D Persist');
SELECT * FROM public.flow('A Action', 'B Review Approved->C?', 'C Review Approved->B', 'D Persist');
-- a loop without a person
SELECT * FROM public.flow('A Review', 'B PersistOnlyResources Invoked->B?', 'C Persist');
SELECT * FROM public.flow('A Review', 'B PersistOnlyResources', 'C Review If', 'D Persist Invoked->B?');
SELECT * FROM public.flow('A Review', 'B PersistOnlyResources', 'C Review', 'D Persist Invoked->B?');
-- an action that is executed by the request itself asks its person when it is come back to
SELECT * FROM public.flow('A Action', 'B PersistOnlyResources Invoked->A?', 'C Persist');
-- transitions that make no sense
SELECT * FROM public.flow('A Action', 'B Review Executed->C', 'C Persist');
SELECT * FROM public.flow('A Action', 'B Review Approved->Nowhere', 'C Persist');
SELECT * FROM public.flow('A Action', 'B Review Purged->A', 'C Persist');
SELECT * FROM public.flow('A Action', 'B Review Declined->A Declined->B?', 'C Persist');
SELECT * FROM public.flow('A Action', 'B ContinueWith Invoked->A');
-- a long workflow is no effort
SELECT count(*) FROM public.flow(VARIADIC ARRAY(SELECT format('A%s PersistOnlyResources%s', i, CASE WHEN i > 1 THEN ' If' END) FROM generate_series(1, 1000) i));

\c :home :me
DROP DATABASE idflow_branches;
DROP ROLE br_app, br_boss, br_chief;
