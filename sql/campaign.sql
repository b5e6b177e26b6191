-- access reviews: whether what is there is to stay
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
CREATE ROLE cm_owner;
CREATE ROLE cm_app;
CREATE ROLE cm_auditor IN ROLE idflow_auditor;
CREATE ROLE cm_admin IN ROLE idflow_admin;
GRANT SET ON PARAMETER idflow.actor TO cm_owner, cm_app, cm_auditor, cm_admin;
CREATE SCHEMA cm AUTHORIZATION cm_owner;
GRANT USAGE ON SCHEMA cm TO PUBLIC;
CREATE TABLE cm.directory (principal text, profile text, manager text);
INSERT INTO cm.directory VALUES ('mia', 'owners', 'bea'), ('max', 'owners', NULL), ('bea', 'boss', NULL), ('tom', 'none', 'bea');
SELECT idflow.set_directory('cm.directory');
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Leave" DisplayName_L1="Leave" Subject="SQL:coalesce(old.who, new.who)">
  <Column Name="secret" Show="No"/>
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<Workflow Identifier="Direct" DisplayName_L1="Direct">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
SET ROLE cm_owner;
CREATE TABLE cm.grants (id int PRIMARY KEY, who text, what text, owner text, secret text, fixed boolean DEFAULT false);
INSERT INTO cm.grants VALUES (1, 'ann', 'vpn', 'mia', 's1'), (2, 'bob', 'vpn', 'max', 's2'), (3, 'cy', 'sap', 'mia', 's3'),
	(4, 'mia', 'sap', 'mia', 's4'), (5, 'dan', 'old', 'mia', 's5'), (6, 'eve', 'nil', NULL, 's6');
