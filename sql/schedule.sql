-- Requests that are approved before their date: scheduled, applied when due, or
-- failed then.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_schedule;
\c idflow_schedule
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_schedule SET idflow.notice = off;
CREATE ROLE sc_app LOGIN;
CREATE ROLE sc_boss LOGIN;
CREATE ROLE sc_clerk LOGIN;
CREATE ROLE sc_clock LOGIN IN ROLE idflow_admin;
CREATE SCHEMA sc;
GRANT USAGE ON SCHEMA sc TO PUBLIC;
CREATE TABLE sc.person (id int PRIMARY KEY, login text UNIQUE, active boolean NOT NULL DEFAULT false, first_day date, note text, wrote text);
GRANT SELECT, INSERT, UPDATE, DELETE ON sc.person TO sc_app;
GRANT INSERT, UPDATE ON sc.person TO sc_boss;
-- who the apply runs as, and who is the actor then
CREATE FUNCTION sc.who() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.wrote := current_user || ' for ' || idflow.actor();
	RETURN NEW;
END$$;
CREATE TRIGGER who BEFORE INSERT OR UPDATE ON sc.person FOR EACH ROW EXECUTE FUNCTION sc.who();
SELECT name, version FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Joiner" DisplayName_L1="A joiner" EffectiveDate="SQL:new.first_day">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="sc_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Change" DisplayName_L1="A change">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="sc_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<AddChangeAspect Identifier="Activate" Binding="active" Expression="Literal:true"><PointCut Activity="Joiner:Persist" ActivityState="Persist-Invoked" Mode="Before"/></AddChangeAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Joiner', 'sc.person');
SELECT idflow.attach('Change', 'sc.person', '{UPDATE,DELETE}');
-- the test's clock: a request's date has come
CREATE PROCEDURE public.comes(r bigint) LANGUAGE sql AS $$
	UPDATE idflow.request SET effective_at = now() - interval '1 minute' WHERE id = r;
	UPDATE idflow.timer SET due_at = now() - interval '1 minute' WHERE request = r AND kind = 'effective';
$$;
-- what others write: past the gate
CREATE PROCEDURE public.others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('test');
	EXECUTE statement;
	COMMIT;
END$$;
CREATE FUNCTION public.standing(r bigint) RETURNS TABLE (state text, activity text, activity_state text, dated boolean, waits text, timers bigint) LANGUAGE sql AS $$
	SELECT q.state, q.activity, q.activity_state, q.effective_at > now(),
		(SELECT w.reason || ': ' || coalesce(w.on_whom, '-') || ': ' || w.remedy || CASE WHEN w.due_at = q.effective_at THEN ' due' ELSE '' END FROM idflow.waiting w WHERE w.request = r),
		(SELECT count(*) FROM idflow.timer t WHERE t.request = r)
	FROM idflow.request q WHERE q.id = r $$;
CREATE FUNCTION public.history(r bigint) RETURNS TABLE (actor text, via text, transition text, to_state text, comment text, keys text) LANGUAGE sql AS $$
	SELECT actor, via, transition, to_state, comment, (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(data) k)
	FROM idflow.event WHERE request = r ORDER BY seq $$;

-- --------------------------------------- a joiner approved before his first day
\c - sc_app
INSERT INTO sc.person (id, login, first_day) VALUES (1, 'ann', current_date + 10);
SELECT idflow.last_request() AS r1 \gset
SELECT effective_at = current_date + 10 AS shown FROM idflow.request WHERE id = :r1;
\c - sc_boss
SELECT effective_at = current_date + 10 AS shown FROM idflow.request WHERE id = :r1;
SELECT idflow.approve(task, 'welcome') FROM idflow.inbox;
\c - :me
SELECT * FROM public.standing(:r1);
SELECT count(*) FROM sc.person;
-- nothing is due yet; its key stays taken
SELECT idflow.run_due();
\c - sc_app
INSERT INTO sc.person (id, login) VALUES (2, 'ann');
SELECT idflow.submit(:r1);
SELECT idflow.retry(:r1);
\c - :me
CALL public.comes(:r1);
-- whoever calls run_due(), the requester writes
\c - sc_clock
SELECT idflow.run_due();
SELECT idflow.run_due();
\c - :me
SELECT id, login, active, first_day = current_date + 10 AS first_day, note, wrote FROM sc.person;
SELECT * FROM public.standing(:r1);
SELECT * FROM public.history(:r1);

