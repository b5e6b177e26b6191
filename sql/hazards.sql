-- Tables, rows and names at the edge of what PostgreSQL takes: the widest table,
-- large values and those an UPDATE leaves alone, constraints that can't be
-- checked row by row, names that hide others.  Types are in types.sql,
-- partitions in gate_partition.sql.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_hazards;
\c idflow_hazards
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_hazards SET session_preload_libraries = 'idflow';
ALTER DATABASE idflow_hazards SET idflow.notice = off;
ALTER DATABASE idflow_hazards SET client_min_messages = warning;
CREATE ROLE hz_app LOGIN;
CREATE ROLE hz_boss LOGIN;
CREATE SCHEMA hz;
GRANT USAGE ON SCHEMA hz TO hz_app, hz_boss;
CREATE FUNCTION public.gate(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO hz_app, hz_boss', target);
	PERFORM idflow.require_approval(target, expression => 'SQL:''hz_boss''', operations => '{INSERT,UPDATE,DELETE}');
END$$;
-- decides all open requests in their order; what is not committed is told
CREATE FUNCTION public.approve_all() RETURNS TABLE (state text, sqlstate text, message text, n bigint) LANGUAGE sql AS $$
	SELECT state, sqlstate, message, count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3$$;

-- ------------------------------------------------------------- 1,600 columns
DO $$
DECLARE
	columns text := (SELECT string_agg(format('c%s int', i), ', ') FROM generate_series(2, 1600) i);
BEGIN
	EXECUTE 'CREATE TABLE hz.wide (id int PRIMARY KEY, ' || columns || ')';
	EXECUTE 'CREATE TABLE hz.wide_twin (id int PRIMARY KEY, ' || columns || ')';
END$$;
GRANT ALL ON hz.wide_twin TO hz_app;
SELECT public.gate('hz.wide');
\c - hz_app
-- every column named; none but the key; every column changed; one
CREATE FUNCTION pg_temp.write(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (id, ', target) || (SELECT string_agg(format('c%s', i), ', ') FROM generate_series(2, 1600) i) ||
		') VALUES (' || (SELECT string_agg(i::text, ', ') FROM generate_series(1, 1600) i) || ')';
	EXECUTE format('INSERT INTO %s (id) VALUES (2), (3)', target);
END$$;
CREATE FUNCTION pg_temp.change(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %s SET ', target) || (SELECT string_agg(format('c%s = c%1$s + 1', i), ', ') FROM generate_series(2, 1600) i) || ' WHERE id = 1';
	EXECUTE format('UPDATE %s SET c1600 = 5 WHERE id = 2', target);
	EXECUTE format('DELETE FROM %s WHERE id = 3', target);
END$$;
SELECT pg_temp.write('hz.wide'), pg_temp.write('hz.wide_twin');
SELECT id, c2, c1600 FROM idflow.preview(NULL::hz.wide) ORDER BY id;
\c - hz_boss
SELECT (SELECT count(*) FROM jsonb_object_keys(new_row)) AS columns, new_row->'c1600' AS c1600 FROM idflow.change ORDER BY request;
SELECT * FROM public.approve_all();
\c - hz_app
CREATE FUNCTION pg_temp.change(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %s SET ', target) || (SELECT string_agg(format('c%s = c%1$s + 1', i), ', ') FROM generate_series(2, 1600) i) || ' WHERE id = 1';
	EXECUTE format('UPDATE %s SET c1600 = 5 WHERE id = 2', target);
	EXECUTE format('DELETE FROM %s WHERE id = 3', target);
END$$;
SELECT pg_temp.change('hz.wide'), pg_temp.change('hz.wide_twin');
SELECT operation, count(*) FROM idflow.change_diff JOIN idflow.request r ON r.id = request AND r.state = 'open' GROUP BY operation ORDER BY operation;
\c - hz_boss
SELECT idflow.save(task, '{"c800": -1}') FROM idflow.inbox WHERE key = '{"id": 1}';
\c - hz_app
UPDATE hz.wide_twin SET c800 = -1 WHERE id = 1;
\c - :me
SET SESSION AUTHORIZATION hz_boss;
SELECT * FROM public.approve_all();
RESET SESSION AUTHORIZATION;
-- who edited may not decide
SELECT idflow.override(id, 'test') FROM idflow.request WHERE state = 'open';
SELECT count(*), count(*) FILTER (WHERE g.* *= t.*) AS same FROM hz.wide g FULL JOIN hz.wide_twin t ON t.id = g.id;

-- ------------------------------ values out of line that an UPDATE leaves alone
CREATE TABLE hz.doc (id int PRIMARY KEY, ext text, ded text, main text, js jsonb, by bytea, arr text[], n int);
ALTER TABLE hz.doc ALTER ext SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN, ALTER by SET STORAGE EXTERNAL;
INSERT INTO hz.doc SELECT i, string_agg(md5((i * j)::text), ''), string_agg(md5((i + j)::text), ''), string_agg(md5(j::text), ''),
	jsonb_agg(md5(j::text)), decode(string_agg(md5((i - j)::text), ''), 'hex'), array_agg(md5(j::text)), 0
	FROM generate_series(1, 3) i, generate_series(1, 300) j GROUP BY i;
CREATE TABLE hz.doc_before AS TABLE hz.doc;
SELECT pg_relation_size(reltoastrelid) > 0 AS out_of_line FROM pg_class WHERE oid = 'hz.doc'::regclass;
SELECT public.gate('hz.doc');
\c - hz_app
UPDATE hz.doc SET n = 1;
-- made anew, but the same to the bit: no change, and so not held
\set QUIET off
UPDATE hz.doc SET ext = ext || '', ded = ded || '', main = main || '', js = js || '[]', arr = arr || '{}'::text[], by = by || '' WHERE id = 1;
\set QUIET on
UPDATE hz.doc SET ext = ext || 'x', by = by || '\x00' WHERE id = 2;
SELECT request - min(request) OVER () AS request, string_agg(column_name, ', ' ORDER BY column_name) AS touched
	FROM idflow.change_diff WHERE target = 'hz.doc'::regclass GROUP BY request ORDER BY request;
-- others change what the draft leaves alone, and what it touches
\c - :me
BEGIN;
SELECT idflow.bypass('test');
UPDATE hz.doc SET ded = ded || 'live' WHERE id = 2;
UPDATE hz.doc SET n = 7 WHERE id = 3;
COMMIT;
\c - hz_boss
SELECT * FROM public.approve_all();
\c - :me
SELECT d.id, d.n, d.ext = b.ext AS ext, d.ext = b.ext || 'x' AS ext_x, d.by = b.by || '\x00' AS by_0, d.ded = b.ded AS ded, d.ded = b.ded || 'live' AS ded_live,
	d.main = b.main AND d.js = b.js AND d.arr = b.arr AS others
	FROM hz.doc d JOIN hz.doc_before b USING (id) ORDER BY id;

-- ----------------------------------------------------------------- large rows
CREATE TABLE hz.large (id int PRIMARY KEY, t text, b bytea);
ALTER TABLE hz.large ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
SELECT public.gate('hz.large');
\c - hz_app
INSERT INTO hz.large VALUES (1, repeat('0123456789', 200000), convert_to(repeat('0123456789', 100000), 'UTF8'));
-- a bytea's text is twice as long
INSERT INTO hz.large (id, b) VALUES (2, convert_to(repeat('0123456789', 13500000), 'UTF8'));
\echo :LAST_ERROR_SQLSTATE
SELECT length(new_row->>'t') AS t, length(new_row->>'b') AS b FROM idflow.change WHERE target = 'hz.large'::regclass;
SELECT column_name, length(draft) AS draft FROM idflow.change_diff WHERE target = 'hz.large'::regclass;
\c - hz_boss
SELECT * FROM public.approve_all();
\c - :me
SELECT id, length(t) AS t, length(b) AS b, md5(t) = md5(repeat('0123456789', 200000)) AS same FROM hz.large;

-- ------------------------------------- constraints that a single row can't tell
CREATE TABLE hz.seat (id int PRIMARY KEY, pos int UNIQUE DEFERRABLE INITIALLY DEFERRED, room int, during int4range, next int,
	CONSTRAINT free EXCLUDE USING gist (int4range(room, room, '[]') WITH =, during WITH &&) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT next FOREIGN KEY (next) REFERENCES hz.seat DEFERRABLE INITIALLY DEFERRED);
INSERT INTO hz.seat VALUES (1, 1, 1, '[1,5)', 2), (2, 2, 2, '[1,5)', 1);
SELECT public.gate('hz.seat');
\c - hz_app
-- two rows change places, in one request
BEGIN;
SELECT idflow.begin_request('swap') AS swap \gset
UPDATE hz.seat SET pos = 2, room = 2 WHERE id = 1;
UPDATE hz.seat SET pos = 1, room = 1 WHERE id = 2;
COMMIT;
-- two rows that refer to each other
BEGIN;
SELECT idflow.begin_request('ring') AS ring \gset
INSERT INTO hz.seat VALUES (3, 3, 3, '[1,5)', NULL), (4, 4, 4, '[1,5)', 3);
UPDATE hz.seat SET next = 4 WHERE id = 2;
COMMIT;
SELECT idflow.submit(:swap) AS swap, idflow.submit(:ring) AS ring;
-- one that takes another's place
UPDATE hz.seat SET pos = 4 WHERE id = 2;
\c - hz_boss
SELECT * FROM public.approve_all();
\c - hz_app
UPDATE hz.seat SET room = 4 WHERE id = 2;
\c - hz_boss
SELECT * FROM public.approve_all();
\c - hz_app
SELECT idflow.withdraw(id) FROM idflow.request WHERE state = 'open';
SELECT id, pos, room, next FROM hz.seat ORDER BY id;

-- ------------------------------------------------ keys that compute themselves
\c - :me
CREATE TABLE hz.made (low text, v int, name text GENERATED ALWAYS AS (lower(low)) STORED PRIMARY KEY, twice int GENERATED ALWAYS AS (v * 2) STORED UNIQUE,
	n bigint GENERATED ALWAYS AS IDENTITY);
INSERT INTO hz.made (low, v) VALUES ('ANN', 1), ('Ben', 2);
SELECT public.gate('hz.made');
\c - hz_app
INSERT INTO hz.made (low, v) VALUES ('Cy', 3);
INSERT INTO hz.made (low, v) VALUES ('CY', 4);
INSERT INTO hz.made (low, v) VALUES ('Di', 2);
UPDATE hz.made SET v = 10 WHERE name = 'ann';
UPDATE hz.made SET low = 'Bea' WHERE name = 'ben';
-- an identity column can be set to DEFAULT only, and gets what was drafted
UPDATE hz.made SET n = 7 WHERE name = 'ann';
UPDATE hz.made SET n = DEFAULT WHERE name = 'ann';
SELECT operation, key, old_row, new_row FROM idflow.change WHERE target = 'hz.made'::regclass ORDER BY request;
\c - hz_boss
SELECT * FROM public.approve_all();
SELECT * FROM hz.made ORDER BY name;
\c - hz_app
SELECT idflow.undo(c.request, 'back') IS NOT NULL AS asked FROM idflow.change c WHERE c.target = 'hz.made'::regclass AND c.operation = 'UPDATE' AND c.new_row ? 'n';
\c - hz_boss
SELECT * FROM public.approve_all();
SELECT * FROM hz.made WHERE name = 'ann';
\c - hz_app
DELETE FROM hz.made WHERE name = 'bea';
\c - hz_boss
SELECT * FROM public.approve_all();
SELECT name FROM hz.made ORDER BY name;
-- of a partitioned table, whose columns stand elsewhere in the partition
\c - :me
CREATE TABLE hz.parted (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, v text) PARTITION BY RANGE (id);
CREATE TABLE hz.parted_1 (v text, n int NOT NULL, id int NOT NULL);
CREATE TABLE hz.parted_2 (n int NOT NULL, id int NOT NULL, v text);
ALTER TABLE hz.parted ATTACH PARTITION hz.parted_1 FOR VALUES FROM (0) TO (10);
ALTER TABLE hz.parted ATTACH PARTITION hz.parted_2 FOR VALUES FROM (10) TO (20);
INSERT INTO hz.parted (id, v) VALUES (1, 'one'), (2, 'two');
SELECT public.gate('hz.parted');
\c - hz_app
UPDATE hz.parted SET n = DEFAULT, v = 'uno' WHERE id = 1;
UPDATE hz.parted SET n = DEFAULT, id = 12 WHERE id = 2;
SELECT new_row FROM idflow.change WHERE target = 'hz.parted'::regclass ORDER BY request;
\c - hz_boss
SELECT * FROM public.approve_all();
SELECT tableoid::regclass, id, n, v FROM hz.parted ORDER BY id;

-- ------------------------------------------------------------- names that hide
\c - :me
CREATE SCHEMA "hz, ""2""; --";
GRANT USAGE ON SCHEMA "hz, ""2""; --" TO hz_app, hz_boss;
-- names of 63 bytes, and those that idflow's own statements and expressions use
CREATE TABLE "hz, ""2""; --"."ääääääääääääääääääääääääääääääx" (
	"SELECT" int PRIMARY KEY, t text, new text, old text, request text, "$1" text, "%s %I %L" text, "a""b'c\d" text, "{" text, "ÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖö" text);
SELECT public.gate('"hz, ""2""; --"."ääääääääääääääääääääääääääääääx"');
SELECT workflow, target FROM idflow.gate WHERE target::text LIKE '%2%' AND operation = 'INSERT';
\c - hz_app
INSERT INTO "hz, ""2""; --"."ääääääääääääääääääääääääääääääx" VALUES (1, 't', 'new', 'old', 'request', 'one', 'format', 'quotes', 'brace', 'long');
SELECT key, new_row FROM idflow.change WHERE request = idflow.last_request();
\c - hz_boss
SELECT * FROM public.approve_all();
\c - hz_app
UPDATE "hz, ""2""; --"."ääääääääääääääääääääääääääääääx" SET new = old, old = new, "$1" = NULL, "%s %I %L" = '%s', "a""b'c\d" = 'it''s "\', "{" = '}', "ÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖö" = 'ß';
SELECT * FROM idflow.preview(NULL::"hz, ""2""; --"."ääääääääääääääääääääääääääääääx");
\c - hz_boss
SELECT idflow.save(task, '{"{": "{{"}') FROM idflow.inbox WHERE operation = 'UPDATE';
\c - :me
SELECT idflow.override(id, 'test') FROM idflow.request WHERE state = 'open';
SELECT * FROM "hz, ""2""; --"."ääääääääääääääääääääääääääääääx";

-- a table of the same name stands in front of the gated one: it is another table
CREATE SCHEMA front AUTHORIZATION hz_app;
GRANT USAGE ON SCHEMA front TO hz_boss;
CREATE TYPE hz.grade AS ENUM ('low', 'high');
CREATE FUNCTION hz.fine(hz.grade) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN hz.level AS hz.grade CHECK (hz.fine(VALUE));
CREATE TABLE hz.badge (id int PRIMARY KEY, level hz.level, kind regclass);
SELECT public.gate('hz.badge');
\c - hz_app
CREATE TABLE front.badge (id int PRIMARY KEY, level text, kind text);
CREATE TYPE front.grade AS ENUM ('high', 'low');
CREATE DOMAIN front.level AS text CHECK (VALUE <> 'high');
CREATE TABLE front.wide (id int);
GRANT SELECT, INSERT ON front.badge TO hz_boss;
SET search_path = front, hz;
INSERT INTO badge VALUES (1, 'high', 'wide');
INSERT INTO hz.badge VALUES (1, 'high', 'wide');
SELECT target, target::oid = 'hz.badge'::regclass AS gated, new_row FROM idflow.change WHERE request = idflow.last_request();
RESET search_path;
\c - hz_boss
CREATE TEMP TABLE badge (id int);
SET search_path = front, hz;
SELECT * FROM public.approve_all();
SELECT count(*) FROM badge;
SELECT * FROM front.badge;
RESET search_path;
SELECT * FROM hz.badge;
-- nor does it matter what the approver's path finds first
\c - hz_app
UPDATE hz.badge SET level = 'low';
\c - hz_boss
SET search_path = front;
SELECT * FROM public.approve_all();
SELECT pg_typeof(level), level FROM hz.badge;

\c :home :me
DROP DATABASE idflow_hazards WITH (FORCE);
DROP ROLE hz_app, hz_boss;
