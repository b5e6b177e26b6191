-- Ordinary DML at a gate: what becomes a draft, what passes, what the client
-- is told, and what is in the table after the decision.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_gate_dml;
\c idflow_gate_dml
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE gd_app LOGIN;
CREATE ROLE gd_boss LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.person (id int PRIMARY KEY, name text NOT NULL, grade int DEFAULT 1, note text);
INSERT INTO hr.person VALUES (1, 'Ann', 1, NULL), (2, 'Ben', 1, NULL), (3, 'Cy', 1, NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.person TO gd_app;
GRANT SELECT ON hr.person TO gd_boss;
SELECT idflow.require_approval('hr.person', expression => 'SQL:''gd_boss''', operations => '{INSERT,UPDATE,DELETE}');

-- ------------------------------------- the first statement loads the library
\c - gd_app
INSERT INTO hr.person VALUES (10, 'Dora', 3, 'new');
SELECT idflow.last_request();
\c - gd_app
UPDATE hr.person SET grade = 2 WHERE id = 1;
\c - gd_app
DELETE FROM hr.person WHERE id = 2;
\c - gd_app
PREPARE p AS INSERT INTO hr.person VALUES ($1, $2);
EXECUTE p (11, 'Eva');
\c - gd_app
DO $$BEGIN INSERT INTO hr.person VALUES (12, 'Fay'); INSERT INTO hr.person VALUES (13, 'Gus'); END$$;
\c - gd_app
COPY hr.person (id, name) FROM stdin;
14	Hal
15	Ida
\.
-- the table is as it was
SELECT * FROM hr.person ORDER BY id;
SELECT id, operation, key, old_row, new_row, request FROM idflow.change ORDER BY request;
\c - gd_boss
SELECT task, request, title, requester, operation, key FROM idflow.inbox ORDER BY task;
SELECT request, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT * FROM hr.person ORDER BY id;

-- --------------------------------------------------- the library loaded first
\c - gd_app
-- as an ordinary role can: by calling any function of it
SELECT idflow.actor();
-- command tags count what is drafted, and RETURNING returns it; more in returning.sql
\set QUIET off
INSERT INTO hr.person VALUES (20, 'Jo') RETURNING id;
UPDATE hr.person SET grade = grade + 1 WHERE id IN (1, 3) RETURNING id;
DELETE FROM hr.person WHERE id = 3 RETURNING id;
\set QUIET on
-- an UPDATE that touches nothing passes, also where it names every column
\set QUIET off
UPDATE hr.person SET id = id, name = name, grade = grade, note = note WHERE id = 1;
\set QUIET on
-- a column that SET names with its old value is not touched
UPDATE hr.person SET name = 'Anna', grade = grade WHERE id = 1;
SELECT key, old_row, new_row FROM idflow.change WHERE request = idflow.last_request();
-- the key itself may change
UPDATE hr.person SET id = 21 WHERE id = 10;
INSERT INTO hr.person DEFAULT VALUES;
\c - gd_boss
-- two of them are about the same row
SELECT task, request, operation, key, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT * FROM hr.person ORDER BY id;
SELECT request, key, column_name, base, live, draft FROM idflow.change_diff c
	WHERE request IN (SELECT id FROM idflow.request WHERE state = 'conflict') ORDER BY 1, 3;

-- ------------------------------------------------- one NOTICE per statement
\c - gd_app
INSERT INTO hr.person SELECT i, 'n' || i FROM generate_series(30, 34) i;
UPDATE hr.person SET note = 'x' WHERE id IN (11, 12);
-- nested: one for each statement inside
CREATE FUNCTION pg_temp.two() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO hr.person VALUES (40, 'n40'), (41, 'n41');
	DELETE FROM hr.person WHERE id = 1;
	RETURN 2;
END$$;
SELECT pg_temp.two();
-- a statement whose every row runs another
CREATE FUNCTION pg_temp.one(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO hr.person VALUES (i, 'n' || i);
	RETURN i;
END$$;
SELECT pg_temp.one(i) FROM generate_series(42, 43) i;
COPY hr.person (id, name) FROM stdin;
54	n54
55	n55
\.
WITH w AS (INSERT INTO hr.person VALUES (44, 'n44') RETURNING id) SELECT count(*) FROM w;
SET idflow.notice = row;
INSERT INTO hr.person SELECT i, 'n' || i FROM generate_series(45, 46) i;
SET idflow.notice = off;
INSERT INTO hr.person VALUES (47, 'n47');
SELECT idflow.last_request() IS NOT NULL;
RESET idflow.notice;
SET idflow.notice = 'loud';
-- a statement that fails says nothing of the drafts it took with it
INSERT INTO hr.person VALUES (48, 'n48'), (48, 'n48 again');
SELECT count(*) FROM idflow.change WHERE new_row ->> 'name' LIKE 'n48%';
-- and an exception block neither
DO $$BEGIN
	INSERT INTO hr.person VALUES (49, 'n49'), (49, NULL);
EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'caught %', SQLSTATE;
END$$;
DO $$BEGIN
	INSERT INTO hr.person VALUES (52, 'n52');
	BEGIN
		INSERT INTO hr.person VALUES (53, NULL);
	EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'caught %', SQLSTATE;
	END;
END$$;
-- pipelined statements in one message
INSERT INTO hr.person VALUES (50, 'n50') \; INSERT INTO hr.person VALUES (51, 'n51');

-- ------------------------------------------------------------- last_request()
\c - gd_app
SELECT idflow.last_request();
INSERT INTO hr.person VALUES (60, 'n60');
SELECT idflow.last_request() AS r60 \gset
BEGIN;
SELECT idflow.last_request() = :r60 AS still;
INSERT INTO hr.person VALUES (61, 'n61');
SELECT idflow.last_request() AS r61 \gset
SAVEPOINT a;
INSERT INTO hr.person VALUES (62, 'n62');
SELECT idflow.last_request() = :r61 + 1 AS newer;
ROLLBACK TO a;
SELECT idflow.last_request() = :r61 AS rolled_back_to_savepoint;
INSERT INTO hr.person VALUES (63, 'n63');
SELECT idflow.last_request() AS r63 \gset
RELEASE a;
SELECT idflow.last_request() = :r63 AS kept;
ROLLBACK;
SELECT idflow.last_request() = :r60 AS rolled_back;
-- per actor
RESET ROLE;
\c - :me
GRANT SET ON PARAMETER idflow.actor TO gd_app;
\c - gd_app
BEGIN;
SET LOCAL idflow.actor = 'anna';
INSERT INTO hr.person VALUES (64, 'n64');
SELECT idflow.last_request() AS anna \gset
SET LOCAL idflow.actor = 'ben';
SELECT idflow.last_request() IS NULL AS ben_has_none;
INSERT INTO hr.person VALUES (65, 'n65');
SELECT idflow.last_request() > :anna AS ben_has;
SET LOCAL idflow.actor = 'anna';
SELECT idflow.last_request() = :anna AS anna_has;
COMMIT;
SELECT idflow.last_request() IS NULL AS role_has_none;
BEGIN;
SET LOCAL idflow.actor = 'ben';
SELECT idflow.last_request() > :anna AS ben_has_in_session;
SELECT requester FROM idflow.request WHERE id = idflow.last_request();
COMMIT;

-- ---------------------------------------------------------- title and comment
BEGIN;
SET LOCAL idflow.title = 'Hire "Kit" & co';
SET LOCAL idflow.comment = 'as agreed';
INSERT INTO hr.person VALUES (66, 'Kit');
COMMIT;
SELECT r.title, e.transition, e.comment FROM idflow.request r JOIN idflow.event e ON e.request = r.id
	WHERE r.id = idflow.last_request() ORDER BY e.seq;
INSERT INTO hr.person VALUES (67, 'Lou');
SELECT r.title, e.transition, e.comment FROM idflow.request r JOIN idflow.event e ON e.request = r.id
	WHERE r.id = idflow.last_request() ORDER BY e.seq;

-- --------------------------------------------------------- ON CONFLICT, MERGE
-- a row that exists: nothing to do, or its update is drafted; more in on_conflict.sql
INSERT INTO hr.person VALUES (1, 'x') ON CONFLICT DO NOTHING;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO hr.person VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
\echo :LAST_ERROR_SQLSTATE
-- one that doesn't: drafted
INSERT INTO hr.person VALUES (70, 'Max') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
SELECT operation, key FROM idflow.change WHERE request = idflow.last_request();
MERGE INTO hr.person p USING (VALUES (1, 'Merged'), (71, 'Ned')) v(id, name) ON p.id = v.id
	WHEN MATCHED THEN UPDATE SET name = v.name
	WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name);
MERGE INTO hr.person p USING (VALUES (11)) v(id) ON p.id = v.id WHEN MATCHED THEN DELETE;
SELECT operation, key, old_row, new_row FROM idflow.change WHERE request > idflow.last_request() - 3 ORDER BY operation;
-- a statement with several parts
WITH d AS (DELETE FROM hr.person WHERE id = 14 RETURNING *), i AS (INSERT INTO hr.person VALUES (72, 'Ole'))
	UPDATE hr.person SET note = 'cte' WHERE id = 15;
SELECT operation, key FROM idflow.change WHERE request > idflow.last_request() - 3 ORDER BY operation;
SELECT * FROM hr.person WHERE id IN (1, 11, 14, 15, 70, 71, 72) ORDER BY id;
\c - gd_boss
SET idflow.notice = off;
SELECT state, count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) GROUP BY 1 ORDER BY 1;
SELECT * FROM hr.person ORDER BY id;

