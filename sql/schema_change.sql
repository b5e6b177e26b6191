-- The table changes between a draft and its apply: each request has the right
-- result, or an error that names the change, and can be withdrawn.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_schema_change;
\c idflow_schema_change
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_schema_change SET session_preload_libraries = 'idflow';
ALTER DATABASE idflow_schema_change SET idflow.notice = off;
ALTER DATABASE idflow_schema_change SET client_min_messages = warning;
CREATE ROLE sc_app LOGIN;
CREATE ROLE sc_boss LOGIN;
CREATE ROLE sc_owner LOGIN;
CREATE ROLE sc_admin LOGIN IN ROLE idflow_admin;
CREATE SCHEMA sc AUTHORIZATION sc_owner;
CREATE SCHEMA sc2;
GRANT USAGE ON SCHEMA sc, sc2 TO PUBLIC;
CREATE FUNCTION public.gate(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO sc_app, sc_boss', target);
	PERFORM idflow.require_approval(target, expression => 'SQL:''sc_boss''', operations => '{INSERT,UPDATE,DELETE}');
END$$;
CREATE FUNCTION public.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', sqlstate || ':', regexp_replace(sqlerrm, 'task \d+', 'task <n>') || '.', nullif(detail, ''), nullif(hint, ''));
END$$;
-- Four requests: an INSERT, an UPDATE of the column n and one of another, a
-- DELETE.  Then the DDL, then they are approved in their order; at the end the
-- table, and how many of those that are left can be withdrawn.
CREATE FUNCTION public.play(ddl text, target text DEFAULT 'sc.t') RETURNS TABLE (what text, result text) LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n int := 0;
BEGIN
	CREATE TABLE sc.t (id int PRIMARY KEY, name text, n int DEFAULT 7, note varchar(10), kind sc.kind);
	INSERT INTO sc.t VALUES (1, 'one', 1, 'a', 'good'), (2, 'two', 2, 'b', 'good'), (3, 'three', 3, 'c', 'bad'), (4, 'four', 4, 'd', 'bad');
	PERFORM public.gate('sc.t');
	SET LOCAL SESSION AUTHORIZATION sc_app;
	INSERT INTO sc.t VALUES (5, 'five', 5, 'e', 'good');
	UPDATE sc.t SET n = 20 WHERE id = 2;
	UPDATE sc.t SET name = 'uno' WHERE id = 1;
	DELETE FROM sc.t WHERE id = 3;
	RESET SESSION AUTHORIZATION;
	EXECUTE ddl;
	FOR r IN SELECT t.id, c.operation || CASE WHEN c.operation = 'UPDATE' THEN ' ' || k ELSE '' END AS operation
			 FROM idflow.task t JOIN idflow.change_data c ON c.request = t.request, LATERAL (SELECT l.columns[c.new_columns[1]] FROM idflow.layout l WHERE l.id = c.layout) l (k)
			 ORDER BY t.id LOOP
		SET LOCAL SESSION AUTHORIZATION sc_boss;
		what := r.operation;
		result := public.try(format('SELECT idflow.approve(%s)', r.id));
		RETURN NEXT;
		RESET SESSION AUTHORIZATION;
	END LOOP;
	IF to_regclass(target) IS NOT NULL THEN
		what := target;
		EXECUTE format('SELECT string_agg(t::text, '' '' ORDER BY t::text) FROM %s t', target) INTO result;
		RETURN NEXT;
	END IF;
	FOR r IN SELECT id FROM idflow.request WHERE closed_at IS NULL ORDER BY id LOOP
		SET LOCAL SESSION AUTHORIZATION sc_app;
		what := 'withdraw';
		result := public.try(format('SELECT idflow.withdraw(%s)', r.id));
		RESET SESSION AUTHORIZATION;
		IF result = 'aborted' THEN
			n := n + 1;
		ELSE
			RETURN NEXT;
		END IF;
	END LOOP;
	IF n > 0 THEN
		what := 'withdrawn';
		result := n;
		RETURN NEXT;
	END IF;
END$$;
CREATE TYPE sc.kind AS ENUM ('good', 'bad');
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '

-- ------------------------------------------------------------- columns added
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD c int'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD c int NOT NULL DEFAULT 5'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD c int GENERATED ALWAYS AS (n * 2) STORED'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD c int GENERATED ALWAYS AS IDENTITY'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD c int; ALTER TABLE sc.t DISABLE TRIGGER ALL; UPDATE sc.t SET c = 0; ALTER TABLE sc.t ALTER c SET NOT NULL; ALTER TABLE sc.t ENABLE TRIGGER ALL'); ROLLBACK;
-- ----------------------------------------------------------- columns dropped
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP n'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP n, ADD n int'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP note; ALTER TABLE sc.t ADD note text GENERATED ALWAYS AS (name) STORED'); ROLLBACK;
BEGIN; SELECT * FROM public.play('DROP TYPE sc.kind CASCADE'); ROLLBACK;
-- ----------------------------------------------------------- columns renamed
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t RENAME n TO number'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t RENAME id TO key'); ROLLBACK;
-- names exchanged: values go where they belonged
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t RENAME name TO x; ALTER TABLE sc.t RENAME note TO name; ALTER TABLE sc.t RENAME x TO note'); ROLLBACK;
-- one takes the name of another that is dropped
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP n; ALTER TABLE sc.t RENAME name TO n'); ROLLBACK;
-- ----------------------------------------------------------- columns retyped
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ALTER n TYPE bigint'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ALTER note TYPE varchar(20)'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ALTER id TYPE bigint'); ROLLBACK;
-- the type itself has another name, stands elsewhere, or calls a value otherwise
BEGIN; SELECT * FROM public.play('ALTER TYPE sc.kind RENAME TO "sort of"'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TYPE sc.kind SET SCHEMA sc2'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TYPE sc.kind RENAME VALUE ''good'' TO ''fine'''); ROLLBACK;
-- another type of the name
BEGIN; SELECT * FROM public.play('ALTER TYPE sc.kind RENAME TO old; CREATE TYPE sc.kind AS ENUM (''good'', ''bad''); ALTER TABLE sc.t ALTER kind TYPE sc.kind USING kind::text::sc.kind'); ROLLBACK;
-- ------------------------------------------------ the table renamed, or moved
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t RENAME TO "T 2"', 'sc."T 2"'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t SET SCHEMA sc2', 'sc2.t'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER SCHEMA sc RENAME TO sc3', 'sc3.t'); ROLLBACK;
-- another takes its name
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t RENAME TO old; CREATE TABLE sc.t (LIKE sc.old INCLUDING ALL)', 'sc.old'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t OWNER TO sc_owner'); ROLLBACK;
-- ---------------------------------------------------------- constraints added
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD CONSTRAINT small CHECK (n < 10)'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ADD CONSTRAINT small CHECK (n < 4) NOT VALID'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DISABLE TRIGGER ALL; INSERT INTO sc.t VALUES (9, ''uno'', 20); ALTER TABLE sc.t ENABLE TRIGGER ALL; ALTER TABLE sc.t ADD UNIQUE (n), ADD UNIQUE (name)'); ROLLBACK;
BEGIN; SELECT * FROM public.play('CREATE TABLE sc.number (n int PRIMARY KEY); INSERT INTO sc.number VALUES (1), (2), (3), (4), (5); ALTER TABLE sc.t ADD FOREIGN KEY (n) REFERENCES sc.number'); ROLLBACK;
BEGIN; SELECT * FROM public.play('CREATE TABLE sc.child (t int REFERENCES sc.t); INSERT INTO sc.child VALUES (3)'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON sc.t TO sc_app USING (n < 10)'); ROLLBACK;
-- ------------------------------------------------------ the key, or its index
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP CONSTRAINT t_pkey'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (name)'); ROLLBACK;
BEGIN; SELECT * FROM public.play('ALTER TABLE sc.t DROP CONSTRAINT t_pkey, DISABLE TRIGGER ALL; INSERT INTO sc.t VALUES (1, ''twin'', 1), (3, ''twin'', 1), (5, ''twin'', 5); ALTER TABLE sc.t ENABLE TRIGGER ALL'); ROLLBACK;
-- ---------------------------------------------------------- triggers disabled
CREATE FUNCTION sc.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.note := upper(new.note); RETURN new; END';
BEGIN; SELECT * FROM public.play('CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON sc.t FOR EACH ROW EXECUTE FUNCTION sc.shout()'); ROLLBACK;
BEGIN; SELECT * FROM public.play('CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON sc.t FOR EACH ROW EXECUTE FUNCTION sc.shout(); ALTER TABLE sc.t DISABLE TRIGGER shout'); ROLLBACK;
-- a gate: an admin's doing, on record; the approved changes are written all the same
BEGIN;
SELECT * FROM public.play('ALTER TABLE sc.t DISABLE TRIGGER "!idflow_100_t_approval_update"');
SELECT subject, regexp_replace(replace(detail, :'me', 'me'), '\d{4}-[-\d]+ [:\d]+', '<when>') FROM idflow.health() WHERE detail LIKE '%sc.t%' AND detail LIKE '%update%';
ROLLBACK;
BEGIN;
SELECT * FROM public.play('DROP TRIGGER "!idflow_100_t_approval_update" ON sc.t');
SELECT subject, regexp_replace(replace(detail, :'me', 'me'), '\d{4}-[-\d]+ [:\d]+', '<when>') FROM idflow.health() WHERE detail LIKE '%sc.t%' AND detail LIKE '%update%';
ROLLBACK;
BEGIN;
SELECT * FROM public.play('ALTER TRIGGER "!idflow_100_t_approval_update" ON sc.t RENAME TO mine');
SELECT subject, regexp_replace(replace(detail, :'me', 'me'), '\d{4}-[-\d]+ [:\d]+', '<when>') FROM idflow.health() WHERE detail LIKE '%sc.t%' AND detail LIKE '%update%';
ROLLBACK;
BEGIN; SELECT * FROM public.play('SELECT idflow.detach(''t_approval'', ''sc.t'', true)'); ROLLBACK;
BEGIN; SELECT * FROM public.play('REVOKE ALL ON sc.t FROM sc_app'); ROLLBACK;
-- The same with a table and statements of one's own.
CREATE FUNCTION public.play_on(make text, dml text[], ddl text, target text DEFAULT 'sc.t') RETURNS TABLE (what text, result text) LANGUAGE plpgsql AS $$
DECLARE r record; d text; n int := 0;
BEGIN
	EXECUTE make;
	PERFORM public.gate('sc.t');
	SET LOCAL SESSION AUTHORIZATION sc_app;
	FOREACH d IN ARRAY dml LOOP EXECUTE d; END LOOP;
	RESET SESSION AUTHORIZATION;
	EXECUTE ddl;
	FOR r IN SELECT t.id, c.operation FROM idflow.task t JOIN idflow.change_data c ON c.request = t.request ORDER BY t.id LOOP
		SET LOCAL SESSION AUTHORIZATION sc_boss;
		what := r.operation;
		result := public.try(format('SELECT idflow.approve(%s)', r.id));
		RETURN NEXT;
		RESET SESSION AUTHORIZATION;
	END LOOP;
	IF to_regclass(target) IS NOT NULL THEN
		what := target;
		EXECUTE format('SELECT string_agg(t::text, '' '' ORDER BY t::text) FROM %s t', target) INTO result;
		RETURN NEXT;
	END IF;
	FOR r IN SELECT id FROM idflow.request WHERE closed_at IS NULL ORDER BY id LOOP
		SET LOCAL SESSION AUTHORIZATION sc_app;
		what := 'withdraw';
		result := public.try(format('SELECT idflow.withdraw(%s)', r.id));
		RESET SESSION AUTHORIZATION;
		RETURN NEXT;
	END LOOP;
