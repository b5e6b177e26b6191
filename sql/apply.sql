-- The apply: as the requester, in his context, exactly what was reviewed, or
-- nothing at all.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_apply;
\c idflow_apply
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_apply SET idflow.notice = off;
ALTER DATABASE idflow_apply SET idflow.context = 'TimeZone, app.tenant';
CREATE ROLE ap_owner LOGIN;
CREATE ROLE ap_app LOGIN;
CREATE ROLE ap_boss LOGIN;
CREATE SCHEMA hr AUTHORIZATION ap_owner;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE FUNCTION public.gate(target regclass, operations text[] DEFAULT '{INSERT,UPDATE,DELETE}') RETURNS text LANGUAGE sql
	AS $$SELECT idflow.require_approval(target, expression => 'SQL:''ap_boss''', operations => operations)$$;
CREATE FUNCTION public.exact(name text, exact boolean) RETURNS xml LANGUAGE sql AS $$
	SELECT format('<Workflow Identifier="%s" DisplayName_L1="%1$s" %s>
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="r" Template="Review"><Actor Principal="ap_boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/></Workflow>', name, CASE WHEN exact THEN '' ELSE 'Exact="false"' END)::xml $$;

-- --------------------------------------------- rights are the requester's, now
SET ROLE ap_owner;
CREATE TABLE hr.person (id int PRIMARY KEY, name text, salary int DEFAULT 10, note text);
INSERT INTO hr.person VALUES (1, 'Ann', 1), (2, 'Ben', 2), (3, 'Cy', 3);
GRANT INSERT (id, name), UPDATE (name, note), DELETE ON hr.person TO ap_app;
GRANT SELECT (id) ON hr.person TO ap_app;
RESET ROLE;
SELECT public.gate('hr.person');
\c - ap_app
-- neither SELECT on what it writes nor INSERT on what defaults fill
INSERT INTO hr.person (id, name) VALUES (4, 'Dora');
UPDATE hr.person SET name = 'Anna' WHERE id = 1;
DELETE FROM hr.person WHERE id = 2;
INSERT INTO hr.person (id, salary) VALUES (5, 5);
UPDATE hr.person SET salary = 5 WHERE id = 1;
\c - ap_boss
-- the approver needs no right on the table at all
SELECT request, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT * FROM hr.person;
\c - ap_owner
SELECT * FROM hr.person ORDER BY id;
-- revoked in the meantime
\c - ap_app
INSERT INTO hr.person (id, name) VALUES (6, 'Fay');
UPDATE hr.person SET name = 'Cyr', note = 'n' WHERE id = 3;
DELETE FROM hr.person WHERE id = 4;
\c - ap_owner
REVOKE INSERT (name) ON hr.person FROM ap_app;
REVOKE UPDATE (note) ON hr.person FROM ap_app;
REVOKE DELETE ON hr.person FROM ap_app;
\c - ap_boss
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'INSERT';
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'UPDATE';
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'DELETE';
\echo :LAST_ERROR_SQLSTATE
SELECT operation, key, r.state, r.activity, r.revision, e.transition FROM idflow.inbox i JOIN idflow.request r ON r.id = i.request
	JOIN idflow.event e ON e.request = r.id ORDER BY r.id, e.seq;
SELECT count(*) FROM idflow.vote WHERE request IN (SELECT request FROM idflow.inbox);
\c - ap_owner
SELECT * FROM hr.person ORDER BY id;
GRANT INSERT (name), UPDATE (note), DELETE ON hr.person TO ap_app;
REVOKE USAGE ON SCHEMA hr FROM PUBLIC;
\c - ap_boss
\set VERBOSITY terse
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'DELETE';
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
\c - ap_owner
GRANT USAGE ON SCHEMA hr TO PUBLIC;
\c - ap_boss
SELECT operation, idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - ap_owner
SELECT * FROM hr.person ORDER BY id;
-- row-level security forbids it now
ALTER TABLE hr.person ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON hr.person USING (true);
\c - ap_app
UPDATE hr.person SET name = 'Ann-Marie' WHERE id = 1;
DELETE FROM hr.person WHERE id = 3;
INSERT INTO hr.person (id, name) VALUES (7, 'Gus');
\c - ap_owner
DROP POLICY all_of_them ON hr.person;
CREATE POLICY none_of_them ON hr.person USING (id > 100);
\c - ap_boss
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'UPDATE';
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'DELETE';
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'INSERT';
\echo :LAST_ERROR_SQLSTATE
SELECT state, sqlstate FROM idflow.decline_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task), 'no more');
\c - ap_owner
SELECT * FROM hr.person ORDER BY id;
ALTER TABLE hr.person DISABLE ROW LEVEL SECURITY;
-- the role is gone, or called otherwise
\c - :me
CREATE ROLE ap_temp LOGIN;
GRANT INSERT ON hr.person TO ap_temp;
SET SESSION AUTHORIZATION ap_temp;
INSERT INTO hr.person (id, name) VALUES (8, 'Hal');
RESET SESSION AUTHORIZATION;
REVOKE INSERT ON hr.person FROM ap_temp;
DROP ROLE ap_temp;
\c - ap_boss
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT state, activity_state FROM idflow.request WHERE id IN (SELECT request FROM idflow.inbox);
SELECT idflow.decline(task) FROM idflow.inbox;

