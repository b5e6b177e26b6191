-- Gates on partitioned tables: every way in, and no row lost on any.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_gate_partition;
\c idflow_gate_partition
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_gate_partition SET idflow.notice = off;
CREATE ROLE gp_app LOGIN;
CREATE ROLE gp_boss LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE FUNCTION public.approve_all() RETURNS TABLE (request bigint, state text, sqlstate text, message text) LANGUAGE sql
	AS $$SELECT request, state, sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task))$$;
-- columns stand in another order in each partition, and one has a hole
CREATE TABLE hr.p (k int, a text, b int DEFAULT 7, c date, PRIMARY KEY (k, a)) PARTITION BY LIST (k);
CREATE TABLE hr.p1 PARTITION OF hr.p FOR VALUES IN (1);
CREATE TABLE hr.p2 (c date, b int DEFAULT 7, a text NOT NULL, k int NOT NULL);
ALTER TABLE hr.p ATTACH PARTITION hr.p2 FOR VALUES IN (2);
CREATE TABLE hr.p3 (gone text, b int DEFAULT 9, k int NOT NULL, c date, a text NOT NULL);
ALTER TABLE hr.p3 DROP COLUMN gone;
ALTER TABLE hr.p ATTACH PARTITION hr.p3 FOR VALUES IN (3);
INSERT INTO hr.p VALUES (1, 'one', 1, '2001-01-01'), (2, 'two', 2, '2002-02-02'), (3, 'three', 3, '2003-03-03'),
	(1, 'uno', 11, '2011-01-01'), (2, 'due', 22, '2022-02-02'), (3, 'tre', 33, '2033-03-03');
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.p, hr.p1, hr.p2, hr.p3 TO gp_app;
GRANT SELECT ON hr.p TO gp_boss;
SELECT idflow.require_approval('hr.p', expression => 'SQL:''gp_boss''', operations => '{INSERT,UPDATE,DELETE}');
SELECT target, operation, enabled FROM idflow.gate ORDER BY operation;

-- ------------------------------------------------------- by root and by leaf
\c - gp_app
SELECT idflow.actor();
INSERT INTO hr.p VALUES (1, 'i1'), (2, 'i2'), (3, 'i3');
INSERT INTO hr.p2 (k, a) VALUES (2, 'leaf2');
INSERT INTO hr.p3 (k, a) VALUES (3, 'leaf3');
UPDATE hr.p SET b = b + 100 WHERE a IN ('one', 'two', 'three');
UPDATE hr.p3 SET c = '2000-01-01' WHERE a = 'tre';
DELETE FROM hr.p WHERE a = 'uno';
DELETE FROM hr.p2 WHERE a = 'due';
COPY hr.p (a, k) FROM stdin;
copy2	2
copy3	3
\.
COPY hr.p3 (a, k) FROM stdin;
copyleaf	3
\.
-- the key is held across root and leaf
INSERT INTO hr.p3 (k, a) VALUES (3, 'i3');
INSERT INTO hr.p (k, a) VALUES (3, 'leaf3');
INSERT INTO hr.p (k, a) VALUES (3, 'tre');
SELECT id & 255 AS seq, target, operation, key, old_row, new_row FROM idflow.change ORDER BY request;
SELECT count(*) FROM hr.p;
\c - gp_boss
SELECT * FROM public.approve_all();
SELECT tableoid::regclass, k, a, b, c FROM hr.p ORDER BY k, a;

-- --------------------------------------------- an UPDATE that moves a row
\c - gp_app
SELECT idflow.actor();
UPDATE hr.p SET k = 2, b = 0 WHERE a = 'one';
UPDATE hr.p SET k = 1 WHERE k = 3 AND a LIKE 'i%';
UPDATE hr.p SET k = 9 WHERE a = 'two';
\echo :LAST_ERROR_SQLSTATE
UPDATE hr.p3 SET k = 1 WHERE a = 'tre';
UPDATE hr.p SET a = 'leaf2', k = 2 WHERE a = 'leaf3';
SELECT target, operation, key, old_row, new_row FROM idflow.change WHERE request >= idflow.last_request() - 1 ORDER BY request;
SELECT count(*) FROM hr.p;
\c - gp_boss
SELECT * FROM public.approve_all();
SELECT tableoid::regclass, k, a, b, c FROM hr.p ORDER BY k, a;
-- a moved row that was changed meanwhile
\c - gp_app
UPDATE hr.p SET k = 3 WHERE a = 'one';
\c - :me
BEGIN;
SELECT idflow.bypass('test');
UPDATE hr.p SET b = 55 WHERE a = 'one';
COMMIT;
\c - gp_boss
SELECT * FROM public.approve_all();
SELECT tableoid::regclass, k, a, b FROM hr.p WHERE a = 'one';

