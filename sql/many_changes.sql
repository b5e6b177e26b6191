-- requests of many changes, which are read into as little memory as they take
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE SCHEMA mc;
CREATE TABLE mc.t (id int PRIMARY KEY, a text, b int[], c text);
CREATE TABLE mc.u (LIKE mc.t INCLUDING ALL);
CREATE TABLE mc.plain (LIKE mc.t INCLUDING ALL);
CREATE TABLE mc.log (target text, operation text, zone text);
INSERT INTO mc.t SELECT i, 'a' || i, ARRAY[i, NULL], repeat('c', i % 7) FROM generate_series(1, 60) i;
INSERT INTO mc.u SELECT * FROM mc.t;
INSERT INTO mc.plain SELECT * FROM mc.t;
CREATE FUNCTION mc.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mc.log VALUES (TG_TABLE_NAME, TG_OP, current_setting('TimeZone'));
	RETURN NULL;
END $$;
CREATE TRIGGER log AFTER UPDATE OR DELETE ON mc.t FOR EACH ROW EXECUTE FUNCTION mc.log();
CREATE TRIGGER log AFTER UPDATE OR DELETE ON mc.u FOR EACH ROW EXECUTE FUNCTION mc.log();
SELECT idflow.require_approval('mc.t', 'boss', operations => '{INSERT,UPDATE,DELETE}');
SELECT idflow.require_approval('mc.u', 'boss', operations => '{INSERT,UPDATE,DELETE}');
INSERT INTO idflow.profile_member VALUES ('boss', 'boss'), ('boss', 'chef');

-- two tables, three operations, other settings from the middle on
SET idflow.actor = 'app';
BEGIN;
SELECT idflow.begin_request('many') AS r \gset
SET TimeZone = 'UTC';
UPDATE mc.t SET a = NULL, b = b || id WHERE id <= 25;
SET TimeZone = 'Asia/Tokyo';
UPDATE mc.t SET c = a || '"\' WHERE id > 25;
UPDATE mc.u SET b = '{}' WHERE id <= 20;
DELETE FROM mc.u WHERE id > 20 AND id <= 40;
INSERT INTO mc.u VALUES (100, 'new', NULL, '');
SELECT idflow.submit(:r);
COMMIT;
RESET TimeZone;
SELECT target, operation, count(*) FROM idflow.change WHERE request = :r GROUP BY 1, 2 ORDER BY 1, 2;
-- what is edited of one is that one's
SET idflow.actor = 'boss';
SELECT idflow.save(task, jsonb_build_object((SELECT id FROM idflow.change WHERE request = :r AND target = 'mc.u'::regclass AND key = '{"id": 7}')::text, '{"b": [7, 7], "c": "saved"}'::jsonb))
FROM idflow.inbox WHERE request = :r;
SET idflow.actor = 'chef';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
UPDATE mc.plain SET a = NULL, b = b || id WHERE id <= 25;
UPDATE mc.plain SET c = a || '"\' WHERE id > 25;
SELECT count(*) AS differ FROM mc.t FULL JOIN mc.plain p USING (id) WHERE t IS DISTINCT FROM p;
SELECT count(*), count(*) FILTER (WHERE b = '{}') AS updated, min(id) FILTER (WHERE id > 20) AS next FROM mc.u;
SELECT * FROM mc.u WHERE id IN (7, 100);
-- each as it was drafted
SELECT target, operation, zone, count(*) FROM mc.log GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- and back
SET idflow.actor = 'app';
SELECT idflow.undo(:r) AS z \gset
SET idflow.actor = 'chef';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :z;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :z;
SELECT count(*), md5(string_agg(t::text, '|' ORDER BY id)) = md5((SELECT string_agg(u::text, '|' ORDER BY id) FROM mc.u)) AS alike FROM mc.t;

-- what an apply of 4000 has in memory
CREATE TABLE mc.wide AS SELECT i AS id, 'some name ' || i AS a, 'some address ' || i AS b, 0 AS n FROM generate_series(1, 4000) i;
ALTER TABLE mc.wide ADD PRIMARY KEY (id);
CREATE TABLE mc.memory (bytes bigint);
CREATE FUNCTION mc.memory() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mc.memory SELECT sum(total_bytes) FROM pg_backend_memory_contexts;
	RETURN NULL;
END $$;
CREATE TRIGGER memory AFTER UPDATE ON mc.wide FOR EACH ROW WHEN (NEW.id IN (1, 4000)) EXECUTE FUNCTION mc.memory();
SELECT idflow.require_approval('mc.wide', 'boss', operations => '{UPDATE}');
SET idflow.actor = 'app';
SET idflow.bundle = statement;
UPDATE mc.wide SET n = id, b = upper(b);
\c -
SET idflow.actor = 'chef';
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT count(*), max(bytes) < 4000 * 3500 AS little FROM mc.memory;

SET client_min_messages = warning;
DROP EXTENSION idflow CASCADE;
DROP SCHEMA mc CASCADE;