-- ------------------------------------------- the requester's context, restored
\c - ap_owner
CREATE TABLE hr.seen (id int PRIMARY KEY, tz text, tenant text, actor text, role name, applying boolean, path text,
	stamp timestamp DEFAULT '2026-01-01 12:00+00'::timestamptz);
CREATE FUNCTION hr.see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.tz := current_setting('TimeZone'); new.tenant := current_setting('app.tenant', true);
	new.actor := idflow.actor(); new.role := current_user; new.applying := idflow.applying() IS NOT NULL;
	new.path := current_setting('search_path');
	RETURN new;
END$$;
CREATE TRIGGER see BEFORE INSERT ON hr.seen FOR EACH ROW EXECUTE FUNCTION hr.see();
GRANT SELECT, INSERT ON hr.seen TO ap_app;
\c - :me
SELECT public.gate('hr.seen', '{INSERT}');
GRANT SET ON PARAMETER idflow.actor TO ap_app;
\c - ap_app
SELECT idflow.actor(), idflow.applying();
BEGIN;
SET LOCAL TimeZone = 'Asia/Tokyo';
SET LOCAL app.tenant = 'tenant "a", b';
SET LOCAL idflow.actor = 'anna';
SET LOCAL search_path = hr, public;
INSERT INTO seen (id) VALUES (1);
COMMIT;
\c - ap_boss
SET TimeZone = 'Europe/Paris';
SET app.tenant = 'mine';
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT idflow.actor(), idflow.applying(), current_user, current_setting('TimeZone') AS tz, current_setting('app.tenant') AS tenant,
	current_setting('search_path') AS path;
\c - ap_app
SELECT id, tz, tenant, actor, role, applying, path FROM hr.seen;

