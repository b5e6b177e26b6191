-- INSERT ... ON CONFLICT at gates: drafted is what would be inserted, and what
-- would be updated if updates are gated; the rest is done at once.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_on_conflict;
\c idflow_on_conflict
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE oc_app LOGIN;
CREATE ROLE oc_boss LOGIN;
CREATE SCHEMA oc;
GRANT USAGE ON SCHEMA oc TO PUBLIC;
CREATE TABLE oc.stock (
	id int PRIMARY KEY,
	code text UNIQUE,
	n int NOT NULL DEFAULT 0 CHECK (n >= 0),
	upper_code text GENERATED ALWAYS AS (upper(code)) STORED UNIQUE
);
INSERT INTO oc.stock VALUES (1, 'a', 1), (2, 'b', 2);
GRANT SELECT, INSERT, UPDATE ON oc.stock TO oc_app;
GRANT SELECT ON oc.stock TO oc_boss;
CREATE FUNCTION public.decide() RETURNS SETOF text LANGUAGE sql AS
$$SELECT a.state || coalesce(': ' || a.message, '') FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a$$;
CREATE FUNCTION public.open_drafts() RETURNS TABLE (operation text, key jsonb, new_row jsonb) LANGUAGE sql AS
$$SELECT c.operation, c.key, c.new_row FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY c.id$$;

-- ------------------------------------------------------------ INSERT is gated
SELECT idflow.require_approval('oc.stock', expression => 'SQL:''oc_boss''');
\c - oc_app
SELECT idflow.actor();
SET idflow.notice = off;
\set QUIET off
-- rows that are there: nothing, or their update, which meets no gate
INSERT INTO oc.stock VALUES (1, 'x', 10) ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO oc.stock VALUES (9, 'a', 10) ON CONFLICT (code) DO NOTHING RETURNING id;
INSERT INTO oc.stock VALUES (9, 'A', 10) ON CONFLICT (upper_code) DO NOTHING RETURNING id;
INSERT INTO oc.stock VALUES (1, 'x', 10) ON CONFLICT (id) DO UPDATE SET n = stock.n + excluded.n RETURNING id, code, n;
INSERT INTO oc.stock VALUES (1, 'x', 10) ON CONFLICT (id) DO UPDATE SET n = 0 WHERE stock.n > 100 RETURNING id, code, n;
-- rows that are not there: drafted
INSERT INTO oc.stock VALUES (3, 'c', 3) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO oc.stock VALUES (4, 'd', 4) ON CONFLICT (id) DO UPDATE SET n = 0 RETURNING *;
-- both in one statement, in its order
INSERT INTO oc.stock SELECT g, 'g' || g, g FROM generate_series(1, 6) g WHERE g NOT IN (3, 4)
	ON CONFLICT (id) DO UPDATE SET n = excluded.n + 100 RETURNING id, code, n;
-- another key than the one ON CONFLICT is about
INSERT INTO oc.stock VALUES (9, 'b', 1) ON CONFLICT (id) DO NOTHING;
-- a key that an open draft asks for: nothing to do, and nothing to update
INSERT INTO oc.stock VALUES (3, 'c', 30) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO oc.stock VALUES (3, 'z', 30) ON CONFLICT (id) DO NOTHING RETURNING *;
INSERT INTO oc.stock VALUES (9, 'c', 30) ON CONFLICT (id) DO NOTHING RETURNING *;
-- the key that ON CONFLICT is about decides, whichever others are asked for too
INSERT INTO oc.stock VALUES (3, 'c', 30) ON CONFLICT (code) DO NOTHING RETURNING *;
INSERT INTO oc.stock VALUES (3, 'c', 30) ON CONFLICT (id) DO UPDATE SET n = 30;
-- the same key twice in one statement
INSERT INTO oc.stock VALUES (7, 'e', 1), (7, 'e', 2) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO oc.stock VALUES (8, 'f', 1), (8, 'f', 2) ON CONFLICT (id) DO UPDATE SET n = excluded.n;
INSERT INTO oc.stock VALUES (1, 'a', 1), (1, 'a', 2) ON CONFLICT (id) DO UPDATE SET n = excluded.n;
-- what is not valid is not valid, whether or not it is in another's way
INSERT INTO oc.stock VALUES (1, 'a', -1) ON CONFLICT DO NOTHING;
INSERT INTO oc.stock VALUES (9, 'i', NULL) ON CONFLICT DO NOTHING;
\set QUIET on
SELECT * FROM public.open_drafts();
SELECT * FROM oc.stock ORDER BY id;
\c - oc_boss
SELECT * FROM public.decide();
SELECT * FROM oc.stock ORDER BY id;

