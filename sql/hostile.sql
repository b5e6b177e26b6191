-- Roles that are entitled to little try to get more: to act as others, to
-- approve what they asked for, to have their code run as somebody else, to get
-- past gates, to see what is not theirs, to break things.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT current_database() AS home, current_user AS super \gset
CREATE DATABASE idflow_hostile;
CREATE ROLE ho_app LOGIN;			-- an application's role, may name the actor
CREATE ROLE ho_plain LOGIN;			-- another, may not
CREATE ROLE ho_req LOGIN;			-- asks
CREATE ROLE ho_appr LOGIN;			-- decides
CREATE ROLE ho_owner LOGIN;			-- owns the tables, is no idflow_admin
CREATE ROLE ho_spy LOGIN;			-- has nothing to do with any of it
GRANT CREATE ON DATABASE idflow_hostile TO ho_owner, ho_spy;
\c idflow_hostile
SET client_min_messages = warning;

-- ------------------------------------------------- a schema that waits for us

SET ROLE ho_spy;
CREATE SCHEMA idflow;
RESET ROLE;
CREATE EXTENSION idflow;
ALTER SCHEMA idflow OWNER TO :super;
CREATE FUNCTION idflow.approve(int) RETURNS text LANGUAGE sql AS 'SELECT ''trojan''';
CREATE EXTENSION idflow;
DROP FUNCTION idflow.approve(int);
GRANT CREATE ON SCHEMA idflow TO PUBLIC;
CREATE EXTENSION idflow;
SET ROLE ho_spy;
CREATE FUNCTION idflow.approve(int) RETURNS text LANGUAGE sql AS 'SELECT ''trojan''';
RESET ROLE;

CREATE ROLE ho_dep IN ROLE idflow_admin;	-- deploys, is no superuser
GRANT ho_owner TO ho_dep;
CREATE SCHEMA ho AUTHORIZATION ho_owner;
GRANT USAGE ON SCHEMA ho TO PUBLIC;
SET ROLE ho_owner;
CREATE TABLE ho.person (id int PRIMARY KEY, login text UNIQUE, name text, salary int DEFAULT 4711, mood text);
GRANT INSERT (id, login, name), UPDATE (name), SELECT (id, name) ON ho.person TO ho_req, ho_app, ho_plain;
GRANT DELETE ON ho.person TO ho_req;
GRANT UPDATE, INSERT ON ho.person TO ho_appr;
INSERT INTO ho.person VALUES (1, 'ann', 'Ann', 100), (2, 'ben', 'Ben', 200), (3, 'cy', 'Cy', 300);
RESET ROLE;
SET ROLE ho_dep;
SELECT idflow.require_approval('ho.person', expression => '''ho_appr''', operations => '{INSERT,UPDATE,DELETE}');
RESET ROLE;

-- --------------------------------------------------------- to act as another

-- a placeholder, before the library is loaded; it is not believed then
\c - ho_plain
SET idflow.actor = 'ho_appr';
SELECT idflow.actor();
SET idflow.actor = 'ho_appr';
SET LOCAL idflow.actor = 'ho_appr';
SELECT set_config('idflow.actor', 'ho_appr', false);
SET idflow.actor_function = 'ho.me';
SET idflow.require_actor = off;
SET idflow.context = 'role';
\c - ho_plain
BEGIN;
SET LOCAL idflow.actor = 'ho_appr';
INSERT INTO ho.person (id, login, name) VALUES (10, 'eve', 'Eve');
COMMIT;
SELECT requester FROM idflow.request;
-- as a setting of the role, which takes effect as a placeholder
\c - :super
SET client_min_messages = warning;
SET ROLE ho_plain;
ALTER ROLE ho_plain SET idflow.actor = 'ho_appr';
RESET ROLE;
\c - ho_plain
ALTER ROLE ho_plain SET idflow.actor = 'ho_appr';
\c - ho_plain
SELECT idflow.actor();
SELECT idflow.actor();
ALTER ROLE ho_plain RESET idflow.actor;
\setenv PGOPTIONS '-c idflow.actor=ho_appr'
\c - ho_plain
SELECT idflow.actor();
\setenv PGOPTIONS
\c - ho_plain
-- of a function
CREATE FUNCTION pg_temp.as_another() RETURNS text LANGUAGE sql SET idflow.actor = 'ho_appr' AS 'SELECT idflow.actor()';
SELECT idflow.actor();
CREATE FUNCTION pg_temp.as_another() RETURNS text LANGUAGE sql SET idflow.actor = 'ho_appr' AS 'SELECT idflow.actor()';
LOAD 'idflow';
SELECT idflow.last_request() IS NULL AS nothing, idflow.is_admin();

-- SECURITY DEFINER changes the rights, not the actor; the function's owner is
-- who the change is applied as
\c - ho_owner
CREATE FUNCTION ho.definer() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO ho.person (id, login, name) VALUES (11, 'flo', 'Flo');
	RETURN current_user || ' for ' || idflow.actor();
END $$;
GRANT EXECUTE ON FUNCTION ho.definer() TO ho_appr;
SET client_min_messages = warning;
\c - ho_appr
SET client_min_messages = warning;
SELECT ho.definer();
SELECT requester FROM idflow.request WHERE id = idflow.last_request();
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = idflow.last_request();
SELECT idflow.withdraw(idflow.last_request());

