-- What a statement would refuse of a row that it writes, it refuses of one that
-- is drafted, in the same words: with the statement at hand, and in a statement
-- that loads the library, where only the trigger sees the row.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_returning_checks;
\c idflow_returning_checks
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE rc_app LOGIN;
CREATE ROLE rc_owner LOGIN;
CREATE ROLE rc_boss LOGIN;
CREATE SCHEMA rc;
GRANT USAGE, CREATE ON SCHEMA rc TO PUBLIC;
CREATE TABLE rc.doc (
	id int PRIMARY KEY,
	tenant text NOT NULL DEFAULT 'a',
	title text NOT NULL CHECK (title <> ''),
	secret text,
	size int GENERATED ALWAYS AS (length(title)) STORED CHECK (size < 20)
);
INSERT INTO rc.doc VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'a', 'three');
GRANT SELECT, INSERT (id, tenant, title), UPDATE (tenant, title), DELETE ON rc.doc TO rc_app;
GRANT ALL ON rc.doc TO rc_owner;
ALTER TABLE rc.doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON rc.doc TO rc_app, rc_owner USING (tenant = 'a') WITH CHECK (tenant IN ('a', 'c'));
SELECT idflow.require_approval('rc.doc', expression => 'SQL:''rc_boss''', operations => '{INSERT,UPDATE,DELETE}');
-- views: with the reader's rights, with their owner's
CREATE VIEW rc.short WITH (security_invoker) AS SELECT id, tenant, title FROM rc.doc WHERE length(title) < 6 WITH CHECK OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE ON rc.short TO rc_app;
SET ROLE rc_owner;
CREATE VIEW rc.owned AS SELECT id, tenant, title, secret FROM rc.doc;
GRANT SELECT, INSERT, UPDATE, DELETE ON rc.owned TO rc_app;
RESET ROLE;
SELECT oid::regclass::text AS of, count(*) FROM pg_class WHERE relnamespace = 'rc'::regnamespace AND relkind = 'v' GROUP BY 1 ORDER BY 1;

-- ------------------------------------------------------ the statement is at hand
\c - rc_app
SELECT idflow.actor();
SET idflow.notice = off;
INSERT INTO rc.doc (id, title) VALUES (10, NULL);
INSERT INTO rc.doc (id, title) VALUES (10, '');
INSERT INTO rc.doc (id, title) VALUES (10, repeat('x', 30));
INSERT INTO rc.doc (id, title, secret) VALUES (10, 'x', 'x');
UPDATE rc.doc SET title = NULL WHERE id = 1;
UPDATE rc.doc SET title = '' WHERE id = 1;
UPDATE rc.doc SET secret = 'x' WHERE id = 1;
-- policies: of the new row, of the row to be found, of what RETURNING shows
INSERT INTO rc.doc (id, tenant, title) VALUES (10, 'b', 'ten');
UPDATE rc.doc SET tenant = 'b' WHERE id = 1;
INSERT INTO rc.doc (id, tenant, title) VALUES (10, 'c', 'not to be read') RETURNING id;
\set QUIET off
UPDATE rc.doc SET title = 'zwei' WHERE id = 2 RETURNING id;
DELETE FROM rc.doc WHERE id = 2 RETURNING id;
INSERT INTO rc.doc (id, tenant, title) VALUES (10, 'c', 'not read');
INSERT INTO rc.doc (id, title) VALUES (11, 'eleven') RETURNING id, tenant, title, size;
UPDATE rc.doc SET title = 'uno' WHERE id = 1 RETURNING id, tenant, title, size;
\set QUIET on
-- a view's CHECK OPTION
INSERT INTO rc.short VALUES (12, 'a', 'too long');
UPDATE rc.short SET title = 'too long' WHERE id = 3;
WITH w AS (INSERT INTO rc.short VALUES (12, 'a', 'too long') RETURNING id) SELECT 1 AS unread;
\set QUIET off
INSERT INTO rc.short VALUES (12, 'a', 'short') RETURNING *;
UPDATE rc.short SET title = 'drei' WHERE id = 3 RETURNING *;
\set QUIET on
-- a view with its owner's rights: the approved row is written without them
INSERT INTO rc.owned (id, title, secret) VALUES (13, 'x', 'x');
UPDATE rc.owned SET secret = 'x' WHERE id = 1;
\set QUIET off
INSERT INTO rc.owned (id, title) VALUES (13, 'x') RETURNING *;
UPDATE rc.owned SET title = 'eins' WHERE id = 3 RETURNING id, title;
DELETE FROM rc.owned WHERE id = 3 RETURNING id, title;
\set QUIET on
SELECT operation, key, new_row FROM idflow.change ORDER BY id;
\c - rc_boss
SELECT task, state, sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task));
\c - rc_app
SELECT idflow.withdraw(id) FROM idflow.request WHERE state = 'conflict' ORDER BY id;

