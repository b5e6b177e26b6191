-- events and changes of closed requests, put away by the month, and dropped
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
SET client_min_messages = notice;
CREATE ROLE hi_app;
CREATE ROLE hi_other;
CREATE ROLE hi_admin IN ROLE idflow_admin;
CREATE SCHEMA hi;
GRANT USAGE ON SCHEMA hi TO PUBLIC;
CREATE TABLE hi.person (id int PRIMARY KEY, name text, about text);
GRANT ALL ON hi.person TO hi_app;
SELECT idflow.require_approval('hi.person', 'boss', operations => '{INSERT,UPDATE,DELETE}');
INSERT INTO idflow.profile_member VALUES ('boss', 'boss');
CREATE FUNCTION pg_temp.yes() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', 'boss', true);
	RETURN QUERY SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
END $$;
CREATE FUNCTION pg_temp.places() RETURNS TABLE (request bigint, events text, changes text) LANGUAGE sql AS $$
	SELECT r.id, (SELECT string_agg(DISTINCT e.tableoid::regclass::text, ' ') FROM idflow.event e WHERE e.request = r.id),
		(SELECT string_agg(DISTINCT c.tableoid::regclass::text, ' ') FROM idflow.change_data c WHERE c.request = r.id)
	FROM idflow.request r ORDER BY 1 $$;
CREATE VIEW hi.reports AS
	SELECT r.id, r.state, (SELECT md5(string_agg(e::text, '|' ORDER BY seq)) FROM idflow.event e WHERE e.request = r.id) AS events,
		(SELECT md5(string_agg(concat_ws(',', c.operation, c.key, c.old_row, c.new_row), '|' ORDER BY seq)) FROM idflow.change c WHERE c.request = r.id) AS changes
	FROM idflow.request r;
SET ROLE hi_app;
INSERT INTO hi.person SELECT i, 'p' || i FROM generate_series(1, 4) i;
-- one request of many rows
SET idflow.bundle = statement;
SET idflow.check_limit = 5;
INSERT INTO hi.person SELECT i, 'q' || i FROM generate_series(101, 140) i;
RESET idflow.bundle;
SELECT idflow.last_request() AS many \gset
RESET ROLE;
SELECT pg_temp.yes();
SET ROLE hi_app;
UPDATE hi.person SET name = 'changed' WHERE id = 1;
SELECT idflow.last_request() AS u \gset
INSERT INTO hi.person VALUES (9, 'withdrawn');
SELECT idflow.withdraw(idflow.last_request(), 'said hi_app');
RESET ROLE;
SELECT pg_temp.yes();
SET ROLE hi_app;
INSERT INTO hi.person VALUES (10, 'open');
SELECT idflow.last_request() AS open \gset
RESET ROLE;
-- closed a while ago
UPDATE idflow.request SET opened_at = '2001-01-10', closed_at = CASE WHEN id <= 3 THEN '2001-01-31 23:30+00' WHEN id <= :many THEN '2001-02-01 00:00+00' ELSE '2001-03-15' END::timestamptz
WHERE closed_at IS NOT NULL;
CREATE TABLE hi.before AS SELECT * FROM hi.reports;

SELECT idflow.move_history(NULL);
SELECT idflow.move_history('2001-01-01', 0);
SELECT idflow.move_history('infinity');
SET ROLE hi_app;
SELECT idflow.move_history('2001-03-01');
SELECT idflow.drop_history('2001-03-01', 'I may');
RESET ROLE;

-- in batches, and what is closed later stays
SET ROLE hi_admin;
SELECT idflow.move_history('2001-03-01', 2);
SELECT idflow.move_history('2001-03-01', 2);
SELECT idflow.move_history('2001-03-01');
SELECT idflow.move_history('2001-03-01');
SELECT month, requests, events, dropped_at, reason FROM idflow.history ORDER BY 1;
RESET ROLE;
SELECT * FROM pg_temp.places();
SELECT idflow.move_history(now());
SELECT * FROM pg_temp.places() WHERE request > :many;
-- all is shown as before
SELECT count(*) AS requests, count(*) FILTER (WHERE r IS DISTINCT FROM b) AS changed FROM hi.reports r FULL JOIN hi.before b USING (id);
-- to whom it was
SET ROLE hi_app;
SELECT count(DISTINCT request) AS requests, count(*) > 0 AS events FROM idflow.event;
SET ROLE hi_other;
SELECT count(*) AS events FROM idflow.event;
SELECT count(*) FROM idflow.event_2001_01;
SELECT count(*) FROM idflow.change_data_2001_01;
SELECT count(*) FROM idflow.history;
RESET ROLE;
-- and kept from whoever it was
UPDATE idflow.event_2001_01 SET comment = 'forged';
DELETE FROM idflow.event WHERE request = 1;
TRUNCATE idflow.event_2001_01;
SELECT idflow.history_move('{1}', 'hi.person', 'hi.person');

