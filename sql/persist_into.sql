-- PersistOnlyResources with Into: a draft that is written before it is approved.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_persist_into;
\c idflow_persist_into
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION idflow;
CREATE ROLE pi_app LOGIN;
CREATE ROLE pi_boss LOGIN;
CREATE ROLE pi_poor LOGIN;
CREATE SCHEMA pi;
GRANT USAGE ON SCHEMA pi TO PUBLIC;
CREATE FUNCTION public.act(verb text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; t bigint := (SELECT max(task) FROM idflow.inbox WHERE title = what);
BEGIN
	EXECUTE format('SELECT idflow.%I($1)', verb) INTO s USING t;
	RETURN s || coalesce(' at ' || (SELECT activity FROM idflow.request r WHERE r.title = what ORDER BY id DESC LIMIT 1), '');
END $$;
CREATE FUNCTION public.way(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', e.activity, e.transition, e.comment, e.data->>'into') FROM idflow.event e JOIN idflow.request r ON r.id = e.request WHERE r.title = what ORDER BY seq $$;
CREATE TABLE pi.staff (id int PRIMARY KEY, login text UNIQUE NOT NULL, level int, is_draft boolean NOT NULL DEFAULT false, twice int GENERATED ALWAYS AS (level * 2) STORED);
CREATE TABLE pi.pool (id int PRIMARY KEY, login text, is_draft boolean, seen text DEFAULT 'no', by text);
CREATE TABLE pi.badge (id int PRIMARY KEY, staff int REFERENCES pi.staff, pool int REFERENCES pi.pool);
CREATE FUNCTION pi.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.by := current_user || ' ' || idflow.actor(); RETURN new; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON pi.pool FOR EACH ROW EXECUTE FUNCTION pi.stamp();
GRANT SELECT, INSERT, UPDATE, DELETE ON pi.staff, pi.pool TO pi_app;
GRANT SELECT, INSERT, UPDATE ON pi.staff TO pi_poor, pi_boss;

CREATE FUNCTION public.deploy(name text, into_table text) RETURNS text LANGUAGE sql AS $$
	SELECT w.name FROM idflow.deploy(format('<ConfigurationFile>
<Workflow Identifier="%1$s" DisplayName_L1="x" Title="SQL:new.login">
  <Activity Identifier="Request" DisplayName_L1="x" Template="Action"/>
  <Activity Identifier="Draft" DisplayName_L1="x" Template="PersistOnlyResources" Into="%2$s"/>
  <Activity Identifier="Review" DisplayName_L1="x" Template="ReviewWithFeedback"><Actor Principal="pi_boss"/><Transition On="Aborted" To="Draft"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="x" Template="Persist"/>
</Workflow>
<AddChangeAspect Identifier="Flag" Binding="is_draft" Expression="Literal:true"><PointCut Activity="%1$s:Draft" ActivityState="PersistOnlyResources-Invoked" Mode="Before"/></AddChangeAspect>
<AddChangeAspect Identifier="Unflag" Binding="is_draft" Expression="Literal:false"><PointCut Activity="%1$s:Persist" ActivityState="Persist-Invoked" Mode="Before"/></AddChangeAspect>
</ConfigurationFile>', name, into_table)::xml) w $$;

-- ---------------------------------------------------------- what attach refuses
SELECT public.deploy('Bad', 'nowhere');
SELECT idflow.attach('Bad', 'pi.staff');
CREATE VIEW pi.people AS SELECT * FROM pi.staff;
SELECT public.deploy('Bad', 'people');
SELECT idflow.attach('Bad', 'pi.staff');
CREATE TABLE pi.keyless (id int, login text);
SELECT public.deploy('Bad', 'pi.keyless');
SELECT idflow.attach('Bad', 'pi.staff');
CREATE TABLE pi.other (number int PRIMARY KEY);
SELECT public.deploy('Bad', 'pi.other');
SELECT idflow.attach('Bad', 'pi.staff');
CREATE TABLE pi.strict (id int PRIMARY KEY, site text NOT NULL);
SELECT public.deploy('Bad', 'pi.strict');
SELECT idflow.attach('Bad', 'pi.staff');
CREATE TABLE pi.typed (id int PRIMARY KEY, login int);
SELECT public.deploy('Bad', 'pi.typed');
SELECT idflow.attach('Bad', 'pi.staff');
SELECT public.deploy('Joiner', 'pi.staff');
SELECT idflow.attach('Joiner', 'pi.staff', '{INSERT,UPDATE}');
SELECT public.deploy('Pool', 'pool');
SELECT idflow.attach('Pool', 'pi.staff', '{INSERT,DELETE}');
SELECT message FROM idflow.validate($$<Workflow Identifier="X" DisplayName_L1="x"><Activity Identifier="R" DisplayName_L1="x" Template="Review" Into="a"><Actor Profile="x"/></Activity><Activity Identifier="P" DisplayName_L1="x" Template="Persist"/></Workflow>$$);

-- ------------------------------------------------------------- into the target
SELECT idflow.attach('Joiner', 'pi.staff');
\c - pi_app
SET idflow.notice = off;
INSERT INTO pi.staff (id, login, level) VALUES (1, 'ada', 1), (2, 'bob', 2), (3, 'cyd', 3), (4, 'dan', 4), (5, 'eve', 5), (6, 'fay', 6);
SELECT * FROM pi.staff ORDER BY id;
-- the row that is written is nobody else's to insert
INSERT INTO pi.staff (id, login, level) VALUES (1, 'other', 1);
\c - pi_boss
-- all of it is shown, a save is of the draft and not of the row
SELECT column_name, base, live, draft FROM idflow.change_diff d JOIN idflow.request r ON r.id = d.request WHERE r.title = 'ada' ORDER BY 1;
SELECT idflow.save(task, '{"level": 10}') FROM idflow.inbox WHERE title = 'bob';
SELECT * FROM pi.staff WHERE id = 2;
SELECT public.act('approve', 'ada'), public.act('decline', 'cyd');
-- invoked once more: the row follows the draft
SELECT idflow.save(task, '{"level": 40}') FROM idflow.inbox WHERE title = 'dan';
SELECT public.act('abort', 'dan');
SELECT * FROM pi.staff ORDER BY id;
\c - pi_app
SET idflow.notice = off;
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'dan';
-- somebody works on with the draft's row, or refers to it
\c - :me
INSERT INTO pi.badge VALUES (1, 5);
UPDATE pi.staff SET level = 66 WHERE id = 6;
\c - pi_boss
SELECT public.act('decline', 'eve');
SELECT public.act('approve', 'fay');
\c - pi_app
SELECT idflow.resolve(c.request, c.id, '{"level": "draft"}') FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.title = 'fay';
\c - :me
SELECT * FROM pi.staff ORDER BY id;
\c - pi_boss
SELECT public.act('approve', 'fay');
SELECT idflow.save(task, '{"login": "bobby"}') FROM idflow.inbox WHERE title = 'bob';
\c - :me
UPDATE pi.staff SET level = 22 WHERE id = 2;
\c - pi_boss
SELECT public.act('decline', 'bob');
\c - :me
SELECT * FROM pi.staff ORDER BY id;
SELECT public.way('ada');
SELECT public.way('dan');
SELECT public.way('eve');
SELECT public.way('bob');
-- on record as what was asked for; nothing is left behind
SELECT r.title, r.state, c.operation, c.old_row, c.new_row FROM idflow.request r JOIN idflow.change c ON c.request = r.id WHERE r.title IN ('ada', 'fay', 'dan') ORDER BY r.id;
SELECT count(*) FROM idflow.resource;
SELECT count(*) FROM idflow.pending_key;

-- rolled back with its transaction
\c - pi_app
SET idflow.notice = off;
BEGIN;
INSERT INTO pi.staff (id, login, level) VALUES (7, 'gus', 7);
SAVEPOINT s;
INSERT INTO pi.staff (id, login, level) VALUES (8, 'hal', 8);
ROLLBACK TO s;
COMMIT;
SELECT id, is_draft FROM pi.staff WHERE id > 6;
-- without the right to insert nothing is written, without that to delete it stays
\c - :me
REVOKE INSERT ON pi.staff FROM pi_boss;
\c - pi_boss
SET idflow.notice = off;
INSERT INTO pi.staff (id, login, level) VALUES (9, 'ivy', 9);
\c - pi_poor
SET idflow.notice = off;
INSERT INTO pi.staff (id, login, level) VALUES (9, 'ivy', 9);
SELECT idflow.withdraw(max(id)) FROM idflow.request;
SELECT public.way('ivy');
\c - :me
SELECT id, is_draft FROM pi.staff WHERE id > 6;
-- another workflow's gate on the table is not passed
SELECT name FROM idflow.deploy($$<Workflow Identifier="Second" DisplayName_L1="x"><Activity Identifier="Review" DisplayName_L1="x" Template="Review"><Actor Principal="pi_boss"/></Activity><Activity Identifier="Persist" DisplayName_L1="x" Template="Persist"/></Workflow>$$);
SET client_min_messages = error;
SELECT idflow.attach('Second', 'pi.staff');
\c - pi_app
SET idflow.notice = off;
INSERT INTO pi.staff (id, login, level) VALUES (10, 'joe', 10);
\c - :me
SELECT idflow.detach('Second', 'pi.staff');
-- an UPDATE's gate is gone through before the row is what was approved
SET client_min_messages = error;
SELECT idflow.attach('Second', 'pi.staff', '{UPDATE}');
\c - pi_app
SET idflow.notice = off;
INSERT INTO pi.staff (id, login, level) VALUES (11, 'kim', 11);
\c - pi_boss
SELECT public.act('approve', 'kim');
SELECT id, is_draft FROM pi.staff WHERE id = 11;
SELECT public.act('approve', 'kim');
SELECT id, is_draft FROM pi.staff WHERE id = 11;
\c - pi_app
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'gus';
\c - :me
SELECT idflow.detach('Second', 'pi.staff'), idflow.detach('Joiner', 'pi.staff');

-- ---------------------------------------------------------- into another table
SET client_min_messages = error;
GRANT INSERT ON pi.staff TO pi_boss;
SELECT idflow.attach('Pool', 'pi.staff', '{INSERT,UPDATE}');
\c - pi_app
SET idflow.notice = off;
INSERT INTO pi.staff (id, login, level) VALUES (21, 'lea', 1), (22, 'max', 2), (23, 'nia', 3), (24, 'oda', 4);
UPDATE pi.staff SET level = 100 WHERE login = 'ada';
SELECT * FROM pi.pool ORDER BY id;
SELECT id FROM pi.staff WHERE id > 20;
\c - pi_boss
SELECT idflow.save(task, '{"login": "maxi"}') FROM idflow.inbox WHERE title = 'max';
SELECT public.act('abort', 'max'), public.act('approve', 'lea'), public.act('decline', 'nia'), public.act('decline', 'ada');
\c - :me
SELECT * FROM pi.pool ORDER BY id;
INSERT INTO pi.badge VALUES (2, NULL, 22);
UPDATE pi.pool SET seen = 'yes' WHERE id = 24;
\c - pi_boss
SELECT public.act('decline', 'max'), public.act('decline', 'oda');
\c - :me
SELECT * FROM pi.pool ORDER BY id;
SELECT id, login, is_draft FROM pi.staff WHERE id > 20 OR login = 'ada';
SELECT public.way('max');
SELECT public.way('oda');
SELECT count(*) FROM idflow.resource;
-- without the right to write there, or with a gate there
REVOKE INSERT ON pi.pool FROM pi_app;
\c - pi_app
INSERT INTO pi.staff (id, login, level) VALUES (31, 'pia', 1);
\c - :me
GRANT INSERT ON pi.pool TO pi_app;
SET client_min_messages = error;
SELECT idflow.attach('Second', 'pi.pool');
\c - pi_app
INSERT INTO pi.staff (id, login, level) VALUES (31, 'pia', 1);
\c - :me
SELECT count(*) FROM idflow.request WHERE title = 'pia';
-- exported as it was deployed
SELECT idflow.export('Pool')::text ~ 'Into="pool"';

\c :home :me
DROP DATABASE idflow_persist_into;
DROP ROLE pi_app, pi_boss, pi_poor;