-- ------------------------------------- SECURITY DEFINER: who asks, as which role
\c - :me
CREATE ROLE gd_service;
GRANT USAGE, CREATE ON SCHEMA hr TO gd_service;
GRANT INSERT ON hr.person TO gd_service;
REVOKE INSERT ON hr.person FROM gd_app;
SET ROLE gd_service;
CREATE FUNCTION hr.hire(i int, n text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp AS $$ INSERT INTO hr.person (id, name) VALUES (i, n); SELECT idflow.last_request() $$;
RESET ROLE;
\c - gd_app
INSERT INTO hr.person (id, name) VALUES (80, 'Pat');
\echo :LAST_ERROR_SQLSTATE
SELECT hr.hire(80, 'Pat') IS NOT NULL AS requested;
SELECT requester FROM idflow.request WHERE id = idflow.last_request();
\c - gd_boss
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT * FROM hr.person WHERE id = 80;
\c - :me
GRANT INSERT ON hr.person TO gd_app;

-- --------------------------------------------------------- WHEN and columns
SELECT idflow.attach('person_approval', 'hr.person', '{UPDATE}', 'new.grade > 5');
SELECT idflow.attach('person_approval', 'hr.person', '{DELETE}', 'old.name LIKE ''V%''');
SELECT operation, condition, columns, enabled FROM idflow.gate ORDER BY operation;
\c - gd_app
\set QUIET off
UPDATE hr.person SET grade = 5 WHERE id = 80;
UPDATE hr.person SET grade = 6 WHERE id = 80;
UPDATE hr.person SET grade = id WHERE id IN (1, 12);
DELETE FROM hr.person WHERE id = 13;
\set QUIET on
\c - :me
SELECT idflow.attach('person_approval', 'hr.person', '{UPDATE}', NULL, '{name,note}');
\c - gd_app
\set QUIET off
UPDATE hr.person SET name = name, note = note, grade = 4 WHERE id = 80;
UPDATE hr.person SET name = 'Patricia', grade = 3 WHERE id = 80;
\set QUIET on
SELECT new_row FROM idflow.change WHERE request = idflow.last_request();
SELECT * FROM hr.person WHERE id IN (1, 12, 13, 80) ORDER BY id;

-- ----------------------------------- prepared statements across attach, detach
\c - :me
CREATE TABLE hr.team (id int PRIMARY KEY, name text);
GRANT ALL ON hr.team TO gd_app;
\c - gd_app
PREPARE ins AS INSERT INTO hr.team VALUES ($1, 'team');
CREATE FUNCTION pg_temp.ins(i int) RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO hr.team VALUES (i, 'team'); END$$;
EXECUTE ins (1);
SELECT pg_temp.ins(2);
SET ROLE NONE;
\c - :me
SET SESSION AUTHORIZATION gd_app;
PREPARE ins AS INSERT INTO hr.team VALUES ($1, 'team');
CREATE FUNCTION pg_temp.ins(i int) RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO hr.team VALUES (i, 'team'); END$$;
EXECUTE ins (3);
SELECT pg_temp.ins(4);
RESET SESSION AUTHORIZATION;
SELECT idflow.require_approval('hr.team', expression => 'SQL:''gd_boss''');
SET SESSION AUTHORIZATION gd_app;
EXECUTE ins (5);
SELECT pg_temp.ins(6);
RESET SESSION AUTHORIZATION;
SELECT idflow.detach('team_approval', 'hr.team');
SELECT idflow.detach('team_approval', 'hr.team', true);
SET SESSION AUTHORIZATION gd_app;
EXECUTE ins (7);
SELECT pg_temp.ins(8);
RESET SESSION AUTHORIZATION;
SELECT id FROM hr.team ORDER BY id;

-- ------------------------------------------- two-phase commit, cursors, rollback
SELECT idflow.attach('team_approval', 'hr.team', '{INSERT,UPDATE,DELETE}');
\c - gd_app
BEGIN;
INSERT INTO hr.team VALUES (20, 'prepared');
PREPARE TRANSACTION 'gd_prepared';
COMMIT PREPARED 'gd_prepared';
SELECT idflow.last_request() IS NOT NULL AS known, state FROM idflow.request WHERE id = idflow.last_request();
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM hr.team WHERE id < 4 ORDER BY id FOR UPDATE;
FETCH 2 FROM c;
UPDATE hr.team SET name = 'current' WHERE CURRENT OF c;
DELETE FROM hr.team WHERE CURRENT OF c;
COMMIT;
SELECT operation, key FROM idflow.change WHERE request >= idflow.last_request() - 1 ORDER BY request;
BEGIN;
INSERT INTO hr.team VALUES (21, 'gone');
ROLLBACK;
SELECT count(*) FROM idflow.change WHERE new_row ->> 'name' = 'gone';
-- read-only transactions say so
BEGIN READ ONLY;
INSERT INTO hr.team VALUES (22, 'never');
ROLLBACK;
-- a table without a key: INSERT needs none
\c - :me
CREATE TABLE hr.log (line text, n int);
GRANT ALL ON hr.log TO gd_app;
SELECT idflow.require_approval('hr.log', expression => 'SQL:''gd_boss''');
SELECT idflow.attach('log_approval', 'hr.log', '{UPDATE}');
\c - gd_app
INSERT INTO hr.log VALUES ('a', 1), ('a', 1);
\c - gd_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE target = 'hr.log'::regclass;
\c - gd_app
SELECT * FROM hr.log;

\c :home :me
DROP DATABASE idflow_gate_dml WITH (FORCE);
REVOKE SET ON PARAMETER idflow.actor FROM gd_app;
DROP ROLE gd_app, gd_boss, gd_service;
