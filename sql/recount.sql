-- Votes are counted again where those who have not voted lose the right to.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET client_min_messages = notice;
SET idflow.notice = off;
CREATE SCHEMA rc;
CREATE TABLE rc.payment (id int PRIMARY KEY CHECK (id < 100), note text);
CREATE ROLE recount_app;
CREATE ROLE recount_jury NOLOGIN;
CREATE ROLE recount_j1;
CREATE ROLE recount_j2;
GRANT recount_jury TO recount_j1, recount_j2;
GRANT USAGE ON SCHEMA rc TO recount_app;
GRANT SELECT, INSERT ON rc.payment TO recount_app;
GRANT SET ON PARAMETER idflow.actor TO recount_app;
CREATE FUNCTION pg_temp.setup(name text, attributes text, actors text, condition text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(format('<Workflow Identifier="%s" DisplayName_L1="R"><Activity Identifier="Review" DisplayName_L1="R" Template="ReviewWithFeedback" %s>%s</Activity>
		<Activity Identifier="Persist" DisplayName_L1="P" Template="Persist"/></Workflow>', name, attributes, actors)::xml);
	PERFORM idflow.attach(name, 'rc.payment', condition => condition);
END $$;
SET client_min_messages = warning;
SELECT pg_temp.setup('All', 'Approvals="all"', '<Actor Profile="board"/>', 'new.id < 20 OR new.id >= 100'),
	pg_temp.setup('Two', 'Approvals="2" Declines="2"', '<Actor Profile="board"/>', 'new.id BETWEEN 20 AND 29'),
	pg_temp.setup('Half', 'Approvals="50%" Declines="all"', '<Actor Profile="board"/>', 'new.id BETWEEN 30 AND 39'),
	pg_temp.setup('Roles', 'Approvals="all"', '<Actor Profile="recount_jury"/>', 'new.id BETWEEN 40 AND 49');
SET client_min_messages = notice;
CREATE FUNCTION pg_temp.ask(who text, id int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', 'anna', false);
	DELETE FROM idflow.profile_member;
	INSERT INTO idflow.profile_member SELECT 'board', p FROM unnest('{b1,b2,b3}'::text[]) p;
	SET ROLE recount_app;
	INSERT INTO rc.payment VALUES (id, who);
	RESET ROLE;
	RETURN (SELECT r.task FROM idflow.request r WHERE r.id = idflow.last_request());
END $$;
CREATE FUNCTION pg_temp.vote(who text, what text, task bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
BEGIN
	PERFORM set_config('idflow.actor', who, false);
	SET ROLE recount_app;
	EXECUTE format('SELECT idflow.%I($1)', what) INTO state USING task;
	RESET ROLE;
	RETURN state;
END $$;
CREATE FUNCTION pg_temp.shown() RETURNS TABLE (request bigint, state text, needed text, timers bigint) LANGUAGE sql AS $$
	SELECT r.id, r.state, t.quota ->> 'needed', (SELECT count(*) FROM idflow.timer x WHERE x.request = r.id AND x.kind = 'recount')
	FROM idflow.request r LEFT JOIN idflow.task t ON t.id = r.task ORDER BY r.id DESC LIMIT 1
$$;

-- the last who has not voted leaves: by that it is approved
SELECT pg_temp.ask('x', 1) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task), pg_temp.vote('b2', 'approve', :task);
SELECT * FROM pg_temp.shown();
DELETE FROM idflow.profile_member WHERE principal = 'b3';
SELECT * FROM pg_temp.shown();
SELECT actor, on_behalf_of, via, transition, comment FROM idflow.event WHERE request = (SELECT max(id) FROM idflow.request) AND actor = 'idflow';
SELECT * FROM rc.payment;

-- one of two who have not voted: the others are still asked
SELECT pg_temp.ask('x', 2) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task);
UPDATE idflow.profile_member SET profile = 'other' WHERE principal = 'b3';
SELECT * FROM pg_temp.shown();
-- in a transaction with one snapshot the rest is left to run_due()
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM idflow.profile_member WHERE principal = 'b2';
COMMIT;
SELECT * FROM pg_temp.shown();
SELECT idflow.run_due();
UPDATE idflow.timer SET due_at = now() WHERE kind = 'recount';
SELECT idflow.run_due();
SELECT * FROM pg_temp.shown();

-- who has voted leaves: his vote counts no more, and the others go on
SELECT pg_temp.ask('x', 3) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task);
DELETE FROM idflow.profile_member WHERE principal = 'b1';
SELECT * FROM pg_temp.shown();
-- nobody is left: not for that reason approved
DELETE FROM idflow.profile_member;
SELECT * FROM pg_temp.shown();

-- too few are left beside who has declined
SELECT pg_temp.ask('x', 20) AS task \gset
SELECT pg_temp.vote('b1', 'decline', :task);
DELETE FROM idflow.profile_member WHERE principal = 'b3';
SELECT * FROM pg_temp.shown();
SELECT actor, via, transition, comment FROM idflow.event WHERE request = (SELECT max(id) FROM idflow.request) AND actor = 'idflow';

-- half of two is one
SELECT pg_temp.ask('x', 30) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task);
DELETE FROM idflow.profile_member WHERE principal = 'b3';
SELECT * FROM pg_temp.shown();

-- not while it is refined, but a claim keeps nothing up
SELECT pg_temp.ask('x', 4) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task), pg_temp.vote('b2', 'approve', :task), pg_temp.vote('b3', 'refine', :task);
DELETE FROM idflow.profile_member WHERE principal = 'b3';
SELECT * FROM pg_temp.shown();
SELECT pg_temp.vote('anna', 'execute', :task), pg_temp.vote('b1', 'claim', :task);
UPDATE idflow.timer SET due_at = now() WHERE kind = 'recount';
SELECT idflow.run_due();
SELECT * FROM pg_temp.shown();

