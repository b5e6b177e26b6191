-- Proposals: what may not be learnt, and whose rights may not be had
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
SET idflow.notice = off;
CREATE ROLE regress_ph_lent;
CREATE ROLE regress_ph_admin;
CREATE ROLE regress_ph_eve;
CREATE ROLE regress_ph_boss;
GRANT idflow_admin, regress_ph_lent TO regress_ph_admin;
CREATE SCHEMA regress_ph;
CREATE SCHEMA regress_ph_evil AUTHORIZATION regress_ph_eve;
GRANT USAGE ON SCHEMA regress_ph TO regress_ph_lent, regress_ph_eve, regress_ph_boss, regress_ph_admin;
CREATE TABLE regress_ph.app (name text PRIMARY KEY);
INSERT INTO regress_ph.app VALUES ('wiki'), ('payroll');
CREATE TABLE regress_ph.seen (who text, what text);
CREATE TABLE regress_ph.access (
  id int PRIMARY KEY,
  person text NOT NULL,
  app text REFERENCES regress_ph.app,
  secret int NOT NULL DEFAULT 5,
  level int NOT NULL DEFAULT 1,
  UNIQUE (person, app),
  CHECK (level <= secret));
INSERT INTO regress_ph.access VALUES (1, 'regress_ph_eve', 'wiki', 5, 1), (2, 'regress_ph_bob', 'wiki', 42, 1);
GRANT INSERT, UPDATE (level), SELECT (id) ON regress_ph.access TO regress_ph_lent;
GRANT INSERT ON regress_ph.seen TO regress_ph_lent;
SET ROLE regress_ph_admin;
SELECT count(*) FROM idflow.deploy($$<ConfigurationFile><Workflow Identifier="regress_ph" DisplayName_L1="Access" ApplyAs="regress_ph_lent" Title="Literal:access">
  <Activity Identifier="Ask" DisplayName_L1="Ask" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="regress_ph_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Profile Identifier="regress_ph_staff"/>
<AccessControlRule Identifier="regress_ph" DisplayName_L1="own" EntityType="regress_ph.access" Profile="regress_ph_staff">
   <Entry Permission="/Custom/Workflows/regress_ph/Ask/ActionPending" CanExecute="true"/>
   <Filter Binding="Access.Person" CurrentUser="true"/></AccessControlRule></ConfigurationFile>$$);
RESET ROLE;
INSERT INTO idflow.profile_member VALUES ('regress_ph_staff', 'regress_ph_eve');
SELECT idflow.attach('regress_ph', 'regress_ph.access', '{INSERT,UPDATE}');
CREATE FUNCTION regress_ph.ask(op text, v jsonb, k jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; m text; d text; h text;
BEGIN
  PERFORM idflow.propose('regress_ph.access', op, v, k);
  RETURN 'asked';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', s, m, nullif(d, ''), nullif(h, ''));
END $$;

-- ---------------------------------------------------- what may not be learnt
SET ROLE regress_ph_eve;
-- another's row and no row are one
SELECT regress_ph.ask('UPDATE', '{"level": 2}', '{"id": 2}') = regress_ph.ask('UPDATE', '{"level": 2}', '{"id": 3}') AS alike,
       regress_ph.ask('UPDATE', '{"level": 2}', '{"id": 2}');
SELECT regress_ph.ask('UPDATE', '{"level": 2000}', '{"id": 2}');
-- whether a value is there already
SELECT regress_ph.ask('UPDATE', '{"level": 1}', '{"id": 1}');
SELECT operation, key, old_row, new_row FROM idflow.change WHERE request = idflow.last_request();
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = idflow.last_request();
-- whether keys are there: neither live ones, nor of drafts, nor referenced ones
SELECT regress_ph.ask('INSERT', '{"id": 2, "person": "regress_ph_eve", "app": "payroll"}');
SELECT regress_ph.ask('INSERT', '{"id": 2, "person": "regress_ph_eve", "app": "payroll"}');
SELECT regress_ph.ask('INSERT', '{"id": 4, "person": "regress_ph_eve", "app": "nuclear"}');
-- nor does a simulation tell, which would come to the apply
SELECT kind, sqlstate, message FROM idflow.simulate(idflow.last_request());
-- a CHECK speaks, and does not show the row
SELECT regress_ph.ask('UPDATE', '{"level": 7}', '{"id": 1}');
RESET ROLE;
-- whoever may read the table is told
GRANT SELECT ON regress_ph.access TO regress_ph_eve;
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 2, "person": "regress_ph_eve", "app": "payroll"}');
SELECT regress_ph.ask('INSERT', '{"id": 4, "person": "regress_ph_eve", "app": "nuclear"}');
SELECT kind, sqlstate, message FROM idflow.simulate(idflow.last_request());
RESET ROLE;
REVOKE SELECT ON regress_ph.access FROM regress_ph_eve;
-- the reviewer meets the table's own error
SET ROLE regress_ph_boss;
SELECT count(*) FROM idflow.inbox;
DO $$
DECLARE t bigint; s text;
BEGIN
  FOR t IN SELECT task FROM idflow.inbox ORDER BY task LOOP
    BEGIN
      s := idflow.approve(t);
    EXCEPTION WHEN OTHERS THEN
      s := SQLSTATE || ' ' || SQLERRM;
      PERFORM idflow.decline(t);
    END;
    RAISE WARNING '%', s;
  END LOOP;
