-- Rows of every hazardous type, drafted and approved under other settings, are
-- the same to the bit as rows that met no gate.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_types;
\c idflow_types
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_types SET idflow.notice = off;
ALTER DATABASE idflow_types SET TimeZone = 'UTC';
CREATE ROLE ty_app LOGIN;
CREATE ROLE ty_boss LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE SCHEMA "Odd "" schema";
GRANT USAGE ON SCHEMA "Odd "" schema" TO PUBLIC;
CREATE TYPE hr.mood AS ENUM ('good', 'so so', 'it''s "bad"');
CREATE TYPE hr.pair AS (a float8, b text, c timestamptz);
CREATE TYPE hr.nested AS (p hr.pair, q hr.pair[], r regclass);
CREATE DOMAIN hr.word AS text CHECK (VALUE !~ ' ');
CREATE DOMAIN hr.pairs AS hr.pair[];
CREATE DOMAIN hr.span AS interval;
CREATE DOMAIN hr.rel AS regclass;
CREATE TYPE hr.floats AS RANGE (subtype = float8);
CREATE TABLE hr.template (
	id int PRIMARY KEY, j json, jb jsonb, x xml, pt point, pl polygon, n numeric, n2 numeric(10, 3), f4 float4, f8 float8,
	ts timestamp, tz timestamptz, d date, t time, ttz timetz, i interval, i2 interval year to month, by bytea, ia int[], ta text[],
	c hr.pair, nc hr.nested, r tstzrange, mr int4multirange, fr hr.floats, e hr.mood, w hr.word, dp hr.pairs, ds hr.span, dr hr.rel,
	rc regclass, rp regprocedure, rt regtype, ro regrole, m money, ch char(10), vc varchar(5), te text, na name, qc "char",
	b bit(5), vb varbit, ip inet, mac macaddr, u uuid, ts_v tsvector, ts_q tsquery, o oid, lsn pg_lsn, jp jsonpath, bo boolean,
	iv int2vector, "Mixed Case" text, "drop table x; --" text, "quo""te" text, "ünï→" text, gen text GENERATED ALWAYS AS (upper(te)) STORED
);
ALTER TABLE hr.template REPLICA IDENTITY FULL;
-- the twin goes without a gate
CREATE TABLE "Odd "" schema"."Gated; --'t" (LIKE hr.template INCLUDING ALL);
CREATE TABLE hr.twin (LIKE hr.template INCLUDING ALL);
GRANT SELECT, INSERT, UPDATE, DELETE ON "Odd "" schema"."Gated; --'t", hr.twin TO ty_app;
SELECT idflow.require_approval('"Odd "" schema"."Gated; --''t"', expression => 'SQL:''ty_boss''', operations => '{INSERT,UPDATE,DELETE}');
-- What text does not carry (the declaration of version 1.0 in xml) is left out.
-- 1, 2: values; 3: all null; 4: empty and extreme
CREATE FUNCTION public.fill(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format($sql$
	INSERT INTO %s VALUES (
		1, '{"b" :  1, "a": [1.0, 1.00, "\u00e9"], "b":2 }', '{"b": 1.00, "a": [null, "\n"]}', '<a>&lt;  <!-- c --><b/></a>', '(0.1,-0)',
		'((0,0),(1,1e-300),(1.1,2))', 'NaN', 1.5, 0.1::float4, 0.1::float8 + 0.2::float8, 'infinity', '-infinity', 'infinity', '24:00', '12:00:00.000001+05:30',
		'-1 year 2 mons -3 days 04:05:06.7', '14 mons', '\x00ff5c', '[-1:1]={1,NULL,3}', '{"","NULL",NULL,"a,b","{}","\\","\"" }',
		ROW(0.1::float8 + 0.2::float8, 'a,"b"', '2026-03-29 02:30:00+01'), ROW(ROW(1, '', 'infinity'), ARRAY[ROW(-0.0, NULL, NULL)::hr.pair, NULL], 'hr.twin'),
		'["2026-01-01 00:00+00",infinity)', '{[1,3),[5,7)}', '[0.1,0.30000000000000004)', 'it''s "bad"', 'word', ARRAY[ROW(1e300, '\', '2000-01-01')::hr.pair],
		'1 day 25:00', 'hr.twin', 'hr.twin', 'pg_catalog.lower(text)', 'hr.mood[]', 'ty_app', '1234.56', 'a  ', 'vc', E'line\n\ttab \\ ''quote'' "dq" \x01 é → 𝄞', 'name', 'z',
		B'10101', B'', '::1/64', '08:00:2b:01:02:03', '2c1f1c4e-8a5b-4a62-9f0e-1d0d6a1a7a11', '''a b'':1A c:2', 'a & !(b <-> c:*)', 4294967295, 'FFFFFFFF/FFFFFFFF',
		'$.a[*] ? (@.b > 1)', true, '1 2 3', 'Mixed', '''); DROP TABLE hr.twin; --', '"', 'ÿ'),
	(2, 'null', 'null', 'content only', '(1e-323,1e308)', '((0,0))', '-Infinity', 12345.678, '1e-45', '1e-323', '0001-01-01 BC', '2026-07-01 12:00:00.123456+00', '4713-01-01 BC', '00:00', '00:00-15:59',
		'178000000 years', '-14 mons', '', '{}', '{{a,b},{c,d}}', ROW(NULL, NULL, NULL), NULL, 'empty', '{}', '(,)', 'good', 'x', '{}', '-00:00:00.000001', 'pg_class',
		'pg_catalog.pg_class', 'pg_catalog.int4pl(int,int)', 'int', 'ty_boss', '-0.01', '', '', '', '', '', B'00000', B'1', '10.0.0.1', '08:00:2b:01:02:03',
		'00000000-0000-0000-0000-000000000000', '', '!x', 0, '0/0', '$', false, '', '', '', '', ''),
	(4, '1e400', '1e400', '', '(NaN,Infinity)', '((NaN,1))', '123456789012345678901234567890.123456789012345678901234567890', -0.001, 'NaN', '-Infinity', '294276-12-31 23:59:59.999999', '4714-11-24 00:00:00+00 BC', '5874897-12-31',
		'00:00:00.000001', '24:00:00+00', '0', '0', decode(repeat('00ff5c27', 10), 'hex'), '{{{1}}}', '{}', ROW('NaN', E'\n', '-infinity'), ROW(NULL, '{}', NULL), '(2026-01-01 00:00+00,2026-01-02 00:00+00]',
		'{(,)}', '[NaN,NaN]', 'so so', '', NULL, NULL, NULL, 0, 0, 0, 0, '92233720368547758.07', '0123456789', '12345', E'\r\n', repeat('n', 63), 'x', B'11111', B'1111111111', '0.0.0.0/0', 'ff:ff:ff:ff:ff:ff',
		'ffffffff-ffff-ffff-ffff-ffffffffffff', '''it''''s'':1', '''a''''b''', 1, '1/1', '$."a b"', NULL, '0', ' ', ' ', ' ', ' ')$sql$, target);
	EXECUTE format('INSERT INTO %s (id) VALUES (3)', target);
	EXECUTE format('INSERT INTO %s (id, te, jb, by, ia) SELECT 5, string_agg(md5(i::text), '''' ORDER BY i), jsonb_agg(md5(i::text) ORDER BY i), decode(string_agg(md5(i::text), '''' ORDER BY i), ''hex''), array_agg(i ORDER BY i) FROM generate_series(1, 5000) i', target);
END$$;
CREATE FUNCTION public.differ() RETURNS TABLE (id int, gated boolean, twin boolean, columns text) LANGUAGE plpgsql AS $$
DECLARE
	col text;
BEGIN
	FOR id IN SELECT coalesce(g.id, t.id) FROM "Odd "" schema"."Gated; --'t" g FULL JOIN hr.twin t ON t.id = g.id LOOP
		gated := EXISTS (SELECT FROM "Odd "" schema"."Gated; --'t" g WHERE g.id = differ.id);
		twin := EXISTS (SELECT FROM hr.twin t WHERE t.id = differ.id);
		columns := NULL;
		FOR col IN SELECT attname FROM pg_attribute WHERE attrelid = 'hr.twin'::regclass AND attnum > 0 ORDER BY attnum LOOP
			EXECUTE format('SELECT concat_ws('', '', $1, $2) WHERE (SELECT row(%1$I) FROM "Odd "" schema"."Gated; --''t" WHERE id = $3) *<> (SELECT row(%1$I) FROM hr.twin WHERE id = $3)', col)
				INTO columns USING columns, col, id;
			IF columns IS NOT NULL THEN EXIT; END IF;
		END LOOP;
		IF NOT gated OR NOT twin OR columns IS NOT NULL THEN RETURN NEXT; END IF;
	END LOOP;
END$$;
\c - ty_app
SET lc_monetary = 'C';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SET TimeZone = 'America/St_Johns';
SET extra_float_digits = 0;
SET bytea_output = 'escape';
SET xmloption = 'content';
SET search_path = hr, public;
SELECT public.fill('"Odd "" schema"."Gated; --''t"'), public.fill('hr.twin');
SELECT request, octet_length(new_row::text) > 100 AS shown FROM idflow.change ORDER BY request;
\c - ty_boss
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'Asia/Kathmandu';
SET extra_float_digits = -5;
SET xmloption = 'document';
SET search_path = pg_catalog;
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT id, gated, twin, columns FROM public.differ();
SELECT count(*) FROM "Odd "" schema"."Gated; --'t" g JOIN hr.twin t ON g.* *= t.*;

-- ------------------------------------ UPDATE: only what differs by its image
\c - ty_app
SET search_path = hr, public;
SET DateStyle = 'SQL, MDY';
SET IntervalStyle = 'postgres_verbose';
SET extra_float_digits = 0;
SET TimeZone = 'Asia/Tokyo';
-- to the same value: passes
CREATE FUNCTION pg_temp.all_columns(target regclass) RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(format('%I = %1$I', attname), ', ') FROM pg_attribute WHERE attrelid = target AND attnum > 0 AND attgenerated = ''$$;
SELECT format('UPDATE %s SET %s', t, pg_temp.all_columns(t)) AS same FROM (VALUES ('"Odd "" schema"."Gated; --''t"'::regclass)) v(t) \gset
\set QUIET off
:same;
\set QUIET on
SELECT $$SET j = '{"b": 1, "a": 2}', n = 1.50, n2 = 1.500, f8 = -0.0, pt = '(0.1,0)', x = '<a/>', tz = tz + '1 us', i = '1 mon 30 days',
	by = by || '\x00', c = ROW(1.1, 'z', '2026-10-25 02:30:00+02'), nc = ROW(c, ARRAY[c], 'pg_class'), r = tstzrange('2026-02-01 00:00+00', 'infinity'),
	dr = 'pg_proc', rc = 'pg_proc', m = 1.00, ch = 'b', te = 'ß', ia = '[3:4]={7,NULL}', "drop table x; --" = $q$'"$q$ WHERE id = 1$$ AS change \gset
UPDATE "Odd "" schema"."Gated; --'t" :change;
UPDATE hr.twin :change;
-- equal is not the same: numeric scale, json spaces, negative zero, interval parts, char padding is
UPDATE "Odd "" schema"."Gated; --'t" SET n2 = 12345.6780, ch = '' WHERE id = 2;
SELECT count(*) FROM idflow.request;
UPDATE "Odd "" schema"."Gated; --'t" SET n = 1.500, f8 = 0, i = '2 mons' WHERE id = 4;
UPDATE hr.twin SET n = 1.500, f8 = 0, i = '2 mons' WHERE id = 4;
UPDATE "Odd "" schema"."Gated; --'t" SET i = '60 days', j = ' 1 ' WHERE id = 3;
UPDATE hr.twin SET i = '60 days', j = ' 1 ' WHERE id = 3;
DELETE FROM "Odd "" schema"."Gated; --'t" WHERE id = 2;
DELETE FROM hr.twin WHERE id = 2;
UPDATE "Odd "" schema"."Gated; --'t" SET bo = true WHERE id = 5;
UPDATE hr.twin SET bo = true WHERE id = 5;
\c - ty_boss
SET DateStyle = 'Postgres, DMY';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = -15;
SELECT c.column_name, c.base, c.live, c.draft FROM idflow.change_diff c JOIN idflow.inbox i ON i.request = c.request AND i.key = '{"id": 4}';
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT id, gated, twin, columns FROM public.differ();
SELECT count(*) FROM "Odd "" schema"."Gated; --'t" g JOIN hr.twin t ON g.* *= t.*;
-- equal but not the same, changed by others: a conflict
\c - ty_app
UPDATE "Odd "" schema"."Gated; --'t" SET n = 3 WHERE id = 4;
\c - :me
BEGIN;
SELECT idflow.bypass('test');
UPDATE "Odd "" schema"."Gated; --'t" SET n = 1.5 WHERE id = 4;
COMMIT;
\c - ty_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - ty_app
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = (SELECT max(id) FROM idflow.request WHERE state = 'conflict');

-- ------------------------------------------- keys of every type find their row
\c - :me
CREATE FUNCTION public.key_of(n int, type text, a text, b text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE hr.k%s (k %s PRIMARY KEY, v int)', n, type);
	EXECUTE format('INSERT INTO hr.k%s VALUES (%L, 0), (%L, 0)', n, a, b);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON hr.k%s TO ty_app', n);
	PERFORM idflow.require_approval(('hr.k' || n)::regclass, expression => 'SQL:''ty_boss''', operations => '{INSERT,UPDATE,DELETE}');
END$$;
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM unnest(
		'{text,char(5),varchar(3),numeric,float8,timestamptz,interval,bytea,int[],jsonb,uuid,hr.mood,hr.word,hr.pair,int4range,inet,money,oid,regclass,date,timetz,hr.mood[],hr.span,name}'::text[],
		ARRAY['it''s', 'a', '', '1.10', '0.30000000000000004', '2026-01-01 00:00+00', '1 mon', '\x00', '{1,2}', '{"a": 1}', '2c1f1c4e-8a5b-4a62-9f0e-1d0d6a1a7a11',
			'good', 'a', '(1,"a b",)', '[1,5)', '10.0.0.0/8', '1.00', '1', 'pg_class', '2026-01-01', '12:00+00', '{good}', '1 day', 'n'],
		ARRAY['"', 'b', ' ', 'NaN', 'infinity', 'infinity', '1 day', '\x5c', '{}', 'null', '00000000-0000-0000-0000-000000000000',
			'so so', 'b', '(2,,)', 'empty', '::1', '2.00', '4294967295', 'hr.twin', '-infinity', '12:00+01', '{}', '1 h', 'm']) WITH ORDINALITY u(type, a, b, n)
	LOOP
		PERFORM public.key_of(r.n::int, r.type, r.a, r.b);
	END LOOP;
END$$;
\c - ty_app
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SET TimeZone = 'America/St_Johns';
SET extra_float_digits = 0;
DO $$
DECLARE
	n int;
	a text;
BEGIN
	FOR n IN 1 .. 24 LOOP
		EXECUTE format('UPDATE hr.k%s SET v = 1 WHERE ctid = ''(0,1)''', n);
		EXECUTE format('DELETE FROM hr.k%s WHERE ctid = ''(0,2)''', n);
		-- both keys are taken
		BEGIN
			EXECUTE format('INSERT INTO hr.k%s SELECT k, 5 FROM hr.k%1$s', n);
			RAISE NOTICE 'key % is not held', n;
		EXCEPTION WHEN unique_violation THEN NULL;
		END;
	END LOOP;
END$$;
\c - ty_boss
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'Asia/Kathmandu';
SET extra_float_digits = -5;
SELECT state, sqlstate, message, count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) GROUP BY 1, 2, 3;
\c - :me
DO $$
DECLARE
	good bigint;
BEGIN
	FOR n IN 1 .. 24 LOOP
		EXECUTE format('SELECT count(*) FILTER (WHERE v = 1) - count(*) FILTER (WHERE v <> 1) FROM hr.k%s', n) INTO good;
		IF good <> 1 THEN RAISE NOTICE 'key % did not find its row', n; END IF;
	END LOOP;
END$$;

-- ----------------------------------- types of extensions, where there are any
SELECT count(*) = 3 AS have_them FROM pg_available_extensions WHERE name IN ('hstore', 'citext', 'ltree') \gset
\if :have_them
	CREATE SCHEMA ext;
	GRANT USAGE ON SCHEMA ext TO PUBLIC;
	CREATE EXTENSION hstore SCHEMA ext;
	CREATE EXTENSION citext SCHEMA ext;
	CREATE EXTENSION ltree SCHEMA ext;
	CREATE TABLE hr.more (mail ext.citext PRIMARY KEY, h ext.hstore, path ext.ltree UNIQUE, cs ext.citext[]);
	CREATE TABLE hr.more_twin (LIKE hr.more INCLUDING ALL);
	GRANT ALL ON hr.more, hr.more_twin TO ty_app;
	SELECT idflow.require_approval('hr.more', expression => 'SQL:''ty_boss''', operations => '{INSERT,UPDATE}') IS NOT NULL AS ok \gset
	SET SESSION AUTHORIZATION ty_app;
	SELECT $$('Ann@X', 'a=>1, b=>NULL, "c d"=>"e\"f"', 'Top.a_1.b', '{A,"b c",NULL}')$$ AS v \gset
	INSERT INTO hr.more VALUES :v;
	INSERT INTO hr.more_twin VALUES :v;
	-- the key is held as the type compares: as citext does, in another schema
	DO $$BEGIN
		INSERT INTO hr.more (mail) VALUES ('aNN@x');
		RAISE NOTICE 'the key is not held';
	EXCEPTION WHEN unique_violation THEN NULL;
	END$$;
	SET SESSION AUTHORIZATION ty_boss;
	SELECT idflow.approve(task) AS state FROM idflow.inbox \gset
	SET SESSION AUTHORIZATION ty_app;
	UPDATE hr.more SET mail = 'ANN@x', h = '"z"=>"1"', path = path;
	UPDATE hr.more_twin SET mail = 'ANN@x', h = '"z"=>"1"', path = path;
	SET SESSION AUTHORIZATION ty_boss;
	SELECT idflow.approve(task) AS state FROM idflow.inbox \gset
	RESET SESSION AUTHORIZATION;
\else
	CREATE TABLE hr.more (a int);
	CREATE TABLE hr.more_twin (a int);
	INSERT INTO hr.more VALUES (1);
	INSERT INTO hr.more_twin VALUES (1);
\endif
SELECT count(*) FROM hr.more g JOIN hr.more_twin t ON g.* *= t.*;

\c :home :me
DROP DATABASE idflow_types WITH (FORCE);
DROP ROLE ty_app, ty_boss;