-- ------------------- search_path and temporary objects of a hostile approver
\c - :me
CREATE SCHEMA evil;
GRANT ALL ON SCHEMA evil TO ap_boss;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE hr.rates (v int);
INSERT INTO hr.rates VALUES (1);
CREATE TABLE hr.paid (id int PRIMARY KEY, v int);
CREATE FUNCTION hr.rate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.v := (SELECT v FROM rates); RETURN new; END$$;
CREATE TRIGGER rate BEFORE INSERT ON hr.paid FOR EACH ROW EXECUTE FUNCTION hr.rate();
GRANT SELECT, INSERT ON hr.paid, hr.rates TO ap_app;
SELECT public.gate('hr.paid', '{INSERT}');
\c - ap_app
SET search_path = hr;
INSERT INTO paid (id) VALUES (1);
SET search_path = hr, pg_temp;
INSERT INTO paid (id) VALUES (2);
\c - ap_boss
CREATE TABLE evil.rates (v int);
INSERT INTO evil.rates VALUES (666);
CREATE TEMP TABLE rates (v int);
INSERT INTO rates VALUES (667);
GRANT SELECT ON rates, evil.rates TO PUBLIC;
CREATE FUNCTION evil.int4eq(int, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'taken'; END$$;
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.int4eq);
SET search_path = evil, pg_catalog, hr;
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
RESET search_path;
\c - ap_app
SELECT * FROM hr.paid ORDER BY id;
-- an approver's temporary table whose name the requester's path would find
SET search_path = nowhere, hr;
INSERT INTO paid (id) VALUES (3);
\c - ap_boss
CREATE TEMP TABLE rates (v int);
INSERT INTO rates VALUES (668);
GRANT SELECT ON rates TO PUBLIC;
SELECT idflow.approve(task) FROM idflow.inbox;
\c - ap_app
SELECT * FROM hr.paid WHERE id = 3;

-- --------- who has read the apply's own statement can do no more by writing it
\c - ap_owner
CREATE TABLE hr.secret (id int PRIMARY KEY, v text, w text DEFAULT 'secret');
INSERT INTO hr.secret VALUES (1, 'one', 'top secret');
GRANT INSERT (id, v), UPDATE (v) ON hr.secret TO ap_app;
CREATE TABLE hr.leak (stmt text);
GRANT ALL ON hr.leak TO PUBLIC;
CREATE FUNCTION hr.leak() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	context text;
BEGIN
	GET DIAGNOSTICS context = PG_CONTEXT;
	INSERT INTO hr.leak VALUES (substring(context FROM 'SQL statement "(.*?/) '));
	BEGIN
		EXECUTE format('%s INSERT INTO hr.secret (id, v, w) VALUES (2, ''x'', ''y'')', substring(context FROM 'SQL statement "(.*?/) '));
	EXCEPTION WHEN OTHERS THEN INSERT INTO hr.leak VALUES (SQLERRM);
	END;
	RETURN NULL;
END$$;
CREATE TRIGGER leak AFTER UPDATE ON hr.secret FOR EACH ROW EXECUTE FUNCTION hr.leak();
\c - :me
SELECT public.gate('hr.secret', '{INSERT,UPDATE}');
\c - ap_app
UPDATE hr.secret SET v = 'two';
\c - ap_boss
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT * FROM hr.leak;
\c - ap_owner
SELECT * FROM hr.secret;

-- ----------------------- a trigger alters a reviewed column: WF012, or Exact
\c - :me
SELECT name, version FROM idflow.deploy(public.exact('strict', true));
SELECT name, version FROM idflow.deploy(public.exact('lax', false));
CREATE TABLE hr.strict (id int PRIMARY KEY, v text, w text, at int);
CREATE FUNCTION hr.alter_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.at := coalesce(new.at, 0) + 1;
	IF idflow.applying() IS NOT NULL THEN new.v := upper(new.v); END IF;
	IF new.w = 'skip' AND idflow.applying() IS NOT NULL AND current_setting('app.skip', true) = 'on' THEN RETURN NULL; END IF;
	RETURN new;
