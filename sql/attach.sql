--
-- Attaching workflows to tables: what a gate is, and what is refused
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;

CREATE ROLE regress_idflow_owner IN ROLE idflow_admin;
CREATE ROLE regress_idflow_other IN ROLE idflow_admin;
CREATE ROLE regress_idflow_plain;
CREATE SCHEMA at;
GRANT ALL ON SCHEMA at TO regress_idflow_owner, regress_idflow_other, regress_idflow_plain;

CREATE FUNCTION at.definition(name text, actor text DEFAULT 'Principal="chief"') RETURNS xml LANGUAGE sql AS $$
	SELECT format('<Workflow Identifier="%s" DisplayName_L1="Test">'
				  '<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>'
				  '<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor %s/></Activity>'
				  '<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>', name, actor)::xml
$$;
SELECT count(*) FROM idflow.deploy(at.definition('at_one'));
SELECT count(*) FROM idflow.deploy(at.definition('at_two'));
SELECT count(*) FROM idflow.deploy(at.definition('at_äöüäöüäöüäöüäöüäöü_fits_nowhere'));

GRANT USAGE ON SCHEMA at TO PUBLIC;
CREATE VIEW at.triggers AS
	SELECT tgrelid::regclass::text AS "table", tgname, tgenabled, tgparentid <> 0 AS clone
	FROM idflow.gate_trigger WHERE tgrelid::regclass::text LIKE 'at.%';

GRANT SELECT ON at.triggers TO PUBLIC;

SET ROLE regress_idflow_owner;
CREATE TABLE at.person (id int PRIMARY KEY, name text, "The salary" numeric, doubled int GENERATED ALWAYS AS (id * 2) STORED);

-- the defaults: INSERT, all rows
SELECT idflow.attach('at_one', 'at.person');
SELECT * FROM idflow.gate WHERE target = 'at.person'::regclass;
\d at.person

-- attaching again replaces, in upper or lower case
SELECT idflow.attach('at_one', 'at.person', '{update,DELETE}', NULL, '{name,"The salary"}');
SELECT operation, condition, columns, trigger FROM idflow.gate WHERE target = 'at.person'::regclass ORDER BY trigger;

-- several workflows come in order; a name that is too long is cut between characters
SELECT idflow.attach('at_two', 'at.person', '{INSERT,UPDATE}', 'new.name <> ''x'' AND new."The salary" > 1000 OR new.id IN (1, 2)');
SELECT idflow.attach('at_äöüäöüäöüäöüäöüäöü_fits_nowhere', 'at.person', '{UPDATE}', 'old.name = new.name', '{name}');
SELECT idflow.attach('at_one', 'at.person', '{INSERT,UPDATE}', 'new.name IS NULL AND new.id > 3', NULL);
SELECT workflow, operation, condition, columns, trigger, octet_length(trigger::text)
FROM idflow.gate WHERE target = 'at.person'::regclass ORDER BY trigger::text COLLATE "C";

-- condition and columns follow renames
ALTER TABLE at.person RENAME name TO "Full name";
SELECT operation, condition, columns FROM idflow.gate WHERE target = 'at.person'::regclass ORDER BY trigger::text COLLATE "C";
ALTER TABLE at.person RENAME "Full name" TO name;

-- a dump's order of words keeps the two parts apart
SELECT pg_get_triggerdef(oid) FROM idflow.gate_trigger WHERE tgname LIKE '!idflow_120%';
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', 'new.id > 1 AND new.id < 5 AND old.id > 1', '{name}');
SELECT pg_get_triggerdef(oid) AS definition FROM idflow.gate_trigger WHERE tgname = '!idflow_100_at_one_update' AND tgrelid = 'at.person'::regclass \gset
RESET ROLE;
ALTER TABLE at.person DISABLE TRIGGER "!idflow_100_at_one_update";
DROP TRIGGER "!idflow_100_at_one_update" ON at.person;
:definition;
SELECT condition, columns FROM idflow.gate WHERE target = 'at.person'::regclass AND workflow = 'at_one';
SET ROLE regress_idflow_owner;

