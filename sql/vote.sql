-- Votes with a quota: who counts, once each, and what is shown meanwhile.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET client_min_messages = notice;
SET idflow.notice = off;
CREATE SCHEMA vt;
CREATE TABLE vt.payment (id int PRIMARY KEY, amount int, note text);
CREATE ROLE vote_app;
GRANT USAGE ON SCHEMA vt TO vote_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON vt.payment TO vote_app;
GRANT SET ON PARAMETER idflow.actor TO vote_app;
INSERT INTO idflow.profile_member VALUES ('finance', 'fay'), ('finance', 'fritz'), ('finance', 'both'), ('security', 'sue'), ('security', 'both'),
	('board', 'b1'), ('board', 'b2'), ('board', 'b3'), ('board', 'anna');
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Two_Houses" DisplayName_L1="Two houses">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback">
    <Actor Profile="finance" Approvals="2"/><Actor Profile="security" Approvals="1"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Board" DisplayName_L1="Board">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback" Approvals="all" Declines="2"><Actor Profile="board"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Two_Houses', 'vt.payment', '{INSERT}', 'new.amount < 1000');
SELECT idflow.attach('Board', 'vt.payment', '{INSERT,UPDATE}', 'new.amount >= 1000');
SET ROLE vote_app;

CREATE FUNCTION pg_temp.go(who text, what text, task bigint, comment text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
BEGIN
	PERFORM set_config('idflow.actor', who, false);
	EXECUTE format('SELECT idflow.%I($1, $2)', what) INTO state USING task, comment;
	RETURN state;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION pg_temp.seen(VARIADIC who text[]) RETURNS TABLE (actor text, task bigint, needed int, given int) LANGUAGE plpgsql AS $$
DECLARE
	w text;
BEGIN
	FOREACH w IN ARRAY who LOOP
		PERFORM set_config('idflow.actor', w, false);
		RETURN QUERY SELECT w, i.task, i.needed, i.given FROM idflow.inbox i ORDER BY i.task;
	END LOOP;
END $$;

-- two of finance and one of security: who holds both counts for the one that
-- needs him, whenever he votes
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (1, 10);
SELECT * FROM pg_temp.seen('fay', 'fritz', 'both', 'sue', 'anna');
SELECT pg_temp.go('both', 'approve', 1, 'fine');
SELECT pg_temp.go('both', 'approve', 1), pg_temp.go('both', 'decline', 1);
SELECT * FROM pg_temp.seen('fay', 'fritz', 'both', 'sue');
SELECT principal, via, vote, comment FROM idflow.decider WHERE request = 1 ORDER BY vote, principal;
SELECT pg_temp.go('fay', 'approve', 1);
SELECT pg_temp.go('fritz', 'approve', 1);
SELECT id FROM vt.payment;
SELECT seq, actor, via, transition, from_state, to_state, comment FROM idflow.event WHERE request = 1 ORDER BY seq;

-- three of finance are no security
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (2, 20);
SELECT pg_temp.go('fay', 'approve', 2), pg_temp.go('fritz', 'approve', 2), pg_temp.go('anna', 'approve', 2), pg_temp.go('sue', 'approve', 2);

-- too few are left of finance: declined, although nobody of security voted
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (3, 30);
SELECT pg_temp.go('fay', 'decline', 3);

-- all of the board, but for the one who asks: b1, b2, b3
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (4, 4000);
SELECT * FROM pg_temp.seen('b1', 'anna');
SELECT principal, via FROM idflow.decider WHERE request = 4 ORDER BY 1;
SELECT pg_temp.go('anna', 'approve', 4), pg_temp.go('anna', 'decline', 4);
SELECT pg_temp.go('b1', 'approve', 4);
-- who joins is not among all; who leaves counts no more, nor does his vote
RESET ROLE;
INSERT INTO idflow.profile_member VALUES ('board', 'new');
DELETE FROM idflow.profile_member WHERE principal = 'b1';
SET ROLE vote_app;
SELECT pg_temp.go('new', 'approve', 4);
SELECT pg_temp.go('b1', 'approve', 4);
-- who is added does
RESET ROLE; RESET idflow.actor;
SELECT idflow.add_candidate(4, 'guest');
SET ROLE vote_app;
SELECT pg_temp.go('b2', 'approve', 4);
SELECT * FROM pg_temp.seen('b3', 'guest');
SELECT pg_temp.go('b3', 'approve', 4);
SELECT pg_temp.go('guest', 'approve', 4);

-- an edit makes votes void, and asks all again, without who edited
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (5, 5000);
SELECT pg_temp.go('b2', 'approve', 5), idflow.refine(5, NULL, 'why?');
SELECT * FROM pg_temp.seen('anna');
SET idflow.actor = 'anna';
SELECT idflow.save(5, '{"note": "because"}');
SELECT idflow.execute(5);
SELECT * FROM pg_temp.seen('b2', 'b3', 'new');
SELECT principal, vote, superseded FROM idflow.decider WHERE request = 5 AND vote IS NOT NULL;
-- a claim is for one vote
SELECT pg_temp.go('b2', 'approve', 5);
SET idflow.actor = 'b3';
SELECT idflow.claim(5);
SELECT pg_temp.go('new', 'approve', 5);
SELECT pg_temp.go('b3', 'approve', 5);
SELECT pg_temp.go('new', 'approve', 5);

-- in somebody's place: the vote is his, and each of the two has one
SET idflow.actor = 'b2';
SELECT idflow.add_deputy('b2', 'dee', tstzrange(now() - interval '1 day', now() + interval '1 day'));
SET idflow.actor = 'b3';
SELECT idflow.add_deputy('b3', 'dee', tstzrange(now() - interval '1 day', now() + interval '1 day'));
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (6, 6000);
SELECT pg_temp.go('dee', 'approve', 6);
SELECT pg_temp.go('dee', 'approve', 6), pg_temp.go('b2', 'approve', 6);
SELECT * FROM pg_temp.seen('dee', 'b2', 'b3');
SELECT principal, on_behalf_of, vote FROM idflow.decider WHERE request = 6 ORDER BY vote, 1;
SELECT pg_temp.go('b3', 'decline', 6), pg_temp.go('new', 'decline', 6);
SELECT state FROM idflow.request WHERE id = 6;

-- many at once, and an admin in place of all
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (7, 70), (8, 80);
SET idflow.actor = 'sue';
SELECT task, state, sqlstate FROM idflow.approve_all('{7,8}');
SET idflow.actor = 'fay';
SELECT task, state, sqlstate FROM idflow.approve_all('{7,8}');
SET idflow.actor = 'fritz';
SELECT task, state, sqlstate FROM idflow.approve_all('{7}');
RESET ROLE;
SET idflow.actor = 'root';
SELECT idflow.override(8, 'urgent');
SELECT id FROM vt.payment ORDER BY id;

-- a quota, and nobody named: as many admins
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Admins" DisplayName_L1="Admins">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review" Approvals="2" CommentRequired="true"/>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.detach('Board', 'vt.payment', true), idflow.detach('Two_Houses', 'vt.payment', true), idflow.attach('Admins', 'vt.payment');
SET idflow.actor = 'anna';
INSERT INTO vt.payment VALUES (9, 90);
SELECT pg_temp.go('root', 'approve', 9), pg_temp.go('root', 'approve', 9, 'seen'), pg_temp.go('toor', 'approve', 9, 'seen, too');

-- what doesn't fit together
SELECT v.line, v.element, v.message, v.hint FROM unnest(ARRAY[
	'Approvals="2"><Actor Profile="a" Approvals="1"/></Activity>', '><Actor Profile="a" Approvals="1"/><Actor Profile="b"/></Activity>',
	'Approvals="101%"/>', 'NoActor="Escalate"/>', 'EscalateTo="a"/>', 'NoActor="Perhaps"/>']) a,
	idflow.validate('<Workflow Identifier="W" DisplayName_L1="W"><Activity Identifier="R" DisplayName_L1="R" Template="Review" ' || a ||
		'<Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>') v WHERE severity = 'error';
SELECT message, hint FROM idflow.validate('<Workflow Identifier="W" DisplayName_L1="W"><Activity Identifier="R" DisplayName_L1="R" Template="Action" Approvals="2" NoActor="Skip"/><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>') WHERE severity = 'error';
SELECT version FROM idflow.deploy(idflow.export('Two_Houses'));

RESET idflow.actor;
DROP SCHEMA vt CASCADE;
DROP OWNED BY vote_app;
DROP ROLE vote_app;
