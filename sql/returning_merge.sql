-- Counts and RETURNING of drafted rows: partitioned tables and MERGE.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_returning_merge;
\c idflow_returning_merge
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE rm_app LOGIN;
CREATE ROLE rm_boss LOGIN;
CREATE SCHEMA rm;
GRANT USAGE ON SCHEMA rm TO PUBLIC;
-- partitions whose columns stand in another order, with values generated otherwise
CREATE TABLE rm.part (
	id bigint GENERATED ALWAYS AS IDENTITY,
	k int NOT NULL,
	v text DEFAULT 'none',
	long text GENERATED ALWAYS AS (v || '!' || k::text) STORED,
	PRIMARY KEY (id, k)
) PARTITION BY RANGE (k);
CREATE TABLE rm.part1 PARTITION OF rm.part FOR VALUES FROM (0) TO (10);
CREATE TABLE rm.part2 (long text GENERATED ALWAYS AS (v || '!' || k::text) STORED, gone int, v text DEFAULT 'two', k int NOT NULL, id bigint NOT NULL);
ALTER TABLE rm.part2 DROP COLUMN gone;
ALTER TABLE rm.part ATTACH PARTITION rm.part2 FOR VALUES FROM (10) TO (20);
CREATE TABLE rm.part3 PARTITION OF rm.part FOR VALUES FROM (20) TO (40) PARTITION BY LIST (k);
CREATE TABLE rm.part3a PARTITION OF rm.part3 DEFAULT;
CREATE TABLE rm.plain (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
INSERT INTO rm.plain VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 30), (4, 'four', 40);
INSERT INTO rm.part (k, v) VALUES (1, 'a'), (11, 'b'), (21, 'c');
GRANT SELECT, INSERT, UPDATE, DELETE ON rm.part, rm.part1, rm.part2, rm.plain TO rm_app;
CREATE FUNCTION public.decide() RETURNS TABLE (state text, n bigint) LANGUAGE sql AS
$$SELECT a.state || coalesce(': ' || a.message, ''), count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a GROUP BY 1 ORDER BY 1$$;
SELECT idflow.require_approval('rm.part', expression => 'SQL:''rm_boss''', operations => '{INSERT,UPDATE,DELETE}');

-- ------------------------------------------------------------------ partitions
\c - rm_app
SELECT idflow.actor();
SET idflow.notice = off;
\set QUIET off
INSERT INTO rm.part (k, v) VALUES (2, 'n2'), (12, 'n12'), (22, 'n22') RETURNING tableoid::regclass, *;
INSERT INTO rm.part (k) VALUES (3), (13), (23) RETURNING part, long;
INSERT INTO rm.part1 (id, k, v) VALUES (50, 5, 'leaf') RETURNING *;
INSERT INTO rm.part1 (id, k, v) VALUES (51, 15, 'wrong leaf');
INSERT INTO rm.part (k, v) VALUES (99, 'no leaf');
-- in place, and to another partition: tableoid is where the row is now
WITH u AS (UPDATE rm.part SET v = v || '/u' RETURNING tableoid::regclass, *) SELECT * FROM u ORDER BY k;
WITH u AS (UPDATE rm.part SET k = k + 10 WHERE k < 20 RETURNING tableoid::regclass, *) SELECT * FROM u ORDER BY k;
UPDATE rm.part SET k = 99 WHERE k = 1;
UPDATE rm.part1 SET k = 15 WHERE k = 1;
WITH d AS (DELETE FROM rm.part WHERE k IN (1, 11, 21) RETURNING tableoid::regclass, k, v, long) SELECT * FROM d ORDER BY k;
\set QUIET on
SELECT tableoid::regclass, * FROM rm.part ORDER BY k;
-- of each row the first change is approved, the others are given up
SELECT count(idflow.withdraw(c.request)) FROM idflow.change c WHERE c.operation <> 'INSERT' AND NOT c.new_row ? 'k';
SELECT count(idflow.withdraw(c.request)) FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE c.operation = 'DELETE' AND r.state = 'open';
\c - rm_boss
SELECT * FROM public.decide();
\c - rm_app
SELECT tableoid::regclass, * FROM rm.part ORDER BY k, id;