-- what can't be written is noted, and hinders nobody from leaving
SELECT pg_temp.ask('x', 5) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task), pg_temp.vote('b2', 'approve', :task);
BEGIN;
SELECT idflow.bypass('in the way');
INSERT INTO rc.payment VALUES (5, 'in the way');
COMMIT;
DELETE FROM idflow.profile_member WHERE principal = 'b3';
SELECT * FROM pg_temp.shown();
SELECT attempts, error, due_at > now() AS later FROM idflow.timer WHERE kind = 'recount' AND task = :task;
SELECT idflow.override(r.id, 'in the way', 'Decline') FROM idflow.request r WHERE r.task = :task;
SELECT count(*) FROM idflow.timer WHERE kind = 'recount' AND task = :task;

-- a role is revoked: run_due() finds that out
SELECT pg_temp.ask('x', 40) AS task \gset
SELECT pg_temp.vote('recount_j1', 'approve', :task);
REVOKE recount_jury FROM recount_j2;
SELECT * FROM pg_temp.shown();
UPDATE idflow.timer SET due_at = now() WHERE kind = 'recount';
SELECT idflow.run_due() > 0 AS done;
SELECT * FROM pg_temp.shown();

-- and so in a directory of the organisation's own
CREATE TABLE rc.people (principal text, profile text);
INSERT INTO rc.people SELECT p, 'board' FROM unnest('{b1,b2}'::text[]) p;
SELECT idflow.set_directory('rc.people');
SELECT pg_temp.ask('x', 6) AS task \gset
SELECT pg_temp.vote('b1', 'approve', :task);
DELETE FROM rc.people WHERE principal = 'b2';
SELECT * FROM pg_temp.shown();
UPDATE idflow.timer SET due_at = now() WHERE kind = 'recount';
SELECT idflow.run_due() > 0 AS done;
SELECT * FROM pg_temp.shown();
SELECT idflow.set_directory(NULL);

SELECT * FROM rc.payment ORDER BY id;
SELECT has_function_privilege('recount_app', 'idflow.recount(text[])', 'EXECUTE') AS anybody;
RESET idflow.actor;
DROP SCHEMA rc CASCADE;
DROP OWNED BY recount_app;
DROP ROLE recount_app, recount_j1, recount_j2, recount_jury;
