-- idflow.simulate() and simulate_sql(): what would become of a request or a statement, and nothing is left.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_simulate;
\c idflow_simulate
CREATE EXTENSION idflow;
CREATE ROLE sim_app LOGIN;
CREATE ROLE sim_boss LOGIN;
CREATE ROLE sim_hr LOGIN;
CREATE ROLE sim_other LOGIN;
CREATE SCHEMA sim;
GRANT USAGE ON SCHEMA sim TO PUBLIC;
CREATE TABLE sim.unit (id int PRIMARY KEY, name text);
CREATE TABLE sim.person (
	id int PRIMARY KEY, name text NOT NULL, city text, login text UNIQUE,
	unit int REFERENCES sim.unit DEFERRABLE INITIALLY DEFERRED,
	boss int CHECK (boss <> id),
	EXCLUDE (city WITH =) WHERE (name = 'mayor'));
CREATE TABLE sim.log (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE TABLE sim.free (id int PRIMARY KEY);
INSERT INTO sim.unit VALUES (1, 'one');
INSERT INTO sim.person VALUES (1, 'Ann', 'Rome', 'ann', 1), (2, 'mayor', 'Oslo', 'mayor', 1);
GRANT SELECT, INSERT, UPDATE, DELETE ON sim.person, sim.free TO sim_app;
INSERT INTO idflow.profile_member (profile, principal) VALUES ('HR', 'sim_hr'), ('HR', 'sim_other');
CREATE FUNCTION sim.note(bigint) RETURNS void LANGUAGE sql AS $$ INSERT INTO sim.log (what) VALUES ('aspect') $$;
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
  <Workflow Identifier="Person" DisplayName_L1="A person" Title="SQL:coalesce(new.name, old.name)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="sim_boss"/></Activity>
    <Activity Identifier="Check" DisplayName_L1="Check" Template="Review" IfExpression="SQL:new.city = 'Paris'"><Actor Profile="HR"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
  <BuildUniqueValueAspect Identifier="Login" Binding="login" IterationsCount="3" OnlyIfNew="true"
      Expression="SQL:lower(new.name) || CASE WHEN iteration &gt; 0 THEN iteration::text ELSE '' END"
      SimulationExpression="Literal:login to be chosen">
    <PointCut Activity="Person:Request" ActivityState="Executed"/>
    <UnicityCheckRule TargetEntityType="sim.person"/>
  </BuildUniqueValueAspect>
  <InvokeFunctionAspect Identifier="Note" Function="sim.note">
    <PointCut Activity="Person:Persist" ActivityState="Invoked" Mode="After"/>
  </InvokeFunctionAspect>
  <InvokeScriptAspect Identifier="Script" Agent="a" ScriptFile="welcome">
    <PointCut Activity="Person:Persist" ActivityState="Invoked" Mode="After"/>
  </InvokeScriptAspect>
  <NotificationAspect Identifier="Told" SubjectExpression_L1="Literal:hello" BodyExpression_L1="Literal:hello">
    <Recipient Type="Actor"/>
    <PointCut Activity="Person:Review" ActivityState="ReviewPending"/>
  </NotificationAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'sim.person', '{INSERT,UPDATE,DELETE}');
-- all that idflow and the test have in their tables
CREATE FUNCTION public.contents() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	t regclass;
	all_rows text := '';
	one text;
BEGIN
	FOR t IN SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('idflow'::regnamespace, 'sim'::regnamespace) AND relkind = 'r' ORDER BY oid::regclass::text COLLATE "C" LOOP
		EXECUTE format('SELECT string_agg(r::text, E''\n'' ORDER BY r::text) FROM %s r', t) INTO one;
		all_rows := all_rows || t || coalesce(one, '');
	END LOOP;
	RETURN md5(all_rows);
