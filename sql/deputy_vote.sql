-- Who stands in for several voters of a task: for whom he votes, and that he
-- has one vote.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET client_min_messages = notice;
SET idflow.notice = off;
CREATE SCHEMA dv;
CREATE TABLE dv.payment (id int PRIMARY KEY);
CREATE ROLE deputy_vote_app;
GRANT USAGE ON SCHEMA dv TO deputy_vote_app;
GRANT SELECT, INSERT ON dv.payment TO deputy_vote_app;
GRANT SET ON PARAMETER idflow.actor TO deputy_vote_app;
INSERT INTO idflow.profile_member VALUES ('board', 'b1'), ('board', 'b2'), ('board', 'b3');
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Board" DisplayName_L1="Board">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review" Approvals="all" Declines="2"><Actor Profile="board"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Board', 'dv.payment');
SELECT count(idflow.add_deputy(p, 'dee', tstzrange('2001-01-01', NULL))) FROM unnest('{b1,b2}'::text[]) p;
-- and b1 for b3, so that she does, too
SELECT count(idflow.add_deputy('b3', 'b1', tstzrange('2001-01-01', NULL)));
SET ROLE deputy_vote_app;
CREATE FUNCTION pg_temp.go(who text, what text, task bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
BEGIN
	PERFORM set_config('idflow.actor', who, false);
	EXECUTE format('SELECT idflow.%I($1)', what) INTO state USING task;
	RETURN state;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION pg_temp.seen(task bigint) RETURNS TABLE (actor text, on_behalf_of text, via text, claimed_by text) LANGUAGE plpgsql AS $$
DECLARE
	w text;
BEGIN
	FOREACH w IN ARRAY '{b1,b2,b3,dee}'::text[] LOOP
		PERFORM set_config('idflow.actor', w, false);
		RETURN QUERY SELECT w, i.on_behalf_of, i.via, i.claimed_by FROM idflow.inbox i WHERE i.task = seen.task;
	END LOOP;
END $$;
SET idflow.actor = 'anna';
INSERT INTO dv.payment VALUES (1), (2), (3), (4);

-- one of them votes himself: she is asked for the next
SELECT * FROM pg_temp.seen(1);
SELECT pg_temp.go('b1', 'approve', 1);
SELECT * FROM pg_temp.seen(1);
SELECT pg_temp.go('dee', 'approve', 1);
SELECT * FROM pg_temp.seen(1);
SELECT pg_temp.go('dee', 'approve', 1);
SELECT pg_temp.go('b2', 'approve', 1), pg_temp.go('b3', 'approve', 1);
SELECT principal, on_behalf_of, vote FROM idflow.vote WHERE task = 1 ORDER BY seq;

-- both of them: she is asked for whom one of them stands in
SELECT pg_temp.go('b2', 'approve', 2), pg_temp.go('b1', 'approve', 2);
SELECT * FROM pg_temp.seen(2);
SELECT pg_temp.go('dee', 'approve', 2);
SELECT principal, on_behalf_of, vote FROM idflow.vote WHERE task = 2 ORDER BY seq;

-- she has one vote, whoever has none yet
SELECT pg_temp.go('dee', 'approve', 3);
SELECT * FROM pg_temp.seen(3);
SELECT pg_temp.go('dee', 'decline', 3), pg_temp.go('b1', 'approve', 3), pg_temp.go('b2', 'approve', 3);

-- a claim of one of them is no hindrance, be it not the first
SELECT pg_temp.go('b2', 'claim', 4);
SELECT * FROM pg_temp.seen(4);
-- the number of a task tells others nothing
SET idflow.actor = 'b1';
SELECT idflow.claim_stands(4);
SET idflow.actor = 'zed';
SELECT idflow.claim_stands(4);
SELECT pg_temp.go('dee', 'approve', 4), pg_temp.go('b2', 'approve', 4);
SELECT principal, on_behalf_of, vote FROM idflow.vote WHERE task = 4 ORDER BY seq;

RESET ROLE;
RESET idflow.actor;
DROP SCHEMA dv CASCADE;
DROP OWNED BY deputy_vote_app;
DROP ROLE deputy_vote_app;
