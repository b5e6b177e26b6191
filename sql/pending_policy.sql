-- PendingPolicy: how many requests may be open on a row.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_pending_policy;
\c idflow_pending_policy
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_pending_policy SET idflow.notice = off;
ALTER DATABASE idflow_pending_policy SET session_preload_libraries = 'idflow';
CREATE ROLE pp_app LOGIN;
CREATE ROLE pp_other LOGIN;
CREATE ROLE pp_boss LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.person (id int PRIMARY KEY, name text, a text, b text);
INSERT INTO hr.person SELECT i, 'p' || i, 'a', 'b' FROM generate_series(1, 20) i;
CREATE TABLE hr.fact (b text, day date, id int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE hr.fact_1 (id int NOT NULL, day date NOT NULL, b text);
ALTER TABLE hr.fact ATTACH PARTITION hr.fact_1 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO hr.fact VALUES ('b', '2020-05-05', 1);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA hr TO pp_app, pp_other;
CREATE FUNCTION public.wf(name text, more text, review text DEFAULT '<Activity Identifier="Review" DisplayName_L1="r" Template="Review"><Actor Principal="pp_boss"/></Activity>') RETURNS xml LANGUAGE sql AS $$
	SELECT format('<Workflow Identifier="%s" DisplayName_L1="x" %s><Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>%s<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/></Workflow>', name, more, review)::xml
$$;
SELECT d.name FROM idflow.deploy(public.wf('merges', '')) d;
SELECT d.name FROM idflow.deploy(public.wf('one', 'PendingPolicy="Refuse"')) d;
SELECT d.name FROM idflow.deploy(public.wf('sloppy', 'PendingPolicy="refuse"')) d;
SELECT idflow.export('one')::text LIKE '%PendingPolicy="Refuse"%' AS exported;
SELECT idflow.attach('merges', 'hr.person', '{DELETE}'), idflow.attach('one', 'hr.person', '{UPDATE}'),
	idflow.attach('one', 'hr.fact', '{INSERT,UPDATE,DELETE}');

-- one at a time, whoever asks, whatever column, whichever gate
\c - pp_app
UPDATE hr.person SET a = 'A' WHERE id = 1;
SELECT idflow.last_request() AS r \gset
UPDATE hr.person SET b = 'B' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM hr.person WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
-- the rest of the statement with it
UPDATE hr.person SET b = 'B' WHERE id IN (1, 2);
SELECT count(*) FROM idflow.request;
\c - pp_other
UPDATE hr.person SET b = 'B' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE hr.person SET b = 'B' WHERE id = 2;
SELECT idflow.withdraw(idflow.last_request());
DELETE FROM hr.person WHERE id = 3;
UPDATE hr.person SET b = 'B' WHERE id = 3;
\echo :LAST_ERROR_SQLSTATE
-- declined, committed, withdrawn: the next one may
\c - pp_boss
SELECT idflow.decline(task) FROM idflow.inbox WHERE request = :r;
\c - pp_other
UPDATE hr.person SET b = 'B' WHERE id = 1;
SELECT idflow.last_request() AS r \gset
\c - pp_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
\c - pp_app
UPDATE hr.person SET a = 'A' WHERE id = 1;
SELECT idflow.last_request() AS r \gset
-- in conflict it is open
\c - :me
BEGIN;
SELECT idflow.bypass('test');
UPDATE hr.person SET a = 'other' WHERE id = 1;
COMMIT;
\c - pp_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
\c - pp_app
UPDATE hr.person SET b = 'B1' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.withdraw(:r);
UPDATE hr.person SET b = 'B1' WHERE id = 1;
SELECT idflow.withdraw(idflow.last_request());

-- a request may have several changes of its row, and gives it up with the last
BEGIN;
SELECT idflow.begin_request() AS r \gset
UPDATE hr.person SET a = 'A' WHERE id = 4;
UPDATE hr.person SET b = 'B' WHERE id = 4;
DELETE FROM hr.person WHERE id = 4;
UPDATE hr.person SET a = 'A' WHERE id = 5;
UPDATE hr.person SET b = 'B' WHERE id = 5;
COMMIT;
\c - pp_other
UPDATE hr.person SET b = 'B' WHERE id = 4;
\echo :LAST_ERROR_SQLSTATE
UPDATE hr.person SET b = 'B' WHERE id = 5;
\echo :LAST_ERROR_SQLSTATE
\c - pp_app
SELECT idflow.withdraw(:r);
SELECT count(*) FROM idflow.request WHERE closed_at IS NULL;
\c - :me
SELECT count(*) AS kept FROM idflow.pending_key k JOIN idflow.request r ON r.id = k.request WHERE r.closed_at IS NOT NULL;
\c - pp_other
UPDATE hr.person SET b = 'B' WHERE id IN (4, 5);
-- savepoints
BEGIN;
SAVEPOINT s;
UPDATE hr.person SET b = 'B' WHERE id = 6;
ROLLBACK TO s;
UPDATE hr.person SET b = 'B' WHERE id = 6;
UPDATE hr.person SET b = 'C' WHERE id = 6;
COMMIT;

-- partitions: by either name it is one row
UPDATE hr.fact SET b = 'B' WHERE id = 1;
UPDATE hr.fact_1 SET b = 'C' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.withdraw(idflow.last_request());
UPDATE hr.fact_1 SET b = 'B' WHERE id = 1;
DELETE FROM hr.fact WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
-- an edit keeps it
\c - pp_boss
SELECT task AS t, request AS r FROM idflow.inbox WHERE target::text LIKE '%fact%' \gset
\c - :me
GRANT UPDATE ON hr.fact_1 TO pp_boss;
\c - pp_boss
SELECT idflow.save(:t, '{"b": "BB"}');
\c - pp_app
DELETE FROM hr.fact WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE

-- new rows are held by their keys
INSERT INTO hr.fact VALUES ('x', '2020-06-06', 2);
INSERT INTO hr.fact VALUES ('x', '2020-06-06', 2);
\echo :LAST_ERROR_SQLSTATE

-- requests that were open before the workflow minded
\c - :me
SELECT d.version FROM idflow.deploy(public.wf('one', '')) d;
\c - pp_app
UPDATE hr.person SET a = 'A' WHERE id = 10;
UPDATE hr.person SET b = 'B' WHERE id = 10;
SELECT idflow.last_request() AS r \gset
\c - :me
SELECT d.version FROM idflow.deploy(public.wf('one', 'PendingPolicy="Refuse"')) d;
\c - pp_app
UPDATE hr.person SET name = 'N' WHERE id = 10;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.withdraw(:r);
UPDATE hr.person SET name = 'N' WHERE id = 10;
SELECT idflow.withdraw(:r - 1);
UPDATE hr.person SET name = 'N' WHERE id = 10;

-- an undo is a request like others
\c - :me
BEGIN;
SELECT idflow.bypass('test');
UPDATE hr.person SET a = 'A11' WHERE id = 11;
COMMIT;
\c - pp_app
UPDATE hr.person SET a = 'B11' WHERE id = 11;
SELECT idflow.last_request() AS r \gset
\c - pp_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
\c - pp_app
UPDATE hr.person SET b = 'B11' WHERE id = 11;
SELECT idflow.undo(:r);
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.withdraw(idflow.last_request());
SELECT idflow.undo(:r) > :r AS undone;
UPDATE hr.person SET b = 'B11' WHERE id = 11;
\echo :LAST_ERROR_SQLSTATE

\c :home :me
DROP DATABASE idflow_pending_policy WITH (FORCE);
DROP ROLE pp_app, pp_other, pp_boss;
