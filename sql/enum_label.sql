-- a label of an enum, renamed while it is drafted: one's draft doesn't keep others from reading theirs
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE SCHEMA el;
CREATE SCHEMA el_mine;
CREATE TYPE el.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN el.calm AS el.mood;
CREATE TABLE el.mo (id int PRIMARY KEY, m el.mood, ms el.mood[], d el.calm, n text);
CREATE TABLE el.by_mood (m el.mood PRIMARY KEY, n text);
INSERT INTO el.mo VALUES (1, 'ok', '{ok}', 'ok', 'x');
INSERT INTO el.by_mood VALUES ('sad', 'a'), ('ok', 'b');
SELECT idflow.require_approval('el.mo', 'boss', operations => '{INSERT,UPDATE,DELETE}');
SELECT idflow.require_approval('el.by_mood', 'boss', operations => '{INSERT,UPDATE,DELETE}');
INSERT INTO idflow.profile_member VALUES ('boss', 'boss'), ('boss', 'chef');
SELECT idflow.preview_schema('el', 'el_mine') IS NOT NULL AS made;
SET idflow.actor = 'app';
INSERT INTO el.mo VALUES (2, 'sad', '{sad,ok}', 'sad', 'y');
SELECT idflow.last_request() AS r1 \gset
UPDATE el.mo SET m = 'sad' WHERE id = 1;
SELECT idflow.last_request() AS r2 \gset
INSERT INTO el.mo VALUES (3, 'ok', '{ok}', 'ok', 'z');
UPDATE el.by_mood SET n = 'aa' WHERE m = 'sad';
SELECT idflow.last_request() AS r4 \gset
-- a plan whose other parts run in parallel
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET enable_nestloop = off; SET enable_mergejoin = off;
CREATE TABLE el.big AS SELECT generate_series(1, 20000) AS i;
ANALYZE el.big;
EXPLAIN (COSTS OFF) SELECT count(*) FROM el.big b JOIN idflow.drafts(NULL::el.mo) d ON d.id = b.i;
SELECT count(*) FROM el.big b JOIN idflow.drafts(NULL::el.mo) d ON d.id = b.i;
SELECT count(*) FROM el.big b JOIN idflow.preview(NULL::el.mo) d ON d.id = b.i;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET enable_nestloop; RESET enable_mergejoin;
RESET idflow.actor;
ALTER TYPE el.mood RENAME VALUE 'sad' TO 'blue';
SET idflow.actor = 'app';
SELECT * FROM idflow.drafts(NULL::el.mo) ORDER BY id;
SELECT * FROM idflow.preview(NULL::el.mo) ORDER BY id;
SELECT * FROM idflow.preview(NULL::el.mo, :r2) ORDER BY id;
SELECT * FROM el_mine.mo ORDER BY id;
SELECT * FROM idflow.preview(NULL::el.by_mood) ORDER BY m;
-- the drafts say what they have
SELECT request, column_name, base, live, draft FROM idflow.change_diff WHERE column_name IN ('m', 'ms', 'd') OR request = :r4 ORDER BY request, column_name;
SELECT request, key, new_row FROM idflow.change ORDER BY request;
-- it isn't written, and can be put right
SET idflow.actor = 'boss';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r1;
SELECT idflow.save(task, '{"m": "blue", "ms": ["blue", "ok"], "d": "blue"}') FROM idflow.inbox WHERE request = :r1;
SELECT idflow.save(task, '{"m": "blue"}') FROM idflow.inbox WHERE request = :r2;
SET idflow.actor = 'chef';
SELECT request, idflow.approve(task) FROM idflow.inbox WHERE request IN (:r1, :r2) ORDER BY request;
-- but for a key
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r4;
SELECT idflow.decline(task, 'the row is found no more') FROM idflow.inbox WHERE request = :r4;
SELECT * FROM el.mo ORDER BY id;
RESET idflow.actor;
DROP EXTENSION idflow CASCADE;
DROP SCHEMA el, el_mine CASCADE;
