-- Requests that dates in the data start: <Start> of a workflow.
SELECT current_database() AS home, current_user AS me \gset
-- dates without a time zone begin in UTC, and so do those of this test
\setenv PGTZ UTC
CREATE DATABASE idflow_start;
\c idflow_start
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_start SET idflow.notice = off;
ALTER DATABASE idflow_start SET datestyle = 'ISO';
CREATE ROLE st_app LOGIN;
CREATE ROLE st_boss LOGIN;
CREATE ROLE st_rule LOGIN IN ROLE idflow_admin;
CREATE ROLE st_clock LOGIN IN ROLE idflow_admin;
CREATE SCHEMA st;
GRANT USAGE ON SCHEMA st TO PUBLIC;
CREATE TABLE st.person (id int, tenant text, login text, active boolean NOT NULL DEFAULT true, leaves_on date, wrote text, PRIMARY KEY (tenant, id));
CREATE INDEX ON st.person (leaves_on);
CREATE FUNCTION st.who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.wrote := current_user || ' for ' || idflow.actor(); RETURN NEW; END$$;
CREATE TRIGGER who BEFORE UPDATE ON st.person FOR EACH ROW EXECUTE FUNCTION st.who();
INSERT INTO st.person SELECT i, 'a', 'p' || i, true, current_date + i FROM generate_series(1, 20) i;
INSERT INTO st.person VALUES (101, 'a', 'long gone', true, current_date - 400), (102, 'a', 'late entry', true, current_date - 3),
	(103, 'a', 'inactive already', false, current_date), (104, 'a', 'not to be', true, current_date),
	(105, 'a', NULL, true, NULL), (106, 'a', 'for ever', true, 'infinity');
CREATE FUNCTION public.leaver(start text) RETURNS xml LANGUAGE sql AS $$
SELECT format('<Workflow Identifier="Leaver" DisplayName_L1="A leaver" Title="SQL:''leaver '' || new.login" EffectiveDate="SQL:new.leaves_on">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="st_boss"/><Actor Principal="st_rule"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  %s</Workflow>', start)::xml $$;
CREATE VIEW public.starts AS SELECT s.key, s.due::date - current_date AS due, s.request, s.error, s.attempts, r.title, r.state, r.requester, r.requested_role
	FROM idflow.started s LEFT JOIN idflow.request r ON r.id = s.request ORDER BY s.due, s.key;
-- the test's clock
CREATE PROCEDURE public.hour() LANGUAGE sql AS $$
	UPDATE idflow.timer SET due_at = now() - interval '1 minute' WHERE kind = 'start';
	UPDATE idflow.started SET at = at - interval '1 hour' $$;

