-- The verbs on tasks and requests: who may, what follows, what is refused.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_decisions;
\c idflow_decisions
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_decisions SET idflow.notice = off;
CREATE ROLE de_app LOGIN;
CREATE ROLE de_plain LOGIN;
GRANT SET ON PARAMETER idflow.actor TO de_app;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO de_app, de_plain;
CREATE TABLE hr.person (
	id int PRIMARY KEY, name text NOT NULL, salary int CHECK (salary > 0), note jsonb, secret text DEFAULT 'none');
GRANT SELECT, INSERT, DELETE, UPDATE (name, salary, note) ON hr.person TO de_app;
INSERT INTO hr.person SELECT i, 'p' || i, 100 FROM generate_series(1, 9) i;
INSERT INTO idflow.profile_member VALUES ('boss', 'bea'), ('boss', 'bob'), ('boss', 'anna');
SELECT name, version FROM idflow.deploy($$<Workflow Identifier="Hire" DisplayName_L1="Hire" Subject="SQL:new.name">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Profile="boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.attach('Hire', 'hr.person', '{INSERT,UPDATE,DELETE}');
-- the open task of a request
CREATE FUNCTION public.task(r bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT task FROM idflow.request WHERE id = r';
CREATE FUNCTION public.act(who text, command text, request bigint DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text;
BEGIN
	PERFORM set_config('idflow.actor', who, false);
	command := replace(replace(command, '%t', coalesce(public.task(request), 0)::text), '%r', coalesce(request, 0)::text);
	EXECUTE 'SELECT ' || command INTO r;
	RETURN r;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS r = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ': ' || SQLERRM || coalesce(' / ' || nullif(r, ''), '');
END $$;
CREATE FUNCTION public.draft(who text, i int, s int DEFAULT 100) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', who, false);
	INSERT INTO hr.person VALUES (i, 'n' || i, s);
	RETURN idflow.last_request();
END $$;
\c - de_app

-- approve and decline
SELECT public.draft('anna', 10) AS r \gset
SELECT public.act('carl', 'idflow.approve(%t)', :r) AS foreign_task;
SELECT public.act('anna', 'idflow.approve(%t)', :r) AS own_request;
SELECT public.act('n10', 'idflow.approve(%t)', :r) AS subject_no_candidate;
SELECT public.act('bea', 'idflow.approve(%t, ''welcome'')', :r) AS approved;
SELECT public.act('bob', 'idflow.approve(1)') AS closed;
SELECT public.act('bea', 'idflow.approve(999999)') AS nonexistent, public.act('bea', 'idflow.approve(NULL)') AS "null";
SELECT id, name FROM hr.person WHERE id = 10;
SELECT public.draft('anna', 11) AS r \gset
SELECT public.act('bea', 'idflow.decline(%t, ''no budget'')', :r) AS declined;
SELECT state, closed_at IS NOT NULL AS closed FROM idflow.request WHERE id = :r;
SELECT count(*) FROM hr.person WHERE id = 11;
-- the key is free again
SELECT public.draft('anna', 11) AS r \gset
SELECT public.act('bea', 'idflow.approve(%t)', :r);

-- save makes a revision, voids nothing but what was looked at, and bars the editor
SELECT public.draft('anna', 12) AS r \gset
SELECT public.act('bea', 'idflow.save(%t, ''{"salary": 120, "note": {"a": [1]}}'', ''too little'')', :r) AS saved;
SELECT revision FROM idflow.request WHERE id = :r;
SELECT public.act('bob', 'idflow.approve(%t, NULL, 1)', :r) AS moved;
SELECT public.act('bea', 'idflow.approve(%t, NULL, 2)', :r) AS editor;
SELECT public.act('bob', 'idflow.save(%t, ''{"salary": -1}'')', :r) AS check_fails,
	public.act('bob', 'idflow.save(%t, ''{"salary": "x"}'')', :r) AS bad_value,
	public.act('bob', 'idflow.save(%t, ''{"nosuch": 1}'')', :r) AS no_column,
	public.act('bob', 'idflow.save(%t, ''[1]'')', :r) AS no_object,
	public.act('bob', 'idflow.save(%t, ''{}'')', :r) AS empty,
	public.act('bob', 'idflow.save(%t, NULL)', :r) AS "null";
SELECT public.act('bob', 'idflow.approve(%t, NULL, 2)', :r) AS approved;
SELECT * FROM hr.person WHERE id = 12;
-- an editor needs the privilege on the columns
SET idflow.actor = 'anna';
UPDATE hr.person SET name = 'N12' WHERE id = 12;
SELECT idflow.last_request() AS r \gset
SELECT public.act('bea', 'idflow.save(%t, ''{"secret": "x"}'')', :r) AS no_privilege;
SELECT public.act('bea', 'idflow.save(%t, ''{"name": "N-12"}'')', :r) AS saved;
SELECT base, live, draft FROM idflow.change_diff WHERE request = :r;
SELECT public.act('bob', 'idflow.approve(%t)', :r);
SELECT name FROM hr.person WHERE id = 12;

-- claim and release
SELECT public.draft('anna', 13) AS r \gset
SELECT public.act('carl', 'idflow.claim(%t)', :r) AS foreign_task;
SELECT public.act('bea', 'idflow.claim(%t)', :r);
SET idflow.actor = 'bob';
SELECT count(*) AS bob_sees FROM idflow.inbox;
SELECT public.act('bob', 'idflow.approve(%t)', :r) AS claimed, public.act('bob', 'idflow.claim(%t)', :r) AS claimed_too,
	public.act('bob', 'idflow.release(%t)', :r) AS not_his;
SELECT public.act('bea', 'idflow.release(%t)', :r) AS released, public.act('bea', 'idflow.release(%t)', :r) AS again;
SELECT public.act('bob', 'idflow.approve(%t)', :r);

-- refine, delegate, execute
SELECT public.draft('anna', 14) AS r \gset
SELECT public.act('bea', 'idflow.refine(%t, NULL, ''which team?'')', :r) AS to_requester;
SELECT activity_state FROM idflow.request WHERE id = :r;
SELECT public.act('bea', 'idflow.approve(%t)', :r) AS while_refined, public.act('bea', 'idflow.abort(%t)', :r) AS no_abort;
SELECT public.act('anna', 'idflow.delegate(%t, ''carl'')', :r) AS delegated, public.act('anna', 'idflow.execute(%t)', :r) AS not_hers_now;
SELECT public.act('carl', 'idflow.save(%t, ''{"name": "team x"}'')', :r), public.act('carl', 'idflow.execute(%t, ''team x'')', :r) AS back;
SELECT activity_state, revision FROM idflow.request WHERE id = :r;
SELECT public.act('bea', 'idflow.approve(%t)', :r) AS approved;
SELECT name FROM hr.person WHERE id = 14;

-- authority when it is used: lost and won since the task opened
SELECT public.draft('anna', 15) AS r \gset
\c - :me
DELETE FROM idflow.profile_member WHERE principal = 'bea';
INSERT INTO idflow.profile_member VALUES ('boss', 'nina');
\c - de_app
SELECT public.act('bea', 'idflow.approve(%t)', :r) AS lost;
SELECT public.act('nina', 'idflow.approve(%t)', :r) AS won;

-- withdraw, abort, purge, comment
SELECT public.draft('anna', 16) AS r \gset
SELECT public.act('carl', 'idflow.comment(%r, ''hm'')', :r) AS stranger, public.act('anna', 'idflow.comment(%r, ''please'')', :r) AS comment,
	public.act('anna', 'idflow.comment(%r, NULL)', :r) AS nothing, public.act('anna', 'idflow.purge(%r)', :r) AS too_early;
SELECT public.act('bob', 'idflow.withdraw(%r)', :r) AS not_his, public.act('anna', 'idflow.withdraw(%r, ''never mind'')', :r) AS withdrawn,
	public.act('anna', 'idflow.withdraw(%r)', :r) AS again, public.act('anna', 'idflow.withdraw(999999)') AS none;
SELECT new_row IS NULL AS blank, state FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE c.request = :r;
SELECT public.act('anna', 'idflow.purge(%r)', :r) AS purged;
SELECT new_row IS NULL AS blank, state, title FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE c.request = :r;
SELECT data ? 'digests' AS digests_stay FROM idflow.event WHERE request = :r AND seq = 1;
SELECT public.draft('anna', 17) AS r \gset
SELECT public.act('bob', 'idflow.abort(%t)', :r) AS aborted;

-- many at once: what fails leaves the others alone
SELECT public.draft('anna', 20), public.draft('anna', 21), public.draft('anna', 22) \gset
SET idflow.actor = 'bob';
SELECT array_agg(task ORDER BY task) || '{1, 999999, NULL}'::bigint[] AS tasks FROM idflow.inbox \gset
\c - :me
-- a column that only the apply finds missing
ALTER TABLE hr.person ADD CONSTRAINT no_21 CHECK (id <> 21);
\c - de_app
SET idflow.actor = 'bob';
SELECT state, sqlstate, message FROM idflow.approve_all(:'tasks', 'all good');
SELECT id FROM hr.person WHERE id BETWEEN 20 AND 22 ORDER BY id;
SELECT state, sqlstate FROM idflow.decline_all((SELECT array_agg(task) FROM idflow.inbox));
SELECT * FROM idflow.approve_all(NULL);

-- the actor is required
\c - :me
ALTER DATABASE idflow_decisions SET idflow.require_actor = on;
\c - de_plain
SELECT idflow.approve(1);
\c - :me
ALTER DATABASE idflow_decisions RESET idflow.require_actor;

-- bypass: for admins, recorded, until the transaction ends
\c - de_app
SELECT idflow.bypass('I may');
\c - :me
SELECT idflow.bypass(' ');
SET idflow.actor = 'adam';
BEGIN;
SELECT idflow.bypass('migration 7');
SAVEPOINT s;
INSERT INTO hr.person VALUES (30, 'b', 1);
UPDATE hr.person SET salary = 2 WHERE id = 30;
COMMIT;
INSERT INTO hr.person VALUES (31, 'b', 1);
SELECT id, salary FROM hr.person WHERE id >= 30;
SELECT r.state, e.transition, e.comment, e.actor FROM idflow.event e JOIN idflow.request r ON r.id = e.request
	WHERE e.transition = 'Bypass' ORDER BY e.seq;

-- nobody to decide: the admins
SELECT name FROM idflow.deploy($$<Workflow Identifier="Alone" DisplayName_L1="Alone">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Expression="SQL:NULL::text"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.detach('Hire', 'hr.person', true), idflow.attach('Alone', 'hr.person');
\c - de_app
SELECT public.draft('anna', 40) AS r, public.draft('anna', 41) AS r2 \gset
SELECT reason, on_whom FROM idflow.waiting WHERE request = :r;
SELECT public.act('bob', 'idflow.approve(%t)', :r) AS nobody;
\c - :me
SET idflow.actor = 'adam';
SELECT via FROM idflow.inbox WHERE request = :r;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
SELECT idflow.add_candidate(task(:r2), 'carl');
SELECT public.act('adam', 'idflow.approve(%t)', :r2) AS stepped_back, public.act('carl', 'idflow.approve(%t)', :r2) AS candidate;

-- requests and rows agree; closed requests hold nothing
SELECT count(*) FROM idflow.candidate c JOIN idflow.request r ON r.id = c.request WHERE r.closed_at IS NOT NULL;
SELECT count(*) FROM idflow.pending_key k JOIN idflow.request r ON r.id = k.request WHERE r.closed_at IS NOT NULL;
SELECT count(*) FROM idflow.task t JOIN idflow.request r ON r.id = t.request WHERE t.state = 'open' AND r.task IS DISTINCT FROM t.id;

\c :home
REVOKE SET ON PARAMETER idflow.actor FROM de_app;
DROP DATABASE idflow_decisions;
DROP ROLE de_app, de_plain;