END$$;
CREATE TRIGGER alter_it BEFORE INSERT OR UPDATE ON hr.strict FOR EACH ROW EXECUTE FUNCTION hr.alter_it();
CREATE TABLE hr.lax (LIKE hr.strict INCLUDING ALL);
CREATE TRIGGER alter_it BEFORE INSERT OR UPDATE ON hr.lax FOR EACH ROW EXECUTE FUNCTION hr.alter_it();
INSERT INTO hr.strict VALUES (1, 'one', 'w');
INSERT INTO hr.lax VALUES (1, 'one', 'w');
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.strict, hr.lax TO ap_app;
SELECT idflow.attach('strict', 'hr.strict', '{INSERT,UPDATE}'), idflow.attach('lax', 'hr.lax', '{INSERT,UPDATE}');
\c - ap_app
INSERT INTO hr.strict (id, v) VALUES (2, 'two');
INSERT INTO hr.lax (id, v) VALUES (2, 'two');
UPDATE hr.strict SET v = 'three' WHERE id = 1;
UPDATE hr.lax SET v = 'three' WHERE id = 1;
\c - ap_boss
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'INSERT' AND target = 'hr.strict'::regclass;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(min(task)) FROM idflow.inbox WHERE operation = 'UPDATE' AND target = 'hr.strict'::regclass;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(task) FROM idflow.inbox WHERE target = 'hr.lax'::regclass ORDER BY task;
\c - ap_app
SELECT * FROM hr.strict ORDER BY id;
SELECT * FROM hr.lax ORDER BY id;
SELECT e.request, e.transition, e.data -> 'triggers' AS triggers FROM idflow.event e JOIN idflow.request r ON r.id = e.request
	WHERE r.workflow = 'lax' AND e.transition LIKE 'Persist%' ORDER BY 1;
-- what is drafted as the trigger makes it passes; what it puts elsewhere is told
UPDATE hr.strict SET v = 'FOUR' WHERE id = 1;
\c - ap_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox;
SELECT state, sqlstate FROM idflow.decline_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task));
\c - ap_app
SELECT * FROM hr.strict ORDER BY id;
SELECT e.transition, e.data -> 'triggers' AS triggers FROM idflow.event e WHERE e.data ? 'triggers' ORDER BY request DESC LIMIT 1;
-- a trigger that suppresses the row at apply only
INSERT INTO hr.lax (id, v, w) VALUES (3, 'three', 'skip');
UPDATE hr.lax SET w = 'skip' WHERE id = 1;
\c - ap_boss
SET app.skip = 'on';
SELECT idflow.approve(min(task)) FROM idflow.inbox;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(max(task)) FROM idflow.inbox;
\echo :LAST_ERROR_SQLSTATE
RESET app.skip;
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - ap_app
SELECT * FROM hr.lax ORDER BY id;

-- ------------------------------------- deferred constraints and their triggers
\c - ap_owner
CREATE TABLE hr.log (who name, acts text, what text, restricted text);
GRANT INSERT ON hr.log TO PUBLIC;
CREATE TABLE hr.deferred (id int PRIMARY KEY, v text, ref int REFERENCES hr.deferred DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE hr.later (id int PRIMARY KEY);
GRANT SELECT, INSERT, UPDATE ON hr.deferred, hr.later TO ap_app, ap_boss;
CREATE FUNCTION hr.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO hr.log VALUES (current_user, idflow.actor(), tg_table_name || ' ' || new.id);
	IF new.id = 13 THEN RAISE EXCEPTION 'unlucky'; END IF;
	RETURN NULL;
END$$;
CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON hr.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hr.note();
CREATE CONSTRAINT TRIGGER note AFTER INSERT ON hr.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hr.note();
\c - :me
SELECT public.gate('hr.deferred', '{INSERT,UPDATE}');
\c - ap_app
INSERT INTO hr.deferred VALUES (1, 'one');
INSERT INTO hr.deferred VALUES (13, 'thirteen');
BEGIN;
SELECT idflow.begin_request('in a circle') AS r \gset
INSERT INTO hr.deferred VALUES (3, 'three', NULL), (4, 'four', 3);
UPDATE hr.deferred SET v = v WHERE false;
SELECT idflow.submit(:r);
COMMIT;
\c - ap_boss
BEGIN;
INSERT INTO hr.later VALUES (1);
SELECT idflow.approve(min(task)) FROM idflow.inbox;
INSERT INTO hr.later VALUES (2);
SELECT count(*) FROM hr.later;
COMMIT;
BEGIN;
INSERT INTO hr.later VALUES (3);
SAVEPOINT s;
SELECT idflow.approve(min(task)) FROM idflow.inbox;
ROLLBACK TO s;
COMMIT;
SELECT request, state, sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task));
\c - ap_owner
SELECT who, acts, what FROM hr.log ORDER BY what;
SELECT * FROM hr.deferred ORDER BY id;
-- what a deferred trigger of the table's owner would do as the approver
CREATE OR REPLACE FUNCTION hr.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TEMP TABLE stolen AS SELECT current_user::text');
	RETURN NULL;
