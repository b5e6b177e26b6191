-- What simulations must not do: disclose, nest, leave anything, run anything else.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_simulate_hostile;
\c idflow_simulate_hostile
CREATE EXTENSION idflow;
CREATE ROLE simh_app LOGIN;
CREATE ROLE simh_boss LOGIN;
CREATE ROLE simh_subject LOGIN;
CREATE ROLE simh_other LOGIN;
CREATE SCHEMA sh;
GRANT USAGE, CREATE ON SCHEMA sh TO PUBLIC;
CREATE TABLE sh.person (id int PRIMARY KEY, name text, owner text, salary int, score int CHECK (score < 100), pin text CHECK (pin <> '0000'));
CREATE TABLE sh.log (n int);
GRANT INSERT ON sh.person TO simh_app;
GRANT SELECT (id, name, owner, pin), UPDATE (name, owner, salary, pin, score) ON sh.person TO simh_app;
GRANT SELECT, INSERT ON sh.log TO simh_app;
INSERT INTO sh.person VALUES (1, 'Ann', NULL, 5000, 7, '1234'), (2, 'Cy', NULL, 4000, 8, '4321');
CREATE FUNCTION sh.touchy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	IF NEW.name = 'loud' THEN
		RAISE EXCEPTION 'her salary is %', (SELECT salary FROM sh.person WHERE id = 1);
	END IF;
	IF NEW.name = 'nested' THEN
		PERFORM idflow.simulate_sql('INSERT INTO sh.log VALUES (1)');
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER touchy AFTER UPDATE ON sh.person FOR EACH ROW EXECUTE FUNCTION sh.touchy();
CREATE FUNCTION sh.nest(request bigint) RETURNS void LANGUAGE sql AS $$ SELECT idflow.simulate(request) $$;
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
  <Workflow Identifier="Pay" DisplayName_L1="Pay" Title="Literal:pay" Subject="SQL:new.owner">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="simh_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
    <Column Name="pin" Show="No"/>
  </Workflow>
  <Workflow Identifier="Score" DisplayName_L1="Score" Title="Literal:score" Subject="SQL:new.owner">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="simh_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
  <AddChangeAspect Identifier="Score" Binding="score" Expression="SQL:CASE WHEN new.name = 'risky' THEN 666 ELSE 42 END">
    <PointCut Activity="Score:Review" ActivityState="Approved" Mode="After"/>
  </AddChangeAspect>
  <InvokeFunctionAspect Identifier="Nest" Function="sh.nest" IfExpression="SQL:new.name = 'aspect'">
    <PointCut Activity="Score:Review" ActivityState="Approved" Mode="After"/>
  </InvokeFunctionAspect>
</ConfigurationFile>$$) ORDER BY 1;
SELECT idflow.attach('Score', 'sh.person', '{INSERT,UPDATE}');
CREATE FUNCTION public.contents() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	t regclass;
	all_rows text := '';
	one text;
BEGIN
	FOR t IN SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('idflow'::regnamespace, 'sh'::regnamespace) AND relkind = 'r' ORDER BY oid::regclass::text COLLATE "C" LOOP
		EXECUTE format('SELECT string_agg(r::text, E''\n'' ORDER BY r::text) FROM %s r', t) INTO one;
		all_rows := all_rows || t || coalesce(one, '');
	END LOOP;
	RETURN md5(all_rows);
END $$;

\c - simh_app
\pset null '-'
SET idflow.notice = off;
-- other statements
SELECT * FROM idflow.simulate_sql(NULL);
SELECT * FROM idflow.simulate(NULL);
SELECT * FROM idflow.simulate_sql('');
SELECT * FROM idflow.simulate_sql('SELECT 1');
SELECT * FROM idflow.simulate_sql('COMMIT');
SELECT * FROM idflow.simulate_sql('DO $x$ BEGIN END $x$');
SELECT * FROM idflow.simulate_sql('EXPLAIN ANALYZE INSERT INTO sh.log VALUES (1)');
SELECT * FROM idflow.simulate_sql('INSERT INTO sh.log VALUES (1); COMMIT');
SELECT * FROM idflow.simulate_sql('WITH a AS (INSERT INTO sh.log VALUES (1) RETURNING n) SELECT * INTO sh.t FROM a');
SELECT * FROM idflow.simulate_sql('WITH a AS (SELECT 1) SELECT * FROM a');
SELECT * FROM idflow.simulate_sql('COPY sh.log FROM STDIN');
-- a read-only transaction
BEGIN READ ONLY;
SELECT * FROM idflow.simulate_sql('INSERT INTO sh.log VALUES (1)');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM idflow.simulate(1);
ROLLBACK;
-- none such; somebody else's
SELECT * FROM idflow.simulate(99999);
UPDATE sh.person SET name = 'Anna', owner = 'simh_subject' WHERE id = 1;
SELECT idflow.last_request() AS anna \gset
\c - simh_other
\set VERBOSITY sqlstate
SELECT * FROM idflow.simulate(:anna);
\set VERBOSITY default
\c - simh_app
\pset null '-'
SET idflow.notice = off;

