-- RepeatedApprover: who has approved a request is spared in its later reviews.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE SCHEMA rep;
CREATE TABLE rep.thing (id int PRIMARY KEY, kind text, n int CHECK (n < 100), boss text);
INSERT INTO idflow.profile_member VALUES ('lead', 'lea'), ('lead', 'lou'), ('lead', 'bob'), ('finance', 'lea'), ('finance', 'finn'), ('finance', 'fay');
CREATE FUNCTION rep.define(kind text, workflow text, second text, inside text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(format('<Workflow Identifier="rep_%1$s" DisplayName_L1="R" Subject="SQL:new.boss" %2$s>
	<Activity Identifier="Lead" DisplayName_L1="Lead" Template="Review"><Actor Profile="lead"/></Activity>
	<Activity Identifier="Finance" DisplayName_L1="Finance" Template="ReviewWithFeedback" %3$s><Actor Profile="finance"/>%4$s</Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>', kind, workflow, second, inside)::xml);
	PERFORM idflow.attach('rep_' || kind, 'rep.thing', condition => format('new.kind = %L', kind));
END$$;
SELECT rep.define(kind, workflow, second) FROM (VALUES
	('ask', '', ''), ('asks', 'RepeatedApprover="Ask"', ''), ('auto', 'RepeatedApprover="Auto"', ''),
	('quota', 'RepeatedApprover="Auto"', 'Approvals="2"'), ('all', 'RepeatedApprover="Auto"', 'Approvals="all"'),
	('comment', 'RepeatedApprover="Auto"', 'CommentRequired="true"'), ('apart', 'RepeatedApprover="Auto"', 'SeparateFrom="Lead"'),
	('lax', 'RepeatedApprover="Auto" FourEyes="false"', '')) v (kind, workflow, second);
CREATE FUNCTION rep.ask(id int, kind text, boss text DEFAULT NULL, n int DEFAULT 1) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', 'bob', false);
	EXECUTE format('INSERT INTO rep.thing VALUES (%L, %L, %L, %L)', id, kind, n, boss);
	RETURN idflow.last_request();
END$$;
CREATE FUNCTION rep.approve(who text, r bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('idflow.actor', who, false);
	result := idflow.approve(task) FROM idflow.request WHERE id = r;
	RETURN result || ', ' || (SELECT activity FROM idflow.request WHERE id = r);
END$$;
CREATE VIEW rep.history AS SELECT request, seq, actor, on_behalf_of, via, activity, transition, comment FROM idflow.event WHERE transition NOT IN ('Ask', 'Begin');

\set VERBOSITY terse
-- the default is to ask
SELECT rep.approve('lea', rep.ask(1, 'ask')), rep.approve('lea', rep.ask(2, 'asks'));
-- spared, and who did what stays told apart
SELECT rep.ask(3, 'auto') AS r \gset
SELECT rep.approve('lea', :r);
SELECT actor, on_behalf_of, via, activity, transition, comment FROM rep.history WHERE request = :r ORDER BY seq;
SELECT t.activity, v.principal, v.via, v.vote, v.comment FROM idflow.vote v JOIN idflow.task t ON t.id = v.task WHERE v.request = :r ORDER BY v.seq;
SELECT activity, principal, via, vote FROM idflow.decider WHERE request = :r ORDER BY task;
-- somebody else is asked as ever
SELECT rep.ask(4, 'auto') AS r \gset
SELECT rep.approve('lou', :r);
SELECT rep.approve('finn', :r);
-- one of two
SELECT rep.ask(5, 'quota') AS r \gset
SELECT rep.approve('lea', :r);
SET idflow.actor = 'finn';
SELECT needed, given FROM idflow.inbox WHERE request = :r;
SELECT rep.approve('lea', :r);
SELECT rep.approve('finn', :r);
SELECT actor, on_behalf_of, via, activity, transition FROM rep.history WHERE request = :r ORDER BY seq;
SELECT rep.ask(6, 'all') AS r \gset
SELECT rep.approve('lea', :r), rep.approve('finn', :r), rep.approve('fay', :r);

-- what stands in its way: a comment that is needed, separation of duties
SELECT rep.approve('lea', rep.ask(7, 'comment')), rep.approve('lea', rep.ask(8, 'apart'));
-- four eyes: the subject, and the requester
SELECT rep.approve('lou', rep.ask(9, 'auto', 'lea'));
INSERT INTO idflow.profile_member VALUES ('finance', 'bob');
SELECT rep.approve('bob', rep.ask(10, 'lax'));
-- an edit between the two: the draft is another
SELECT rep.ask(11, 'auto') AS r \gset
SELECT rep.approve('lou', :r);
INSERT INTO idflow.profile_member VALUES ('finance', 'lou');
SET idflow.actor = 'finn';
SELECT idflow.save(task, '{"n": 2}') FROM idflow.request WHERE id = :r;
SELECT count(*) AS votes FROM idflow.vote v JOIN idflow.request q ON q.task = v.task WHERE q.id = :r;
SELECT rep.approve('lou', :r);
-- in the name of another: his deputy has not approved it himself
SET idflow.actor = 'lea';
SELECT idflow.add_deputy('lea', 'dora', tstzrange(now() - interval '1 day', NULL)) > 0 AS added;
SELECT rep.approve('dora', rep.ask(12, 'auto'));
-- lost what made him one of them
DELETE FROM idflow.profile_member WHERE profile = 'finance' AND principal = 'lea';
SELECT rep.approve('lea', rep.ask(13, 'auto'));
INSERT INTO idflow.profile_member VALUES ('finance', 'lea');
-- the same where there are too few: separation keeps out who has just approved
DELETE FROM idflow.profile_member WHERE profile = 'finance' AND principal <> 'lea';
SELECT rep.define('refuse', '', 'SeparateFrom="Lead" NoActor="Refuse"');
SELECT rep.approve('lea', rep.ask(16, 'refuse'));
INSERT INTO idflow.profile_member VALUES ('finance', 'finn'), ('finance', 'lou');
-- sent back to the first, he is asked again
DELETE FROM idflow.profile_member WHERE profile = 'finance' AND principal = 'lou';
SELECT rep.define('back', 'RepeatedApprover="Auto"', '', '<Transition On="Declined" To="Lead"/>');
SELECT rep.ask(14, 'back') AS r \gset
SELECT rep.approve('lou', :r);
SET idflow.actor = 'finn';
SELECT idflow.decline(task, 'think again') FROM idflow.request WHERE id = :r;
SELECT activity, state FROM idflow.request WHERE id = :r;
SELECT rep.approve('lea', :r);
-- who has declined since is asked again, and what he declined is not approved in his name
SELECT name FROM idflow.deploy('<Workflow Identifier="rep_since" DisplayName_L1="R" RepeatedApprover="Auto">
	<Activity Identifier="Lead" DisplayName_L1="Lead" Template="Review"><Actor Profile="lead"/></Activity>
	<Activity Identifier="Finance" DisplayName_L1="Finance" Template="Review" CommentRequired="true"><Actor Profile="finance"/>
	<Transition On="Declined" To="Second"/></Activity>
	<Activity Identifier="Second" DisplayName_L1="Second" Template="Review"><Actor Profile="finance"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
SELECT idflow.attach('rep_since', 'rep.thing', condition => 'new.kind = ''since''');
SELECT rep.ask(16, 'since') AS r \gset
SELECT rep.approve('lea', :r);
SET idflow.actor = 'lea';
SELECT idflow.decline(task, 'on second thoughts') FROM idflow.inbox WHERE request = :r;
SELECT activity, state FROM idflow.request WHERE id = :r;
-- an admin's role gives nobody else a right
SELECT rep.define('nobody', 'RepeatedApprover="Auto"', '');
DELETE FROM idflow.profile_member WHERE profile = 'finance';
SELECT rep.approve('lea', rep.ask(15, 'nobody'));
SELECT id, kind, n FROM rep.thing ORDER BY id;
SELECT message FROM idflow.validate('<Workflow Identifier="X" DisplayName_L1="X" RepeatedApprover="Always"><Activity Identifier="A" DisplayName_L1="A" Template="Review"><Actor Profile="p"/></Activity><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>');
RESET idflow.actor;
DROP SCHEMA rep CASCADE;
DROP EXTENSION idflow CASCADE;