-- a remark on one that was moved
SET ROLE hi_app;
SELECT idflow.comment(1, 'late remark') > 0 AS said;
RESET ROLE;
SELECT * FROM pg_temp.places() WHERE request = 1;
SELECT seq, transition, comment FROM idflow.event WHERE request = 1 ORDER BY seq;
SELECT idflow.move_history(now());
SELECT * FROM pg_temp.places() WHERE request = 1;

-- undone all the same
SET ROLE hi_app;
SELECT idflow.undo(1) AS z1, idflow.undo(:u) AS z2, idflow.undo(:many) AS z3 \gset
SELECT operation, key, old_row, new_row FROM idflow.change WHERE request IN (:z1, :z2) ORDER BY request;
SELECT count(*), min(key ->> 'id'), max(key ->> 'id') FROM idflow.change WHERE request = :z3;
SELECT idflow.withdraw(:z1), idflow.withdraw(:z2);
RESET ROLE;
SELECT pg_temp.yes();
SELECT id, name FROM hi.person ORDER BY id;
-- a draft of a row that was written long ago by a request whose changes were moved
SET ROLE hi_app;
UPDATE hi.person SET name = 'again' WHERE id = 2;
SELECT idflow.last_request() AS again \gset
SELECT p = :again AS pending FROM idflow.pending('hi.person', '{"id": 2}') p;
RESET ROLE;
SELECT pg_temp.yes();

-- forgotten and blanked there, too
SELECT idflow.erase('hi_app', 'letter') LIKE 'erased-%' AS erased;
SELECT count(*) AS events FROM idflow.event e WHERE e::text LIKE '%hi\_app%';
SELECT count(*) AS images FROM idflow.change_data c WHERE c.request = :many AND (c.new_image IS NOT NULL OR c.key IS NOT NULL);

-- dropped by the month
SELECT idflow.drop_history('2001-03-01', ' ');
SELECT idflow.drop_history(NULL, 'old');
-- an archived copy can be told by the digests of the first and the last event, whatever the session's time zone
CREATE TABLE hi.archive AS SELECT * FROM idflow.event_2001_01;
SET ROLE hi_admin;
SELECT idflow.drop_history('2001-02-28 23:59:59+00', 'ten years are over');
SELECT idflow.drop_history('2001-02-28 23:59:59+00', 'ten years are over');
SELECT month, requests, dropped_at IS NOT NULL AS dropped, dropped_by, reason FROM idflow.history WHERE month < '2002-01-01' ORDER BY 1;
RESET ROLE;
SET timezone = 'UTC';
SELECT h.month, a.first = h.first_event AS first, a.last = h.last_event AS last, a.first <> a.last AS unlike
  FROM idflow.history h, (SELECT DISTINCT first_value(d) OVER w AS first, last_value(d) OVER w AS last
                          FROM hi.archive a, LATERAL sha256(convert_to(to_jsonb(a)::text, 'UTF8')) d
                          WINDOW w AS (ORDER BY request, seq ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) a
  WHERE h.month = '2001-01-01';
SELECT count(*) AS with_digest FROM idflow.history WHERE dropped_at IS NULL AND num_nonnulls(first_event, last_event) > 0;
RESET timezone;
SELECT * FROM pg_temp.places() WHERE request <= :many;
SELECT id, state, title FROM idflow.request WHERE id = 2;
SELECT count(*) FROM idflow.change WHERE request = 2;
SELECT idflow.undo(2);
-- what is said of them now stays where it is
SELECT idflow.comment(2, 'dropped by now') > 0 AS said;
SELECT idflow.move_history(now()) >= 0 AS moved;
SELECT * FROM pg_temp.places() WHERE request = 2;

SET client_min_messages = warning;
DROP EXTENSION idflow CASCADE;
SELECT count(*) AS left FROM pg_class WHERE relnamespace::regnamespace::text = 'idflow';
DROP SCHEMA hi CASCADE;
DROP ROLE hi_app, hi_other, hi_admin;
