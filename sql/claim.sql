-- A claim lasts as long as its holder may act on the task.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
\set VERBOSITY terse
CREATE SCHEMA cla;
CREATE TABLE cla.thing (id int PRIMARY KEY);
INSERT INTO idflow.profile_member VALUES ('checker', 'anna'), ('checker', 'carl');
SELECT idflow.require_approval('cla.thing', profile => 'checker');
SET idflow.actor = 'bob';
INSERT INTO cla.thing VALUES (1), (2), (3);

-- anna's as long as she is a checker
SET idflow.actor = 'anna';
SELECT idflow.claim(1);
SET idflow.actor = 'carl';
SELECT task FROM idflow.inbox ORDER BY task;
SELECT idflow.approve(1);
SELECT idflow.claim(1);
DELETE FROM idflow.profile_member WHERE principal = 'anna';
SELECT task, claimed_by FROM idflow.inbox ORDER BY task;
SELECT idflow.approve(1);
-- it is hers again if she is one again
INSERT INTO idflow.profile_member VALUES ('checker', 'anna');
SET idflow.actor = 'anna';
SELECT idflow.claim(2);
DELETE FROM idflow.profile_member WHERE principal = 'anna';
SET idflow.actor = 'carl';
SELECT count(*) FROM idflow.inbox WHERE task = 2;
INSERT INTO idflow.profile_member VALUES ('checker', 'anna');
SELECT count(*) FROM idflow.inbox WHERE task = 2;
SELECT idflow.approve(2);
-- or somebody else's who claims it meanwhile
DELETE FROM idflow.profile_member WHERE principal = 'anna';
SELECT idflow.claim(2);
INSERT INTO idflow.profile_member VALUES ('checker', 'anna');
SET idflow.actor = 'anna';
SELECT count(*) FROM idflow.inbox WHERE task = 2;
SELECT idflow.approve(2);

-- a deputy's lasts as long as he stands in
SELECT idflow.add_deputy('anna', 'dora', tstzrange(now() - interval '1 day', NULL)) AS d \gset
SET idflow.actor = 'dora';
SELECT idflow.claim(3);
SET idflow.actor = 'carl';
SELECT count(*) FROM idflow.inbox WHERE task = 3;
SELECT idflow.approve(3);
SET idflow.actor = 'anna';
SELECT idflow.drop_deputy(:d);
SET idflow.actor = 'carl';
SELECT count(*) FROM idflow.inbox WHERE task = 3;
SELECT idflow.approve(3);

RESET idflow.actor;
DROP SCHEMA cla CASCADE;
DROP EXTENSION idflow CASCADE;