END $$;
-- requests by the order in which they came, so that sequences don't matter
CREATE FUNCTION public.shown(request bigint) RETURNS TABLE (kind text, activity text, actor text, sqlstate text, message text, detail text)
LANGUAGE sql AS $$ SELECT s.kind, s.activity, s.actor, s.sqlstate, s.message, s.detail FROM idflow.simulate($1) s $$;
CREATE FUNCTION public.shown_sql(statement text) RETURNS TABLE (r bigint, kind text, activity text, actor text, sqlstate text, message text, detail text)
LANGUAGE sql AS $$ SELECT dense_rank() OVER (ORDER BY s.request), s.kind, s.activity, s.actor, s.sqlstate, s.message, s.detail FROM idflow.simulate_sql($1) WITH ORDINALITY s (request, change, kind, activity, actor, sqlstate, message, detail, n) ORDER BY s.n $$;

\c - sim_app
SELECT public.contents() AS before \gset
\pset null '-'
-- a statement: one that is approved by one, one that is by a profile as well
SELECT * FROM shown_sql($$INSERT INTO sim.person (id, name, city) VALUES (10, 'Bob', 'Rome'), (11, 'Cy', 'Paris')$$);
SELECT public.contents() = :'before' AS nothing_left, idflow.last_request() AS last;
-- the NOTICE tells of none, and the number that a draft gets is all that is used up
INSERT INTO sim.person (id, name) VALUES (9, 'Abe');
SELECT count(*) FROM idflow.request;
SELECT public.contents() AS before \gset
-- errors of the statement, as it is written, and of the draft
SELECT * FROM shown_sql('INSERT INTO sim.person (id, nam) VALUES (10, 1)');
SELECT * FROM shown_sql('INSERT INTO sim.persn VALUES (10)');
SELECT * FROM shown_sql('INSERT INTO sim.person (id, name) VALUES ($1, 1)');
SELECT * FROM shown_sql('INSERT INTO');
SELECT * FROM shown_sql($$INSERT INTO sim.person (id, name) VALUES (1, 'again')$$);
SELECT * FROM shown_sql($$INSERT INTO sim.unit VALUES (2, 'mine')$$);
-- what only the apply finds: a deferred constraint, an exclusion constraint
SELECT * FROM shown_sql($$UPDATE sim.person SET city = 'Oslo', name = 'mayor' WHERE id = 1$$);
-- an ungated table: no requests
SELECT * FROM shown_sql('INSERT INTO sim.free VALUES (1)');
SELECT * FROM shown_sql('WITH a AS (INSERT INTO sim.free VALUES (1) RETURNING id) SELECT id FROM a');
SELECT * FROM shown_sql($$DELETE FROM sim.person WHERE id = 1 RETURNING *$$);
SELECT * FROM shown_sql($$MERGE INTO sim.person p USING (VALUES (1, 'Anne'), (12, 'Dan')) v (id, name) ON p.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)$$)
WHERE kind IN ('request', 'committed');
SELECT public.contents() = :'before' AS nothing_left, count(*) FROM sim.free;

-- a request that waits
SET idflow.notice = off;
INSERT INTO sim.person (id, name, city) VALUES (10, 'Bob', 'Paris');
SELECT idflow.last_request() AS bob \gset
SELECT public.contents() AS before \gset
SELECT * FROM shown(:bob);
SELECT public.contents() = :'before' AS nothing_left, idflow.last_request() = :bob AS last;
-- the same from where it is refined, and by whom it is put to
\c - sim_boss
SET idflow.notice = off;
SELECT kind, activity, actor, message FROM shown(:bob);
SELECT idflow.refine(task, NULL, 'which city?') FROM idflow.inbox;
SELECT kind, activity, actor, message FROM shown(:bob);
\c - sim_app
SET idflow.notice = off;
SELECT idflow.execute(task) FROM idflow.inbox;
\c - sim_boss
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT kind, activity, actor, message FROM shown(:bob);
\c - sim_hr
SET idflow.notice = off;
SELECT idflow.approve(task) FROM idflow.inbox;
\set VERBOSITY terse
SELECT * FROM shown(:bob);
\set VERBOSITY default

