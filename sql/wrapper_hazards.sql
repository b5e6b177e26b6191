-- What makes it hard for a gate to know its statement.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_wrapper_hazards;
\c idflow_wrapper_hazards
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE wh_app LOGIN;
CREATE ROLE wh_owner LOGIN;
CREATE ROLE wh_boss LOGIN;
CREATE SCHEMA wh;
GRANT USAGE, CREATE ON SCHEMA wh TO PUBLIC;
CREATE TABLE wh.plain (id int PRIMARY KEY, v text, secret text);
CREATE TABLE wh.source (id int, v text, secret text);
INSERT INTO wh.plain VALUES (1, 'one'), (2, 'two');
INSERT INTO wh.source VALUES (3, 'three');
GRANT SELECT, INSERT (id, v), UPDATE ON wh.plain TO wh_app;
GRANT SELECT ON wh.source TO wh_app;
GRANT ALL ON wh.plain TO wh_owner;
SET ROLE wh_owner;
CREATE VIEW wh.owned AS SELECT * FROM wh.plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON wh.owned TO wh_app;
RESET ROLE;
CREATE TABLE wh.part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE wh.part1 PARTITION OF wh.part FOR VALUES FROM (0) TO (10);
CREATE TABLE wh.part2 PARTITION OF wh.part FOR VALUES FROM (10) TO (20);
INSERT INTO wh.part VALUES (1, 'one'), (2, 'two');
GRANT SELECT, INSERT, UPDATE, DELETE ON wh.part, wh.part1 TO wh_app;
SELECT idflow.require_approval('wh.plain', expression => 'SQL:''wh_boss''');
SELECT idflow.require_approval('wh.part', expression => 'SQL:''wh_boss''', operations => '{INSERT,UPDATE,DELETE}');

-- ------------------------------- several writers of one table in one statement
\c - wh_app
SELECT idflow.actor();
SET idflow.notice = off;
-- whether rights are a view owner's is a matter of each of them
WITH a AS (INSERT INTO wh.owned VALUES (11, 'x', 'x')) INSERT INTO wh.plain (id, v) VALUES (10, 'x');
WITH a AS (INSERT INTO wh.plain (id, v) VALUES (10, 'x')) INSERT INTO wh.owned VALUES (11, 'x', 'x');
-- and so is the table that it names
WITH a AS (UPDATE wh.part1 SET v = 'leaf' WHERE id = 1) UPDATE wh.part SET id = 15 WHERE id = 2 RETURNING *;
WITH a AS (INSERT INTO wh.part1 VALUES (3, 'leaf')) INSERT INTO wh.part VALUES (4, 'root') RETURNING *;
SELECT target, operation, key FROM idflow.change ORDER BY key;

-- ------------------------ rows that are copies bear the place of their originals
INSERT INTO wh.plain (id, v) SELECT id, v FROM wh.source RETURNING ctid, id;
\c - :me
GRANT INSERT ON wh.plain TO wh_app;
\c - wh_app
SELECT idflow.actor();
SET idflow.notice = off;
INSERT INTO wh.plain SELECT * FROM wh.plain ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO wh.plain SELECT * FROM wh.plain ON CONFLICT (id) DO UPDATE SET v = excluded.v || '!' RETURNING *;
WITH gone AS (SELECT idflow.withdraw(request) FROM idflow.change WHERE target = 'wh.plain'::regclass) SELECT count(*) FROM gone;
INSERT INTO wh.plain SELECT * FROM wh.source RETURNING ctid, *;

\c :home :me
DROP DATABASE idflow_wrapper_hazards WITH (FORCE);
DROP ROLE wh_app, wh_owner, wh_boss;
