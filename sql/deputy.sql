-- deputies: who acts for somebody else, when, and what it does not get one round
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_deputy;
\c idflow_deputy
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_deputy SET idflow.notice = off;
CREATE ROLE dp_app LOGIN;
CREATE ROLE dp_boss LOGIN;
CREATE ROLE dp_dep LOGIN;
CREATE ROLE dp_sub LOGIN;
CREATE ROLE dp_other LOGIN;
CREATE SCHEMA dp;
GRANT USAGE ON SCHEMA dp TO PUBLIC;
CREATE TABLE dp.person (id int PRIMARY KEY, name text);
GRANT SELECT, INSERT ON dp.person TO PUBLIC;
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Joiner" DisplayName_L1="Joiner">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="dp_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Joiner', 'dp.person');
\c - dp_app
INSERT INTO dp.person VALUES (1, 'ann');
SELECT idflow.last_request() AS r1 \gset
INSERT INTO dp.person VALUES (2, 'bob');
SELECT idflow.last_request() AS r2 \gset
-- nobody makes himself somebody's deputy
\c - dp_dep
SELECT idflow.add_deputy('dp_boss', 'dp_dep', tstzrange(NULL, NULL));
SELECT count(*) FROM idflow.inbox;
SELECT count(*) FROM idflow.request;
-- what is refused
\c - dp_boss
SELECT idflow.add_deputy('dp_boss', 'dp_boss', tstzrange(NULL, NULL));
SELECT idflow.add_deputy('dp_boss', 'dp_dep', 'empty');
SELECT idflow.add_deputy('dp_boss', 'dp_dep', NULL);
SELECT idflow.add_deputy('dp_boss', 'dp_dep', tstzrange(NULL, NULL), 'Nope');
-- out of its time, and in another workflow
SELECT idflow.add_deputy('dp_boss', 'dp_dep', tstzrange('2001-01-01', '2001-02-01')) > 0 AS past;
SELECT idflow.add_deputy('dp_boss', 'dp_dep', tstzrange('2999-01-01', NULL)) > 0 AS future;
\c - dp_dep
SELECT count(*) FROM idflow.inbox;
SELECT count(*) FROM idflow.request;
-- now
\c - dp_boss
SELECT idflow.add_deputy('dp_boss', 'dp_dep', tstzrange('2001-01-01', '2999-01-01'), 'Joiner') AS link \gset
SELECT count(*) FROM idflow.inbox;
\c - dp_dep
SELECT principal, deputy, workflow, made_by FROM idflow.deputy WHERE id = :link;
SELECT request = :r1 AS first, on_behalf_of, via, blocked, key FROM idflow.inbox ORDER BY request;
SELECT count(*), count(new_row) AS rows FROM idflow.change;
SELECT principal, via, on_behalf_of FROM idflow.decider WHERE request = :r1;
SELECT idflow.approve(task, 'for the boss') FROM idflow.inbox WHERE request = :r1;
SELECT principal, on_behalf_of, via, vote FROM idflow.vote;
SELECT actor, on_behalf_of, via, transition FROM idflow.event WHERE request = :r1 AND transition LIKE '%Approve';
\c - dp_boss
-- whoever has a deputy keeps his right, and a claim of his own keeps his deputy in
SELECT idflow.claim(task) FROM idflow.inbox WHERE request = :r2;
\c - dp_dep
SELECT claimed_by, on_behalf_of FROM idflow.inbox;
-- a deputy's deputy
SELECT idflow.add_deputy('dp_dep', 'dp_sub', tstzrange(NULL, NULL)) AS sub \gset
\c - dp_other
SELECT idflow.drop_deputy(:sub);
\c - dp_sub
SELECT on_behalf_of, via FROM idflow.inbox;
-- cycles end
SELECT idflow.add_deputy('dp_sub', 'dp_boss', tstzrange(NULL, NULL)) > 0 AS cycle;
SELECT count(*) FROM idflow.inbox;
\c - dp_boss
SELECT on_behalf_of, via FROM idflow.inbox;
-- never to the requester, nor through him
\c - dp_dep
SELECT idflow.add_deputy('dp_dep', 'dp_app', tstzrange(NULL, NULL)) > 0 AS to_requester;
\c - dp_app
SELECT count(*) FROM idflow.inbox;
SELECT id AS t2 FROM idflow.task WHERE request = :r2 \gset
SELECT idflow.approve(:t2);
SELECT idflow.add_deputy('dp_app', 'dp_other', tstzrange(NULL, NULL)) > 0 AS through_requester;
\c - dp_other
SELECT count(*) FROM idflow.inbox;
SELECT idflow.approve(:t2);
-- a role made again under the name inherits nothing
\c - :me
DROP ROLE dp_sub;
CREATE ROLE dp_sub LOGIN;
\c - dp_sub
SELECT count(*) FROM idflow.inbox;
SELECT count(*) FROM idflow.request;
-- dropped
\c - dp_boss
SELECT idflow.drop_deputy(:link);
SELECT idflow.drop_deputy(:link);
\c - dp_dep
SELECT count(*) FROM idflow.inbox;
SELECT idflow.approve(:t2);
-- links beyond the tenth do not count
\c - :me
SELECT count(idflow.add_deputy(CASE i WHEN 1 THEN 'dp_boss' ELSE 'dp_l' || i - 1 END, 'dp_l' || i, tstzrange(NULL, NULL))) FROM generate_series(1, 11) i;
BEGIN;
SET LOCAL idflow.actor = 'dp_l11';
SELECT count(*) FROM idflow.inbox WHERE on_behalf_of IS NOT NULL;
SET LOCAL idflow.actor = 'dp_l10';
SELECT on_behalf_of, via FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
COMMIT;
SELECT principal, on_behalf_of, via FROM idflow.vote WHERE request = :r2;
SELECT * FROM dp.person ORDER BY id;
\c :home :me
DROP DATABASE idflow_deputy;
DROP ROLE dp_app, dp_boss, dp_dep, dp_sub, dp_other;