END$$;
-- ------------------------------------- domains and composite types of columns
\set dom 'CREATE DOMAIN sc.d AS int; CREATE TYPE sc.p AS (a int, b text); CREATE TABLE sc.t (id int PRIMARY KEY, d sc.d, p sc.p, a sc.p[]); INSERT INTO sc.t VALUES (1, 1, (1,''x''), ARRAY[(1,''x'')::sc.p]), (2, 2, (2,''y''), NULL), (3, 3, NULL, NULL)'
\set dmls '{"INSERT INTO sc.t VALUES (4, 40, (4,''z''), ARRAY[(4,''z'')::sc.p])","UPDATE sc.t SET d = 20 WHERE id = 2","UPDATE sc.t SET p = (9,''n'') WHERE id = 1","DELETE FROM sc.t WHERE id = 3"}'
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER DOMAIN sc.d ADD CHECK (VALUE < 10)'); ROLLBACK;
-- the text of a composite value tells its attributes only by their order
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER TYPE sc.p ADD ATTRIBUTE c int'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER TYPE sc.p DROP ATTRIBUTE a'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER TYPE sc.p RENAME ATTRIBUTE a TO c'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER DOMAIN sc.d RENAME TO e'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER TYPE sc.p DROP ATTRIBUTE a, ADD ATTRIBUTE c text'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'dom', :'dmls', 'ALTER TYPE sc.p DROP ATTRIBUTE a, ADD ATTRIBUTE c text; SET LOCAL SESSION AUTHORIZATION sc_app; INSERT INTO sc.t VALUES (7, 40, (4,''z''), ARRAY[(4,''z'')::sc.p]); RESET SESSION AUTHORIZATION'); ROLLBACK;
-- ----------------------------------------------------------------- partitions
\set part 'CREATE TABLE sc.t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); CREATE TABLE sc.t1 PARTITION OF sc.t FOR VALUES FROM (0) TO (10); CREATE TABLE sc.t2 PARTITION OF sc.t FOR VALUES FROM (10) TO (20); INSERT INTO sc.t VALUES (1, 1), (2, 2), (11, 11); GRANT ALL ON sc.t1, sc.t2 TO sc_app'
\set pdml '{"INSERT INTO sc.t VALUES (3, 3)","INSERT INTO sc.t1 VALUES (4, 4)","UPDATE sc.t SET n = 20 WHERE id = 2","UPDATE sc.t SET id = 12 WHERE id = 1","DELETE FROM sc.t2 WHERE id = 11"}'
BEGIN; SELECT * FROM public.play_on(:'part', :'pdml', 'ALTER TABLE sc.t DETACH PARTITION sc.t1'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'part', :'pdml', 'DROP TABLE sc.t1'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'part', :'pdml', 'ALTER TABLE sc.t DETACH PARTITION sc.t1; ALTER TABLE sc.t1 ADD CHECK (id < 10); CREATE TABLE sc.t3 (n int, x int, id int NOT NULL); ALTER TABLE sc.t3 DROP x; INSERT INTO sc.t3 SELECT n, id FROM sc.t1; ALTER TABLE sc.t ATTACH PARTITION sc.t3 FOR VALUES FROM (0) TO (10)'); ROLLBACK;
-- ---------------------------------- generated columns, identity, rewrites, rules
\set gen 'CREATE TABLE sc.t (id int PRIMARY KEY, n int NOT NULL, g int GENERATED ALWAYS AS (n * 2) STORED); INSERT INTO sc.t VALUES (1, 1), (2, 2)'
\set gdml '{"INSERT INTO sc.t VALUES (3, 3)","UPDATE sc.t SET n = 20 WHERE id = 2","DELETE FROM sc.t WHERE id = 1"}'
BEGIN; SELECT * FROM public.play_on(:'gen', :'gdml', 'ALTER TABLE sc.t ALTER g DROP EXPRESSION'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'gen', :'gdml', 'ALTER TABLE sc.t DROP g'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'gen', :'gdml', 'ALTER TABLE sc.t DROP g, ADD g int GENERATED ALWAYS AS (n * 3) STORED'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'gen', :'gdml', 'ALTER TABLE sc.t ALTER n ADD GENERATED ALWAYS AS IDENTITY'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'gen', :'gdml', 'ALTER TABLE sc.t REPLICA IDENTITY FULL; CLUSTER sc.t USING t_pkey'); ROLLBACK;
BEGIN; SELECT * FROM public.play_on(:'gen', :'gdml', 'CREATE RULE r AS ON UPDATE TO sc.t DO INSTEAD NOTHING'); ROLLBACK;
-- --------------------------------------------------------- extensions updated
BEGIN; SELECT * FROM public.play('ALTER EXTENSION idflow UPDATE'); ROLLBACK;