-- ------------------------------------------------------------ UPDATE is gated
\c - :me
SELECT idflow.attach('stock_approval', 'oc.stock', '{UPDATE}');
\c - oc_app
SELECT idflow.actor();
SET idflow.notice = off;
\set QUIET off
INSERT INTO oc.stock VALUES (1, 'x', 50) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, code, n;
INSERT INTO oc.stock VALUES (20, 'new', 20) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, code, n;
INSERT INTO oc.stock SELECT g, 'h' || g, 70 FROM generate_series(2, 10, 4) g
	ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, code, n;
INSERT INTO oc.stock VALUES (1, 'x', 51), (1, 'x', 52) ON CONFLICT (id) DO UPDATE SET n = excluded.n;
\set QUIET on
SELECT * FROM public.open_drafts();
\c - oc_boss
SELECT * FROM public.decide();
SELECT * FROM oc.stock ORDER BY id;

-- ------------------------------------------------------------- both are gated
\c - :me
SELECT idflow.attach('stock_approval', 'oc.stock', '{INSERT,UPDATE}');
\c - oc_app
SELECT idflow.actor();
SET idflow.notice = off;
\set QUIET off
INSERT INTO oc.stock SELECT g, 'k' || g, 90 FROM generate_series(20, 22) g
	ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, code, n;
\set QUIET on
SELECT * FROM public.open_drafts();
SELECT * FROM oc.stock WHERE id >= 20 ORDER BY id;
\c - oc_boss
SELECT * FROM public.decide();
SELECT * FROM oc.stock WHERE id >= 20 ORDER BY id;