-- ------------------------------------------------- the first statement, as is
\c - gp_app
INSERT INTO hr.p VALUES (3, 'first');
\c - gp_app
UPDATE hr.p SET k = 1 WHERE a = 'first' OR a = 'i2';
\c - gp_app
COPY hr.p (a, k) FROM stdin;
firstcopy	2
\.
\c - gp_app
-- here nothing tells, until the library is loaded
DO $$BEGIN INSERT INTO hr.p VALUES (1, 'do'); END$$;
DO $$BEGIN INSERT INTO hr.p VALUES (1, 'do'); END$$;
\c - gp_app
DELETE FROM hr.p3 WHERE a = 'i3';
\c - gp_boss
SELECT * FROM public.approve_all();
SELECT tableoid::regclass, k, a FROM hr.p WHERE a IN ('first', 'i2', 'i3', 'firstcopy', 'do') ORDER BY k, a;

-- ---------------------------------- only INSERT gated: a moved row is no new row
\c - :me
CREATE FUNCTION public.moves(operations text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS hr.m;
	CREATE TABLE hr.m (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
	CREATE TABLE hr.m1 PARTITION OF hr.m FOR VALUES FROM (0) TO (10);
	CREATE TABLE hr.m2 PARTITION OF hr.m FOR VALUES FROM (10) TO (20);
	INSERT INTO hr.m VALUES (1, 'a'), (2, 'b'), (11, 'c'), (12, 'd');
	GRANT SELECT, INSERT, UPDATE, DELETE ON hr.m TO gp_app;
	PERFORM idflow.require_approval('hr.m', expression => 'SQL:''gp_boss''', operations => operations);
END$$;
SELECT public.moves('{INSERT}');
\c - gp_app
\set QUIET off
UPDATE hr.m SET id = 15 WHERE id = 1;
\set QUIET on
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
-- both in one statement can't be told apart in the statement that loads the library
\c - gp_app
WITH i AS (INSERT INTO hr.m VALUES (5, 'cte')) UPDATE hr.m SET id = 16 WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
-- nor may what a function of that statement writes be taken for a row that moves
\c - :me
CREATE FUNCTION public.writes(statement text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; RETURN false; END';
\c - gp_app
UPDATE hr.m SET v = v WHERE id = 11 AND public.writes('INSERT INTO hr.m VALUES (5, ''inside'')');
\echo :LAST_ERROR_SQLSTATE
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
-- in later ones it can
BEGIN;
WITH i AS (INSERT INTO hr.m VALUES (5, 'cte')) UPDATE hr.m SET id = 16 WHERE id = 2;
MERGE INTO hr.m USING (VALUES (11), (6)) s(id) ON m.id = s.id
	WHEN MATCHED THEN UPDATE SET id = 3 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'merged');
SELECT operation, new_row FROM idflow.change ORDER BY id DESC LIMIT 2;
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
ROLLBACK;
-- ON CONFLICT updates what is there; an UPDATE meets no gate here
INSERT INTO hr.m VALUES (2, 'conflict') ON CONFLICT (id) DO UPDATE SET v = 'updated';
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
SELECT count(*) FROM idflow.inbox;
-- ---------------------------------- only DELETE gated
\c - :me
SELECT public.moves('{DELETE}');
\c - gp_app
\set QUIET off
UPDATE hr.m SET id = 15 WHERE id = 1;
MERGE INTO hr.m USING (VALUES (2)) s(id) ON m.id = s.id WHEN MATCHED THEN UPDATE SET id = 16;
\set QUIET on
\c - gp_app
UPDATE hr.m SET v = v WHERE id = 11 AND public.writes('DELETE FROM hr.m WHERE id = 12');
\echo :LAST_ERROR_SQLSTATE
-- MERGE says since 17 which of its actions deletes; before, both in one are refused
DO $$
BEGIN
	MERGE INTO hr.m USING (VALUES (11), (12)) s(id) ON m.id = s.id
		WHEN MATCHED AND s.id = 11 THEN UPDATE SET id = 3 WHEN MATCHED THEN DELETE;
	IF (SELECT count(*) FROM hr.m WHERE id IN (3, 12)) <> 2 OR current_setting('server_version_num')::int < 170000 THEN
		RAISE 'unexpected';
	END IF;
	RAISE 'WF010 or as it should be' USING ERRCODE = 'WF010';
EXCEPTION WHEN SQLSTATE 'WF010' THEN
	RAISE NOTICE 'refused before 17, else a move and a draft';
END$$;
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
DELETE FROM hr.m WHERE id = 12;
\c - gp_boss
SELECT state, sqlstate, message FROM public.approve_all();
-- ---------------------------------- only UPDATE gated
\c - :me
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
SELECT public.moves('{UPDATE}');
\c - gp_app
\set QUIET off
UPDATE hr.m SET id = 15 WHERE id = 1;
MERGE INTO hr.m USING (VALUES (2), (6)) s(id) ON m.id = s.id
	WHEN MATCHED THEN UPDATE SET id = 16 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'merged');
\set QUIET on
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;
\c - gp_boss
SELECT state, sqlstate, message FROM public.approve_all();
\c - gp_app
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;

-- -------------------------------------------------------------------- MERGE
\c - :me
SELECT public.moves('{INSERT,UPDATE,DELETE}');
\c - gp_app
SELECT idflow.actor();
-- no row moves in these
MERGE INTO hr.m USING (VALUES (1), (6)) s(id) ON m.id = s.id
	WHEN MATCHED THEN UPDATE SET v = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'merged');
