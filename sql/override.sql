-- override: an admin decides in place of those who should
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_override;
\c idflow_override
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_override SET idflow.notice = off;
CREATE ROLE ov_app LOGIN;
CREATE ROLE ov_boss LOGIN;
CREATE ROLE ov_next LOGIN;
CREATE ROLE ov_admin LOGIN IN ROLE idflow_admin;
CREATE SCHEMA ov;
GRANT USAGE ON SCHEMA ov TO PUBLIC;
CREATE TABLE ov.person (id int PRIMARY KEY, name text, level int DEFAULT 1);
GRANT SELECT, INSERT, UPDATE ON ov.person TO PUBLIC;
INSERT INTO ov.person VALUES (50, 'zoe', 1);
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Person" DisplayName_L1="Person">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="ov_boss"/></Activity>
  <Activity Identifier="Second" DisplayName_L1="Second" Template="Review"><Actor Principal="ov_next"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Person', 'ov.person', '{INSERT,UPDATE}');
CREATE PROCEDURE public.others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('test');
	EXECUTE statement;
	COMMIT;
END$$;
CREATE FUNCTION public.history(r bigint) RETURNS TABLE (actor text, via text, activity text, transition text, to_state text, comment text) LANGUAGE sql AS $$
	SELECT actor, via, activity, transition, to_state, comment FROM idflow.event WHERE request = r ORDER BY seq $$;
\c - ov_app
INSERT INTO ov.person VALUES (1, 'ann');
SELECT idflow.last_request() AS r1 \gset
SELECT idflow.override(:r1, 'mine');
\c - ov_boss
SELECT idflow.override(:r1, 'not an admin');
\c - ov_admin
SELECT idflow.override(:r1, NULL);
SELECT idflow.override(:r1, E' \n');
SELECT idflow.override(:r1, 'x', 'Bless');
SELECT idflow.override(:r1, 'x', NULL);
SELECT idflow.override(0, 'x');
-- all of the request, and whoever was asked is told
SELECT idflow.override(:r1, 'fire in the house');
SELECT * FROM ov.person WHERE id = 1;
SELECT * FROM public.history(:r1);
SELECT principal, activity, aspect, body FROM idflow.notification;
SELECT idflow.override(:r1, 'again');
-- while it is refined
\c - ov_app
INSERT INTO ov.person VALUES (2, 'bob');
SELECT idflow.last_request() AS r2 \gset
INSERT INTO ov.person VALUES (3, 'cat');
SELECT idflow.last_request() AS r3 \gset
\c - ov_boss
SELECT idflow.refine(task) FROM idflow.inbox ORDER BY request;
\c - ov_admin
SELECT idflow.override(:r2, 'no', 'Decline');
SELECT idflow.override(:r3, 'never mind', 'Abort');
SELECT * FROM public.history(:r2);
SELECT activity_state FROM idflow.request WHERE id IN (:r2, :r3) ORDER BY id;
SELECT count(*) FROM ov.person WHERE id IN (2, 3);
-- four eyes holds for admins as well
INSERT INTO ov.person VALUES (4, 'dan');
SELECT idflow.last_request() AS r4 \gset
SELECT idflow.override(:r4, 'mine');
SELECT idflow.withdraw(:r4);
-- a conflict is not overwritten
\c - ov_app
UPDATE ov.person SET level = 7 WHERE id = 50;
SELECT idflow.last_request() AS r5 \gset
\c - :me
CALL public.others('UPDATE ov.person SET level = 3 WHERE id = 50');
\c - ov_admin
SELECT idflow.override(:r5, 'level 7');
SELECT idflow.override(:r5, 'really');
SELECT level FROM ov.person WHERE id = 50;
SELECT idflow.override(:r5, 'give up', 'Abort');
-- one that waits for its date
\c - ov_app
BEGIN;
SET LOCAL idflow.effective_at = '2999-01-01';
INSERT INTO ov.person VALUES (6, 'eve');
COMMIT;
SELECT idflow.last_request() AS r6 \gset
\c - ov_admin
SELECT idflow.override(:r6, 'approved');
SELECT count(*) FROM ov.person WHERE id = 6;
SELECT idflow.override(:r6, 'today');
SELECT count(*) FROM ov.person WHERE id = 6;
SELECT count(*) FROM idflow.timer WHERE request = :r6;
-- not before it is submitted
\c - ov_app
SELECT idflow.begin_request() AS r7 \gset
\c - ov_admin
SELECT idflow.override(:r7, 'what?');
\c :home :me
DROP DATABASE idflow_override;
DROP ROLE ov_app, ov_boss, ov_next, ov_admin;
