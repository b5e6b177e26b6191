--
-- Switching gates off and on
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE ROLE regress_idflow_switch IN ROLE idflow_admin;
CREATE ROLE regress_idflow_clerk;
CREATE SCHEMA sw;
GRANT USAGE ON SCHEMA sw TO PUBLIC;
SELECT count(*) FROM idflow.deploy('<Workflow Identifier="sw" DisplayName_L1="Test">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="chief"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
CREATE TABLE sw.t (id int PRIMARY KEY);
CREATE TABLE sw."Other t" (id int PRIMARY KEY);
CREATE TABLE sw.plain (id int PRIMARY KEY);
CREATE TABLE sw.p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE sw.p1 PARTITION OF sw.p FOR VALUES FROM (0) TO (10);
SELECT idflow.attach('sw', 'sw.t', '{INSERT,DELETE}'), idflow.attach('sw', 'sw."Other t"'), idflow.attach('sw', 'sw.p');
GRANT INSERT ON ALL TABLES IN SCHEMA sw TO regress_idflow_clerk;

CREATE VIEW sw.off AS
	SELECT target, target_name, trigger_name, CASE role WHEN session_user THEN 'superuser' ELSE role END AS role,
		   replace(reason, session_user, 'superuser') AS reason
	FROM idflow.gate_off
	WHERE target_name LIKE 'sw.%' ORDER BY target_name, trigger_name;
CREATE VIEW sw.health AS
	SELECT state, regexp_replace(detail, ' since .{16} ', ' since ... ') AS detail, hint
	FROM idflow.health() WHERE subject = 'gate' AND detail LIKE '%sw.%';

SET idflow.notice = off;
BEGIN;
SET LOCAL ROLE regress_idflow_clerk;
INSERT INTO sw.t VALUES (1);
INSERT INTO sw.p VALUES (1);
RESET ROLE;
TABLE sw.t;
ROLLBACK;
SET ROLE regress_idflow_clerk;
SELECT idflow.disable('because I can');
SELECT idflow.enable();
RESET ROLE;

-- a reason must be given, and a table that has gates
SELECT idflow.disable(NULL);
SELECT idflow.disable(E' \t\n', 'sw.t');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.disable('why', 'sw.plain');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.disable('why', 'sw.p1');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.enable('sw.plain');

-- one table, by an admin who does not own it
SET ROLE regress_idflow_switch;
SELECT idflow.disable('the reviewers are on strike', 'sw.t');
RESET ROLE;
SELECT target, operation, enabled FROM idflow.gate WHERE workflow = 'sw' ORDER BY target::text, operation;
SELECT * FROM sw.off;
SELECT * FROM sw.health;
BEGIN;
SET LOCAL ROLE regress_idflow_clerk;
INSERT INTO sw.t VALUES (2);
INSERT INTO sw."Other t" VALUES (2);
SELECT state, detail FROM idflow.health() WHERE subject = 'gate' AND detail LIKE '%sw.%';
RESET ROLE;
TABLE sw.t;
TABLE sw."Other t";
ROLLBACK;
TRUNCATE sw.t;
TRUNCATE sw."Other t";

-- a partitioned table with its partitions, and twice
SELECT idflow.disable('maintenance', 'sw.p');
SELECT idflow.disable('still maintenance', 'sw.p');
CREATE TABLE sw.p2 PARTITION OF sw.p FOR VALUES FROM (10) TO (20);
SELECT * FROM sw.off;
INSERT INTO sw.p VALUES (3), (13);
INSERT INTO sw.p1 VALUES (4);
SELECT tableoid::regclass, id FROM sw.p ORDER BY id;
TRUNCATE sw.p1;

-- all the others
SELECT count(*) FROM idflow.gate WHERE enabled AND workflow <> 'sw';
SELECT idflow.disable('fire');
SELECT count(*) FROM idflow.gate WHERE enabled;
SELECT * FROM sw.off;

-- on again
SELECT idflow.enable('sw.p');
SELECT target, operation, enabled FROM idflow.gate WHERE workflow = 'sw' ORDER BY target::text, operation;
TRUNCATE sw.p;
TRUNCATE sw.p2;
SET ROLE regress_idflow_switch;
SELECT idflow.enable();
RESET ROLE;
SELECT count(*) FROM idflow.gate WHERE NOT enabled;
SELECT * FROM sw.off;
SELECT tgrelid::regclass, tgname, tgenabled FROM idflow.gate_trigger WHERE tgrelid::regclass::text LIKE 'sw.%' ORDER BY tgrelid::regclass::text, tgname;
BEGIN;
SET LOCAL ROLE regress_idflow_clerk;
INSERT INTO sw.t VALUES (5);
INSERT INTO sw.p VALUES (5), (15);
RESET ROLE;
TABLE sw.t;
SELECT * FROM sw.p WHERE id IN (5, 15);
ROLLBACK;

-- each subject of health() has a row, for whoever asks
SELECT string_agg(DISTINCT subject, ', ' ORDER BY subject) AS subjects,
	   bool_and(state IN ('ok', 'info', 'warning', 'error')) AS states
FROM idflow.health();
SET ROLE regress_idflow_clerk;
SELECT count(DISTINCT subject) FROM idflow.health();
RESET ROLE;

-- detaching and attaching again forget it, too
SELECT idflow.disable('a', 'sw."Other t"');
SELECT idflow.attach('sw', 'sw."Other t"');
SELECT * FROM sw.off;
SELECT idflow.disable('a', 'sw."Other t"');
SELECT idflow.detach('sw', 'sw."Other t"');
SELECT * FROM sw.off;

-- with nothing but the catalog, as one would without the library
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) AS statement
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE p.pronamespace = 'idflow'::regnamespace AND tgrelid = 'sw.t'::regclass AND tgparentid = 0 ORDER BY tgname
\gexec
BEGIN;
INSERT INTO sw.t VALUES (6);
TABLE sw.t;
ROLLBACK;
SELECT trigger_name, reason FROM sw.off;
SELECT idflow.enable('sw.t');
SELECT trigger_name, reason FROM sw.off;

-- and dropping the table forgets it
SELECT idflow.disable('a', 'sw.p');
SET client_min_messages = warning;
DROP SCHEMA sw CASCADE;
SELECT count(*) FROM idflow.gate_off;
DROP ROLE regress_idflow_switch, regress_idflow_clerk;
