-- Nobody to decide: refused, passed over or put to others, as the workflow says.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE SCHEMA na;
CREATE TABLE na.thing (id int PRIMARY KEY, kind text, boss text);
INSERT INTO idflow.profile_member VALUES ('checker', 'anna'), ('elder', 'eve'), ('elder', 'anna'), ('pair', 'p1');
SELECT d.name FROM (VALUES ('refuse', 'NoActor="Refuse"><Actor Profile="checker"/>'), ('skip', 'NoActor="Skip"><Actor Profile="checker"/>'),
	('escalate', 'NoActor="Escalate" EscalateTo="elder"><Actor Expression="SQL:new.boss"/>'),
	('too_few', 'NoActor="Escalate" EscalateTo="elder" Approvals="2"><Actor Profile="pair"/>')) v (n, a),
	LATERAL idflow.deploy(format('<Workflow Identifier="na_%1$s" DisplayName_L1="N" Subject="SQL:new.boss">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review" %2$s</Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>', n, a)::xml) d;
SELECT count(idflow.attach('na_' || n, 'na.thing', condition => format('new.kind = %L', n))) FROM unnest('{refuse,skip,escalate,too_few}'::text[]) n;

-- checker is anna, who may not decide her own
SET idflow.actor = 'anna';
INSERT INTO na.thing VALUES (1, 'refuse');
INSERT INTO na.thing VALUES (2, 'skip');
SELECT state FROM idflow.request WHERE id = idflow.last_request();
SELECT seq, actor, activity, transition, comment FROM idflow.event WHERE request = idflow.last_request() ORDER BY seq;
-- she may those of others
SET idflow.actor = 'bob';
INSERT INTO na.thing VALUES (3, 'refuse'), (4, 'skip');
SELECT workflow, state FROM idflow.request WHERE requester = 'bob' ORDER BY workflow;

-- the boss is the subject, so the elders decide
SET idflow.actor = 'bob';
INSERT INTO na.thing VALUES (5, 'escalate', 'boss');
SELECT r.id AS request, t.id AS task FROM idflow.request r JOIN idflow.task t ON t.request = r.id WHERE r.id = idflow.last_request() \gset
SELECT principal, via FROM idflow.decider WHERE request = :request ORDER BY 1;
SELECT key, source FROM idflow.candidate WHERE request = :request;
SET idflow.actor = 'boss';
SELECT idflow.approve(:task);
SET idflow.actor = 'eve';
SELECT via, needed FROM idflow.inbox WHERE task = :task;
SELECT idflow.approve(:task);
SELECT actor, via, transition FROM idflow.event WHERE request = :request AND actor = 'eve' ORDER BY seq;

-- two are asked for and there is one
SET idflow.actor = 'bob';
INSERT INTO na.thing VALUES (6, 'too_few');
SELECT r.id AS request, t.id AS task FROM idflow.request r JOIN idflow.task t ON t.request = r.id WHERE r.id = idflow.last_request() \gset
SET idflow.actor = 'p1';
SELECT count(*) FROM idflow.inbox WHERE task = :task;
SET idflow.actor = 'anna';
SELECT idflow.approve(:task);
-- where there are two, they decide
INSERT INTO idflow.profile_member VALUES ('pair', 'p2');
SET idflow.actor = 'bob';
INSERT INTO na.thing VALUES (7, 'too_few');
SELECT t.id AS task FROM idflow.task t WHERE t.request = idflow.last_request() \gset
SET idflow.actor = 'anna';
SELECT idflow.approve(:task);
SET idflow.actor = 'p1';
SELECT idflow.approve(:task);
SET idflow.actor = 'p2';
SELECT idflow.approve(:task);
SELECT id FROM na.thing ORDER BY id;

RESET idflow.actor;
DROP SCHEMA na CASCADE;
