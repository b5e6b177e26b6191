-- Referential actions that meet a gate on the referencing table.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_gate_fk;
\c idflow_gate_fk
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_gate_fk SET idflow.notice = off;
CREATE ROLE gf_app LOGIN;
CREATE ROLE gf_boss LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE FUNCTION public.approve_all() RETURNS TABLE (request bigint, state text, sqlstate text, message text) LANGUAGE sql
	AS $$SELECT request, state, sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task))$$;
CREATE TABLE hr.parent (id int PRIMARY KEY, v text);
CREATE TABLE hr.cascades (id int PRIMARY KEY, parent int REFERENCES hr.parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE hr.nulls (id int PRIMARY KEY, parent int REFERENCES hr.parent ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE hr.defaults (id int PRIMARY KEY, parent int DEFAULT 1 REFERENCES hr.parent ON DELETE SET DEFAULT ON UPDATE SET DEFAULT);
CREATE TABLE hr.restricts (id int PRIMARY KEY, parent int REFERENCES hr.parent);
INSERT INTO hr.parent SELECT i, 'p' || i FROM generate_series(1, 9) i;
INSERT INTO hr.cascades VALUES (2, 2);
INSERT INTO hr.nulls VALUES (3, 3);
INSERT INTO hr.defaults VALUES (4, 4);
INSERT INTO hr.restricts VALUES (5, 5);
INSERT INTO hr.cascades VALUES (6, 6);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA hr TO gf_app;
SELECT idflow.require_approval(t, expression => 'SQL:''gf_boss''', operations => '{INSERT,UPDATE,DELETE}')
	FROM unnest('{hr.cascades,hr.nulls,hr.defaults,hr.restricts}'::regclass[]) t;

-- ------------------------------------------------ the parent has no gate
\c - gf_app
DELETE FROM hr.parent WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
UPDATE hr.parent SET id = 20 WHERE id = 2;
DELETE FROM hr.parent WHERE id = 3;
UPDATE hr.parent SET id = 30 WHERE id = 3;
DELETE FROM hr.parent WHERE id = 4;
UPDATE hr.parent SET id = 40 WHERE id = 4;
-- the table's own words where no action is taken
DELETE FROM hr.parent WHERE id = 5;
\echo :LAST_ERROR_SQLSTATE
-- and no gate where no row is referred from
DELETE FROM hr.parent WHERE id = 9;
UPDATE hr.parent SET v = 'q' WHERE id = 2;
SELECT * FROM hr.parent ORDER BY id;
SELECT 'cascades' AS t, * FROM hr.cascades UNION ALL SELECT 'nulls', * FROM hr.nulls UNION ALL
	SELECT 'defaults', * FROM hr.defaults UNION ALL SELECT 'restricts', * FROM hr.restricts ORDER BY 1, 2;
SELECT count(*) FROM idflow.request;
-- owners and superusers neither: the action is the table's
\c - :me
DELETE FROM hr.parent WHERE id = 2;
SET idflow.notice = off;
BEGIN;
SELECT idflow.bypass('the whole branch goes');
DELETE FROM hr.parent WHERE id = 6;
SELECT id FROM hr.cascades WHERE id = 6;
SELECT r.title, r.state, r.requester = :'me' AS mine, c.operation, c.target, c.old_row FROM idflow.change c JOIN idflow.request r ON r.id = c.request;
ROLLBACK;

-- ------------------------------------------------ the parent has one, too
SELECT idflow.require_approval('hr.parent', expression => 'SQL:''gf_boss''', operations => '{INSERT,UPDATE,DELETE}');
\c - gf_app
DELETE FROM hr.parent WHERE id = 2;
UPDATE hr.parent SET id = 30 WHERE id = 3;
DELETE FROM hr.parent WHERE id = 8;
\c - gf_boss
SELECT * FROM public.approve_all();
-- the hint
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task LIMIT 1;
\c - :me
SELECT * FROM hr.parent ORDER BY id;
SELECT * FROM hr.cascades ORDER BY id;
SELECT * FROM hr.nulls ORDER BY id;

-- --------------------------------------- the child first, in the same request
\c - gf_app
SELECT idflow.withdraw(request) FROM (SELECT id AS request FROM idflow.request WHERE state = 'open' ORDER BY id) r;
BEGIN;
SELECT idflow.begin_request('branch 2 closes') AS r \gset
DELETE FROM hr.cascades WHERE parent = 2;
DELETE FROM hr.parent WHERE id = 2;
UPDATE hr.nulls SET parent = NULL WHERE parent = 3;
DELETE FROM hr.parent WHERE id = 3;
INSERT INTO hr.parent VALUES (40, 'p40');
UPDATE hr.defaults SET parent = 40 WHERE parent = 4;
DELETE FROM hr.parent WHERE id = 4;
SELECT idflow.submit(:r);
COMMIT;
SELECT operation, target, key FROM idflow.change WHERE request = :r ORDER BY seq;
\c - gf_boss
-- every table's own workflow
SELECT activity, target, idflow.approve(task) FROM idflow.inbox;
SELECT activity, target, idflow.approve(task) FROM idflow.inbox;
SELECT activity, target, idflow.approve(task) FROM idflow.inbox;
SELECT activity, target, idflow.approve(task) FROM idflow.inbox;
SELECT activity, target, idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.parent ORDER BY id;
SELECT 'cascades' AS t, * FROM hr.cascades UNION ALL SELECT 'nulls', * FROM hr.nulls UNION ALL
	SELECT 'defaults', * FROM hr.defaults UNION ALL SELECT 'restricts', * FROM hr.restricts ORDER BY 1, 2;

-- ------------------------- a WHEN that excludes the row lets the action through
SELECT idflow.attach('cascades_approval', 'hr.cascades', '{DELETE}', 'old.id > 100');
SELECT idflow.detach('parent_approval', 'hr.parent');
\c - gf_app
DELETE FROM hr.parent WHERE id = 6;
SELECT * FROM hr.cascades;
-- ------------------------- a trigger's own statement is no referential action
\c - :me
CREATE FUNCTION hr.tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM hr.nulls WHERE parent IS NULL; RETURN NULL; END$$;
CREATE TRIGGER tell AFTER DELETE ON hr.parent FOR EACH ROW EXECUTE FUNCTION hr.tell();
-- nor one that a referential action sets off
CREATE TABLE hr.grandchild (id int PRIMARY KEY, c int);
INSERT INTO hr.grandchild VALUES (1, 1);
GRANT ALL ON hr.grandchild TO gf_app;
CREATE FUNCTION hr.tell2() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE hr.grandchild SET c = c + 1; RETURN NULL; END$$;
CREATE TABLE hr.free (id int PRIMARY KEY, parent int REFERENCES hr.parent ON DELETE CASCADE);
INSERT INTO hr.free VALUES (7, 7);
CREATE TRIGGER tell2 AFTER DELETE ON hr.free FOR EACH ROW EXECUTE FUNCTION hr.tell2();
SELECT idflow.require_approval('hr.grandchild', expression => 'SQL:''gf_boss''', operations => '{UPDATE}');
\c - gf_app
DELETE FROM hr.parent WHERE id = 7;
SELECT target, operation, key FROM idflow.change WHERE request > :r ORDER BY target::text;
\c - :me
SELECT * FROM hr.free;
SELECT * FROM hr.grandchild;

\c :home :me
DROP DATABASE idflow_gate_fk WITH (FORCE);
DROP ROLE gf_app, gf_boss;