-- the deployer needs the privileges
\c - st_rule
SELECT name FROM idflow.deploy(public.leaver('<Start Target="st.person" Date="leaves_on"><Set Column="active" Expression="Literal:false"/></Start>'));
\c - :me
GRANT SELECT ON st.person TO st_rule;
\c - st_rule
SELECT name FROM idflow.deploy(public.leaver('<Start Target="st.person" Date="leaves_on"><Set Column="active" Expression="Literal:false"/></Start>'));
\c - :me
GRANT UPDATE (active) ON st.person TO st_rule;
\c - st_rule
SELECT name, version FROM idflow.deploy(public.leaver('<Start Target="st.person" Date="leaves_on" Offset="-P7D" Within="P14D" IfExpression="SQL:new.login &lt;&gt; ''not to be''">
	<Set Column="active" Expression="Literal:false"/></Start>'));
-- seven days before they leave, and up to fourteen days later
\c - st_clock
SELECT idflow.run_due();
\c - :me
SELECT * FROM public.starts;
SELECT name, kind, due_at - now() BETWEEN interval '1 minute' AND interval '1 hour' AS within_an_hour, attempts, error FROM idflow.timer WHERE kind = 'start';
-- once per row and date
\c - :me
CALL public.hour();
SELECT idflow.run_due();
SELECT count(*) FROM idflow.request;
-- also where whoever calls it is in another time zone
SET timezone = 'Asia/Tokyo';
CALL public.hour();
SELECT idflow.run_due();
SET timezone = 'America/Los_Angeles';
CALL public.hour();
SELECT idflow.run_due();
RESET timezone;
SELECT count(*) FROM idflow.request;
-- a date that is no timestamp stops nobody
INSERT INTO st.person VALUES (107, 'a', 'much later', true, '5874897-12-31');
CALL public.hour();
SELECT idflow.run_due();
SELECT attempts, error FROM idflow.timer WHERE kind = 'start';
DELETE FROM st.person WHERE id = 107;
-- an earlier date of the same row is another date; one that is entered late counts
UPDATE st.person SET leaves_on = leaves_on - 1 WHERE id = 1;
UPDATE st.person SET leaves_on = current_date - 1 WHERE id = 20;
CALL public.hour();
SELECT idflow.run_due();
SELECT key, due FROM public.starts WHERE key IN ('{a,1}', '{1,a}', '{20,a}', '{a,20}');

-- reviewed like any request; who deployed the rule doesn't approve what it asks
\c - st_rule
SELECT blocked, count(*) FROM idflow.inbox GROUP BY 1;
SELECT idflow.approve(min(task)) FROM idflow.inbox;
\echo :LAST_ERROR_SQLSTATE
\c - st_boss
SELECT title, requester, target, operation, key FROM idflow.inbox WHERE title = 'leaver late entry';
SELECT idflow.approve(task) FROM idflow.inbox WHERE title IN ('leaver late entry', 'leaver p5') ORDER BY title;
\c - :me
SELECT login, active, wrote FROM st.person WHERE login IN ('late entry', 'p5') ORDER BY login;
SELECT actor, via, transition, to_state FROM idflow.event WHERE request = (SELECT id FROM idflow.request WHERE title = 'leaver late entry') ORDER BY seq;

-- --------------------------------- deletions, aspects instead of values, expressions
CREATE TABLE st.token (id int PRIMARY KEY, ends timestamptz, note text, renewed int NOT NULL DEFAULT 0);
INSERT INTO st.token VALUES (1, now() - interval '1 hour', 'old'), (2, now() + interval '10 minutes', 'soon'), (3, now() + interval '1 day', 'later'), (4, now() - interval '2 hours', 'bad');
GRANT SELECT, UPDATE, DELETE ON st.token TO st_rule;
\c - st_rule
SELECT name FROM idflow.deploy($$<ConfigurationFile>
<Workflow Identifier="Sweep" DisplayName_L1="Tokens end">
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  <Start Target="st.token" Operation="DELETE" Date="SQL:new.ends" IfExpression="SQL:old.note &lt;&gt; 'bad'"/>
</Workflow>
<Workflow Identifier="Renew" DisplayName_L1="Tokens are renewed">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  <Start Target="st.token" Date="SQL:new.ends + interval '0'" Offset="-2 days" IfExpression="SQL:new.id = 3"/>
</Workflow>
<AddChangeAspect Identifier="Count" Binding="renewed" Expression="SQL:new.renewed + 1"><PointCut Activity="Renew:Request" ActivityState="Action-Executed" Mode="Before"/></AddChangeAspect>
</ConfigurationFile>$$);
\c - :me
SELECT idflow.run_due();
SELECT id, note, renewed FROM st.token ORDER BY id;
SELECT workflow, key, error FROM idflow.started WHERE target = 'st.token'::regclass ORDER BY workflow, key;
-- the next one is known: no need to look before
CREATE INDEX ON st.token (ends);
SELECT name, due_at - now() < interval '11 minutes' AS next_one FROM idflow.timer WHERE kind = 'start' AND name <> 'Leaver' ORDER BY name;

-- a row that can't be started doesn't stop the others, and is tried again for a while
\c - :me
CREATE TABLE st.work (id int PRIMARY KEY, due date, n int CHECK (n < 10));
CREATE INDEX ON st.work (due);
INSERT INTO st.work VALUES (1, current_date, 1), (2, current_date, 9), (3, current_date, 2);
GRANT SELECT, UPDATE ON st.work TO st_rule;
\c - st_rule
SELECT name FROM idflow.deploy($$<Workflow Identifier="Work" DisplayName_L1="W">
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  <Start Target="st.work" Date="due"><Set Column="n" Expression="SQL:new.n + 1"/></Start></Workflow>$$);
\c - :me
SELECT idflow.run_due();
SELECT id, due = current_date AS today, n FROM st.work ORDER BY id;
SELECT key, error, attempts FROM public.starts WHERE request IS NULL AND key = '{2}';
-- not before an hour has passed, however often rows are looked for
UPDATE idflow.timer SET due_at = now() - interval '1 minute' WHERE kind = 'start' AND name = 'Work';
SELECT idflow.run_due();
SELECT key, attempts FROM public.starts WHERE request IS NULL AND key = '{2}';
CALL public.hour();
SELECT idflow.run_due();
SELECT key, attempts FROM public.starts WHERE request IS NULL AND key = '{2}';
UPDATE st.work SET n = 3 WHERE id = 2;
CALL public.hour();
SELECT idflow.run_due();
SELECT id, due = current_date AS today, n FROM st.work ORDER BY id;
SELECT error FROM idflow.started WHERE target = 'st.work'::regclass AND key = '{2}';

-- the table is gone: the timer keeps the error, and others go on
DROP TABLE st.work;
CALL public.hour();
SELECT idflow.run_due();
SELECT name, attempts, error, set_aside_at, due_at > now() AS later FROM idflow.timer WHERE error IS NOT NULL;
-- after five tries it is set aside
UPDATE idflow.timer SET attempts = 4 WHERE error IS NOT NULL;
CALL public.hour();
SELECT idflow.run_due();
SELECT name, attempts, set_aside_at IS NOT NULL AS set_aside FROM idflow.timer WHERE error IS NOT NULL;
CALL public.hour();
SELECT idflow.run_due();
-- the next version has none: no timer any more
\c - st_rule
SELECT version FROM idflow.deploy(public.leaver(''));
SELECT count(*) FROM idflow.timer WHERE name = 'Leaver';
SELECT idflow.export('Leaver', 1)::text LIKE '%<Start Target="st.person" Date="leaves_on" Offset="-P7D"%<Set Column="active" Expression="Literal:false"/>%' AS kept;

-- ------------------------------------------------------------------- refusals
SELECT v.line, v.element, v.message, v.hint FROM unnest(ARRAY[
	'<Start Date="leaves_on"/>', '<Start Target="st.person"/>', '<Start Target="person" Date="leaves_on"/>',
	'<Start Target="st.person" Date="Literal:2020-01-01"/>', '<Start Target="st.person" Date="SQL:new."/>',
	'<Start Target="st.person" Date="leaves_on" Offset="a week"/>', '<Start Target="st.person" Date="leaves_on" Within="-P1D"/>',
	'<Start Target="st.person" Date="leaves_on" Operation="INSERT"/>',
	'<Start Target="st.person" Date="leaves_on" Operation="DELETE"><Set Column="active" Expression="Literal:f"/></Start>',
	'<Start Target="st.person" Date="leaves_on"><Set Column="a" Expression="Literal:f"/><Set Column="a" Expression="Literal:t"/></Start>',
	'<Start Target="st.person" Date="leaves_on"><Set Column="a"/></Start>', '<Set Column="a" Expression="Literal:f"/>']) WITH ORDINALITY u (c, n),
	idflow.validate(public.leaver(c)::text) v ORDER BY n;
SELECT idflow.deploy(public.leaver('<Start Target="st.nosuch" Date="leaves_on"/>'));
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="left_on"/>'));
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="SQL:new.left_on"/>'));
\set VERBOSITY terse
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="active"/>'));
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="SQL:now() + random() * interval ''1 day''"/>'));
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="SQL:(SELECT t.ends FROM st.token t WHERE t.id = request.id)"/>'));
\set VERBOSITY default
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="leaves_on"><Set Column="nosuch" Expression="Literal:f"/></Start>'));
SELECT idflow.deploy(public.leaver('<Start Target="st.person" Date="leaves_on" IfExpression="SQL:new.nosuch"/>'));
SELECT idflow.deploy(public.leaver('<Start Target="public.starts" Date="due"/>'));

\c :home :me
DROP DATABASE idflow_start WITH (FORCE);
DROP ROLE st_app, st_boss, st_rule, st_clock;
