-- Every verb in every state: where it leads, or why it is refused.  Before
-- that, an Action in the middle of a workflow told as a story.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_verbs;
\c idflow_verbs
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_verbs SET idflow.notice = off;
CREATE ROLE ve_app LOGIN;
GRANT SET ON PARAMETER idflow.actor TO ve_app;
CREATE SCHEMA ve;
GRANT USAGE ON SCHEMA ve TO ve_app;
CREATE TABLE ve.desk (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text NOT NULL, room text);
GRANT SELECT, INSERT, UPDATE, DELETE ON ve.desk TO ve_app;
INSERT INTO idflow.profile_member VALUES ('facility', 'paul'), ('facility', 'pia'), ('board', 'bea');
-- anna asks for a desk; facility finds a room; carl or whom he names orders
-- the furniture; lena looks at it; the board signs
SELECT name, version FROM idflow.deploy($$<Workflow Identifier="Desk" DisplayName_L1="Desk" MaxSteps="50">
	<Activity Identifier="Ask" DisplayName_L1="Ask" Template="ActionWithRefine"/>
	<Activity Identifier="FindRoom" DisplayName_L1="Find a room" Template="Action"><Actor Profile="facility"/></Activity>
	<Activity Identifier="Order" DisplayName_L1="Order" Template="ActionWithRefine"><Actor Principal="carl"/></Activity>
	<Activity Identifier="Look" DisplayName_L1="Look" Template="Review"><Actor Principal="lena"/></Activity>
	<Activity Identifier="Sign" DisplayName_L1="Sign" Template="ReviewWithFeedback"><Actor Profile="board"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
-- one that ends without having written
SELECT name, version FROM idflow.deploy($$<Workflow Identifier="Talk" DisplayName_L1="Talk">
	<Activity Identifier="Ask" DisplayName_L1="Ask" Template="Action"/>
	<Activity Identifier="Sign" DisplayName_L1="Sign" Template="Review"><Actor Profile="board"/></Activity></Workflow>$$);
SELECT idflow.attach('Desk', 've.desk', '{INSERT,UPDATE}');
CREATE TABLE ve.talk (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
GRANT INSERT ON ve.talk TO ve_app;
SELECT idflow.attach('Talk', 've.talk');

-- An Action in the middle of a workflow.
\c - ve_app
SET idflow.actor = 'anna';
INSERT INTO ve.desk (owner) VALUES ('ada');
SELECT idflow.last_request() AS desk \gset
SELECT activity, activity_state FROM idflow.request WHERE id = :desk;
SELECT principal, via FROM idflow.decider WHERE request = :desk AND vote IS NULL ORDER BY principal;
-- whoever asked can't do facility's work, nor can a reviewer to come
\set VERBOSITY sqlstate
SELECT idflow.execute(task) FROM idflow.request WHERE id = :desk;
SELECT task FROM idflow.request WHERE id = :desk \gset
SET idflow.actor = 'bea';
SELECT idflow.execute(:task);
-- paul can: it is in his inbox with the verbs that it has; there is nothing to approve yet
SET idflow.actor = 'paul';
SELECT activity, activity_state, verbs FROM idflow.inbox WHERE request = :desk;
SELECT idflow.approve(:task);
SELECT idflow.save(:task, '{"room": "B12"}', 'by the window');
SELECT idflow.execute(:task, 'found one');
SELECT idflow.execute(:task);
\set VERBOSITY default
-- the work goes on with carl, who hands it to dora; nothing is written yet
SELECT activity, activity_state, revision FROM idflow.request WHERE id = :desk;
SET idflow.actor = 'carl';
SELECT task FROM idflow.inbox WHERE request = :desk \gset
SELECT idflow.delegate(:task, 'dora', 'you know the shop');
SELECT count(*) AS carl_has FROM idflow.inbox;
SET idflow.actor = 'dora';
SELECT idflow.execute(:task, 'ordered');
SELECT count(*) AS desks FROM ve.desk;
SET idflow.actor = 'lena';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :desk;
SET idflow.actor = 'bea';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :desk;
SELECT owner, room FROM ve.desk;
\c - :me
SELECT actor, via, activity, transition, comment FROM idflow.event WHERE request = :desk ORDER BY seq;

-- Every verb in every state.  as_actor() runs a call as somebody; lead() brings
-- a new request into a state and returns its number; whose() says who has the
-- task there; try() then calls a verb.
CREATE FUNCTION ve.as_actor(who text, call text, admin boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	PERFORM set_config('idflow.actor', who, true);
	IF NOT admin THEN PERFORM set_config('role', 've_app', true); END IF;
	IF call LIKE 'SELECT %' THEN EXECUTE call INTO result; ELSE EXECUTE call; END IF;
	PERFORM set_config('role', 'none', true);
	RETURN result;
END $$;
CREATE FUNCTION ve.task_of(request bigint) RETURNS bigint LANGUAGE sql AS
	'SELECT coalesce(max(t.id), 0) FROM idflow.task t WHERE t.request = $1';
CREATE FUNCTION ve.lead(state text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	step text;
	r bigint;
BEGIN
	IF state = 'draft' THEN
		r := ve.as_actor('anna', 'SELECT idflow.begin_request()');
	END IF;
	PERFORM ve.as_actor('anna', CASE state WHEN 'conflict' THEN 'UPDATE ve.desk SET room = ''C1'' WHERE owner = ''eve'''
						WHEN 'terminated' THEN 'INSERT INTO ve.talk DEFAULT VALUES' ELSE 'INSERT INTO ve.desk (owner) VALUES (''joe'')' END);
	r := idflow.last_request();
	IF state = 'conflict' THEN
		-- somebody writes without meeting a gate
		SET LOCAL session_replication_role = replica;
		UPDATE ve.desk SET room = coalesce(room, 'A') || 'x' WHERE owner = 'eve';
		SET LOCAL session_replication_role = origin;
	END IF;
	FOREACH step IN ARRAY CASE state
		WHEN 'FindRoom: ActionPending' THEN '{}'
		WHEN 'Order: ActionPending' THEN '{paul execute}'
		WHEN 'Order: RefinePending' THEN '{paul execute,carl delegate}'
		WHEN 'Look: ReviewPending' THEN '{paul execute,carl execute}'
		WHEN 'Sign: ReviewPending' THEN '{paul execute,carl execute,lena approve}'
		WHEN 'Sign: RefinePending' THEN '{paul execute,carl execute,lena approve,bea refine}'
		WHEN 'conflict' THEN '{paul execute,carl execute,lena approve,bea approve}'
		WHEN 'committed' THEN '{paul execute,carl execute,lena approve,bea approve}'
		WHEN 'declined' THEN '{paul execute,carl execute,lena decline}'
		WHEN 'aborted' THEN '{paul abort}'
		WHEN 'purged' THEN '{paul abort,anna purge}'
		WHEN 'terminated' THEN '{bea approve}'
		ELSE '{}' END::text[]
	LOOP
		PERFORM ve.as_actor(split_part(step, ' ', 1), CASE split_part(step, ' ', 2)
			WHEN 'delegate' THEN format('SELECT idflow.delegate(%s, ''dora'')', ve.task_of(r))
			WHEN 'purge' THEN format('SELECT idflow.purge(%s)', r)
			ELSE format('SELECT idflow.%s(%s)', split_part(step, ' ', 2), ve.task_of(r)) END);
	END LOOP;
	RETURN r;
END $$;
-- where a request stands, as the table below heads its columns
CREATE FUNCTION ve.stands(request bigint) RETURNS text LANGUAGE sql AS
	$$ SELECT CASE WHEN state = 'open' THEN activity || ': ' || split_part(activity_state, '-', 2) ELSE state END FROM idflow.request WHERE id = $1 $$;
CREATE FUNCTION ve.whose(state text) RETURNS text LANGUAGE sql AS
	$$ SELECT CASE state WHEN 'FindRoom: ActionPending' THEN 'paul' WHEN 'Order: ActionPending' THEN 'carl' WHEN 'Order: RefinePending' THEN 'dora'
		WHEN 'Look: ReviewPending' THEN 'lena' WHEN 'Sign: ReviewPending' THEN 'bea' ELSE 'anna' END $$;
CREATE TABLE ve.state AS SELECT n, state, n <= 8 AS waits FROM unnest(ARRAY['draft', 'FindRoom: ActionPending', 'Order: ActionPending',
	'Order: RefinePending', 'Look: ReviewPending', 'Sign: ReviewPending', 'Sign: RefinePending', 'conflict',
	'committed', 'declined', 'aborted', 'purged', 'terminated']) WITH ORDINALITY s (state, n);
-- %r is the request, %t its newest task, %c its change; the verbs on tasks are
-- called by whoever has the task, those on requests by the requester
CREATE TABLE ve.verb AS SELECT * FROM (VALUES
	(1, 'resume_request(%r)', 'requester'), (2, 'submit(%r)', 'requester'), (3, 'withdraw(%r)', 'requester'), (4, 'comment(%r, ''?'')', 'requester'),
	(5, 'purge(%r)', 'requester'), (6, 'retry(%r)', 'requester'), (7, 'rebase(%r)', 'requester'),
	(8, 'resolve(%r, %c, ''{"room": "draft"}'')', 'requester'), (9, 'resolve(%r, %c, ''{"room": "live"}'')', 'requester'),
	(10, 'save(%t, ''{"room": "D4"}'')', 'task'), (11, 'approve(%t)', 'task'), (12, 'decline(%t)', 'task'), (13, 'refine(%t)', 'task'),
	(14, 'delegate(%t, ''dick'')', 'task'), (15, 'execute(%t)', 'task'), (16, 'abort(%t)', 'task'), (17, 'claim(%t)', 'task'), (18, 'release(%t)', 'task'),
	(19, 'add_candidate(%t, ''nina'')', 'admin'), (20, 'reassign(%t)', 'admin'), (21, 'undo(%r)', 'requester'), (22, 'simulate(%r)', 'requester')) v (n, call, who);
CREATE FUNCTION ve.try(state text, call text, who text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r bigint := ve.lead(state);
BEGIN
	ASSERT ve.stands(r) = state, format('request %s is %s, not %s', r, ve.stands(r), state);
	call := replace(replace(replace(call, '%r', r::text), '%t', ve.task_of(r)::text), '%c', ((r << 24) | 1)::text);
	PERFORM ve.as_actor(CASE who WHEN 'task' THEN ve.whose(state) WHEN 'requester' THEN 'anna' ELSE 'root' END, 'SELECT idflow.' || call, who = 'admin');
	RETURN ve.stands(r);
EXCEPTION WHEN OTHERS THEN
	-- a refusal leaves everything as it was
	RETURN SQLSTATE || CASE WHEN ve.stands(r) <> state THEN ' but ' || ve.stands(r) ELSE '' END;
END $$;
BEGIN;
SELECT idflow.bypass('a desk that is there already');
INSERT INTO ve.desk (owner, room) VALUES ('eve', 'A');
COMMIT;
CREATE TABLE ve.result (n int, state text, waits boolean, verb_n int, verb text, who text, result text);
DO $$
DECLARE
	s record;
BEGIN
	FOR s IN SELECT * FROM ve.state, LATERAL (SELECT n AS verb_n, call, who FROM ve.verb) v LOOP
		INSERT INTO ve.result VALUES (s.n, s.state, s.waits, s.verb_n,
			split_part(s.call, '(', 1) || coalesce(' ' || substring(s.call FROM 'live|draft'), ''), s.who, ve.try(s.state, s.call, s.who));
		COMMIT;
	END LOOP;
END $$;
-- 42501 not for him, 55000 not claimed, WF004 no such task, WF005 the task is
-- closed, WF009 the activity's state has no such verb, WF016 the request's has not
SELECT verb, state, result FROM ve.result WHERE waits AND n <= 4 ORDER BY verb_n, n \crosstabview verb state result
SELECT verb, state, result FROM ve.result WHERE waits AND n > 4 ORDER BY verb_n, n \crosstabview verb state result
SELECT verb, state, result FROM ve.result WHERE NOT waits ORDER BY verb_n, n \crosstabview verb state result

-- The table says of a task's verbs what the templates say: possible where the
-- template has the transition, WF009 where it has not.
SELECT r.state, r.verb, r.result, t.to_state
FROM ve.result r JOIN idflow.activity a ON a.name = split_part(r.state, ':', 1) AND a.workflow = (SELECT id FROM idflow.workflow WHERE name = 'Desk')
LEFT JOIN idflow.activity_templates() t ON t.template = a.template AND t.state = split_part(r.state, ': ', 2) AND lower(t.verb) = r.verb
WHERE r.who = 'task' AND r.verb NOT IN ('claim', 'release') AND ((t.verb IS NULL) <> (r.result = 'WF009') OR r.result ~ '^(WF00[1-8]|WF01|[0-9])');
-- Every verb on a task or a request is in it; what is about a request's jobs is in job.sql, and override in override.sql.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'idflow'::regnamespace AND p.provolatile = 'v' AND p.proargnames[1] IN ('task', 'request')
	AND p.proname NOT IN (SELECT split_part(call, '(', 1) FROM ve.verb) AND p.proname !~ 'job|^override$' ORDER BY 1;
-- A closed request stays as it is: nothing but a comment and the purge of an aborted one gets through.
SELECT state, verb, result FROM ve.result WHERE NOT waits AND result !~ '^(WF|42501|55000)' ORDER BY n, verb_n;
-- What is closed holds no keys and asks nobody.
SELECT count(*) FROM idflow.request r WHERE r.closed_at IS NOT NULL AND (EXISTS (SELECT FROM idflow.candidate c WHERE c.request = r.id)
	OR EXISTS (SELECT FROM idflow.pending_key k WHERE k.request = r.id) OR EXISTS (SELECT FROM idflow.task t WHERE t.request = r.id AND t.state = 'open'));

\c :home
REVOKE SET ON PARAMETER idflow.actor FROM ve_app;
DROP DATABASE idflow_verbs;
DROP ROLE ve_app;