-- ------------------------------------ an edit works the date out anew; no date
\c - sc_app
INSERT INTO sc.person (id, login, first_day) VALUES (3, 'carl', current_date + 10);
SELECT idflow.last_request() AS r3 \gset
\c - sc_boss
SELECT idflow.save(task, '{"first_day": "2020-01-01"}') FROM idflow.inbox;
SELECT effective_at < now() AS past FROM idflow.request WHERE id = :r3;
SELECT idflow.refine(task, 'sc_clerk') FROM idflow.inbox;
\c - sc_clerk
SELECT idflow.execute(task) FROM idflow.inbox;
\c - :me
UPDATE idflow.request SET editors = '{}' WHERE id = :r3;
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - sc_app
INSERT INTO sc.person (id, login) VALUES (4, 'dora');
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT id, login, active, wrote FROM sc.person WHERE id > 1 ORDER BY id;

-- ------------------------------------------- dates that the requester asks for
\c - sc_app
BEGIN;
SELECT idflow.begin_request('a later name', effective_at => now() + interval '1 month') AS r5 \gset
UPDATE sc.person SET login = 'ann2' WHERE id = 1;
UPDATE sc.person SET login = 'carl2' WHERE id = 3;
COMMIT;
SELECT state, effective_at > now() AS later FROM idflow.request WHERE id = :r5;
SELECT idflow.submit(:r5);
BEGIN;
SET LOCAL idflow.effective_at = '2100-01-01 00:00+00';
UPDATE sc.person SET note = 'in 2100' WHERE id = 4;
COMMIT;
SELECT idflow.last_request() AS r6 \gset
SELECT effective_at AT TIME ZONE 'UTC' AS asked FROM idflow.request WHERE id = :r6;
SET idflow.effective_at = '2020-01-01';
UPDATE sc.person SET note = 'long due' WHERE id = 3;
RESET idflow.effective_at;
\c - sc_boss
SELECT request = :r5 AS r5, request = :r6 AS r6, idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT login, note FROM sc.person ORDER BY id;
-- the requester withdraws what is scheduled, nobody else does
\c - sc_boss
SELECT idflow.withdraw(:r6);
\c - sc_app
SELECT idflow.withdraw(:r6, 'too far off');
\c - :me
SELECT * FROM public.standing(:r6);
SELECT transition, from_state, to_state, comment FROM idflow.event WHERE request = :r6 ORDER BY seq DESC LIMIT 1;
CALL public.comes(:r6);
SELECT idflow.run_due();
SELECT login, note FROM sc.person WHERE id = 4;
-- several rows
CALL public.comes(:r5);
SELECT idflow.run_due();
SELECT login, note FROM sc.person ORDER BY id;

-- the workflow's date is policy: who asks can put it off, not bring it forward
\c - sc_app
BEGIN;
SELECT idflow.begin_request(effective_at => current_date + 5) AS r7 \gset
INSERT INTO sc.person (id, login, first_day) VALUES (7, 'gus', current_date + 10);
COMMIT;
SELECT idflow.submit(:r7);
BEGIN;
SELECT idflow.begin_request(effective_at => current_date + 20) AS r8 \gset
INSERT INTO sc.person (id, login, first_day) VALUES (8, 'hal', current_date + 10);
COMMIT;
SELECT idflow.submit(:r8);
SELECT id = :r7 AS r7, date_trunc('day', effective_at) - current_date AS days FROM idflow.request WHERE id IN (:r7, :r8) ORDER BY id;
SELECT idflow.withdraw(:r7), idflow.withdraw(:r8);