-- --------------------- no way round the gate through what a trigger does later
\c - :me
SELECT idflow.attach('stock_approval', 'oc.stock', '{INSERT}');
CREATE FUNCTION oc.other_key() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := NEW.id + 1000; RETURN NEW; END';
CREATE TRIGGER other_key BEFORE INSERT ON oc.stock FOR EACH ROW WHEN (NEW.code = 'round') EXECUTE FUNCTION oc.other_key();
CREATE FUNCTION oc.remove() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM oc.stock WHERE id = NEW.id; RETURN NEW; END';
CREATE TRIGGER remove BEFORE INSERT ON oc.stock FOR EACH ROW WHEN (NEW.code = 'remove') EXECUTE FUNCTION oc.remove();
\c - oc_app
SELECT idflow.actor();
SET idflow.notice = off;
-- the gate finds row 1 in the way; the trigger makes it another
INSERT INTO oc.stock VALUES (1, 'round', 1) ON CONFLICT (id) DO UPDATE SET n = 5;
INSERT INTO oc.stock VALUES (1, 'round', 1), (2, 'b', 1) ON CONFLICT (id) DO UPDATE SET n = 5;
INSERT INTO oc.stock VALUES (1, 'round', 1) ON CONFLICT (id) DO UPDATE SET n = 5 RETURNING id;
WITH w AS (INSERT INTO oc.stock VALUES (1, 'round', 1) ON CONFLICT (id) DO UPDATE SET n = 5 RETURNING id) SELECT 1 AS unread;
INSERT INTO oc.stock VALUES (1, 'remove', 1) ON CONFLICT (id) DO UPDATE SET n = 5;
-- from a table, whose rows have a place of their own
INSERT INTO oc.stock (id, code, n) SELECT id, CASE id WHEN 1 THEN 'round' ELSE 'b' END, 1 FROM oc.stock WHERE id < 3 ORDER BY id ON CONFLICT (id) DO UPDATE SET n = 7;
INSERT INTO oc.stock (id, code, n) SELECT id, 'b', 1 FROM oc.stock WHERE id = 2 ON CONFLICT (id) DO UPDATE SET n = 8;
-- what it does not touch goes on working
INSERT INTO oc.stock VALUES (1, 'q', 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *;
SELECT * FROM oc.stock WHERE id IN (1, 2) OR id > 1000 ORDER BY id;
-- a trigger that makes the key of a row which is there
INSERT INTO oc.stock VALUES (-999, 'round', 1) ON CONFLICT (id) DO NOTHING RETURNING *;
INSERT INTO oc.stock VALUES (-999, 'round', 1) ON CONFLICT (id) DO UPDATE SET n = 5;
\c - :me
DROP TRIGGER other_key ON oc.stock;
DROP TRIGGER remove ON oc.stock;

-- a row that is tried because of its triggers, and has generated columns
CREATE TABLE oc.tried (id int PRIMARY KEY, name text, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, stamp text);
CREATE FUNCTION oc.stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.stamp := 'by trigger'; RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE INSERT ON oc.tried FOR EACH ROW EXECUTE FUNCTION oc.stamp();
GRANT SELECT, INSERT, UPDATE ON oc.tried TO oc_app;
SELECT idflow.require_approval('oc.tried', expression => 'SQL:''oc_boss''', operations => '{INSERT,UPDATE}');
\c - oc_app
SELECT idflow.actor();
SET idflow.notice = off;
INSERT INTO oc.tried (id, name, n) VALUES (1, repeat('long ', 20), 4) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO oc.tried (id, name) VALUES (2, NULL) ON CONFLICT (id) DO UPDATE SET n = 5 RETURNING *;
SELECT * FROM public.open_drafts();
\c - oc_boss
SELECT * FROM public.decide();
\c - :me
TABLE oc.tried;

-- ------------------------------------------------------------------ partitions
CREATE TABLE oc.part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE oc.part1 PARTITION OF oc.part FOR VALUES FROM (0) TO (10);
CREATE TABLE oc.part2 (v text, gone int, id int NOT NULL);
ALTER TABLE oc.part2 DROP COLUMN gone;
ALTER TABLE oc.part ATTACH PARTITION oc.part2 FOR VALUES FROM (10) TO (20);
INSERT INTO oc.part VALUES (1, 'one'), (11, 'eleven');
GRANT SELECT, INSERT, UPDATE ON oc.part TO oc_app;
SELECT idflow.require_approval('oc.part', expression => 'SQL:''oc_boss''', operations => '{INSERT,UPDATE}');
\c - oc_app
SELECT idflow.actor();
SET idflow.notice = off;
\set QUIET off
INSERT INTO oc.part VALUES (1, 'x'), (2, 'two'), (11, 'y'), (12, 'twelve') ON CONFLICT DO NOTHING RETURNING tableoid::regclass, *;
INSERT INTO oc.part VALUES (1, 'x'), (3, 'three'), (11, 'y'), (13, 'thirteen') ON CONFLICT (id) DO UPDATE SET v = part.v || excluded.v RETURNING tableoid::regclass, *;
\set QUIET on
SELECT * FROM public.open_drafts();
\c - oc_boss
SELECT * FROM public.decide();
\c - oc_app
SELECT tableoid::regclass, * FROM oc.part ORDER BY id;

-- ------------------------------------------------- the statement that loads idflow
-- the trigger alone sees no ON CONFLICT: the key says no, nothing is lost
\c - oc_app
\set VERBOSITY terse
INSERT INTO oc.stock VALUES (1, 'x', 10) ON CONFLICT DO NOTHING RETURNING id;
\c - oc_app
INSERT INTO oc.stock VALUES (1, 'x', 10) ON CONFLICT (id) DO UPDATE SET n = 10;
\c - oc_app
INSERT INTO oc.stock VALUES (100, 'hundred', 10) ON CONFLICT (id) DO UPDATE SET n = 10;

\c :home :me
DROP DATABASE idflow_on_conflict WITH (FORCE);
DROP ROLE oc_app, oc_boss;