END $$;
RESET ROLE;

-- ------------------------------------------------- whose rights may not be had
-- a trigger finds what it names where its table is, not where the requester wants
CREATE FUNCTION regress_ph.watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'secret is %', NEW.secret;
  IF NEW.level = 3 THEN RAISE EXCEPTION 'secret is %', NEW.secret USING DETAIL = 'it is ' || NEW.secret, HINT = NEW.secret; END IF;
  IF NEW.level = 4 THEN SET ROLE regress_ph_admin; END IF;
  IF NEW.level = 5 THEN PERFORM idflow.propose('regress_ph.access', 'INSERT', '{"id": 9, "person": "regress_ph_eve"}'); END IF;
  INSERT INTO seen VALUES (current_user, note());
  RETURN NEW;
END $$;
CREATE FUNCTION regress_ph.note() RETURNS text LANGUAGE sql AS 'SELECT ''of the table''''s''';
CREATE TRIGGER watch BEFORE INSERT OR UPDATE ON regress_ph.access FOR EACH ROW EXECUTE FUNCTION regress_ph.watch();
UPDATE regress_ph.access SET secret = secret WHERE id = 1;
SET ROLE regress_ph_eve;
CREATE FUNCTION regress_ph_evil.note() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'evil as ' || current_user; END $$;
CREATE TABLE regress_ph_evil.seen (who text, what text);
GRANT USAGE ON SCHEMA regress_ph_evil TO PUBLIC;
GRANT ALL ON regress_ph_evil.seen TO PUBLIC;
SET search_path = regress_ph_evil, pg_catalog;
SET client_min_messages = notice;
SELECT regress_ph.ask('UPDATE', '{"level": 2}', '{"id": 1}');
SELECT regress_ph.ask('UPDATE', '{"level": 3}', '{"id": 1}');
SELECT regress_ph.ask('UPDATE', '{"level": 4}', '{"id": 1}');
SELECT regress_ph.ask('UPDATE', '{"level": 5}', '{"id": 1}');
SET client_min_messages = warning;
RESET search_path;
RESET ROLE;
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT * FROM regress_ph.seen;
SELECT count(*) FROM regress_ph_evil.seen;
-- nor in a temporary schema
SET ROLE regress_ph_eve;
CREATE TEMP TABLE seen (who text, what text);
SELECT regress_ph.ask('UPDATE', '{"level": 2}', '{"id": 1}');
DISCARD TEMP;
SELECT regress_ph.ask('UPDATE', '{"level": 1}', '{"id": 1}');
SELECT idflow.withdraw(idflow.last_request());
RESET ROLE;
-- what is deferred runs as the role, not as who approves
CREATE FUNCTION regress_ph.later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO regress_ph.seen VALUES (current_user, 'later'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON regress_ph.access DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_ph.later();
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 5, "person": "regress_ph_eve", "app": "payroll"}');
RESET ROLE;
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT * FROM regress_ph.seen WHERE what = 'later';
DROP TRIGGER later ON regress_ph.access;
DROP TRIGGER watch ON regress_ph.access;

-- policies are the role's
ALTER TABLE regress_ph.access ENABLE ROW LEVEL SECURITY;
CREATE POLICY lent ON regress_ph.access TO regress_ph_lent USING (true) WITH CHECK (level < 3);
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 6, "person": "regress_ph_eve", "level": 4}');
RESET ROLE;
DROP POLICY lent ON regress_ph.access;
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('UPDATE', '{"level": 2}', '{"id": 1}');
RESET ROLE;
ALTER TABLE regress_ph.access DISABLE ROW LEVEL SECURITY;

-- a gate that doesn't hold the row lets nothing be written
SELECT idflow.attach('regress_ph', 'regress_ph.access', '{INSERT,UPDATE}', 'new.level > 3');
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 6, "person": "regress_ph_eve", "level": 2}');
SELECT regress_ph.ask('INSERT', '{"id": 6, "person": "regress_ph_eve", "level": 4}');
SELECT idflow.withdraw(idflow.last_request());
RESET ROLE;
SELECT idflow.attach('regress_ph', 'regress_ph.access', '{INSERT,UPDATE}');
SELECT idflow.disable('test', 'regress_ph.access');
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 6, "person": "regress_ph_eve"}');
RESET ROLE;
SELECT idflow.enable('regress_ph.access');
SELECT count(*) FROM regress_ph.access WHERE id = 6;