MERGE INTO hr.m USING (VALUES (2)) s(id) ON m.id = s.id WHEN MATCHED THEN DELETE;
MERGE INTO hr.m USING (VALUES (11)) s(id) ON m.id = s.id WHEN MATCHED THEN UPDATE SET id = 7;
SELECT operation, key, new_row FROM idflow.change WHERE request > idflow.last_request() - 4 ORDER BY key::text;
SELECT count(*) FROM hr.m;
\c - gp_boss
SELECT state, sqlstate, message FROM public.approve_all();
\c - gp_app
SELECT tableoid::regclass, * FROM hr.m ORDER BY id;

-- ---------------------------------------------------------------- TRUNCATE
\c - :me
TRUNCATE hr.m;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE hr.m2;
\echo :LAST_ERROR_SQLSTATE
-- ---------------------------------------------------------- a later partition
CREATE TABLE hr.m3 PARTITION OF hr.m FOR VALUES FROM (20) TO (30);
CREATE TABLE hr.m4 (v text, id int NOT NULL, extra int);
INSERT INTO hr.m4 VALUES ('came with it', 31, NULL);
ALTER TABLE hr.m4 DROP COLUMN extra;
ALTER TABLE hr.m ATTACH PARTITION hr.m4 FOR VALUES FROM (30) TO (40);
GRANT ALL ON hr.m3, hr.m4 TO gp_app;
\c - gp_app
INSERT INTO hr.m VALUES (21, 'later');
INSERT INTO hr.m3 VALUES (22, 'later');
INSERT INTO hr.m4 VALUES ('attached', 32);
UPDATE hr.m SET id = 23 WHERE id = 31;
SELECT tableoid::regclass, * FROM hr.m WHERE id > 19 ORDER BY id;
TRUNCATE hr.m3;
TRUNCATE hr.m4;
-- a detached one keeps no gate, and takes none of the drafts with it
\c - :me
ALTER TABLE hr.m DETACH PARTITION hr.m3;
\c - gp_boss
SELECT state, sqlstate, message FROM public.approve_all();
\c - :me
SELECT tableoid::regclass, * FROM hr.m WHERE id > 19 ORDER BY id;
SELECT * FROM hr.m3;
-- sub-partitions
CREATE TABLE hr.s (id int, v text, n int, PRIMARY KEY (id, v)) PARTITION BY RANGE (id);
CREATE TABLE hr.s1 PARTITION OF hr.s FOR VALUES FROM (0) TO (10) PARTITION BY LIST (v);
CREATE TABLE hr.s1a PARTITION OF hr.s1 FOR VALUES IN ('a');
CREATE TABLE hr.s1b PARTITION OF hr.s1 FOR VALUES IN ('b');
INSERT INTO hr.s VALUES (1, 'a', 1), (2, 'b', 2);
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.s, hr.s1, hr.s1a TO gp_app;
SELECT idflow.require_approval('hr.s', expression => 'SQL:''gp_boss''', operations => '{INSERT,UPDATE,DELETE}');
\c - gp_app
INSERT INTO hr.s1 VALUES (3, 'a', 3);
UPDATE hr.s1 SET v = 'b' WHERE id = 1;
UPDATE hr.s1a SET n = 5 WHERE id = 1;
DELETE FROM hr.s WHERE id = 2;
SELECT target, operation, key FROM idflow.change WHERE request > idflow.last_request() - 4 ORDER BY request;
\c - gp_boss
SELECT state, sqlstate, message FROM public.approve_all();
\c - :me
SELECT tableoid::regclass, * FROM hr.s ORDER BY id;

\c :home :me
DROP DATABASE idflow_gate_partition WITH (FORCE);
DROP ROLE gp_app, gp_boss;