SELECT count(*) = 1 AS have_it FROM pg_available_extension_versions v JOIN pg_available_extensions e USING (name) WHERE v.name = 'hstore' AND v.version = '1.4' AND e.default_version <> '1.4' \gset
CREATE TABLE sc.bag (id int PRIMARY KEY);
SELECT public.gate('sc.bag');
\if :have_it
	CREATE SCHEMA ext;
	GRANT USAGE ON SCHEMA ext TO PUBLIC;
	CREATE EXTENSION hstore SCHEMA ext VERSION '1.4';
	ALTER TABLE sc.bag ADD h ext.hstore;
	SET SESSION AUTHORIZATION sc_app;
	INSERT INTO sc.bag VALUES (1, 'a=>1');
	RESET SESSION AUTHORIZATION;
	ALTER EXTENSION hstore UPDATE;
	ALTER EXTENSION hstore SET SCHEMA sc2;
\else
	SET SESSION AUTHORIZATION sc_app;
	INSERT INTO sc.bag VALUES (1);
	RESET SESSION AUTHORIZATION;
\endif
SET SESSION AUTHORIZATION sc_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET SESSION AUTHORIZATION;
SELECT id FROM sc.bag;

-- ---------------------------------------------------------- the table dropped
CREATE FUNCTION public.ended() RETURNS TABLE (state text, tasks bigint, keys bigint, event text) LANGUAGE sql AS $$
	SELECT r.state, (SELECT count(*) FROM idflow.task t WHERE t.request = r.id AND t.state = 'open'), (SELECT count(*) FROM idflow.pending_key k WHERE k.request = r.id),
		(SELECT concat_ws(' | ', nullif(e.actor, session_user), e.via, e.transition, e.from_state, e.comment) FROM idflow.event e WHERE e.request = r.id ORDER BY seq DESC LIMIT 1)
	FROM idflow.request r WHERE r.closed_at IS NULL OR r.state <> 'committed' ORDER BY r.id$$;