-- ------------------------------------------------------- errors are told early
SET idflow.effective_at = 'next week, perhaps';
UPDATE sc.person SET note = 'x' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SET idflow.effective_at = 'infinity';
UPDATE sc.person SET note = 'x' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
RESET idflow.effective_at;
SELECT idflow.begin_request(effective_at => 'infinity');
SELECT idflow.begin_request(effective_at => '-infinity') IS NOT NULL AS at_once;
SELECT idflow.withdraw(idflow.last_request());
-- the moment from which PostgreSQL counts is a date like any other
SELECT idflow.begin_request(effective_at => '2000-01-01 00:00+00') AS zero \gset
SELECT effective_at AT TIME ZONE 'UTC' AS utc, expires_at FROM idflow.request WHERE id = :zero;
SELECT idflow.withdraw(:zero);
\set VERBOSITY terse
SELECT idflow.begin_request(expires_at => '2000-01-01 00:00+00');
SELECT idflow.begin_request(expires_at => '-infinity');
SET idflow.expires_at = '2000-01-01 00:00+00';
UPDATE sc.person SET note = 'x' WHERE id = 1;
RESET idflow.expires_at;
SELECT idflow.begin_request(expires_at => 'infinity') IS NOT NULL AS never;
SELECT idflow.withdraw(idflow.last_request());
\set VERBOSITY default
\c - :me
SELECT name FROM idflow.deploy($$<Workflow Identifier="Text" DisplayName_L1="T" EffectiveDate="SQL:new.note">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="sc_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.detach('Joiner', 'sc.person', true);
SELECT idflow.attach('Text', 'sc.person');
\c - sc_app
INSERT INTO sc.person (id, note) VALUES (9, 'tomorrow week');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO sc.person (id, note) VALUES (9, 'infinity');
INSERT INTO sc.person (id, note) VALUES (9, '2099-12-31 10:00');
-- without a time zone it is in the requester's
SET TimeZone = 'Asia/Tokyo';
INSERT INTO sc.person (id, note) VALUES (10, '2099-12-31 10:00');
SELECT idflow.last_request() AS r10 \gset
RESET TimeZone;
SELECT effective_at AT TIME ZONE 'UTC' AS utc FROM idflow.request WHERE requester = 'sc_app' ORDER BY id DESC LIMIT 2;
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task DESC LIMIT 1;
SELECT effective_at AT TIME ZONE 'UTC' AS utc FROM idflow.request WHERE id = :r10;
\c - :me
SELECT idflow.attach('Text', 'sc.person', condition => 'new.id > 100');
SELECT name FROM idflow.deploy($$<Workflow Identifier="Bad" DisplayName_L1="T" EffectiveDate="SQL:new.nosuch">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="sc_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.attach('Bad', 'sc.person');
SELECT line, element, message, hint FROM idflow.validate($$<Workflow Identifier="Bad" DisplayName_L1="T"
  EffectiveDate="tomorrow" ExpiryDate="SQL:new.">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="sc_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);

-- ------------------------------------------------------ it fails when it is due
\c - sc_app
SET idflow.effective_at = '2100-01-01';
UPDATE sc.person SET note = 'granted' WHERE id = 1;
SELECT idflow.last_request() AS f1 \gset
UPDATE sc.person SET login = 'taken' WHERE id = 3;
SELECT idflow.last_request() AS f2 \gset
RESET idflow.effective_at;
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request IN (:f1, :f2) ORDER BY task;
\c - :me
REVOKE UPDATE ON sc.person FROM sc_app;
CALL public.comes(:f1);
SELECT idflow.run_due();
SELECT * FROM public.standing(:f1);
SELECT actor, via, transition, comment, data FROM idflow.event WHERE request = :f1 ORDER BY seq DESC LIMIT 1;
SELECT idflow.run_due();
-- not by somebody else; again in vain, as an error; then it works
\c - sc_boss
SELECT idflow.retry(:f1);
\c - sc_app
SELECT idflow.retry(:f1);
SELECT state FROM idflow.request WHERE id = :f1;
\c - :me
GRANT UPDATE ON sc.person TO sc_app;
\c - sc_app
SELECT idflow.retry(:f1);
SELECT idflow.retry(:f1);
\c - :me
SELECT note FROM sc.person WHERE id = 1;
SELECT actor, via, transition FROM idflow.event WHERE request = :f1 ORDER BY seq DESC LIMIT 3;
-- a key that was taken past the gate: given up column by column, or aborted
CALL public.others('INSERT INTO sc.person (id, login) VALUES (30, ''taken'')');
CALL public.comes(:f2);
SELECT idflow.run_due();
SELECT state FROM idflow.request WHERE id = :f2;
SELECT transition, comment, data ->> 'sqlstate' AS sqlstate, data ->> 'detail' AS detail FROM idflow.event WHERE request = :f2 ORDER BY seq DESC LIMIT 1;
\c - sc_boss
SELECT idflow.resolve(:f2, (SELECT id FROM idflow.change WHERE request = :f2), '{"login": "base"}');
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :f2;
\c - :me
SELECT id, login FROM sc.person WHERE id IN (3, 30) ORDER BY id;

-- an insertion goes back to its reviewers, where the draft can be changed
\c - sc_app
INSERT INTO sc.person (id, login, note) VALUES (140, 'ivy', '2100-01-01');
SELECT idflow.last_request() AS f3 \gset
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :f3;
\c - :me
CALL public.others('INSERT INTO sc.person (id, login) VALUES (41, ''ivy'')');
CALL public.comes(:f3);
SELECT idflow.run_due();
SELECT state FROM idflow.request WHERE id = :f3;
\c - sc_app
SELECT idflow.resolve(:f3, (SELECT id FROM idflow.change WHERE request = :f3), '{"login": "live"}');
SELECT idflow.resolve(:f3, (SELECT id FROM idflow.change WHERE request = :f3), '{"nosuch": "draft"}');
SELECT idflow.resolve(:f3, (SELECT id FROM idflow.change WHERE request = :f3), '{"login": "draft"}');
\c - sc_boss
SELECT idflow.save(task, '{"login": "ivy2", "note": "2020-01-01"}') FROM idflow.inbox WHERE request = :f3;
\c - :me
UPDATE idflow.request SET editors = '{}' WHERE id = :f3;
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :f3;
\c - :me
SELECT id, login FROM sc.person WHERE id IN (41, 140) ORDER BY id;
-- what is due is shown to those who see the request, and nobody else runs it
SELECT count(*) > 0 AS any FROM idflow.timer;
\c - sc_clerk
SELECT count(*) FROM idflow.timer;
SELECT idflow.run_due();
SELECT idflow.run_timers(10);
UPDATE idflow.timer SET due_at = now();

-- ------------------------------------------------------ a conflict at the date
\c - sc_app
SET idflow.effective_at = '2100-01-01';
UPDATE sc.person SET note = 'mine' WHERE id = 4;
SELECT idflow.last_request() AS c1 \gset
UPDATE sc.person SET note = 'mine too' WHERE id = 4;
SELECT idflow.last_request() AS c2 \gset
DELETE FROM sc.person WHERE id = 30;
SELECT idflow.last_request() AS c3 \gset
RESET idflow.effective_at;
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request IN (:c1, :c2, :c3) ORDER BY task;
\c - :me
CALL public.others('UPDATE sc.person SET note = ''theirs'' WHERE id = 4');
CALL public.comes(:c1);
CALL public.comes(:c2);
SELECT idflow.run_due();
SELECT id = :c1 AS c1, state, activity_state FROM idflow.request WHERE id IN (:c1, :c2) ORDER BY id;
\c - sc_app
SELECT idflow.resolve(:c1, (SELECT id FROM idflow.change WHERE request = :c1), '{"note": "draft"}');
SELECT idflow.withdraw(:c2);
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :c1;
\c - :me
SELECT note FROM sc.person WHERE id = 4;
SELECT transition FROM idflow.event WHERE request = :c1 ORDER BY seq;
-- the role is gone when the date comes
CREATE ROLE sc_gone LOGIN;
GRANT UPDATE, SELECT ON sc.person TO sc_gone;
\c - sc_gone
SET idflow.effective_at = '2100-01-01';
UPDATE sc.person SET note = 'gone' WHERE id = 1;
SELECT idflow.last_request() AS g1 \gset
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :g1;
\c - :me
DROP OWNED BY sc_gone;
DROP ROLE sc_gone;
CALL public.comes(:g1);
SELECT idflow.run_due();
SELECT state FROM idflow.request WHERE id = :g1;
SELECT comment FROM idflow.event WHERE request = :g1 ORDER BY seq DESC LIMIT 1;
-- one that fails does not stop the others
CALL public.comes(:c3);
\c - sc_clock
SELECT idflow.run_due();
SELECT idflow.withdraw(:g1);
\c - :me
SELECT count(*) FROM sc.person WHERE id = 30;

-- ------------------------------------------ several gates: the request waits once
SELECT name FROM idflow.deploy($$<ConfigurationFile><Workflow Identifier="Early" DisplayName_L1="E" EffectiveDate="SQL:now() + interval '1 day'">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="sc_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
  <Workflow Identifier="Late" DisplayName_L1="L" EffectiveDate="SQL:now() + interval '2 days'">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="sc_clerk"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow></ConfigurationFile>$$);
CREATE TABLE sc.two (id int PRIMARY KEY, a text);
GRANT SELECT, INSERT, UPDATE ON sc.two TO sc_app;
SELECT idflow.attach('Early', 'sc.two');
SELECT idflow.attach('Late', 'sc.two');
\c - sc_app
INSERT INTO sc.two VALUES (1, 'a');
SELECT idflow.last_request() AS t1 \gset
\c - sc_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :t1;
\c - sc_clerk
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :t1;
SELECT effective_at > now() + interval '47 hours' AS latest FROM idflow.request WHERE id = :t1;
\c - :me
SELECT transition, activity FROM idflow.event WHERE request = :t1 ORDER BY seq;
-- an expression that moves with the clock doesn't put it off for ever
CALL public.comes(:t1);
SELECT idflow.run_due();
SELECT * FROM sc.two;
SELECT transition, activity FROM idflow.event WHERE request = :t1 ORDER BY seq DESC LIMIT 3;

-- what follows from an apply is not what the session asked a date for
CREATE TABLE sc.log (id int PRIMARY KEY);
GRANT INSERT, SELECT ON sc.log TO sc_app;
SELECT idflow.require_approval('sc.log', expression => 'SQL:''sc_boss''');
CREATE FUNCTION sc.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO sc.log VALUES (NEW.id); RETURN NULL; END$$;
CREATE TRIGGER log AFTER UPDATE ON sc.two FOR EACH ROW EXECUTE FUNCTION sc.log();
SELECT idflow.attach('Change', 'sc.two', '{UPDATE}');
\c - sc_app
UPDATE sc.two SET a = 'b' WHERE id = 1;
\c - sc_boss
SET idflow.effective_at = '2100-01-01';
SELECT idflow.approve(max(task)) FROM idflow.inbox;
RESET idflow.effective_at;
SELECT r.parent IS NOT NULL AS nested, r.effective_at FROM idflow.inbox i JOIN idflow.request r ON r.id = i.request ORDER BY i.task DESC LIMIT 1;

\c :home :me
DROP DATABASE idflow_schedule WITH (FORCE);
DROP ROLE sc_app, sc_boss, sc_clerk, sc_clock;