-- an actor's name gives no right of a role
\c - :super
GRANT SET ON PARAMETER idflow.actor TO ho_app;
\c - ho_app
SET idflow.actor = 'idflow_admin';
SELECT idflow.actor(), idflow.is_admin();
SELECT idflow.bypass('let me');
SELECT count(*) FROM idflow.inbox;
SET idflow.actor = 'idflow_auditor';
SELECT count(*) FROM idflow.request;
SET idflow.actor = :'super';
SELECT idflow.is_admin(), count(*) FROM idflow.request;
SELECT idflow.add_candidate(1, 'ho_app');
SELECT idflow.reassign(1);
SELECT idflow.set_directory('pg_class');
SELECT * FROM idflow.directory;

-- -------------------------------------------------- to approve one's own wish

\c - :super
SET client_min_messages = warning;
GRANT ho_req TO ho_appr;
SET SESSION AUTHORIZATION ho_appr;
SET client_min_messages = warning;
UPDATE ho.person SET name = 'Anna' WHERE id = 1;
SELECT request, blocked FROM idflow.inbox WHERE requester = 'ho_appr';
SELECT idflow.last_request() AS own \gset
SELECT task AS own_task FROM idflow.inbox WHERE request = :own \gset
SELECT idflow.approve(:own_task);
SELECT * FROM idflow.approve_all(ARRAY[:own_task]) WHERE sqlstate <> 'WF007';
SELECT idflow.execute(:own_task);
SELECT idflow.save(:own_task, '{"name": "Anne"}');
SELECT idflow.approve(:own_task);
SELECT idflow.claim(:own_task), idflow.release(:own_task);
SELECT idflow.delegate(:own_task, 'ho_appr');
SELECT idflow.rebase(:own);
SELECT idflow.approve(:own_task);
SELECT idflow.withdraw(:own);
-- to edit somebody's draft and approve it
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION ho_req;
UPDATE ho.person SET name = 'Bea' WHERE id = 2;
SELECT idflow.last_request() AS theirs \gset
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION ho_appr;
SELECT task AS their_task FROM idflow.inbox WHERE request = :theirs \gset
SELECT idflow.save(:their_task, '{"name": "Mine"}');
SELECT idflow.approve(:their_task);
BEGIN;
SAVEPOINT s;
SELECT idflow.save(:their_task, '{"name": "Mine too"}');
ROLLBACK TO s;
SELECT idflow.approve(:their_task);
ROLLBACK;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION ho_req;
SELECT idflow.withdraw(:theirs);
RESET SESSION AUTHORIZATION;
REVOKE ho_req FROM ho_appr;

-- --------------------------------------- code of the owner's, run at the apply

SET ROLE ho_owner;
CREATE TABLE ho.seen (who text, what text);
GRANT INSERT ON ho.seen TO PUBLIC;
CREATE FUNCTION ho.later() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'later, as %', current_user;
	RETURN 1;