-- what an aspect sets with rights of others stays theirs: its value, and what the table says of it
SELECT kind, activity, sqlstate, message, detail FROM idflow.simulate_sql($$INSERT INTO sh.person (id, name) VALUES (10, 'Bob')$$) WHERE kind NOT IN ('activity', 'task');
SELECT kind, activity, sqlstate, message, detail FROM idflow.simulate_sql($$INSERT INTO sh.person (id, name) VALUES (10, 'risky')$$) WHERE kind NOT IN ('activity', 'task');
-- the trigger's text PostgreSQL would show to him who writes; but there is a value among what is written that he may not see
SELECT kind, activity, sqlstate, message, detail FROM idflow.simulate_sql($$UPDATE sh.person SET name = 'loud' WHERE id = 1$$) WHERE kind NOT IN ('activity', 'task');
-- nor is it shown to him in the reports, when it is there
INSERT INTO sh.person (id, name) VALUES (12, 'Dot');
SELECT idflow.last_request() AS dot \gset
\c - simh_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :dot;
\c - simh_app
\pset null '-'
SET idflow.notice = off;
SELECT new_row FROM idflow.change WHERE request = :dot;
-- who decides sees all
UPDATE sh.person SET name = 'loud' WHERE id = 2;
SELECT idflow.last_request() AS loud \gset
INSERT INTO sh.person (id, name) VALUES (11, 'risky');
SELECT idflow.last_request() AS risky \gset
\c - simh_boss
\pset null '-'
SELECT kind, activity, sqlstate, message, detail FROM idflow.simulate(:loud) WHERE kind NOT IN ('activity', 'task');
SELECT kind, activity, sqlstate, message, detail FROM idflow.simulate(:risky) WHERE kind NOT IN ('activity', 'task');
-- its subject, of another role, sees neither values nor texts
\c - simh_subject
\pset null '-'
SELECT kind, activity, actor, sqlstate, message, detail FROM idflow.simulate(:anna);
-- a conflict in a column that the requester may write and not read
\c - simh_app
SET idflow.notice = off;
\pset null '-'
UPDATE sh.person SET salary = 6000 WHERE id = 2;
SELECT idflow.last_request() AS pay \gset
\c - :me
ALTER TABLE sh.person DISABLE TRIGGER USER;
UPDATE sh.person SET salary = 4444, name = 'Clu' WHERE id = 2;
ALTER TABLE sh.person ENABLE TRIGGER USER;
\c - simh_app
\pset null '-'
SELECT kind, activity, message, detail FROM idflow.simulate(:pay) WHERE kind NOT IN ('activity', 'task');
\c - simh_boss
\pset null '-'
SELECT kind, activity, message, detail FROM idflow.simulate(:pay) WHERE kind NOT IN ('activity', 'task');
-- columns that the workflow hides, from everybody
\c - :me
SELECT idflow.detach('Score', 'sh.person', true);
SELECT idflow.attach('Pay', 'sh.person', '{INSERT,UPDATE}');
SELECT idflow.withdraw(:pay), idflow.withdraw(:loud), idflow.withdraw(:risky), idflow.withdraw(:anna);
\c - simh_app
\pset null '-'
SET idflow.notice = off;
UPDATE sh.person SET pin = '7777' WHERE id = 2;
SELECT idflow.last_request() AS pin \gset
SELECT kind, sqlstate, message, detail FROM idflow.simulate_sql($$UPDATE sh.person SET pin = '0000' WHERE id = 1$$);
\c - :me
ALTER TABLE sh.person DISABLE TRIGGER USER;
UPDATE sh.person SET pin = '8888' WHERE id = 2;
ALTER TABLE sh.person ENABLE TRIGGER USER;
\c - simh_boss
\pset null '-'
SELECT kind, activity, message, detail FROM idflow.simulate(:pin) WHERE kind NOT IN ('activity', 'task');
\c - :me
\pset null '-'
SELECT kind, activity, message, detail FROM idflow.simulate(:pin) WHERE kind NOT IN ('activity', 'task');
SELECT idflow.withdraw(:pin);
SELECT idflow.detach('Pay', 'sh.person');
SELECT idflow.attach('Score', 'sh.person', '{INSERT,UPDATE}');