-- -------------------------------------------- each in a session of its own: the
-- gate loads the library, and sees the row alone
\c - rc_app
INSERT INTO rc.doc (id, title) VALUES (20, NULL);
\c - rc_app
INSERT INTO rc.doc (id, title) VALUES (20, '');
\c - rc_app
INSERT INTO rc.doc (id, title) VALUES (20, repeat('x', 30));
\c - rc_app
INSERT INTO rc.doc (id, title, secret) VALUES (20, 'x', 'x');
\c - rc_app
UPDATE rc.doc SET title = NULL WHERE id = 1;
\c - rc_app
UPDATE rc.doc SET title = '' WHERE id = 1;
\c - rc_app
INSERT INTO rc.doc (id, tenant, title) VALUES (20, 'b', 'ten');
\c - rc_app
UPDATE rc.doc SET tenant = 'b' WHERE id = 1;
-- what it can't tell it refuses; the same again is told
\c - rc_app
INSERT INTO rc.short VALUES (21, 'a', 'too long');
INSERT INTO rc.short VALUES (21, 'a', 'too long');
INSERT INTO rc.short VALUES (21, 'a', 'short');
\c - rc_app
INSERT INTO rc.owned (id, title, secret) VALUES (22, 'x', 'x');
\c - rc_app
INSERT INTO rc.doc (id, title) VALUES (22, 'good');
SELECT operation, key, new_row FROM idflow.change WHERE request IN (SELECT id FROM idflow.request WHERE state = 'open') ORDER BY id;

-- --------------------------- other BEFORE triggers: the row is tried for real
\c - :me
SELECT idflow.withdraw(id) FROM idflow.request WHERE state = 'open' ORDER BY id;
CREATE FUNCTION rc.fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.title := coalesce(NEW.title, 'filled');
	IF NEW.title = 'long' THEN
		NEW.title := 'long as a day';
	END IF;
	RETURN NEW;
END$$;
CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON rc.doc FOR EACH ROW EXECUTE FUNCTION rc.fill();
\c - rc_app
SELECT idflow.actor();
SET idflow.notice = off;
-- what the trigger will fill in is no part of the draft, but may be generated from
INSERT INTO rc.doc (id) VALUES (30) RETURNING id, tenant, title, size;
INSERT INTO rc.doc (id, tenant) VALUES (31, 'b');
-- and RETURNING shows no row that may be written but not read
INSERT INTO rc.doc (id, tenant) VALUES (31, 'c') RETURNING title;
UPDATE rc.doc SET tenant = 'c' WHERE id = 1 RETURNING title;
-- the view's CHECK OPTION is asked of the row as the trigger makes it
INSERT INTO rc.short VALUES (32, 'a', 'long');
INSERT INTO rc.short VALUES (33, 'a', 'ok') RETURNING *;
UPDATE rc.short SET title = 'long' WHERE id = 1;
SELECT operation, key, new_row FROM idflow.change WHERE request IN (SELECT id FROM idflow.request WHERE state = 'open') ORDER BY id;

-- --------------------------- above idflow.check_limit rows are drafted unchecked
SET idflow.check_limit = 1;
\c - :me
DROP TRIGGER fill ON rc.doc;
SELECT count(idflow.withdraw(id)) FROM idflow.request WHERE state = 'open';
\c - rc_app
SET idflow.check_limit = 1;
SELECT idflow.actor();
SET idflow.notice = off;
INSERT INTO rc.doc (id, title) VALUES (40, 'checked'), (41, ''), (42, 'generated') RETURNING id, title, size;
INSERT INTO rc.doc (id, title) VALUES (43, ''), (44, 'x');
-- but not past the policies of what RETURNING shows
INSERT INTO rc.doc (id, tenant, title) VALUES (45, 'a', 'x'), (46, 'c', 'x') RETURNING id;
-- nor past a view's CHECK OPTION, of which an apply knows nothing
INSERT INTO rc.short VALUES (45, 'a', 'ok'), (46, 'a', 'too long');

\c :home :me
DROP DATABASE idflow_returning_checks WITH (FORCE);
DROP ROLE rc_app, rc_owner, rc_boss;