END $$;
CREATE FUNCTION ho.try(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE WARNING 'could "%" as %', statement, current_user;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%: %', statement, regexp_replace(sqlerrm, 'request \d+', 'request');
END $$;
CREATE FUNCTION ho.at_apply() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.name = 'Trick' AND session_user = 'ho_appr' THEN
		RAISE WARNING 'trigger runs as %', current_user;
		PERFORM ho.try('SET ROLE ho_appr');
		PERFORM ho.try('RESET ROLE');
		PERFORM ho.try('SET SESSION AUTHORIZATION ho_appr');
		PERFORM ho.try('RESET SESSION AUTHORIZATION');
		PERFORM ho.try('SET idflow.actor = ho_appr');
		PERFORM ho.try('DECLARE c CURSOR WITH HOLD FOR SELECT ho.later()');
		PERFORM ho.try('CREATE TEMP TABLE inbox (i int)');
		PERFORM ho.try('CREATE TABLE pg_temp.inbox (i int)');
		PERFORM ho.try('SET search_path = pg_temp; CREATE TABLE inbox (i int)');
		PERFORM ho.try('CREATE TEMP TABLE inbox AS SELECT 1');
		PERFORM ho.try('SELECT 1 INTO TEMP inbox');
		PERFORM ho.try('CREATE TEMP VIEW inbox AS SELECT ho.later()');
		PERFORM ho.try('CREATE TEMP SEQUENCE inbox');
		PERFORM ho.try('CREATE TYPE pg_temp.inbox AS (i int)');
		PERFORM ho.try('CREATE TYPE pg_temp.inbox AS ENUM ()');
		PERFORM ho.try('CREATE TYPE pg_temp.inbox AS RANGE (subtype = int)');
		PERFORM ho.try('CREATE DOMAIN pg_temp.inbox AS int CHECK (ho.later() = value)');
		PERFORM ho.try('PREPARE s_1 AS SELECT ho.later()');
		PERFORM ho.try('DEALLOCATE ALL');
		PERFORM ho.try('CLOSE ALL');
		PERFORM ho.try('LISTEN x');
		PERFORM ho.try('UNLISTEN *');
		PERFORM ho.try('DISCARD TEMP');
		PERFORM ho.try('COMMIT');
		PERFORM ho.try('SELECT idflow.withdraw(idflow.applying())');
		PERFORM ho.try('SELECT idflow.comment(idflow.applying(), ''x'')');
		PERFORM ho.try('SELECT idflow.approve(max(id)) FROM idflow.task WHERE request = idflow.applying()');
		PERFORM ho.try('SET work_mem = ''65MB''');
		PERFORM set_config('search_path', 'ho', false);
		PERFORM ho.try('UPDATE ho.person SET salary = 1');
	END IF;
	RETURN new;
END $$;
CREATE TRIGGER tricks BEFORE UPDATE ON ho.person FOR EACH ROW EXECUTE FUNCTION ho.at_apply();
CREATE FUNCTION ho.after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ho.seen VALUES (current_user, tg_name);
	RETURN null;
END $$;
CREATE TRIGGER after_row AFTER UPDATE ON ho.person FOR EACH ROW EXECUTE FUNCTION ho.after();
CREATE TRIGGER after_statement AFTER UPDATE ON ho.person FOR EACH STATEMENT EXECUTE FUNCTION ho.after();
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON ho.person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ho.after();
RESET ROLE;
\c - ho_req
SET client_min_messages = warning;
UPDATE ho.person SET name = 'Trick' WHERE id = 3;
SELECT idflow.last_request() AS trick \gset
\c - ho_appr
SET client_min_messages = warning;
BEGIN;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :trick;
SELECT current_user, session_user, idflow.actor(), current_setting('search_path'), current_setting('work_mem') <> '65MB' AS as_before;
COMMIT;
FETCH c;
SELECT idflow.applying(), to_regclass('pg_temp.inbox'), (SELECT count(*) FROM pg_prepared_statements),
	(SELECT count(*) FROM pg_cursors WHERE name = 'c'), (SELECT count(*) FROM pg_listening_channels());
\c - :super
SET client_min_messages = warning;
SELECT * FROM ho.seen ORDER BY 2;
SELECT id, name, salary FROM ho.person ORDER BY id;
DROP TRIGGER tricks ON ho.person;
DROP TRIGGER deferred ON ho.person;

-- -------------------------- code of the owner's, run in the deployer's expressions

SET ROLE ho_owner;
CREATE TYPE ho.mood AS ENUM ('good', 'bad');
CREATE FUNCTION ho.mood_text(ho.mood) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE WARNING 'cast to text as %', current_user; RETURN 'x'; END $$;
CREATE FUNCTION ho.mood_json(ho.mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE WARNING 'cast to json as %', current_user; RETURN '1'; END $$;
CREATE FUNCTION ho.mood_equal(ho.mood, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE WARNING 'operator as %', current_user; RETURN true; END $$;
CREATE FUNCTION ho.is_fine(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE WARNING 'domain as %', current_user; RETURN true; END $$;
CREATE DOMAIN ho.fine AS text CHECK (ho.is_fine(value));
CREATE VIEW ho.boss AS SELECT 'ho_appr'::text AS who;
GRANT SELECT ON ho.boss TO PUBLIC;
CREATE TABLE ho.note (id int PRIMARY KEY, mood text, body text);
GRANT INSERT ON ho.note TO ho_req;
RESET ROLE;
SET ROLE ho_dep;
-- what cannot be trusted now is refused at once
SELECT idflow.require_approval('ho.note', expression => '(SELECT ''ho_appr''::ho.fine)');
SELECT idflow.require_approval('ho.note', expression => 'CASE WHEN ho.is_fine(new.body) THEN ''ho_appr'' END');
SELECT count(*) FROM idflow.deploy('<Workflow Identifier="note" DisplayName_L1="Note" Title="SQL:to_jsonb(new)::text || new.mood::text">
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review">
		<Actor Expression="SQL:(SELECT who FROM ho.boss WHERE new.mood = ''good''::text OR true)"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
SELECT idflow.attach('note', 'ho.note');
RESET ROLE;
SET ROLE ho_req;
INSERT INTO ho.note VALUES (1, 'good', 'a');
RESET ROLE;
-- a view that changes its mind; its function is constant, so planning would call it
SET ROLE ho_owner;
CREATE FUNCTION ho.who() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE WARNING 'view as %', current_user; RETURN 'ho_appr'; END $$;
CREATE OR REPLACE VIEW ho.boss AS SELECT ho.who() AS who;
RESET ROLE;
SET ROLE ho_req;
INSERT INTO ho.note VALUES (2, 'good', 'a');
RESET ROLE;
SET ROLE ho_owner;
CREATE OR REPLACE VIEW ho.boss AS SELECT 'ho_appr'::text AS who;
RESET ROLE;
-- a column that gets a type with code
ALTER TABLE ho.note ALTER mood TYPE ho.mood USING 'good';
SET ROLE ho_owner;
CREATE CAST (ho.mood AS json) WITH FUNCTION ho.mood_json(ho.mood);
RESET ROLE;
SET ROLE ho_req;
INSERT INTO ho.note VALUES (3, 'good', 'a');
RESET ROLE;
SET ROLE ho_owner;
DROP CAST (ho.mood AS json);
CREATE CAST (ho.mood AS text) WITH FUNCTION ho.mood_text(ho.mood) AS IMPLICIT;
RESET ROLE;
SET ROLE ho_req;
INSERT INTO ho.note VALUES (4, 'good', 'a');
RESET ROLE;
SET ROLE ho_owner;
DROP CAST (ho.mood AS text);
RESET ROLE;
-- a directory that changes its mind
SET ROLE ho_owner;
CREATE VIEW ho.directory AS SELECT 'ho_appr'::text AS principal, 'boss'::text AS profile;
GRANT SELECT ON ho.directory TO ho_dep;
RESET ROLE;
SET ROLE ho_dep;
SELECT idflow.set_directory('ho.directory');
SET ROLE ho_owner;
CREATE OR REPLACE VIEW ho.directory AS SELECT ho.who() AS principal, 'boss'::text AS profile;
SET ROLE ho_appr;
SELECT idflow.my_keys();
SET ROLE ho_dep;
SELECT idflow.set_directory(NULL);
RESET ROLE;

-- ----------------------------------------- operators and names in one's own path

CREATE SCHEMA evil AUTHORIZATION ho_spy;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET ROLE ho_spy;
-- an operator of every name for every type that idflow's tables have
DO $$
DECLARE
	op text;
	typ text;
	result text;
	n int := 0;
BEGIN
	FOREACH op IN ARRAY '{=,<>,<,>,<=,>=,+,-,||,~~,@>,<@,<<,|,&}'::text[] LOOP
		FOREACH typ IN ARRAY '{int8,int4,int2,text,oid,text[],name,bool,timestamptz,regclass,int2[],oid[],jsonb,bytea}'::text[] LOOP
			n := n + 1;
			result := CASE WHEN op IN ('+', '-', '||', '|', '&', '<<') THEN typ ELSE 'bool' END;
			EXECUTE format('CREATE FUNCTION evil.f%s(%s, %2$s) RETURNS %3$s LANGUAGE plpgsql AS %4$L', n, typ, result,
				format('BEGIN IF current_user NOT IN (''ho_spy'', ''ho_req'') THEN RAISE WARNING ''%s of %s runs as %%'', current_user; END IF; RETURN NULL; END', op, typ));
			EXECUTE format('CREATE OPERATOR evil.%s (leftarg = %s, rightarg = %2$s, function = evil.f%3$s)', op, typ, n);
		END LOOP;
	END LOOP;
	FOREACH op IN ARRAY '{now(),clock_timestamp(),unnest(anyarray),count(anyelement),max(int8),starts_with(text;text),substr(text;int),right(text;int),format(text;text),array_agg(text),actor(),is_admin(),visible(),is_state(text;text)}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION evil.%s RETURNS text LANGUAGE plpgsql AS %L', replace(op, ';', ','),
			'BEGIN RAISE WARNING ''function runs as %'', current_user; RETURN NULL; END');
	END LOOP;
	EXECUTE 'CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.now() = value)';
END $$;
RESET ROLE;
GRANT INSERT, SELECT, UPDATE, DELETE ON ho.person TO ho_spy;
SET ROLE ho_spy;
CREATE TEMP TABLE request (id int);
CREATE TEMP TABLE person (id int);
CREATE TEMP TABLE pg_class (oid oid);
SET search_path = evil, pg_temp, pg_catalog;
INSERT INTO ho.person (id, login, name) VALUES (20, 'gil', 'Gil');
SELECT idflow.last_request() IS NOT NULL AS requested;
SELECT idflow.last_request() AS r \gset
SELECT id OPERATOR(pg_catalog.=) :r AS it, requester, state FROM idflow.request WHERE state OPERATOR(pg_catalog.=) 'open';
SELECT operation, new_row FROM idflow.change;
SELECT operation, column_name, draft FROM idflow.change_diff;
SELECT * FROM idflow.drafts(NULL::ho.person);
SELECT pg_catalog.count(*) FROM idflow.pending('ho.person', '{"id": 20}');
SELECT reason, on_whom FROM idflow.waiting;
SELECT principal, via FROM idflow.decider;
SELECT transition, to_state FROM idflow.event;
SELECT pg_catalog.count(*) FROM idflow.inbox;
SELECT pg_catalog.count(*) FROM idflow.gate;
SELECT idflow.comment(:r, 'x') IS NOT NULL AS commented;
SELECT idflow.rebase(:r), idflow.withdraw(:r), idflow.purge(:r);
BEGIN;
SELECT idflow.begin_request('mine') AS r \gset
DELETE FROM ho.person WHERE id OPERATOR(pg_catalog.=) 1;
SELECT idflow.resume_request(:r);
SELECT idflow.submit(:r);
COMMIT;
CREATE TABLE evil.t (id int);
ALTER TABLE evil.t ADD x int;
DROP TABLE evil.t;
SELECT pg_catalog.count(*) FROM idflow.activity_templates();
SELECT pg_catalog.count(*) FROM idflow.validate('<x/>');
SELECT pg_catalog.count(*) FROM idflow.ready();
RESET ROLE;
-- who decides has a path of his own, too
SET ROLE ho_appr;
SELECT task AS t FROM idflow.inbox WHERE request OPERATOR(pg_catalog.=) :r \gset
SELECT idflow.claim(:t), idflow.release(:t), idflow.decline(:t);
RESET ROLE;
SET ROLE ho_dep;
SELECT idflow.set_directory(NULL);
SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 FROM idflow.directory;
SELECT idflow.disable('a reason', 'ho.note'), idflow.enable('ho.note');
SELECT idflow.detach('note', 'ho.note');
SELECT idflow.detach('note', 'ho.note', true);
SELECT idflow.export('note') IS NOT NULL AS exported;
RESET ROLE;
RESET search_path;
REVOKE ALL ON ho.person FROM ho_spy;

-- ------------------------------------------------------------- past the gate

SET ROLE ho_owner;
ALTER TABLE ho.person DISABLE TRIGGER ALL;
ALTER TABLE ho.person DISABLE TRIGGER USER;
SET session_replication_role = replica;
CREATE RULE past AS ON UPDATE TO ho.person DO INSTEAD NOTHING;
CREATE TRIGGER " first" BEFORE UPDATE ON ho.person FOR EACH ROW EXECUTE FUNCTION ho.at_apply();
CREATE TRIGGER mine BEFORE INSERT ON ho.note FOR EACH ROW EXECUTE FUNCTION idflow.gate('note', 'mine');
CREATE TRIGGER mine BEFORE TRUNCATE ON ho.note EXECUTE FUNCTION idflow.refuse_truncate();
ALTER TRIGGER "!idflow_000_truncate" ON ho.person RENAME TO x;
TRUNCATE ho.person;
DROP TRIGGER "!idflow_000_truncate" ON ho.person;
DROP FUNCTION idflow.gate() CASCADE;
ALTER TABLE ho.person ALTER name TYPE text USING 'past';
CREATE TABLE ho.child () INHERITS (ho.person);
SELECT idflow.disable('why not'), idflow.enable();
SELECT idflow.detach('person_approval', 'ho.person');
SELECT idflow.guard_record('ho.person'::regclass, 'x', 'x');
-- nor by a view, which takes the statement to the table and its gate
CREATE VIEW ho.person_view AS SELECT * FROM ho.person;
UPDATE ho.person_view SET salary = 9 WHERE id = 1;
SELECT idflow.withdraw(idflow.last_request());
MERGE INTO ho.person p USING (SELECT 1 AS id) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET salary = 9;
SELECT idflow.withdraw(idflow.last_request());
INSERT INTO ho.person VALUES (1, 'ann') ON CONFLICT (id) DO UPDATE SET salary = 9;
COPY ho.person (id, login) FROM stdin;
50	fifty
\.
SELECT idflow.withdraw(idflow.last_request());
-- nor by what looks like the statement of an apply
/* idflow 1 2 3 */ UPDATE ho.person SET salary = 9 WHERE id = 1;
SELECT idflow.withdraw(idflow.last_request());
-- a partition that brings rows, and an index whose expression is code
CREATE TABLE ho.log (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
RESET ROLE;
SET ROLE ho_dep;
SELECT idflow.require_approval('ho.log', expression => '''ho_appr''');
RESET ROLE;
SET ROLE ho_owner;
CREATE FUNCTION ho.indexed(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF current_user <> 'ho_owner' THEN RAISE WARNING 'index as %', current_user; END IF; RETURN 1; END $$;
CREATE TABLE ho.log_1 (id int PRIMARY KEY, n int);
CREATE INDEX ON ho.log_1 ((ho.indexed(1) + n));
INSERT INTO ho.log_1 VALUES (1);
ALTER TABLE ho.log_1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE ho.log ATTACH PARTITION ho.log_1 FOR VALUES FROM (0) TO (10);
DELETE FROM ho.log_1;
TRUNCATE ho.log_1;
ALTER TABLE ho.log ATTACH PARTITION ho.log_1 FOR VALUES FROM (0) TO (10);
-- refused before it has begun, since it can't be undone
ALTER TABLE ho.log DETACH PARTITION ho.log_1;
ALTER TABLE ho.log DETACH PARTITION ho.log_1 CONCURRENTLY;
ALTER TABLE ho.log DETACH/**/PARTITION ho.log_1 concURRENTLY;
SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'ho.log_1'::regclass;
RESET ROLE;
SELECT id, name, salary FROM ho.person ORDER BY id;

-- ------------------------------------------------------- what is not for all

-- rows and columns: what a role may not write it may not ask for
\c - ho_req
SET client_min_messages = warning;
INSERT INTO ho.person (id, salary) VALUES (30, 1);
UPDATE ho.person SET salary = 1;
UPDATE ho.person SET name = 'x' WHERE salary > 0;
-- the key of a row that he may not see whole tells its columns only where he may
INSERT INTO ho.person (id, login) VALUES (31, 'ben');
INSERT INTO ho.person (id, login) VALUES (2, 'dan');
INSERT INTO ho.person (id, login, name) VALUES (32, 'dan', 'Dan');
SELECT idflow.last_request() AS dan \gset
INSERT INTO ho.person (id, login, name) VALUES (33, 'dan', 'Dan');
-- defaults stay hidden, in every view
SELECT new_row FROM idflow.change WHERE request = :dan;
SELECT column_name, draft FROM idflow.change_diff WHERE request = :dan;
SELECT * FROM idflow.drafts(NULL::ho.person, :dan);
SELECT idflow.change_image(:dan, 1, 'new');
SELECT new_image FROM idflow.change_data;
SELECT salt FROM idflow.change_data;
SELECT context FROM idflow.change_data;
SELECT count(*) FROM idflow.layout;
SELECT count(*) FROM idflow.pending_key;
SELECT count(*) FROM idflow.participant;
SELECT count(*) FROM idflow.profile_member;
SELECT count(*) FROM idflow.gate_off;
SELECT idflow.pending('ho.person', '{"login": "dan"}');
UPDATE idflow.request SET state = 'committed';
DELETE FROM idflow.event;
INSERT INTO idflow.vote VALUES (1);
SELECT nextval('idflow.request_id_seq');
-- statistics of tables with policies are for those whom these don't bind
SELECT count(*) FROM pg_stats WHERE schemaname = 'idflow' AND tablename IN ('request', 'change_data', 'event', 'vote', 'task', 'candidate');

-- somebody who has nothing to do with it
\c - ho_spy
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.leak(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
	$$ BEGIN RAISE WARNING 'leaked %', $1; RETURN true; END $$;
SELECT id FROM idflow.request WHERE id = :dan AND pg_temp.leak(title);
SELECT request FROM idflow.event WHERE request = :dan AND pg_temp.leak(data);
SELECT request FROM idflow.change WHERE request = :dan AND pg_temp.leak(new_row);
SELECT request FROM idflow.change_diff WHERE request = :dan AND pg_temp.leak(draft);
SELECT request FROM idflow.inbox WHERE request = :dan AND pg_temp.leak(title);
SELECT request FROM idflow.decider WHERE request = :dan AND pg_temp.leak(principal);
SELECT request FROM idflow.waiting WHERE request = :dan AND pg_temp.leak(on_whom);
SELECT idflow.change_image(:dan, 1, 'new'), idflow.change_image(:dan, 1, 'key'), idflow.decidable(:dan);
SELECT * FROM idflow.change_diff_rows(:dan);
SELECT * FROM idflow.decider_rows(:dan);
SELECT count(*) FROM idflow.drafts(NULL::ho.person);
SELECT idflow.pending('ho.person', '{"id": 1}');
SELECT idflow.visible() ORDER BY 1;
-- numbers guessed: that they exist, and no more
\c - :super
SELECT id AS task FROM idflow.task WHERE request = :dan \gset
SELECT id AS closed FROM idflow.task WHERE request = :trick \gset
\c - ho_spy
SELECT idflow.comment(:dan, 'x');
SELECT idflow.withdraw(:dan);
SELECT idflow.submit(:dan);
SELECT idflow.resume_request(:dan);
SELECT idflow.purge(:dan);
SELECT idflow.retry(:dan);
SELECT idflow.rebase(:dan);
SELECT idflow.resolve(:dan, 1, '{}');
SELECT idflow.rebase(:trick);
SELECT idflow.approve(:task);
SELECT idflow.execute(:task);
SELECT idflow.save(:task, '{"name": "x"}');
SELECT idflow.claim(:task);
SELECT idflow.release(:task);
SELECT idflow.abort(:task);
SELECT idflow.approve(:closed);
SELECT sqlstate FROM idflow.approve_all(ARRAY[:task, :closed, 99999999]);
SELECT request, state FROM idflow.decline_all(ARRAY[:task, :closed]);

-- row-level security, of the table's
\c - :super
SET client_min_messages = warning;
SET ROLE ho_owner;
CREATE TABLE ho.secret (id int PRIMARY KEY, tenant text, v text);
INSERT INTO ho.secret VALUES (1, 'mine', 'a'), (2, 'theirs', 'b');
ALTER TABLE ho.secret ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION ho.mine(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_user NOT IN ('ho_req') THEN RAISE WARNING 'policy as %', current_user; END IF;
	RETURN $1 = 'mine';
END $$;
CREATE POLICY p ON ho.secret TO PUBLIC USING (ho.mine(tenant)) WITH CHECK (ho.mine(tenant));
GRANT ALL ON ho.secret TO ho_req;
RESET ROLE;
SET ROLE ho_dep;
SELECT idflow.require_approval('ho.secret', expression => '''ho_appr''', operations => '{INSERT,UPDATE,DELETE}');
RESET ROLE;
\c - ho_req
SET client_min_messages = warning;
INSERT INTO ho.secret VALUES (3, 'theirs', 'c');
UPDATE ho.secret SET tenant = 'theirs' WHERE id = 1;
UPDATE ho.secret SET v = 'z' WHERE id = 2;
DELETE FROM ho.secret WHERE id = 2;
SELECT count(*) FROM idflow.pending('ho.secret', '{"id": 2}');
-- a key that is taken by a row out of sight
INSERT INTO ho.secret VALUES (2, 'mine', 'c');
UPDATE ho.secret SET v = 'y' WHERE id = 1;
SELECT idflow.last_request() AS moved \gset
-- the row leaves his sight before it is approved
\c - :super
UPDATE ho.secret SET tenant = 'theirs' WHERE id = 1;
SELECT idflow.withdraw(id) FROM idflow.request WHERE state = 'open' AND id > :moved;
BEGIN;
SELECT idflow.bypass('move it');
UPDATE ho.secret SET tenant = 'theirs' WHERE id = 1;
COMMIT;
\c - ho_req
SELECT old_row, new_row FROM idflow.change WHERE request = :moved;
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :moved;
\c - ho_appr
SET client_min_messages = warning;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :moved;
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :moved;
\c - :super
SELECT state FROM idflow.request WHERE id = :moved;
SELECT * FROM ho.secret ORDER BY id;

-- ---------------------------------------------------------------- to break it

-- every function, with nothing and with odd things: errors, and no trouble of the server's
SET client_min_messages = error;
SET ROLE ho_req;
DO $$
DECLARE
	f record;
	odd text[];
	args text;
	typ text;
	calls int := 0;
BEGIN
	FOR f IN
		SELECT p.proname, p.proargtypes::oid[] AS types
		FROM pg_proc p
		WHERE p.pronamespace = 'idflow'::regnamespace AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		ORDER BY 1
	LOOP
		FOR k IN 0..11 LOOP
			args := '';
			FOR i IN 1..cardinality(f.types) LOOP
				typ := f.types[i - 1]::regtype::text;
				odd := CASE typ
					WHEN 'bigint' THEN ARRAY['NULL', '0', '-1', '9223372036854775807', '-9223372036854775808', '1']
					WHEN 'integer' THEN ARRAY['NULL', '0', '-1', '2147483647', '-2147483648', '1']
					WHEN 'text' THEN ARRAY['NULL', '''''', 'repeat(''x'', 1000000)', 'E''a\n\x01"''', '''key''', '''Review-ReviewPending''']
					WHEN 'jsonb' THEN ARRAY['NULL', '''{}''', '''[]''', '''1''', '''{"1": {"a": {"b": []}}}''', '''{"id": {"a": 1}, "": null}''']
					WHEN 'oid' THEN ARRAY['NULL', '0', '1', '4294967295', '2200', '1259']
					WHEN 'regclass' THEN ARRAY['NULL', '0', '4294967295', '''pg_class''', '''ho.person''', '''idflow.inbox''']
					WHEN 'anyelement' THEN ARRAY['NULL::ho.person', '1', 'row(1, 2)', 'NULL::pg_class', '''x''::text', 'NULL::int[]']
					WHEN 'bytea' THEN ARRAY['NULL', '''''', '''\x00''', '''\xff00ff00''', '''\x6161''', '''\x0000''']
					WHEN 'xml' THEN ARRAY['NULL', '''''', '''<a/>''', '''x''', '''<Workflow/>''', '''<a>&lt;</a>''']
					WHEN 'timestamp with time zone' THEN ARRAY['NULL', '''infinity''', '''-infinity''', 'now()', '''epoch''', 'NULL']
					WHEN 'name' THEN ARRAY['NULL', '''''', 'repeat(''x'', 100)::name', '''a''', '''!idflow_detached''', '''b''']
					WHEN 'boolean' THEN ARRAY['NULL', 'true', 'false', 'true', 'NULL', 'false']
					ELSE ARRAY['NULL', '''{}''', '''{NULL}''', '''{{1,2},{3,4}}''', '''[5:6]={1,2}''', '''{1,2,3}'''] END;
				args := args || CASE WHEN i > 1 THEN ', ' ELSE '' END || '(' || odd[1 + (k + i * (k / 6)) % 6] || ')'
					|| CASE WHEN typ = 'anyelement' THEN '' ELSE '::' || typ END;
			END LOOP;
			BEGIN
				calls := calls + 1;
				EXECUTE format('SELECT * FROM idflow.%I(%s)', f.proname, args);
			EXCEPTION WHEN OTHERS THEN
				IF sqlstate LIKE 'XX%' OR sqlerrm LIKE 'cache lookup%' THEN
					RAISE EXCEPTION 'idflow.%(%): % %', f.proname, left(args, 200), sqlstate, sqlerrm;
				END IF;
			END;
		END LOOP;
	END LOOP;
	RAISE INFO 'enough calls: %', calls > 500;
END $$;
SELECT idflow.gate();
RESET ROLE;
SET client_min_messages = warning;

-- two gated tables whose triggers write to each other
SET ROLE ho_owner;
CREATE TABLE ho.ping (id int PRIMARY KEY);
CREATE TABLE ho.pong (id int PRIMARY KEY);
CREATE FUNCTION ho.bounce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO ho.%I VALUES ($1)', tg_argv[0]) USING new.id + 1;
	RETURN null;
END $$;
CREATE TRIGGER bounce AFTER INSERT ON ho.ping FOR EACH ROW EXECUTE FUNCTION ho.bounce('pong');
CREATE TRIGGER bounce AFTER INSERT ON ho.pong FOR EACH ROW EXECUTE FUNCTION ho.bounce('ping');
GRANT INSERT ON ho.ping, ho.pong TO ho_req;
RESET ROLE;
SET ROLE ho_dep;
SELECT count(*) FROM idflow.deploy('<Workflow Identifier="at_once" DisplayName_L1="At once"><Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
SELECT idflow.attach('at_once', 'ho.ping'), idflow.attach('at_once', 'ho.pong');
RESET ROLE;
SET ROLE ho_req;
-- (how many requests came before depends on the functions called above)
\set VERBOSITY sqlstate
INSERT INTO ho.ping VALUES (1);
\set VERBOSITY default
RESET ROLE;
SELECT count(*) FROM ho.ping;

-- an expression that takes long is under the caller's statement_timeout
SET ROLE ho_owner;
CREATE TABLE ho.slow (id int PRIMARY KEY);
GRANT INSERT ON ho.slow TO ho_req;
CREATE FUNCTION ho.sleep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF session_user = 'ho_appr' THEN PERFORM pg_sleep(60); END IF;
	RETURN null;
END $$;
CREATE TRIGGER sleep AFTER INSERT ON ho.slow FOR EACH ROW EXECUTE FUNCTION ho.sleep();
RESET ROLE;
SET ROLE ho_dep;
SELECT idflow.require_approval('ho.slow', expression => '(SELECT ''ho_appr'' FROM generate_series(1, new.id) g ORDER BY g LIMIT 1)');
RESET ROLE;
\c - ho_req
SET client_min_messages = warning;
SET statement_timeout = '300ms';
INSERT INTO ho.slow VALUES (2000000000);
SET statement_timeout = 0;
SELECT count(*) FROM idflow.request WHERE title LIKE '%slow%';
INSERT INTO ho.slow VALUES (1);
SELECT idflow.last_request() AS slow \gset
-- cancelled in the middle of an apply: all as before
\c - ho_appr
SET client_min_messages = warning;
SELECT task AS slow_task FROM idflow.inbox WHERE request = :slow \gset
SET statement_timeout = '300ms';
SELECT idflow.approve(:slow_task);
SELECT * FROM idflow.approve_all(ARRAY[:slow_task]);
SET statement_timeout = 0;
SELECT current_user, idflow.actor(), idflow.applying();
SELECT given FROM idflow.inbox WHERE task = :slow_task;
\c - :super
SET client_min_messages = warning;
SELECT state, activity_state FROM idflow.request WHERE id = :slow;
SELECT count(*) FROM ho.slow;

-- subtransactions: what is undone is undone
GRANT idflow_admin TO ho_req;
\c - ho_req
SET client_min_messages = warning;
BEGIN;
SAVEPOINT s;
SELECT idflow.bypass('only there');
ROLLBACK TO s;
UPDATE ho.person SET name = 'Nothing' WHERE id = 1;
SELECT state FROM idflow.request WHERE id = idflow.last_request();
ROLLBACK;
BEGIN;
SELECT idflow.bypass('only there');
COMMIT;
BEGIN;
UPDATE ho.person SET name = 'Nothing' WHERE id = 1;
SELECT state FROM idflow.request WHERE id = idflow.last_request();
ROLLBACK;
-- a bypass is his who began it, and no function owner's
BEGIN;
SELECT idflow.bypass('mine');
SELECT ho.definer();
SELECT state FROM idflow.request WHERE id = idflow.last_request();
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT idflow.begin_request('undone') > 0 AS begun;
ROLLBACK TO s;
UPDATE ho.person SET name = 'Undone' WHERE id = 1;
SELECT title, state FROM idflow.request WHERE id = idflow.last_request();
ROLLBACK;
\c - :super
REVOKE idflow_admin FROM ho_req;
\c - ho_req
SET client_min_messages = warning;
-- a cursor begins as often as it is fetched from
BEGIN;
DECLARE c CURSOR FOR SELECT idflow.begin_request('by cursor') > 0 AS begun FROM generate_series(1, 3);
FETCH 1 FROM c;
FETCH 1 FROM c;
CLOSE c;
UPDATE ho.person SET name = 'Cursor' WHERE id = 1;
SELECT title, state FROM idflow.request WHERE id = idflow.last_request();
ROLLBACK;
-- a transaction that is prepared collects no more afterwards
BEGIN;
SELECT idflow.begin_request('prepared') > 0 AS begun;
UPDATE ho.person SET name = 'Prepared' WHERE id = 1;
PREPARE TRANSACTION 'ho';
UPDATE ho.person SET name = 'Not prepared' WHERE id = 3;
SELECT title FROM idflow.request WHERE id = idflow.last_request();
COMMIT PREPARED 'ho';
SELECT state, (SELECT count(*) FROM idflow.change c WHERE c.request = r.id) AS changes FROM idflow.request r WHERE title = 'prepared';

\c - :super
SET client_min_messages = warning;
SELECT id, name, salary FROM ho.person ORDER BY id;
REVOKE SET ON PARAMETER idflow.actor FROM ho_app;
\c :home
DROP DATABASE idflow_hostile;
DROP ROLE ho_app, ho_plain, ho_req, ho_appr, ho_owner, ho_spy, ho_dep;