CREATE FUNCTION public.remade() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE IF NOT EXISTS sc.t (id int PRIMARY KEY, name text);
	CREATE TABLE IF NOT EXISTS sc.u (id int PRIMARY KEY, name text);
	ALTER TABLE sc.t OWNER TO sc_owner;
	PERFORM public.gate('sc.t'), public.gate('sc.u');
END$$;
SELECT public.remade();
\c - sc_app
INSERT INTO sc.t VALUES (1, 'one');
INSERT INTO sc.u VALUES (1, 'one');
-- one over two tables; and one that is not yet submitted
BEGIN;
SELECT idflow.begin_request('both') AS both \gset
INSERT INTO sc.t VALUES (2, 'two');
INSERT INTO sc.u VALUES (2, 'two');
SELECT idflow.submit(:both) AS state \gset
COMMIT;
BEGIN;
SELECT idflow.begin_request('draft') AS draft \gset
INSERT INTO sc.t VALUES (3, 'three');
COMMIT;
-- refused to the owner, whatever way he takes
\c - sc_owner
DROP TABLE sc.t;
\echo :LAST_ERROR_SQLSTATE
SET idflow.on_drop = 'refuse';
DROP TABLE sc.t;
SET idflow.on_drop = 'leave';
-- unless he says that they end with it
BEGIN;
SET LOCAL idflow.on_drop = 'end';
DROP TABLE sc.t;
RESET SESSION AUTHORIZATION;
COMMIT;
\c - :me
SELECT * FROM public.ended();
SELECT regexp_replace(public.try('SELECT idflow.approve(id)::text FROM idflow.task WHERE outcome = ''Terminated'' ORDER BY id LIMIT 1'), '\d\d+', '<n>', 'g');
-- the other table's request is as it was; the keys are free
\c - sc_app
INSERT INTO sc.u VALUES (2, 'again');
\c - sc_boss
SELECT target, key FROM idflow.inbox ORDER BY task;
-- an admin's DROP ends them, unless he says otherwise
\c - :me
SELECT public.remade();
\c - sc_app
INSERT INTO sc.t VALUES (1, 'one');
\c - :me
SET idflow.on_drop = refuse;
DROP TABLE sc.t;
DROP SCHEMA sc CASCADE;
RESET idflow.on_drop;
BEGIN;
DROP TABLE sc.t;
SELECT * FROM public.ended() WHERE event LIKE '%idflow_admin%';
ROLLBACK;
BEGIN;
DROP SCHEMA sc CASCADE;
SELECT count(*), min(state) FROM idflow.request WHERE closed_at >= now();
ROLLBACK;
-- what does not go through is undone as a whole
BEGIN;
SAVEPOINT s;
DROP TABLE sc.t;
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM idflow.request WHERE closed_at IS NULL;
-- rows that are written need nothing of the table any more
SET SESSION AUTHORIZATION sc_boss;
SELECT state, sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task));
RESET SESSION AUTHORIZATION;
SET idflow.on_drop = refuse;
DROP TABLE sc.t;
SELECT state, count(*) FROM idflow.request GROUP BY state ORDER BY state;
-- called by hand it does nothing to tables that are there
SET SESSION AUTHORIZATION sc_app;
INSERT INTO sc.u VALUES (7, 'seven');
SELECT idflow.guard_end_requests('sc.u'::regclass, 'sc.u');
SELECT state FROM idflow.request WHERE id = idflow.last_request();
RESET SESSION AUTHORIZATION;

\c :home :me
DROP DATABASE idflow_schema_change WITH (FORCE);
DROP ROLE sc_app, sc_boss, sc_owner, sc_admin;