CREATE TABLE cm.no_key (a int);
CREATE TABLE cm.direct (id int PRIMARY KEY, keep boolean DEFAULT false);
INSERT INTO cm.direct VALUES (1, false), (2, false), (3, true);
CREATE FUNCTION cm.spoil(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN DELETE FROM cm.grants; RETURN true; END $$;
CREATE FUNCTION cm.lie(text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN DELETE FROM cm.grants; RETURN true; END $$;

-- ------------------------------------------------------------ what is refused
SET idflow.actor = 'sue';
SELECT idflow.start_review('cm.grants', 'Leave');
RESET ROLE;
SELECT idflow.attach('Leave', 'cm.grants', '{DELETE}', 'NOT OLD.fixed');
SELECT idflow.attach('Direct', 'cm.direct', '{DELETE}', 'NOT OLD.keep');
SET ROLE cm_owner;
SELECT idflow.start_review('cm.grants', 'nothing');
SELECT idflow.start_review(NULL, 'Leave');
SELECT idflow.start_review('cm.no_key', 'Leave');
SELECT idflow.start_review('cm.grants', 'Leave', outcome => 'AcceptIfTwo');
SELECT idflow.start_review('cm.grants', 'Leave', unanswered => 'Forget');
SELECT idflow.start_review('cm.grants', 'Leave', every => '1 minute');
SELECT idflow.start_review('cm.grants', 'Leave', due => 'infinity');
SELECT idflow.start_review('cm.grants', 'Leave', reviewer => 'profile: ');
SELECT idflow.start_review('cm.grants', 'Leave', 'nowhere = 1');
SELECT idflow.start_review('cm.grants', 'Leave', 'who');
-- more than one expression, and one that writes
SELECT idflow.start_review('cm.grants', 'Leave', 'true) UNION SELECT (1');
SELECT idflow.start_review('cm.grants', 'Leave', 'true); DELETE FROM cm.grants; SELECT (true');
SELECT idflow.start_review('cm.grants', 'Leave', 'true ORDER BY 1');
SELECT idflow.start_review('cm.grants', 'Leave', 'EXISTS (WITH x AS (DELETE FROM cm.grants RETURNING 1) SELECT FROM x)');
SELECT idflow.start_review('cm.grants', 'Leave', 'cm.spoil(who)');
SELECT idflow.start_review('cm.grants', 'Leave', 'cm.lie(who)');
SELECT idflow.start_review('cm.grants', 'Leave', reviewer => 'owner, who');
SELECT idflow.start_review('cm.grants', 'Leave', reviewer => 'XPath:/x');
SELECT count(*) FROM cm.grants;
SELECT count(*) FROM idflow.campaign;
-- who doesn't own the table
RESET ROLE;
GRANT SELECT, DELETE ON cm.grants TO cm_app;
SET ROLE cm_app;
SELECT idflow.start_review('cm.grants', 'Leave');

-- ----------------------------------------------------- whom it asks about what
SET ROLE cm_owner;
SELECT idflow.start_review('cm.grants', 'Leave', 'new.what <> ''old''', 'owner', 'Grants of the year') AS c \gset
SELECT seq, key, "row", subject, reviewers, state FROM idflow.campaign_item ORDER BY seq;
SELECT digest FROM idflow.campaign_item;
SET ROLE cm_app;
SET idflow.actor = 'mia';
SELECT item, title, target, key, "row"->>'who' AS who, "row" ? 'secret' AS secret, subject, starter, state, vote FROM idflow.review_item ORDER BY item;
SELECT seq FROM idflow.campaign_item ORDER BY seq;
-- his own row asks his manager
SET idflow.actor = 'bea';
SELECT item, subject FROM idflow.review_item ORDER BY item;
SET idflow.actor = 'zoe';
SELECT count(*) FROM idflow.campaign;
SELECT count(*) FROM idflow.campaign_item;
SELECT * FROM idflow.keep(:c, '{1,2,99}');
SELECT * FROM idflow.keep(99, '{1}');
SELECT idflow.end_review(:c);
SELECT idflow.keep(:c, NULL);
SELECT idflow.campaign_delete(:c, 1);
SELECT idflow.campaign_rows(:c, '[{"id": 1}]');
SELECT idflow.campaign_decide(:c, '{1}', 'Revoke', NULL);
INSERT INTO idflow.campaign_vote (campaign, seq, revision, reviewer, principal, vote) VALUES (:c, 1, 1, 'u:mia', 'mia', 'Revoke');
UPDATE idflow.campaign_item SET state = 'kept';
SET ROLE cm_auditor;
SELECT count(*) FROM idflow.campaign_item;
-- admins only where they are asked, by their role
SET ROLE cm_admin;
SELECT item FROM idflow.review_item;
SELECT * FROM idflow.keep(:c, '{1}');

-- --------------------------------------------------------------- the decisions
SET ROLE cm_app;
SET idflow.actor = 'mia';
SELECT item, state, request IS NOT NULL AS request, sqlstate, message FROM idflow.keep(:c, '{1,1,4,2}', 'still needed');
SELECT item, state, request IS NOT NULL AS request, sqlstate, message FROM idflow.revoke(:c, '{3,1}', 'has left');
SELECT item FROM idflow.review_item;
-- a revoke is a request of the starter's, that the workflow decides about
SELECT requester, subject, state, title, workflow FROM idflow.request;
RESET ROLE;
SELECT requester, subject, state, title, workflow FROM idflow.request;
SELECT count(*) FROM cm.grants WHERE id = 3;
SET ROLE cm_app;
SET idflow.actor = 'bea';
SELECT idflow.approve(task) FROM idflow.inbox;
SET ROLE cm_owner;
SELECT count(*) FROM cm.grants WHERE id = 3;
-- changed: shown anew; gone; without a gate
UPDATE cm.grants SET what = 'vpn2' WHERE id = 2;
SET ROLE cm_app;
SET idflow.actor = 'max';
SELECT item, state, sqlstate, message FROM idflow.keep(:c, '{2}');
SELECT "row"->>'what' AS what, revision FROM idflow.review_item;
SELECT item, state, sqlstate, message FROM idflow.keep(:c, '{2}');
RESET ROLE;
UPDATE cm.grants SET fixed = true WHERE id = 6;
SET ROLE cm_admin;
SELECT item, state, sqlstate FROM idflow.revoke(:c, '{5}');
SELECT item, state, request, sqlstate, message FROM idflow.revoke(:c, '{5}');
SELECT count(*) FROM idflow.campaign_vote WHERE seq = 5;
RESET ROLE;
BEGIN;
SELECT idflow.bypass('test');
DELETE FROM cm.grants WHERE id = 6;
COMMIT;
SET ROLE cm_admin;
SELECT item, state, sqlstate, message FROM idflow.revoke(:c, '{5}');
SET ROLE cm_owner;
SET idflow.actor = 'sue';
SELECT title, state, items, open, escalated, kept, revoked, gone, percent FROM idflow.campaign_progress;
SELECT idflow.end_review(:c);
SELECT idflow.end_review(:c);
SELECT item, key, state, decided_by, voters, comments, request_state, error FROM idflow.campaign_report ORDER BY item;

-- a workflow without a review lets the revoke pass; a transaction that does other things
SELECT idflow.start_review('cm.direct', 'Direct', reviewer => 'profile:owners') AS d \gset
SET ROLE cm_app;
SET idflow.actor = 'max';
BEGIN;
SELECT count(*) FROM idflow.begin_request();
SELECT item, state, sqlstate FROM idflow.revoke(:d, '{1}');
ROLLBACK;
SELECT item, state, sqlstate, message FROM idflow.revoke(:d, '{1,3}');
SET ROLE cm_owner;
SELECT * FROM cm.direct ORDER BY id;
-- a deputy
SET ROLE cm_app;
SELECT idflow.add_deputy('max', 'dora', tstzrange(now() - interval '1 day', NULL)) > 0 AS deputy;
SET idflow.actor = 'dora';
SELECT item, on_behalf_of FROM idflow.review_item;
SELECT item, state FROM idflow.keep(:d, '{2}');
SET ROLE cm_owner;
SET idflow.actor = 'sue';
SELECT principal, on_behalf_of, reviewer, vote FROM idflow.campaign_vote WHERE campaign = :d ORDER BY id;
SELECT reviewer, items, answered, open, kept, revoked, percent FROM idflow.reviewer_progress WHERE campaign = :c ORDER BY 1;
-- history: of all, for who started it; for others what they said
SELECT item, actor, on_behalf_of, via, transition, from_state, to_state, comment, data - 'request' AS data
FROM idflow.campaign_event WHERE campaign IN (:c, :d) ORDER BY seq;
SET ROLE cm_app;
SET idflow.actor = 'max';
SELECT item, actor, on_behalf_of, transition FROM idflow.campaign_event ORDER BY seq;
SET idflow.actor = 'zoe';
SELECT count(*) FROM idflow.campaign_event;
SELECT count(*) FROM idflow.reviewer_progress;
UPDATE idflow.campaign_event SET actor = 'zoe';
DELETE FROM idflow.campaign_event;
SET ROLE cm_admin;
UPDATE idflow.campaign_event SET actor = 'zoe';
SET ROLE cm_owner;
SET idflow.actor = 'sue';

-- what can't be revoked at the end is asked further up
SELECT idflow.start_review('cm.direct', 'Direct', reviewer => 'principal:mia', unanswered => 'Revoke') AS f \gset
SELECT idflow.end_review(:f);
SELECT key, state, decided_by, reviewers, error FROM idflow.campaign_item WHERE campaign = :f ORDER BY seq;
SELECT item, actor, via, transition, from_state, to_state, data - 'request' AS data FROM idflow.campaign_event WHERE campaign = :f ORDER BY seq;

-- ------------------------------------------------ due, and again after a time
SELECT idflow.start_review('cm.grants', 'Leave', 'id = 1', 'owner', due => now() + interval '14 days', unanswered => 'Escalate', every => '90 days') AS e \gset
RESET ROLE;
SELECT name, due_at - now() > interval '13 days' AS later FROM idflow.timer WHERE kind = 'campaign' ORDER BY name;
UPDATE idflow.timer SET due_at = now() - interval '1 minute' WHERE kind = 'campaign';
SELECT idflow.run_due() >= 2 AS ran;
SELECT count(*) FROM idflow.timer WHERE kind = 'campaign' AND error IS NOT NULL;
SELECT c.id = :e AS first, c.previous = :e AS repeats, c.state, c.ended_by, due - started_at AS lasts, i.state AS item, i.reviewers
	FROM idflow.campaign c JOIN idflow.campaign_item i ON i.campaign = c.id WHERE c.id >= :e ORDER BY c.id;
-- once
SELECT idflow.campaign_next(:e);
SELECT idflow.end_review(max(id)) FROM idflow.campaign;
SELECT count(*) FROM idflow.timer WHERE kind = 'campaign';
SET ROLE cm_app;
SET idflow.actor = 'bea';
SELECT item, state FROM idflow.review_item WHERE campaign = :e;
SELECT item, state FROM idflow.keep(:e, '{1}');
RESET ROLE;
SELECT c.id = :e AS first, v.item, v.actor, v.via, v.transition, v.from_state, v.to_state, v.data
FROM idflow.campaign c JOIN idflow.campaign_event v ON v.campaign = c.id WHERE c.id >= :e ORDER BY c.id, v.seq;

-- ------------------------------------------------------- 100,000 rows, quickly
RESET idflow.actor;
CREATE TABLE cm.many AS SELECT i AS id, 'u' || i AS who FROM generate_series(1, 100000) i;
ALTER TABLE cm.many ADD PRIMARY KEY (id);
SELECT idflow.attach('Direct', 'cm.many', '{DELETE}');
SET statement_timeout = '60s';
SELECT idflow.start_review('cm.many', 'Direct', reviewer => 'who') AS m \gset
RESET statement_timeout;
SELECT items, open FROM idflow.campaign_progress WHERE campaign = :m;
SELECT key, reviewers FROM idflow.campaign_item WHERE campaign = :m AND seq = 100000;
SELECT count(*), sum(open) FROM idflow.reviewer_progress WHERE campaign = :m;

\set VERBOSITY terse
SELECT idflow.set_directory(NULL);
DROP SCHEMA cm CASCADE;
DROP EXTENSION idflow CASCADE;
CREATE EXTENSION idflow;
DROP OWNED BY cm_owner, cm_app, cm_auditor, cm_admin;
DROP ROLE cm_owner, cm_app, cm_auditor, cm_admin;