-- conflicts, before the apply finds them and after
\c - sim_app
SET idflow.notice = off;
UPDATE sim.person SET city = 'Bonn', name = 'Anna' WHERE id = 1;
SELECT idflow.last_request() AS ann \gset
\c - :me
ALTER TABLE sim.person DISABLE TRIGGER USER;
UPDATE sim.person SET city = 'Lima' WHERE id = 1;
ALTER TABLE sim.person ENABLE TRIGGER USER;
\c - sim_app
SELECT kind, activity, message, detail FROM shown(:ann) WHERE kind <> 'activity';
\c - sim_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - sim_app
SELECT kind, activity, message, detail FROM shown(:ann);
SELECT state FROM idflow.request WHERE id = :ann;
SELECT idflow.resolve(:ann, id, '{"city": "live"}') FROM idflow.change WHERE request = :ann;
\c - :me
ALTER TABLE sim.person DISABLE TRIGGER USER;
INSERT INTO sim.person VALUES (20, 'Gone');
ALTER TABLE sim.person ENABLE TRIGGER USER;
\c - sim_app
SET idflow.notice = off;
UPDATE sim.person SET city = 'Bonn' WHERE id = 20;
SELECT idflow.last_request() AS gone \gset
\c - :me
ALTER TABLE sim.person DISABLE TRIGGER USER;
DELETE FROM sim.person WHERE id = 20;
ALTER TABLE sim.person ENABLE TRIGGER USER;
\c - sim_app
SELECT kind, activity, message, detail FROM shown(:gone) WHERE kind <> 'activity';

-- a bundle that is not sent yet, and what a statement would add to it
SET idflow.notice = off;
BEGIN;
SELECT idflow.begin_request('two') AS two \gset
SELECT kind, sqlstate, message FROM shown(:two);
INSERT INTO sim.person (id, name, unit) VALUES (30, 'Eve', 1);
SELECT kind, activity, actor, sqlstate, message, detail FROM shown(:two);
SELECT kind, activity, actor, sqlstate, message, detail FROM shown_sql($$INSERT INTO sim.person (id, name, unit) VALUES (31, 'Fay', 7)$$);
SELECT kind, activity, sqlstate, message, detail FROM shown_sql($$UPDATE sim.person SET boss = 2 WHERE id = 1$$);
SELECT count(*) AS changes FROM idflow.change WHERE request = :two;
-- it still collects, and what the session remembers is what it was
INSERT INTO sim.person (id, name) VALUES (32, 'Gil');
SELECT count(*) AS changes, idflow.last_request() = :two AS last FROM idflow.change WHERE request = :two;
COMMIT;

-- the value that stands in for a unique one is not held, and the built one is free
SELECT login FROM idflow.drafts(NULL::sim.person) ORDER BY id;
\c - :me
SELECT count(*) AS held FROM idflow.pending_key;
\c - sim_app
SET idflow.notice = off;

-- one that waits for its day
SET idflow.effective_at = '2999-01-01 00:00+00';
SELECT kind, activity, actor, message, detail FROM shown_sql($$INSERT INTO sim.person (id, name) VALUES (50, 'Jim')$$);
INSERT INTO sim.person (id, name) VALUES (50, 'Jim');
RESET idflow.effective_at;
SELECT idflow.last_request() AS jim \gset
\c - sim_boss
SET idflow.notice = off;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :jim;
SELECT public.contents() AS before \gset
SELECT kind, activity, actor, message FROM shown(:jim);
SELECT public.contents() = :'before' AS nothing_left;
\c - sim_app
SET idflow.notice = off;

-- savepoints, exception blocks, cursors
BEGIN;
SAVEPOINT s;
SELECT count(*) > 0 AS rows FROM idflow.simulate(:two);
ROLLBACK TO s;
SELECT count(*) > 0 AS rows FROM idflow.simulate(:two);
DECLARE c CURSOR FOR SELECT kind FROM idflow.simulate(:two);
FETCH 1 FROM c;
COMMIT;
DO $$ BEGIN PERFORM idflow.simulate_sql('INSERT INTO'); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$;
-- a snapshot for the whole transaction
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT kind FROM shown_sql($$INSERT INTO sim.person (id, name) VALUES (40, 'Ida')$$) WHERE kind NOT IN ('activity');
COMMIT;

\c :home :me
DROP DATABASE idflow_simulate;
DROP ROLE sim_app, sim_boss, sim_hr, sim_other;
