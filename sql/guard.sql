--
-- The owner of a gated table tries to get past its gates by DDL
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE ROLE regress_idflow_mallory;
CREATE ROLE regress_idflow_boss IN ROLE idflow_admin, regress_idflow_mallory;
CREATE SCHEMA gu AUTHORIZATION regress_idflow_mallory;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_idflow_mallory;
SELECT count(*) FROM idflow.deploy('<Workflow Identifier="gu" DisplayName_L1="Test">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="chief"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');

CREATE VIEW gu.triggers AS
	SELECT t.tgrelid::regclass::text AS "table", t.tgname, t.tgenabled, t.tgparentid <> 0 AS clone
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'gu'::regnamespace AND NOT t.tgisinternal;
CREATE VIEW gu.on_record AS
	SELECT target_name, trigger_name, role, reason FROM idflow.gate_off WHERE target_name LIKE 'gu%';
GRANT SELECT ON gu.triggers TO PUBLIC;

SET ROLE regress_idflow_mallory;
CREATE TABLE gu.t (id int PRIMARY KEY, name text, n int, other text);
CREATE TABLE gu.plain (id int PRIMARY KEY);
CREATE TABLE gu.p (id int, k int, note text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE gu.p1 PARTITION OF gu.p FOR VALUES IN (1);
CREATE FUNCTION gu.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
RESET ROLE;
SELECT idflow.attach('gu', 'gu.t', '{INSERT,UPDATE,DELETE}', 'true', '{name}');
SELECT idflow.attach('gu', 'gu.p', '{INSERT,UPDATE}', NULL, '{note}');

SET ROLE regress_idflow_mallory;

-- switching off
ALTER TABLE gu.t DISABLE TRIGGER "!idflow_100_gu_insert";
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE gu.t DISABLE TRIGGER "!idflow_000_truncate";
\set VERBOSITY sqlstate
ALTER TABLE gu.t DISABLE TRIGGER ALL;
ALTER TABLE gu.t DISABLE TRIGGER USER;
ALTER TABLE ONLY gu.p DISABLE TRIGGER USER;
ALTER TABLE gu.p1 DISABLE TRIGGER USER;
\set VERBOSITY default
ALTER TABLE gu.t ENABLE REPLICA TRIGGER "!idflow_100_gu_insert";
ALTER TABLE gu.t ENABLE ALWAYS TRIGGER "!idflow_100_gu_insert";
ALTER TABLE gu.p1 DISABLE TRIGGER "!idflow_100_gu_insert";
SET session_replication_role = replica;
DO $$ BEGIN EXECUTE 'ALTER TABLE gu.t DISABLE TRIGGER "!idflow_100_gu_insert"'; END $$;
SELECT idflow.disable('because I can');
\echo :LAST_ERROR_SQLSTATE

-- dropping
DROP TRIGGER "!idflow_100_gu_insert" ON gu.t;
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER "!idflow_000_truncate" ON gu.t;
DROP TRIGGER "!idflow_000_truncate" ON gu.p1;
DROP TRIGGER "!idflow_100_gu_insert" ON gu.p;
DROP TRIGGER "!idflow_100_gu_insert" ON gu.p1;
ALTER TABLE gu.t DROP name;
ALTER TABLE gu.t DROP name CASCADE;
SELECT idflow.detach('gu', 'gu.t');

-- renaming and replacing
ALTER TRIGGER "!idflow_100_gu_insert" ON gu.t RENAME TO zzz;
ALTER TRIGGER "!idflow_100_gu_insert" ON gu.t RENAME TO "!idflow_999_gu_insert";
ALTER TRIGGER "!idflow_100_gu_insert" ON gu.p RENAME TO zzz;
ALTER TRIGGER "!idflow_000_truncate" ON gu.t RENAME TO zzz;
CREATE OR REPLACE TRIGGER "!idflow_100_gu_insert" BEFORE INSERT ON gu.t FOR EACH ROW WHEN (false) EXECUTE FUNCTION gu.f();
CREATE OR REPLACE TRIGGER "!idflow_100_gu_insert" BEFORE INSERT ON gu.t FOR EACH ROW WHEN (false) EXECUTE FUNCTION idflow.gate('gu', '!idflow_100_gu_insert');
CREATE OR REPLACE TRIGGER "!idflow_000_truncate" BEFORE TRUNCATE ON gu.t EXECUTE FUNCTION gu.f();
ALTER TRIGGER "!idflow_100_gu_insert" ON gu.t DEPENDS ON EXTENSION plpgsql;

-- getting in before, and making gates of one's own
CREATE TRIGGER "!first" BEFORE INSERT ON gu.t FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE TRIGGER " first" BEFORE DELETE OR UPDATE ON gu.t FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE TRIGGER "!first" BEFORE INSERT ON gu.p1 FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE TRIGGER "!first" BEFORE INSERT ON gu.p FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE TRIGGER "!idflow_late" BEFORE INSERT ON gu.plain FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE TRIGGER mine BEFORE INSERT ON gu.plain FOR EACH ROW EXECUTE FUNCTION idflow.gate('gu', 'mine');
CREATE TRIGGER "!idflow_100_gu_insert" BEFORE INSERT ON gu.plain FOR EACH ROW EXECUTE FUNCTION idflow.gate('gu', '!idflow_100_gu_insert');
CREATE TRIGGER late BEFORE INSERT ON gu.t FOR EACH ROW EXECUTE FUNCTION gu.f();
ALTER TRIGGER late ON gu.t RENAME TO "!early";
DROP TRIGGER late ON gu.t;
-- these are fine: after the row, after the statement, on another event
CREATE TRIGGER "!after" AFTER INSERT ON gu.t FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE TRIGGER "!statement" BEFORE INSERT ON gu.t FOR EACH STATEMENT EXECUTE FUNCTION gu.f();
CREATE TRIGGER "!delete" BEFORE DELETE ON gu.p FOR EACH ROW EXECUTE FUNCTION gu.f();
DROP TRIGGER "!after" ON gu.t;
DROP TRIGGER "!statement" ON gu.t;
DROP TRIGGER "!delete" ON gu.p;

-- rules, inheritance
CREATE RULE a_rule AS ON INSERT TO gu.t DO INSTEAD NOTHING;
CREATE RULE a_rule AS ON INSERT TO gu.p1 DO INSTEAD NOTHING;
CREATE TABLE gu.child () INHERITS (gu.t);
CREATE TABLE gu.child (id int NOT NULL, name text, n int, other text);
ALTER TABLE gu.child INHERIT gu.t;
CREATE TABLE gu.parent (id int);
ALTER TABLE gu.t INHERIT gu.parent;

-- partitions
ALTER TABLE gu.p DETACH PARTITION gu.p1;
CREATE TABLE gu.p2 (id int NOT NULL, k int NOT NULL, note text);
CREATE TRIGGER "!first" BEFORE INSERT ON gu.p2 FOR EACH ROW EXECUTE FUNCTION gu.f();
ALTER TABLE gu.p ATTACH PARTITION gu.p2 FOR VALUES IN (2);
DROP TRIGGER "!first" ON gu.p2;
INSERT INTO gu.p2 VALUES (1, 2, 'not approved');
ALTER TABLE gu.p ATTACH PARTITION gu.p2 FOR VALUES IN (2);
TRUNCATE gu.p2;
ALTER TABLE gu.p ATTACH PARTITION gu.p2 FOR VALUES IN (2);
TRUNCATE gu.p2;
CREATE TABLE gu.p3 PARTITION OF gu.p FOR VALUES IN (3) PARTITION BY RANGE (id);
CREATE TABLE gu.p3a PARTITION OF gu.p3 FOR VALUES FROM (1) TO (10);
TRUNCATE gu.p3a;
ALTER TABLE gu.p3 DETACH PARTITION gu.p3a;
ALTER TABLE gu.p DETACH PARTITION gu.p3;
CREATE SCHEMA gu2 CREATE TABLE p4 PARTITION OF gu.p FOR VALUES IN (4);
TRUNCATE gu2.p4;
CREATE SCHEMA gu3 CREATE TABLE child () INHERITS (gu.t);

-- values changed by ALTER TABLE
ALTER TABLE gu.t ALTER other TYPE text USING 'not approved';
ALTER TABLE gu.t ALTER n TYPE bigint;
ALTER TABLE gu.t ADD COLUMN added int DEFAULT 1;

-- by way of an admin who calls a function of the owner's
CREATE FUNCTION gu.trojan() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	ALTER TABLE gu.t DISABLE TRIGGER "!idflow_100_gu_insert";
	RETURN 'done';
EXCEPTION WHEN SQLSTATE 'WF011' THEN
	RETURN 'refused';
END $$;
SET ROLE regress_idflow_boss;
SELECT gu.trojan();
SET ROLE regress_idflow_mallory;

-- nothing of all that has left a mark
SELECT * FROM gu.triggers ORDER BY "table" COLLATE "C", tgname;
RESET ROLE;
SELECT * FROM gu.on_record;

-- what the owner may do: rename, add, drop what no gate needs
SET ROLE regress_idflow_mallory;
ALTER TABLE gu.t RENAME name TO title;
ALTER TABLE gu.t RENAME TO u;
ALTER TABLE gu.u DROP other;
CREATE INDEX ON gu.u (n);
ALTER INDEX gu.u RENAME TO t;
DROP TABLE gu.p2;
RESET ROLE;
SELECT operation, condition, columns FROM idflow.gate WHERE target = 'gu.t'::regclass ORDER BY trigger;

-- at any isolation level; the isolation test attach_snapshot has more
SET ROLE regress_idflow_mallory;
BEGIN ISOLATION LEVEL REPEATABLE READ;
ALTER TABLE gu.p DETACH PARTITION gu.p1;
ROLLBACK;
RESET ROLE;

-- layouts and drafts follow renames
INSERT INTO idflow.layout (target, target_name, relid, columns, attnums, types)
	SELECT 'gu.t', 'gu.t', 'gu.t'::regclass, array_agg(attname ORDER BY attnum), array_agg(attnum ORDER BY attnum), array_agg(format_type(atttypid, atttypmod) ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = 'gu.t'::regclass AND attnum > 0 AND NOT attisdropped;
INSERT INTO idflow.layout (target, target_name, relid, columns, attnums, types) VALUES ('gu.plain', 'gu.plain', 1, '{id}', '{1}', '{integer}');
INSERT INTO idflow.request (id, workflow, state, requester, opened_at, requested_role) VALUES (-1, 'gu', 'open', 'x', now(), 'x');
INSERT INTO idflow.change_data (request, seq, target, target_name, operation, layout, gates)
	VALUES (-1, 1, 'gu.t', 'gu.t', 'INSERT', 0, '{gu}'), (-1, 2, 'gu.plain', 'gu.plain', 'INSERT', 0, '{gu}');
SET ROLE regress_idflow_mallory;
ALTER TABLE gu.t RENAME n TO "a, number";
ALTER TABLE gu.t RENAME TO "The table";
ALTER TABLE gu."The table" DROP added;
ALTER TABLE gu.plain RENAME id TO number;
ALTER TABLE gu.plain SET SCHEMA gu2;
RESET ROLE;
SELECT target, target_name, columns FROM idflow.layout WHERE target IN ('gu."The table"'::regclass, 'gu2.plain'::regclass) ORDER BY target::text;
SELECT target, target_name FROM idflow.change_data WHERE request = -1 ORDER BY seq;
ALTER SCHEMA gu2 RENAME TO "Gu 2";
SELECT target, target_name FROM idflow.change_data WHERE request = -1 ORDER BY seq;
ALTER SCHEMA "Gu 2" RENAME TO gu2;
ALTER TABLE gu."The table" RENAME TO t;
ALTER TABLE gu2.plain SET SCHEMA gu;

-- a table with open requests stays; without, it goes and its gates with it
SET ROLE regress_idflow_mallory;
DROP TABLE gu.t;
\echo :LAST_ERROR_SQLSTATE
SET client_min_messages = warning;
DROP SCHEMA gu CASCADE;
RESET client_min_messages;
RESET ROLE;
DELETE FROM idflow.change_data WHERE request = -1;
DELETE FROM idflow.request WHERE id = -1;
DELETE FROM idflow.layout WHERE target IN ('gu.t'::regclass, 'gu.plain'::regclass);
BEGIN;
SET LOCAL ROLE regress_idflow_mallory;
DROP TABLE gu.t, gu.p;
ROLLBACK;

-- an admin may, and it is put on record
SET ROLE regress_idflow_boss;
ALTER TABLE gu.t DISABLE TRIGGER "!idflow_100_gu_insert";
DROP TRIGGER "!idflow_100_gu_delete" ON gu.t;
ALTER TRIGGER "!idflow_100_gu_update" ON gu.t RENAME TO renamed;
CREATE TRIGGER "!first" BEFORE UPDATE ON gu.t FOR EACH ROW EXECUTE FUNCTION gu.f();
CREATE RULE a_rule AS ON INSERT TO gu.t DO ALSO NOTHING;
ALTER TABLE gu.p DETACH PARTITION gu.p1;
-- but not what would lose rows
CREATE TABLE gu.grandchild () INHERITS (gu.t);
RESET ROLE;
SELECT * FROM gu.on_record ORDER BY target_name, trigger_name COLLATE "C";
SELECT * FROM gu.triggers WHERE "table" IN ('gu.t', 'gu.p1') ORDER BY "table" COLLATE "C", tgname;
SELECT subject, state, detail FROM idflow.health()
WHERE detail LIKE '%gu.%' AND subject <> 'gate dropped' AND subject <> 'gate' ORDER BY subject, detail COLLATE "C";
-- what is on record does not stop the owner's other commands, nor help him
SET ROLE regress_idflow_mallory;
ALTER TABLE gu.t ADD COLUMN yet_another int;
ALTER TABLE gu.t DISABLE TRIGGER "!idflow_000_truncate";
TRUNCATE gu.p1;
RESET ROLE;
-- and it goes when all is as it was
ALTER TABLE gu.t ENABLE TRIGGER "!idflow_100_gu_insert";
ALTER TRIGGER renamed ON gu.t RENAME TO "!idflow_100_gu_update";
DROP TRIGGER "!first" ON gu.t;
DROP RULE a_rule ON gu.t;
ALTER TABLE gu.p ATTACH PARTITION gu.p1 FOR VALUES IN (1);
SELECT * FROM gu.on_record ORDER BY target_name, trigger_name COLLATE "C";
SELECT idflow.attach('gu', 'gu.t', '{DELETE}');
SELECT * FROM gu.on_record;
SELECT * FROM gu.triggers WHERE "table" IN ('gu.t', 'gu.p1') ORDER BY "table" COLLATE "C", tgname;

-- calling the guards' functions oneself is no use
SET ROLE regress_idflow_mallory;
SELECT idflow.guard_record('gu.t'::regclass, '!idflow_100_gu_delete', 'x');
SELECT idflow.guard_dropped();
SELECT idflow.guard_follow(NULL);
SELECT idflow.guard_admin();
DELETE FROM idflow.gate_off;
INSERT INTO idflow.gate_off VALUES ('gu.t', 'gu.t', '!idflow_100_gu_delete', 'x', 'x', 'x');
-- nor are objects in one's own schemas
CREATE FUNCTION gu.pg_has_role(oid, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION gu.always(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR gu.= (LEFTARG = name, RIGHTARG = name, FUNCTION = gu.always);
CREATE TEMP TABLE pg_trigger (oid oid, tgrelid oid);
CREATE TEMP TABLE pg_roles (oid oid, rolname name, rolsuper boolean);
SET search_path = gu, pg_temp, pg_catalog;
ALTER TABLE gu.t DISABLE TRIGGER "!idflow_100_gu_delete";
RESET search_path;
RESET ROLE;

-- what a data-only restore disables and enables again is no leave to disable it
SET check_function_bodies = off;
ALTER TABLE gu.t DISABLE TRIGGER ALL;
ALTER TABLE gu.t ENABLE TRIGGER ALL;
RESET check_function_bodies;
SELECT count(*) FROM idflow.gate_off WHERE target = 'gu.t'::regclass AND trigger_name LIKE '!idflow%';
SET ROLE regress_idflow_mallory;
ALTER TABLE gu.t DISABLE TRIGGER USER;
RESET ROLE;

-- dropping the extension takes the gates and leaves the tables
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION idflow CASCADE;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'gu.t'::regclass;
ALTER TABLE gu.t ADD COLUMN free int;
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA gu, gu2 CASCADE;
DROP OWNED BY regress_idflow_mallory, regress_idflow_boss;
DROP ROLE regress_idflow_mallory, regress_idflow_boss;