-- ----------------------------------------------------------------------- MERGE
\c - :me
SELECT idflow.require_approval('rm.plain', expression => 'SQL:''rm_boss''', operations => '{INSERT,UPDATE}', condition => 'new.n > 10');
\c - rm_app
SELECT idflow.actor();
SET idflow.notice = off;
\set QUIET off
-- matched and unmatched, gated and direct: six rows of source, five of them act
MERGE INTO rm.plain p USING (VALUES (1, 5), (2, 50), (3, 60), (7, 7), (8, 80), (9, -1)) s(id, n) ON p.id = s.id
	WHEN MATCHED THEN UPDATE SET n = s.n
	WHEN NOT MATCHED AND s.n < 0 THEN DO NOTHING
	WHEN NOT MATCHED THEN INSERT (id, v, n) VALUES (s.id, 'merged', s.n);
-- a row that is met a second time
MERGE INTO rm.plain p USING (VALUES (1, 50), (1, 60)) s(id, n) ON p.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n;
MERGE INTO rm.plain p USING (VALUES (1, 5), (1, 6)) s(id, n) ON p.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n;
UPDATE rm.plain p SET n = s.n FROM (VALUES (1, 50), (1, 60)) s(id, n) WHERE p.id = s.id;
-- checked as by the statement
MERGE INTO rm.plain p USING (VALUES (1, NULL::int)) s(id, n) ON p.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n;
MERGE INTO rm.plain p USING (VALUES (17, 200)) s(id, n) ON p.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1, 'taken', s.n);
\set QUIET on
SELECT * FROM rm.plain ORDER BY id;
SELECT operation, key, new_row ->> 'n' AS n FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY c.id;
-- partitions: an UPDATE that moves rows beside an INSERT
\set QUIET off
MERGE INTO rm.part p USING (VALUES (12, 'moved'), (33, 'new')) s(k, v) ON p.k = s.k
	WHEN MATCHED THEN UPDATE SET k = 2, v = s.v
	WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v);
MERGE INTO rm.part p USING (VALUES (13)) s(k) ON p.k = s.k WHEN MATCHED THEN DELETE;
\set QUIET on
SELECT operation, new_row FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY c.id DESC LIMIT 3;
\c - rm_boss
SELECT * FROM public.decide();
\c - rm_app
SELECT * FROM rm.plain ORDER BY id;
SELECT tableoid::regclass, k, v, long FROM rm.part ORDER BY k, id;

-- 17: MERGE ... RETURNING. 18: OLD and NEW. What is tried stands in a function, so
-- that older servers read it as text.
\c - rm_app
SELECT idflow.actor();
SET idflow.notice = off;
CREATE FUNCTION pg_temp.since(major int, statement text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	got text;
BEGIN
	IF current_setting('server_version_num')::int / 10000 < major THEN
		RETURN 'as it should be';
	END IF;
	FOR line IN EXECUTE statement LOOP
		got := concat_ws(' ', got, line);
	END LOOP;
	RETURN CASE WHEN got = wanted THEN 'as it should be' ELSE got END;
END$$;
SELECT pg_temp.since(17, 'MERGE INTO rm.plain p USING (VALUES (1, 6), (3, 70), (11, 110), (12, 2)) s(id, n) ON p.id = s.id
	WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, ''m'', s.n)
	RETURNING concat_ws('':'', merge_action(), p.id, p.n)', 'UPDATE:1:6 UPDATE:3:70 INSERT:11:110 INSERT:12:2');
SELECT pg_temp.since(18, 'UPDATE rm.plain SET n = 100 WHERE id = 4 RETURNING concat_ws('':'', old.n, new.n, n, old IS NULL, new IS NULL)', '40:100:100:f:f');
SELECT pg_temp.since(18, 'INSERT INTO rm.plain VALUES (20, ''x'', 100) RETURNING concat_ws('':'', coalesce(old.n, -1), new.n, old IS NULL)', '-1:100:t');
SELECT pg_temp.since(18, 'DELETE FROM rm.part WHERE k = 3 RETURNING concat_ws('':'', old.v, coalesce(new.v, ''-''), v)', 'none:-:none');

\c :home :me
DROP DATABASE idflow_returning_merge WITH (FORCE);
DROP ROLE rm_app, rm_boss;