-- rights end with the membership of who deployed, and with the owner's grant
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('UPDATE', '{"level": 3}', '{"id": 1}');
RESET ROLE;
REVOKE regress_ph_lent FROM regress_ph_admin;
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('UPDATE', '{"level": 3}', '{"id": 1}');
RESET ROLE;
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
GRANT regress_ph_lent TO regress_ph_admin;
REVOKE UPDATE (level) ON regress_ph.access FROM regress_ph_lent;
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
-- a role of the same name is another role
REVOKE ALL ON regress_ph.access, regress_ph.seen FROM regress_ph_lent;
REVOKE USAGE ON SCHEMA regress_ph FROM regress_ph_lent;
DROP ROLE regress_ph_lent;
SET ROLE regress_ph_boss;
\set VERBOSITY terse
SELECT idflow.approve(task) FROM idflow.inbox;
\set VERBOSITY default
RESET ROLE;
CREATE ROLE regress_ph_lent;
GRANT ALL ON regress_ph.access TO regress_ph_lent;
GRANT USAGE ON SCHEMA regress_ph TO regress_ph_lent;
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT idflow.decline(task) FROM idflow.inbox;
RESET ROLE;
SELECT id, level FROM regress_ph.access ORDER BY id;

-- the triggers run with the lent rights so long as they are whose they were when it was attached
CREATE ROLE regress_ph_first;
CREATE ROLE regress_ph_next;
GRANT USAGE ON SCHEMA regress_ph TO regress_ph_first, regress_ph_next;
GRANT SELECT ON regress_ph.app TO regress_ph_first, regress_ph_next;
GRANT regress_ph_lent TO regress_ph_admin;
INSERT INTO regress_ph.app VALUES ('crm');
ALTER TABLE regress_ph.access OWNER TO regress_ph_first;
SELECT idflow.attach('regress_ph', 'regress_ph.access', '{INSERT,UPDATE}');
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 20, "person": "regress_ph_eve", "app": "crm"}');
RESET ROLE;
ALTER TABLE regress_ph.access OWNER TO regress_ph_next;
SET ROLE regress_ph_eve;
SELECT regress_ph.ask('INSERT', '{"id": 21, "person": "regress_ph_eve", "app": "crm"}');
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT idflow.attach('regress_ph', 'regress_ph.access', '{INSERT,UPDATE}');
SET ROLE regress_ph_boss;
SELECT idflow.approve(task) FROM idflow.inbox;
RESET ROLE;
SELECT id FROM regress_ph.access WHERE id >= 20;
-- nobody but who has the role lets them
ALTER TABLE regress_ph.access OWNER TO regress_ph_first;
GRANT idflow_admin TO regress_ph_first;
SET ROLE regress_ph_first;
SELECT idflow.attach('regress_ph', 'regress_ph.access', '{INSERT,UPDATE}');
RESET ROLE;
REVOKE idflow_admin FROM regress_ph_first;
-- attached to a partitioned table whose partitions are others'
CREATE TABLE regress_ph.parted (id int PRIMARY KEY, person text) PARTITION BY RANGE (id);
CREATE TABLE regress_ph.parted_1 PARTITION OF regress_ph.parted FOR VALUES FROM (1) TO (10);
ALTER TABLE regress_ph.parted OWNER TO regress_ph_first;
ALTER TABLE regress_ph.parted_1 OWNER TO regress_ph_next;
GRANT INSERT ON regress_ph.parted TO regress_ph_lent;
SELECT idflow.attach('regress_ph', 'regress_ph.parted', '{INSERT}');
SET ROLE regress_ph_eve;
SELECT idflow.propose('regress_ph.parted', 'INSERT', '{"id": 1, "person": "regress_ph_eve"}');
RESET ROLE;
SELECT idflow.detach('regress_ph', 'regress_ph.parted');
-- nor where the workflow had no ApplyAs then
CREATE TABLE regress_ph.other (id int PRIMARY KEY, person text);
GRANT INSERT ON regress_ph.other TO regress_ph_lent;
SELECT count(*) FROM idflow.deploy('<Workflow Identifier="regress_ph_other" DisplayName_L1="Other"><Activity Identifier="Ask" DisplayName_L1="Ask" Template="Action"/><Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
SELECT idflow.attach('regress_ph_other', 'regress_ph.other', '{INSERT}');
SELECT count(*) FROM idflow.deploy('<Workflow Identifier="regress_ph_other" DisplayName_L1="Other" ApplyAs="regress_ph_lent"><Activity Identifier="Ask" DisplayName_L1="Ask" Template="Action"/><Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
SET ROLE regress_ph_eve;
SELECT idflow.propose('regress_ph.other', 'INSERT', '{"id": 1, "person": "regress_ph_eve"}');
RESET ROLE;
SELECT idflow.detach('regress_ph_other', 'regress_ph.other');

SELECT idflow.detach('regress_ph', 'regress_ph.access');
SELECT idflow.drop_access_rule('regress_ph');
DELETE FROM idflow.profile_member WHERE profile = 'regress_ph_staff';
DELETE FROM idflow.profile WHERE identifier = 'regress_ph_staff';
DROP SCHEMA regress_ph, regress_ph_evil CASCADE;
DROP ROLE regress_ph_lent, regress_ph_admin, regress_ph_eve, regress_ph_boss, regress_ph_first, regress_ph_next;