-- detaching; the last one takes the refusal of TRUNCATE away
SELECT idflow.detach('at_two', 'at.person');
SELECT idflow.detach('at_two', 'at.person');
\echo :LAST_ERROR_SQLSTATE
TRUNCATE at.person;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.detach('at_äöüäöüäöüäöüäöüäöü_fits_nowhere', 'at.person');
SELECT idflow.detach('at_one', 'at.person');
SELECT count(*) FROM at.triggers;
TRUNCATE at.person;

-- conditions: one expression and nothing else
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'true) EXECUTE FUNCTION pg_sleep(1); --');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'true; DROP TABLE at.person');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'true FROM pg_class');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'true, false');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', '$1');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', '(SELECT true)');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', ' ');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'new.nosuch = 1');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'nosuch(new.id)');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'new.id');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'old.id = 1');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'new.doubled = 1');
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'count(*) > 1');
SELECT count(*) FROM at.triggers;
-- volatile functions are fine, as for any trigger
SELECT idflow.attach('at_one', 'at.person', '{INSERT}', 'random() > 2');
SELECT idflow.detach('at_one', 'at.person');

-- arguments
SELECT idflow.attach(NULL, 'at.person');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', NULL);
SELECT idflow.attach('at_one', 'at.person', NULL);
SELECT idflow.attach('at_one', 'at.person', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.person', '{INSERT,NULL}');
SELECT idflow.attach('at_one', 'at.person', '{INSERT,insert}');
SELECT idflow.attach('at_one', 'at.person', '{SELECT}');
SELECT idflow.attach('at_one', 'at.person', '{TRUNCATE}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', NULL, '{}');
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', NULL, '{name,NULL}');
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', NULL, '{name,name}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', NULL, '{nosuch}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', NULL, '{ctid}');
SELECT idflow.attach('at_one', 'at.person', '{UPDATE}', NULL, '{doubled}');
SELECT idflow.attach('at_one', 'at.person', '{INSERT,DELETE}', NULL, '{name}');
\set VERBOSITY sqlstate
SELECT idflow.attach('at_nosuch', 'at.person');
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.detach(NULL, 'at.person');
SELECT idflow.detach('at_one', 'at.person', NULL);

-- who
SET ROLE regress_idflow_other;
SELECT idflow.attach('at_one', 'at.person');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.detach('at_one', 'at.person');
SET ROLE regress_idflow_plain;
CREATE TABLE at.mine (id int PRIMARY KEY);
SELECT idflow.attach('at_one', 'at.mine');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.detach('at_one', 'at.mine');
SELECT idflow.require_approval('at.mine');
RESET ROLE;

-- what can't be gated
CREATE VIEW at.a_view AS SELECT * FROM at.person;
CREATE MATERIALIZED VIEW at.a_matview AS SELECT * FROM at.person;
CREATE SEQUENCE at.a_sequence;
CREATE TYPE at.a_type AS (id int);
CREATE TEMP TABLE a_temp (id int PRIMARY KEY);
CREATE FOREIGN DATA WRAPPER regress_idflow_fdw;
CREATE SERVER regress_idflow_server FOREIGN DATA WRAPPER regress_idflow_fdw;
CREATE FOREIGN TABLE at.a_foreign_table (id int) SERVER regress_idflow_server;
CREATE TABLE at.parent (id int PRIMARY KEY);
CREATE TABLE at.child () INHERITS (at.parent);
CREATE TABLE at.ruled (id int PRIMARY KEY);
CREATE RULE a_rule AS ON DELETE TO at.ruled DO INSTEAD NOTHING;
CREATE TABLE at.keyless (id int UNIQUE, n int NOT NULL, UNIQUE (n) DEFERRABLE);
CREATE UNIQUE INDEX ON at.keyless (n) WHERE id > 0;
SELECT idflow.attach('at_one', 'pg_class');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.a_view');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.a_matview');
SELECT idflow.attach('at_one', 'at.a_sequence');
SELECT idflow.attach('at_one', 'at.person_pkey');
SELECT idflow.attach('at_one', 'at.a_type');
SELECT idflow.attach('at_one', 'a_temp');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.a_foreign_table');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.parent');
SELECT idflow.attach('at_one', 'at.child');
SELECT idflow.attach('at_one', 'at.ruled');
SELECT idflow.attach('at_one', 'idflow.request');
SELECT idflow.attach('at_one', 'at.keyless', '{INSERT,UPDATE}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.attach('at_one', 'at.keyless');
SELECT idflow.detach('at_one', 'at.keyless');
CREATE UNIQUE INDEX ON at.keyless (n);
SELECT idflow.attach('at_one', 'at.keyless', '{UPDATE,DELETE}');
SELECT idflow.detach('at_one', 'at.keyless');
SELECT idflow.attach('at_one', 1);
\echo :LAST_ERROR_SQLSTATE

-- a trigger that runs before the gate is warned of, also on a partition
CREATE FUNCTION at.pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TABLE at.early (id int PRIMARY KEY);
CREATE TRIGGER "!early" BEFORE INSERT OR UPDATE ON at.early FOR EACH ROW EXECUTE FUNCTION at.pass();
CREATE TRIGGER "!after" AFTER INSERT ON at.early FOR EACH ROW EXECUTE FUNCTION at.pass();
CREATE TRIGGER late BEFORE INSERT ON at.early FOR EACH ROW EXECUTE FUNCTION at.pass();
SELECT idflow.attach('at_one', 'at.early', '{INSERT,DELETE}');
DROP TABLE at.early;

-- partitions get copies, whatever the order of their columns
CREATE TABLE at.part (id int, k int, note text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE at.part1 PARTITION OF at.part FOR VALUES IN (1);
CREATE TABLE at.part2 (gone int, note text, k int NOT NULL, id int NOT NULL);
ALTER TABLE at.part2 DROP gone;
ALTER TABLE at.part ATTACH PARTITION at.part2 FOR VALUES IN (2);
CREATE TABLE at.part3 PARTITION OF at.part FOR VALUES IN (3) PARTITION BY RANGE (id);
CREATE TABLE at.part3a PARTITION OF at.part3 FOR VALUES FROM (1) TO (10);
SELECT idflow.attach('at_one', 'at.part1');
SELECT idflow.attach('at_one', 'at.part3');
SELECT idflow.attach('at_one', 'at.part', '{INSERT,UPDATE}', 'new.note IS NOT NULL', '{note}');
SELECT idflow.attach('at_one', 'at.part', '{UPDATE}', 'new.note IS NOT NULL', '{note}');
SELECT * FROM idflow.gate WHERE target::text LIKE 'at.%';
SELECT * FROM at.triggers ORDER BY "table" COLLATE "C", tgname;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'at.part2'::regclass ORDER BY 1;
TRUNCATE at.part1;
TRUNCATE at.part3;
TRUNCATE at.part;
SELECT idflow.detach('at_one', 'at.part1');
SELECT idflow.detach('at_one', 'at.part');
SELECT * FROM at.triggers;
TRUNCATE at.part1;
CREATE TABLE at.part_keyless (id int, k int) PARTITION BY LIST (k);
CREATE FOREIGN TABLE at.part_foreign PARTITION OF at.part_keyless FOR VALUES IN (4) SERVER regress_idflow_server;
SELECT idflow.attach('at_one', 'at.part_keyless');

-- expressions of the workflow must fit the table
SELECT count(*) FROM idflow.deploy(at.definition('at_bad', 'Expression="SQL:new.nosuch"'));
DO $$
BEGIN
	PERFORM idflow.attach('at_bad', 'at.person');
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE 'refused';
END $$;
SELECT count(*) FROM at.triggers;

-- the role that deployed must exist
CREATE ROLE regress_idflow_gone IN ROLE idflow_admin;
SET ROLE regress_idflow_gone;
SELECT count(*) FROM idflow.deploy(at.definition('at_gone'));
RESET ROLE;
DROP ROLE regress_idflow_gone;
SELECT idflow.attach('at_gone', 'at.person');

-- open requests keep a workflow attached
SELECT idflow.attach('at_one', 'at.person');
BEGIN;
INSERT INTO idflow.layout (target, target_name, relid, columns, attnums, types)
	VALUES ('at.person', 'at.person', 'at.person'::regclass, '{id,name}', '{1,2}', '{integer,text}');
INSERT INTO idflow.request (id, workflow, state, requester, opened_at, requested_role)
	VALUES (-1, 'at_one', 'open', 'x', now(), 'x'), (-2, 'at_one', 'committed', 'x', now(), 'x'), (-3, 'at_one', 'conflict', 'x', now(), 'x');
INSERT INTO idflow.change_data (request, seq, target, target_name, operation, layout, gates)
	SELECT r, 1, 'at.person', 'at.person', 'INSERT', currval('idflow.layout_id_seq'), '{at_one}' FROM generate_series(-3, -1) r;
SAVEPOINT s;
SELECT idflow.detach('at_one', 'at.person');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT idflow.detach('at_one', 'at.person', force => true);
SELECT count(*) FROM idflow.request WHERE id < 0;
ROLLBACK;
SELECT idflow.detach('at_one', 'at.person');

-- the short way in
CREATE SCHEMA at2;
CREATE TABLE at.ward (id int PRIMARY KEY, name text);
CREATE TABLE at2.ward (id int PRIMARY KEY, name text);
CREATE TABLE at."Odd/:""<name>" (id int PRIMARY KEY);
SELECT idflow.require_approval('at.ward', profile => 'head "<&>" nurse');
SELECT idflow.require_approval('at.ward', profile => 'head "<&>" nurse');
SELECT idflow.require_approval('at2.ward', 'doctor', E'''a\n\t"<b>"''', '{UPDATE,DELETE}', 'old.id > 0', '{name}') AS with_schema;
SELECT idflow.require_approval('at."Odd/:""<name>"', expression => 'SQL:''somebody''');
SELECT workflow, target, operation, condition, columns FROM idflow.gate WHERE target::text LIKE 'at%' ORDER BY trigger;
SELECT w.name, w.version, a.name, a.template, a.actors FROM idflow.workflow w JOIN idflow.activity a ON a.workflow = w.id
WHERE w.name IN ('ward_approval', 'at2_ward_approval', 'Odd____name__approval') ORDER BY w.name, w.version, a.position;
CREATE TABLE at.a_table_whose_name_takes_all_of_the_63_bytes_that_a_name_may_have (id int PRIMARY KEY);
SELECT idflow.require_approval('at.a_table_whose_name_takes_all_of_the_63_bytes_that_a_name_may_have', 'x');
SELECT idflow.require_approval(NULL);
SELECT idflow.require_approval('at.ward', operations => NULL);
SELECT idflow.require_approval('at.ward', profile => '');
SELECT idflow.require_approval('at.a_view');
-- nothing is deployed when attaching fails
SELECT idflow.require_approval('at.keyless', 'x', condition => 'nosuch');
SELECT count(*) FROM idflow.workflow WHERE name = 'keyless_approval';

-- no crumbs
SET client_min_messages = warning;
DROP SCHEMA at, at2 CASCADE;
DROP SERVER regress_idflow_server CASCADE;
DROP FOREIGN DATA WRAPPER regress_idflow_fdw;
DROP OWNED BY regress_idflow_owner, regress_idflow_other, regress_idflow_plain;
DROP ROLE regress_idflow_owner, regress_idflow_other, regress_idflow_plain;