END$$;
CREATE OR REPLACE FUNCTION hr.escalate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE 'SET ROLE ap_boss';
	EXCEPTION WHEN OTHERS THEN INSERT INTO hr.log VALUES (current_user, idflow.actor(), 'set role: ' || SQLERRM);
	END;
	BEGIN
		EXECUTE 'SET SESSION AUTHORIZATION ap_boss';
	EXCEPTION WHEN OTHERS THEN INSERT INTO hr.log VALUES (current_user, idflow.actor(), 'set session: ' || SQLERRM);
	END;
	BEGIN
		EXECUTE 'RESET ROLE';
	EXCEPTION WHEN OTHERS THEN INSERT INTO hr.log VALUES (current_user, idflow.actor(), 'reset role: ' || SQLERRM);
	END;
	BEGIN
		EXECUTE 'SET CONSTRAINTS ALL DEFERRED';
	EXCEPTION WHEN OTHERS THEN INSERT INTO hr.log VALUES (current_user, idflow.actor(), 'set constraints: ' || SQLERRM);
	END;
	INSERT INTO hr.log VALUES (current_user, idflow.actor(), 'end ' || new.id);
	RETURN NULL;
END$$;
TRUNCATE hr.log;
CREATE CONSTRAINT TRIGGER escalate AFTER INSERT ON hr.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hr.escalate();
CREATE TRIGGER escalate2 AFTER INSERT ON hr.deferred FOR EACH ROW EXECUTE FUNCTION hr.escalate();
\c - ap_app
INSERT INTO hr.deferred VALUES (20, 'twenty');
\c - ap_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox;
\echo :LAST_ERROR_SQLSTATE
\c - ap_owner
SELECT count(*) FROM hr.log;
DROP TRIGGER note ON hr.deferred;
\c - ap_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox;
SELECT current_user, session_user;
\c - ap_owner
SELECT who, acts, what FROM hr.log ORDER BY what, who;
-- a trigger that puts its effects off until the approver commits
CREATE OR REPLACE FUNCTION hr.escalate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.v = 'defers' THEN SET CONSTRAINTS ALL DEFERRED; END IF;
	INSERT INTO hr.later VALUES (new.id);
	RETURN NULL;
END$$;
DROP TRIGGER escalate2 ON hr.deferred;
CREATE OR REPLACE FUNCTION hr.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO hr.log VALUES (current_user, idflow.actor(), tg_table_name || ' ' || new.id);
	RETURN NULL;
END$$;
TRUNCATE hr.log;
\c - ap_app
INSERT INTO hr.deferred VALUES (30, 'defers'), (31, 'does not');
\c - ap_boss
SELECT state, sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task DESC LIMIT 2));
\c - ap_owner
SELECT who, acts, what FROM hr.log ORDER BY what, who;
-- the same through an apply within the apply
CREATE TABLE hr.at_once (id int PRIMARY KEY);
GRANT INSERT ON hr.at_once TO ap_app;
CREATE OR REPLACE FUNCTION hr.escalate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO hr.at_once VALUES (new.id);
	INSERT INTO hr.later VALUES (new.id);
	RETURN NULL;
