-- Deadlines: what happens where a task stays open.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
SET idflow.languages = 'en, de';
SET TimeZone = 'UTC';
CREATE SCHEMA tmo;
CREATE TABLE tmo.thing (id int PRIMARY KEY, kind text, boss text, n int CHECK (n < 100));
INSERT INTO idflow.profile_member VALUES ('checker', 'anna'), ('checker', 'ada'), ('checker', 'carl'), ('elder', 'eve'), ('elder', 'emil');
CREATE TABLE tmo.people (principal text, profile text, language text, email text);
INSERT INTO tmo.people SELECT principal, profile, CASE principal WHEN 'eve' THEN 'de' ELSE 'en' END, principal || '@example.org' FROM idflow.profile_member;
SELECT idflow.set_directory('tmo.people');
INSERT INTO idflow.calendar (name) VALUES ('office');
-- a workflow a kind
CREATE FUNCTION tmo.define(kind text, attributes text, inside text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(format('<Workflow Identifier="tmo_%1$s" DisplayName_L1="T">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback" %2$s>%3$s</Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>', kind, attributes, inside)::xml);
	PERFORM idflow.attach('tmo_' || kind, 'tmo.thing', condition => format('new.kind = %L', kind));
END$$;
SELECT tmo.define(kind, attributes, '<Actor Profile="checker"/>' || inside) FROM (VALUES
	('due', 'Due="P2D"', ''),
	('remind', '', '<Timeout After="P1D" Do="Notify" Repeat="P1D" Message_L1="Please decide." Message_L2="Bitte entscheiden."/>'),
	('remind_boss', '', '<Timeout After="P1D" Do="Notify" Expression="SQL:new.boss"/>'),
	('escalate', '', '<Timeout After="PT8H" Do="Escalate" Profile="elder" Message_L2="Bitte springen Sie ein."/>'),
	('replace', '', '<Timeout After="PT8H" Do="Escalate" Expression="SQL:new.boss" Replace="true"/>'),
	('approve', '', '<Timeout After="P3D" Do="Approve"/><Timeout After="P1D" Do="Notify"/>'),
	('decline', '', '<Timeout After="3 days" Do="Decline"/>'),
	('abort', '', '<Timeout After="P3D" Do="Abort"/>'),
	('quota', 'Approvals="2"', '<Timeout After="P1D" Do="Escalate" Profile="elder"/><Timeout After="P2D" Do="Escalate" Principal="root" Replace="true"/>'),
	('office', 'Due="PT8H" Calendar="office"', '<Timeout After="PT4H" Do="Notify"/>'),
	('lost', 'Due="PT8H" Calendar="gone"', ''),
	('later', '', '<Timeout After="P1D" Do="Approve"/>')) t (kind, attributes, inside);

-- somebody asks; the number of his task
CREATE FUNCTION tmo.ask(id int, kind text, boss text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', 'bob', false);
	EXECUTE format('INSERT INTO tmo.thing VALUES (%L, %L, %L)', id, kind, boss);
	RETURN (SELECT r.task FROM idflow.request r WHERE r.id = idflow.last_request());
END$$;
-- time goes by: the timer of that number is due
CREATE FUNCTION tmo.later(task bigint, number text DEFAULT '1') RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	UPDATE idflow.timer t SET due_at = now() - interval '1 hour' WHERE t.task = later.task AND t.name = number;
	RETURN idflow.run_timers(10);
END$$;
CREATE FUNCTION tmo.told(bigint) RETURNS TABLE (principal text, language int, subject text, body text) LANGUAGE sql AS $$
	SELECT principal, language, subject, body FROM idflow.notification WHERE request = (SELECT request FROM idflow.task WHERE id = $1) ORDER BY id$$;
CREATE FUNCTION tmo.events(bigint) RETURNS TABLE (actor text, via text, transition text, to_state text, comment text, data jsonb) LANGUAGE sql AS $$
	SELECT actor, via, transition, to_state, comment, CASE WHEN transition = 'Timeout' THEN data - 'task' END FROM idflow.event
	WHERE request = (SELECT request FROM idflow.task WHERE id = $1) AND transition <> 'Ask' ORDER BY seq OFFSET 1$$;

-- ------------------------------------------------------------ when a task is due
SELECT tmo.ask(1, 'due') AS t \gset
SELECT due_at - opened_at AS due_after FROM idflow.task WHERE id = :t;
SET idflow.actor = 'anna';
SELECT due_at - opened_at AS due_after, 'inbox' AS seen_in FROM idflow.inbox WHERE task = :t;
SELECT due_at - since AS due_after, 'waiting' AS seen_in FROM idflow.waiting WHERE request = (SELECT request FROM idflow.task WHERE id = :t);
SELECT count(*) AS timers FROM idflow.timer;
-- the first of the Timeouts that decides; what reminds sets no date
SELECT tmo.ask(2, 'approve') AS t2, tmo.ask(3, 'remind') AS t3, tmo.ask(4, 'quota') AS t4 \gset
SELECT due_at - opened_at AS due_after, (SELECT array_agg(due_at - t.opened_at ORDER BY name) FROM idflow.timer i WHERE i.task = t.id) AS timers
FROM idflow.task t WHERE id IN (:t2, :t3, :t4) ORDER BY id;
SELECT tmo.ask(5, 'office') AS t \gset
SELECT due_at = idflow.working_time(opened_at, '8 hours', 'office') AS by_calendar, (SELECT i.due_at = idflow.working_time(t.opened_at, '4 hours', 'office') FROM idflow.timer i WHERE i.task = t.id) AS timer_too
FROM idflow.task t WHERE id = :t;
\set VERBOSITY terse
SELECT tmo.ask(6, 'lost');

-- ------------------------------------------------------------------- reminders
SELECT tmo.ask(10, 'remind') AS t \gset
SELECT tmo.later(:t);
SELECT * FROM tmo.told(:t);
SELECT * FROM tmo.events(:t);
-- again a day after it was due, but not what was missed
SELECT due_at > now() + interval '22 hours' AND due_at < now() + interval '24 hours' AS tomorrow FROM idflow.timer WHERE task = :t;
UPDATE idflow.timer SET due_at = now() - interval '10 days' WHERE task = :t;
SELECT idflow.run_timers(10);
SELECT count(*) FROM tmo.told(:t);
SELECT due_at > now() + interval '23 hours' AND due_at < now() + interval '25 hours' AS tomorrow FROM idflow.timer WHERE task = :t;
-- it ends with the task
SET idflow.actor = 'anna';
SELECT idflow.approve(:t);
SELECT count(*) AS timers FROM idflow.timer WHERE task = :t;
SELECT tmo.ask(11, 'remind_boss', 'bill') AS t \gset
SELECT tmo.later(:t);
SELECT * FROM tmo.told(:t);
-- and once is once
SELECT count(*) AS timers FROM idflow.timer WHERE task = :t;
-- withdrawn
SELECT tmo.ask(12, 'remind') AS t \gset
SELECT idflow.withdraw((SELECT request FROM idflow.task WHERE id = :t));
SELECT count(*) AS timers FROM idflow.timer WHERE task = :t;
-- who stands in for one who is asked is told, not for one who is only told
SELECT count(idflow.add_deputy(p, d, tstzrange('2001-01-01', NULL))) FROM (VALUES ('ada', 'dora'), ('bill', 'bea'), ('emil', 'dan')) v (p, d);
SELECT tmo.ask(13, 'remind') AS t1, tmo.ask(14, 'remind_boss', 'bill') AS t2, tmo.ask(15, 'escalate') AS t3 \gset
SELECT tmo.later(t) FROM unnest(ARRAY[:t1, :t2, :t3]) t;
SELECT o.principal FROM tmo.told(:t1) o ORDER BY 1;
SELECT o.principal FROM tmo.told(:t2) o ORDER BY 1;
SELECT o.principal FROM tmo.told(:t3) o ORDER BY 1;
SELECT count(idflow.drop_deputy(id)) FROM idflow.deputy;
SELECT count(idflow.withdraw(request)) FROM idflow.task WHERE id IN (:t1, :t2, :t3);

-- ------------------------------------------------------------------- escalation
SELECT tmo.ask(20, 'escalate') AS t \gset
SET idflow.actor = 'anna';
SELECT idflow.claim(:t);
SET idflow.actor = 'eve';
SELECT count(*) FROM idflow.inbox WHERE task = :t;
SELECT idflow.approve(:t);
SELECT tmo.later(:t);
SELECT * FROM tmo.told(:t) ORDER BY principal;
SELECT key, source FROM idflow.candidate WHERE task = :t ORDER BY key;
SELECT * FROM tmo.events(:t);
-- the elders may now, and so may the others; nobody holds a claim
SET idflow.actor = 'carl';
SELECT via, claimed_by FROM idflow.inbox WHERE task = :t;
SET idflow.actor = 'eve';
SELECT via, claimed_by FROM idflow.inbox WHERE task = :t;
-- an edit finds anew whom the rules name; whom the Timeout has put there stays
SET idflow.actor = 'emil';
SELECT idflow.save(:t, '{"n": 5}');
SELECT key, source FROM idflow.candidate WHERE task = :t ORDER BY key;
-- and so does he when it was refined
SET idflow.actor = 'eve';
SELECT idflow.refine(:t, 'bob');
SET idflow.actor = 'bob';
SELECT idflow.execute(:t);
SELECT key, source FROM idflow.candidate WHERE task = :t ORDER BY key;
SET idflow.actor = 'eve';
SELECT idflow.approve(:t);
SELECT vote, via FROM idflow.vote WHERE task = :t;

-- instead of those of the rules
SELECT tmo.ask(21, 'replace', 'bill') AS t \gset
SELECT tmo.later(:t);
SELECT key, source FROM idflow.candidate WHERE task = :t ORDER BY key;
SET idflow.actor = 'anna';
SELECT count(*) FROM idflow.inbox WHERE task = :t;
SELECT idflow.approve(:t);
SELECT principal, via FROM idflow.decider WHERE task = :t;
-- admins who look again don't undo it, and refining doesn't
SELECT idflow.reassign(:t);
SELECT key, source FROM idflow.candidate WHERE task = :t ORDER BY key;
SET idflow.actor = 'bill';
SELECT idflow.refine(:t);
SET idflow.actor = 'bob';
SELECT idflow.execute(:t);
SET idflow.actor = 'anna';
SELECT idflow.approve(:t);
SET idflow.actor = 'bill';
SELECT idflow.approve(:t);
-- nobody is named: those who are asked go on being asked
SELECT tmo.ask(22, 'replace') AS t \gset
SELECT tmo.later(:t);
SELECT key, source FROM idflow.candidate WHERE task = :t ORDER BY key;
SELECT transition, comment, data FROM tmo.events(:t);
-- four eyes holds for whoever is put there
SELECT tmo.ask(23, 'replace', 'bob') AS t \gset
SELECT tmo.later(:t);
SET idflow.actor = 'bob';
SELECT idflow.approve(:t);

-- a quota: whoever is added counts for it
SELECT tmo.ask(24, 'quota') AS t \gset
SET idflow.actor = 'eve';
SELECT idflow.approve(:t);
SELECT tmo.later(:t);
SELECT idflow.approve(:t);
SET idflow.actor = 'emil';
SELECT idflow.approve(:t);
-- taken over, one vote is enough
SELECT tmo.ask(25, 'quota') AS t \gset
SET idflow.actor = 'anna';
SELECT idflow.approve(:t);
SELECT tmo.later(:t), tmo.later(:t, '2');
SET idflow.actor = 'ada';
SELECT idflow.approve(:t);
SET idflow.actor = 'root';
SELECT needed, given FROM idflow.inbox WHERE task = :t;
SELECT idflow.approve(:t);
SELECT principal, vote FROM idflow.vote WHERE task = :t ORDER BY seq;

-- -------------------------------------------------------------------- decisions
SELECT tmo.later(tmo.ask(30, 'approve')), tmo.later(tmo.ask(31, 'decline')), tmo.later(tmo.ask(32, 'abort'));
SELECT workflow, state, activity_state FROM idflow.request WHERE workflow IN ('tmo_approve', 'tmo_decline', 'tmo_abort') AND closed_at IS NOT NULL ORDER BY id;
SELECT id, kind FROM tmo.thing WHERE id BETWEEN 30 AND 39;
SELECT r.workflow, e.actor, e.on_behalf_of, e.via, e.transition, e.to_state, e.comment FROM idflow.event e JOIN idflow.request r ON r.id = e.request
WHERE r.workflow IN ('tmo_approve', 'tmo_decline', 'tmo_abort') AND e.actor = 'idflow' ORDER BY e.request, e.seq;
SELECT count(*) AS votes FROM idflow.vote v JOIN idflow.request r ON r.id = v.request WHERE r.workflow = 'tmo_approve';
SELECT count(*) AS timers FROM idflow.timer t JOIN idflow.request r ON r.id = t.request WHERE r.closed_at IS NOT NULL;

-- while it is refined nobody can decide: what falls due then waits
SELECT tmo.ask(40, 'later') AS t \gset
SET idflow.actor = 'anna';
SELECT idflow.refine(:t, 'bob');
SELECT tmo.later(:t);
SELECT state FROM idflow.request WHERE task = :t;
SELECT due_at FROM idflow.timer WHERE task = :t;
SELECT idflow.run_timers(10);
SET idflow.actor = 'bob';
SELECT idflow.execute(:t);
SELECT idflow.run_timers(10);
SELECT r.state FROM idflow.request r JOIN idflow.task t ON t.request = r.id WHERE t.id = :t;
-- what can't be applied is tried again, and is seen
SELECT tmo.ask(41, 'later') AS t \gset
INSERT INTO tmo.thing VALUES (141, NULL), (142, NULL);
ALTER TABLE tmo.thing DISABLE TRIGGER USER;
INSERT INTO tmo.thing VALUES (41, 'in the way');
ALTER TABLE tmo.thing ENABLE TRIGGER USER;
SELECT tmo.later(:t);
SELECT state FROM idflow.request WHERE task = :t;
SELECT attempts, error FROM idflow.timer WHERE task = :t;
DELETE FROM tmo.thing WHERE id = 41;
SELECT tmo.later(:t);
SELECT r.state FROM idflow.request r JOIN idflow.task t ON t.request = r.id WHERE t.id = :t;
-- a new version has other deadlines; what is open keeps its own
SELECT tmo.ask(42, 'decline') AS t \gset
SELECT tmo.define('decline', '', '<Actor Profile="checker"/>');
SELECT tmo.later(:t);
SELECT r.state FROM idflow.request r JOIN idflow.task t ON t.request = r.id WHERE t.id = :t;
SELECT tmo.ask(43, 'decline') AS t \gset
SELECT count(*) AS timers FROM idflow.timer WHERE task = :t;

-- ------------------------------------------------------ what a definition may say
CREATE FUNCTION tmo.check(template text, attributes text, inside text) RETURNS TABLE (severity text, line int, element text, message text, hint text) LANGUAGE sql AS $$
	SELECT * FROM idflow.validate(format('<Workflow Identifier="X" DisplayName_L1="X">
	<Activity Identifier="A" DisplayName_L1="A" Template="%s" %s><Actor Profile="p"/>
	%s</Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>', template, attributes, inside))$$;
SELECT c.* FROM (VALUES
	(1, 'Review', '', '<Timeout After="soon" Do="Notify"/>'),
	(2, 'Review', '', '<Timeout After="-P1D" Do="Notify"/>'),
	(3, 'Review', 'Due="P0D"', ''),
	(4, 'Review', 'Calendar="office" Due="P1M"', ''),
	(5, 'Review', 'Calendar="office"', ''),
	(6, 'Review', 'Calendar="nowhere" Due="P1D"', '<Timeout After="P1D" Do="Notify" Calendar="neither"/>'),
	(7, 'Review', '', '<Timeout After="P1D" Do="Escalate"/>'),
	(8, 'Review', '', '<Timeout After="P1D" Do="Escalate" Profile="a" Principal="b"/>'),
	(9, 'Review', '', '<Timeout After="P1D" Do="Decline" Profile="a" Repeat="P1D"/>'),
	(10, 'Review', '', '<Timeout After="P1D" Do="Notify" Replace="true"/>'),
	(11, 'Review', '', '<Timeout After="P1D" Do="Remind"/>'),
	(12, 'Review', '', '<Timeout Do="Notify"/>'),
	(13, 'Review', '', '<Timeout After="P1D" Do="Approve"/>'),
	(14, 'Review', '', '<Timeout After="P1D" Do="Approve" Message_L1="x"/>')) v (n, template, attributes, inside), LATERAL tmo.check(template, attributes, inside) c ORDER BY n, c.line;
SELECT message FROM idflow.validate('<Workflow Identifier="X" DisplayName_L1="X">
	<Activity Identifier="R" DisplayName_L1="R" Template="Action"/>
	<Activity Identifier="A" DisplayName_L1="A" Template="Action"><Actor Profile="p"/><Timeout After="P1D" Do="Approve"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist" Due="P1D"><Timeout After="P1D" Do="Abort"/></Activity></Workflow>');
SELECT xpath('//Timeout', idflow.export('tmo_replace'))::text AS exported;

-- --------------------------------------------------------------------- clean up
SET idflow.actor = 'admin';
SELECT count(*) FROM (SELECT idflow.override(id, 'end of the test', 'Abort') FROM idflow.request WHERE state = 'open' ORDER BY id) o;
SELECT count(*) AS timers FROM idflow.timer;
RESET idflow.actor;
DROP SCHEMA tmo CASCADE;
DROP EXTENSION idflow CASCADE;