-- one within the other
\c - simh_app
\pset null '-'
SET idflow.notice = off;
SELECT public.contents() AS before \gset
SELECT kind, sqlstate, message FROM idflow.simulate_sql($$WITH s AS (SELECT count(*) FROM idflow.simulate_sql('INSERT INTO sh.log VALUES (1)')) INSERT INTO sh.log SELECT 1 FROM s$$);
\c - simh_boss
\pset null '-'
SELECT kind, sqlstate, message FROM idflow.simulate_sql($$INSERT INTO sh.log VALUES (1)$$);
\c - simh_app
\pset null '-'
SET idflow.notice = off;
UPDATE sh.person SET name = 'nested' WHERE id = 1;
SELECT idflow.last_request() AS nested \gset
UPDATE sh.person SET name = 'aspect' WHERE id = 2;
SELECT idflow.last_request() AS aspect \gset
\c - simh_boss
\pset null '-'
SELECT kind, sqlstate, message FROM idflow.simulate(:nested) WHERE kind = 'error';
SELECT kind, sqlstate, message FROM idflow.simulate(:aspect) WHERE kind = 'error';
\set VERBOSITY terse
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :nested;
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :aspect;
\set VERBOSITY default

-- what a statement's functions leave in the session
\c - simh_app
\pset null '-'
CREATE FUNCTION sh.leave() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.begin_request('smuggled');
	PERFORM set_config('idflow.title', 'smuggled', false);
	CREATE TEMP TABLE smuggled (i int);
	INSERT INTO sh.log VALUES (77);
	RETURN 1;
END $$;
SELECT public.contents() AS before, idflow.last_request() AS last \gset
SELECT count(*) > 0 AS ran FROM idflow.simulate_sql('INSERT INTO sh.log SELECT sh.leave()');
SELECT public.contents() = :'before' AS nothing_left, idflow.last_request() IS NULL AS last, current_setting('idflow.title') AS title, to_regclass('pg_temp.smuggled') AS temp;
INSERT INTO sh.person (id, name) VALUES (60, 'after');
SELECT title FROM idflow.request WHERE id = idflow.last_request();
-- cancelled in the middle: nothing is left, simulations go on, NOTICEs are told
SELECT public.contents() AS before \gset
SET statement_timeout = '300ms';
SELECT * FROM idflow.simulate_sql($$INSERT INTO sh.person (id, name) SELECT 70 + i, 'late' FROM generate_series(1, 2) i, pg_sleep(CASE i WHEN 2 THEN 10 ELSE 0 END)$$);
RESET statement_timeout;
SELECT public.contents() = :'before' AS nothing_left;
SELECT kind FROM idflow.simulate_sql('INSERT INTO sh.person (id) VALUES (80)') WHERE kind IN ('request', 'committed');
-- a subtransaction that made requests and was rolled back inside
CREATE FUNCTION sh.two() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO sh.person (id, name) VALUES (90, 'undone');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		INSERT INTO sh.person (id, name) VALUES (91, 'done');
	END;
	RETURN 1;
END $$;
SELECT kind, detail FROM idflow.simulate_sql('INSERT INTO sh.log SELECT sh.two()') WHERE kind IN ('change', 'committed');
SELECT public.contents() = :'before' AS nothing_left;
-- layouts and plans that were made inside don't stay in the session
CREATE TABLE sh.fresh (id int PRIMARY KEY, a text, owner text, score int, name text);
GRANT ALL ON sh.fresh TO PUBLIC;
\c - :me
SET client_min_messages = warning;
SELECT idflow.attach('Score', 'sh.fresh');
\c - simh_app
\pset null '-'
SELECT kind, detail FROM idflow.simulate_sql($$INSERT INTO sh.fresh (id, a) VALUES (1, 'x')$$) WHERE kind = 'change';
\c - :me
ALTER TABLE sh.fresh RENAME a TO b;
\c - simh_app
SELECT kind, detail FROM idflow.simulate_sql($$INSERT INTO sh.fresh (id, b) VALUES (1, 'x')$$) WHERE kind = 'change';
INSERT INTO sh.fresh (id, b) VALUES (1, 'x');
SELECT new_row FROM idflow.change WHERE request = idflow.last_request();

\c :home :me
DROP DATABASE idflow_simulate_hostile;
DROP ROLE simh_app, simh_boss, simh_subject, simh_other;