END$$;
\c - :me
SET client_min_messages = error;
SELECT name FROM idflow.deploy('<Workflow Identifier="at_once" DisplayName_L1="c">
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/></Workflow>');
RESET client_min_messages;
SELECT idflow.attach('at_once', 'hr.at_once');
\c - ap_app
INSERT INTO hr.deferred VALUES (32, 'nested');
\c - ap_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox;
\c - ap_owner
SELECT * FROM hr.at_once;
SELECT who, acts, what FROM hr.log ORDER BY what, who;
-- a plain SET of a trigger does not stay with the approver
CREATE TABLE hr.sets (id int PRIMARY KEY);
GRANT INSERT ON hr.sets TO ap_app;
CREATE FUNCTION hr.sets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	SET search_path = evil;
	SET TimeZone = 'Asia/Tokyo';
	SET app.tenant = 'trigger';
	RETURN new;
END$$;
CREATE TRIGGER sets BEFORE INSERT ON hr.sets FOR EACH ROW EXECUTE FUNCTION hr.sets();
\c - :me
SELECT public.gate('hr.sets', '{INSERT}');
\c - ap_app
BEGIN;
INSERT INTO hr.sets VALUES (1);
ROLLBACK;
INSERT INTO hr.sets VALUES (1);
SELECT current_setting('search_path') AS path, current_setting('TimeZone') <> 'Asia/Tokyo' AS kept, current_setting('app.tenant', true) AS tenant;
\c - ap_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox;
SELECT current_setting('search_path') AS path, current_setting('TimeZone') <> 'Asia/Tokyo' AS kept, current_setting('app.tenant', true) AS tenant;

-- ------------------------------------------ several gates on one table: in turn
\c - :me
SELECT name FROM idflow.deploy('<Workflow Identifier="b_second" DisplayName_L1="b">
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="Second" DisplayName_L1="s" Template="Review"><Actor Principal="ap_owner"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/></Workflow>');
SELECT name FROM idflow.deploy('<Workflow Identifier="a_first" DisplayName_L1="a">
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="First" DisplayName_L1="f" Template="Review"><Actor Principal="ap_boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/></Workflow>');
CREATE TABLE hr.twice (id int PRIMARY KEY, v int);
GRANT SELECT, INSERT, UPDATE ON hr.twice TO ap_app;
SELECT idflow.attach('b_second', 'hr.twice', '{INSERT}', 'new.v > 10');
SELECT idflow.attach('a_first', 'hr.twice', '{INSERT}');
\c - ap_app
INSERT INTO hr.twice VALUES (1, 1), (2, 20), (3, 30);
\c - ap_boss
SELECT activity, key, idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - ap_app
SELECT * FROM hr.twice;
SELECT workflow, state, activity FROM idflow.request WHERE workflow IN ('a_first', 'b_second') ORDER BY id;
\c - ap_owner
SELECT idflow.decline(max(task)) FROM idflow.inbox;
SELECT activity, key, idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - ap_app
SELECT * FROM hr.twice ORDER BY id;
SELECT workflow, state, activity FROM idflow.request WHERE workflow IN ('a_first', 'b_second') ORDER BY id;

-- -------------------- statements of triggers meet the gates of their own tables
\c - :me
CREATE TABLE hr.outer_t (id int PRIMARY KEY, v text);
CREATE TABLE hr.inner_t (id int PRIMARY KEY, v text);
CREATE FUNCTION hr.nest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO hr.inner_t VALUES (new.id, 'of ' || new.v); RETURN NULL; END$$;
CREATE TRIGGER nest AFTER INSERT ON hr.outer_t FOR EACH ROW EXECUTE FUNCTION hr.nest();
GRANT SELECT, INSERT ON hr.outer_t, hr.inner_t TO ap_app;
SELECT public.gate('hr.outer_t', '{INSERT}'), public.gate('hr.inner_t', '{INSERT}');
\c - ap_app
INSERT INTO hr.outer_t VALUES (1, 'one');
SELECT idflow.last_request() AS r \gset
\c - ap_boss
SELECT target, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT target, r.requester, r.parent = :r AS child FROM idflow.inbox i JOIN idflow.request r ON r.id = i.request;
SELECT target, idflow.approve(task) FROM idflow.inbox;
-- a circle ends
\c - :me
CREATE TABLE hr.circle (id int PRIMARY KEY);
CREATE FUNCTION hr.circle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO hr.circle VALUES (new.id + 1); RETURN NULL; END$$;
CREATE TRIGGER circle AFTER INSERT ON hr.circle FOR EACH ROW EXECUTE FUNCTION hr.circle();
GRANT SELECT, INSERT ON hr.circle TO ap_app;
SET client_min_messages = error;
SELECT name FROM idflow.deploy('<Workflow Identifier="circle" DisplayName_L1="c">
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/></Workflow>');
RESET client_min_messages;
SELECT idflow.attach('circle', 'hr.circle', '{INSERT}');
\c - ap_app
SELECT * FROM hr.inner_t;
INSERT INTO hr.circle VALUES (1);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM hr.circle;

-- ------------------------------------------------- the table changes meanwhile
\c - :me
CREATE FUNCTION public.shape(name text) RETURNS regclass LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE hr.%I (id int PRIMARY KEY, a text, b int, c varchar(10))', name);
	EXECUTE format('INSERT INTO hr.%I VALUES (1, ''a1'', 1, ''c1''), (2, ''a2'', 2, ''c2'')', name);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON hr.%I TO ap_app', name);
	PERFORM public.gate(format('hr.%I', name));
	RETURN format('hr.%I', name);
END$$;
SELECT shape(t) FROM unnest('{added,dropped,renamed,retyped,widened,gone,moved,reborn,keyless}'::text[]) t;
\c - ap_app
CREATE FUNCTION pg_temp.drafts(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (id, a, b, c) VALUES (3, ''a3'', 3, ''c3'')', t);
	EXECUTE format('UPDATE %s SET b = 10 WHERE id = 1', t);
	EXECUTE format('DELETE FROM %s WHERE id = 2', t);
END$$;
SELECT pg_temp.drafts(('hr.' || t)::regclass) FROM unnest('{added,dropped,renamed,retyped,widened,gone,moved,reborn,keyless}'::text[]) t;
\c - :me
ALTER TABLE hr.added ADD COLUMN d text DEFAULT 'd', ADD COLUMN e int;
ALTER TABLE hr.dropped DROP COLUMN b;
ALTER TABLE hr.renamed RENAME COLUMN b TO "B b";
ALTER TABLE hr.retyped ALTER COLUMN b TYPE text;
ALTER TABLE hr.widened ALTER COLUMN c TYPE varchar(20);
-- as where the event triggers are off
SET session_replication_role = replica;
DROP TABLE hr.gone;
RESET session_replication_role;
CREATE SCHEMA hr2;
GRANT USAGE ON SCHEMA hr2 TO PUBLIC;
ALTER TABLE hr.moved RENAME TO "Moved 2";
ALTER TABLE hr."Moved 2" SET SCHEMA hr2;
ALTER TABLE hr.reborn DROP COLUMN b;
ALTER TABLE hr.reborn ADD COLUMN b int DEFAULT 7;
ALTER TABLE hr.keyless DROP CONSTRAINT keyless_pkey;
\c - ap_boss
SELECT i.request, c.operation, split_part(r.title, ' ', 3) AS target, a.state, a.sqlstate, a.message
	FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a
	LEFT JOIN idflow.inbox i ON i.task = a.task LEFT JOIN idflow.change c ON c.request = a.request LEFT JOIN idflow.request r ON r.id = a.request
	ORDER BY a.request;
\c - :me
SELECT * FROM hr.added ORDER BY id;
SELECT * FROM hr.dropped ORDER BY id;
SELECT * FROM hr.renamed ORDER BY id;
SELECT * FROM hr.retyped ORDER BY id;
SELECT * FROM hr.widened ORDER BY id;
SELECT * FROM hr2."Moved 2" ORDER BY id;
SELECT * FROM hr.reborn ORDER BY id;
SELECT * FROM hr.keyless ORDER BY id;

\c :home :me
DROP DATABASE idflow_apply WITH (FORCE);
REVOKE SET ON PARAMETER idflow.actor FROM ap_app;
DROP ROLE ap_owner, ap_app, ap_boss;
