-- Separation of duties on data: SeparationAspect and idflow.separation_violation.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_separation_data;
\c idflow_separation_data
CREATE EXTENSION idflow;
CREATE ROLE sd_app LOGIN;
CREATE ROLE sd_boss LOGIN;
CREATE ROLE sd_risk LOGIN;
CREATE ROLE sd_audit LOGIN;
GRANT idflow_auditor TO sd_audit;
INSERT INTO idflow.profile_member VALUES ('boss', 'sd_boss'), ('risk', 'sd_risk');
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.role_grant (person_id int, role text, note text, PRIMARY KEY (person_id, role));
-- nobody but the deployer sees what excludes what
CREATE SCHEMA risk;
CREATE TABLE risk.conflict (role_a text, role_b text, severity text);
INSERT INTO risk.conflict VALUES ('order', 'pay', 'high'), ('pay', 'audit', 'low'), ('pay', 'order', 'high'), ('write', 'extra', NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.role_grant TO sd_app;

CREATE FUNCTION public.wf(what text DEFAULT '', points text DEFAULT NULL) RETURNS xml LANGUAGE sql AS $$
SELECT format('<ConfigurationFile>
<Workflow Identifier="Grant" DisplayName_L1="A right">
 <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
 <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Profile="boss"/></Activity>
 <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<SeparationAspect Identifier="Duties" Binding="person_id" Right="role" Conflicts="risk.conflict"
 Expression="SQL:(SELECT g.role FROM hr.role_grant g WHERE g.person_id = new.person_id)" %s>
 %s
</SeparationAspect>
</ConfigurationFile>', what, coalesce(points, '<PointCut Activity="Grant:Request" ActivityState="Executed"/>
 <PointCut Activity="Grant:Review" ActivityState="ReviewWithFeedback-Approved"/>'))::xml $$;

-- ------------------------------------------------------------ the definition
SELECT v.line, v.element, v.message, v.hint
  FROM (VALUES (1, ''), (2, 'Do="Refus"'), (3, 'Do="Review"'), (4, 'Profile="risk"'), (5, 'Do="Refuse" Profile="risk"'),
               (6, 'Do="Review" Profile="risk" IfExpression="Literal:true"'), (7, 'Severity="high"')) d (n, what),
       idflow.validate(public.wf(what)::text) v ORDER BY n, v.message COLLATE "C";
SELECT v.line, v.element, v.message, v.hint
  FROM (VALUES (1, 'Conflicts="risk.conflict"', 'Conflicts="conflict"'), (2, 'Expression="SQL:', 'Expression="XPath:'),
               (3, 'Identifier="Duties"', 'Identifier="Review" Do="Review" Profile="risk"'),
               (4, 'Binding="person_id"', ''), (5, 'Conflicts="risk.conflict"', ''),
               (6, 'ActivityState="Executed"', 'ActivityState="ActionPending"')) d (n, a, b),
       idflow.validate(replace(public.wf(CASE n WHEN 6 THEN 'Do="Review" Profile="risk"' ELSE '' END)::text, a, b)) v ORDER BY n, v.message COLLATE "C";
SELECT name, version FROM idflow.deploy(public.wf('Message_L1="These duties are kept apart" Message_L2="Diese Aufgaben bleiben getrennt"'));
SELECT version FROM idflow.deploy(idflow.export('Grant'));
SELECT idflow.attach('Grant', 'hr.role_grant', '{INSERT,UPDATE,DELETE}');
-- what doesn't fit the table is said when it is attached
SELECT idflow.detach('Grant', 'hr.role_grant');
CREATE TABLE hr.other (id int PRIMARY KEY, role text);
SELECT idflow.attach('Grant', 'hr.other');
SELECT version FROM idflow.deploy(replace(public.wf()::text, 'risk.conflict', 'risk.conflicts')::xml);
SELECT idflow.attach('Grant', 'hr.role_grant');
CREATE TABLE hr.single (a text);
SELECT version FROM idflow.deploy(replace(public.wf()::text, 'risk.conflict', 'hr.single')::xml);
SELECT idflow.attach('Grant', 'hr.role_grant');
SELECT version FROM idflow.deploy(replace(public.wf()::text, 'g.role FROM', 'random()::text FROM')::xml);
SELECT idflow.attach('Grant', 'hr.role_grant');
SELECT version FROM idflow.deploy(public.wf('Message_L1="These duties are kept apart" Message_L2="Diese Aufgaben bleiben getrennt"'));
SELECT idflow.attach('Grant', 'hr.role_grant', '{INSERT,UPDATE,DELETE}');
ALTER DATABASE idflow_separation_data SET session_preload_libraries = 'idflow';
ALTER DATABASE idflow_separation_data SET idflow.languages = 'en, de';
ALTER DATABASE idflow_separation_data SET idflow.notice = 'off';

-- ------------------------------------------------------------------- refused
\c - sd_app
INSERT INTO hr.role_grant VALUES (1, 'order');
\c - sd_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - sd_app
INSERT INTO hr.role_grant VALUES (1, 'pay');
\echo :LAST_ERROR_SQLSTATE
SET idflow.language = 'de';
INSERT INTO hr.role_grant VALUES (1, 'pay');
RESET idflow.language;
-- somebody else's, or another right: yes
INSERT INTO hr.role_grant VALUES (2, 'pay'), (1, 'audit'), (1, 'read');
-- an update to it, and one that hands it over
UPDATE hr.role_grant SET role = 'pay', note = 'x' WHERE person_id = 1 AND role = 'order';
-- taking away and what changes nothing about rights is free
UPDATE hr.role_grant SET note = 'x' WHERE person_id = 1 AND role = 'order';
-- nothing of the refused ones is left
SELECT c.target, c.operation, c.new_row FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY c.id;

-- ------------------------------------------ what open requests ask for counts
INSERT INTO hr.role_grant VALUES (2, 'order');
INSERT INTO hr.role_grant VALUES (3, 'order');
INSERT INTO hr.role_grant VALUES (3, 'pay');
SELECT idflow.withdraw(idflow.last_request());
INSERT INTO hr.role_grant VALUES (3, 'pay');
-- both in one request
BEGIN;
SELECT idflow.begin_request() > 0 AS begun;
INSERT INTO hr.role_grant VALUES (4, 'order');
INSERT INTO hr.role_grant VALUES (4, 'pay');
SELECT idflow.submit(idflow.last_request());
ROLLBACK;
-- an open update counts by its new right, of the person that its row has
\c - sd_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - sd_app
UPDATE hr.role_grant SET role = 'pay' WHERE person_id = 1 AND role = 'read';
UPDATE hr.role_grant SET role = 'write' WHERE person_id = 1 AND role = 'read';
INSERT INTO hr.role_grant VALUES (1, 'extra');
INSERT INTO hr.role_grant VALUES (5, 'audit');
UPDATE hr.role_grant SET role = 'spare' WHERE person_id = 2 AND role = 'pay';
INSERT INTO hr.role_grant VALUES (2, 'audit');
SELECT r.id - (SELECT min(id) FROM idflow.request WHERE state = 'open') AS n, c.operation, c.new_row
  FROM idflow.request r JOIN idflow.change c ON c.request = r.id WHERE r.state = 'open' ORDER BY r.id;

-- -------------------------- looked at again when it is decided: the data moved
\c - :me
BEGIN;
SELECT idflow.bypass('the data of a merger');
INSERT INTO hr.role_grant VALUES (5, 'pay');
COMMIT;
\c - sd_boss
SELECT sqlstate, message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) ORDER BY task;
SELECT idflow.decline(task) FROM idflow.inbox;

-- --------------------------------------------------------------- violations
\c - :me
BEGIN;
SELECT idflow.bypass('as it was before');
INSERT INTO hr.role_grant VALUES (6, 'order'), (6, 'pay'), (6, 'audit'), (5, 'audit');
COMMIT;
SELECT * FROM idflow.separation_violation ORDER BY person, right_a, right_b;
\c - sd_audit
SELECT person, right_a, right_b, severity FROM idflow.separation_violation ORDER BY person, right_a, right_b;
-- of drafts it does not speak, and to others of nothing
\c - sd_app
SELECT count(*) FROM idflow.separation_violation;
SELECT count(*) FROM idflow.separation_violations();
\c - sd_boss
SELECT count(*) FROM idflow.separation_violation;
-- a person who is in a conflict already may get what has no part in it
\c - sd_app
INSERT INTO hr.role_grant VALUES (6, 'read');
SELECT idflow.withdraw(idflow.last_request());

-- ------------------------------------------------------------ further review
\c - :me
SELECT version FROM idflow.deploy(public.wf('Do="Review" Profile="risk"', '<PointCut Activity="Grant:Request" ActivityState="Executed" Mode="After"/>
 <PointCut Activity="Grant:Review" ActivityState="Approved"/>'));
\c - sd_app
INSERT INTO hr.role_grant VALUES (1, 'pay');
SELECT state, activity, activity_state FROM idflow.request WHERE id = idflow.last_request();
SELECT activity, principal, via FROM idflow.decider WHERE request = idflow.last_request();
SELECT activity, transition, comment, data FROM idflow.event WHERE request = idflow.last_request() AND transition = 'Separate';
SELECT idflow.last_request() AS request \gset
\c - sd_boss
SELECT count(*) FROM idflow.inbox;
SELECT idflow.rebase(:request);
\c - sd_risk
SELECT activity, activity_state, via, verbs FROM idflow.inbox;
SELECT idflow.rebase(:request);
SELECT idflow.resolve(:request, 1, '{}');
SELECT idflow.approve(task, 'for one month') FROM idflow.inbox;
-- then its own way, and the same conflict is not asked about again
\c - sd_boss
SELECT activity FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.role_grant WHERE person_id = 1 ORDER BY role;
SELECT e.activity, e.transition, e.actor FROM idflow.event e WHERE e.request = (SELECT max(id) FROM idflow.request) ORDER BY e.seq;
-- one that is declined ends there; one without a conflict never comes there
\c - sd_app
INSERT INTO hr.role_grant VALUES (3, 'order');
INSERT INTO hr.role_grant VALUES (7, 'order');
SELECT activity FROM idflow.request WHERE state = 'open' ORDER BY id;
\c - sd_risk
SELECT idflow.decline(task, 'no') FROM idflow.inbox;
\c - sd_boss
SELECT idflow.approve(task) FROM idflow.inbox;
-- a conflict that comes up later, and a draft that changed after it was looked at
\c - sd_app
INSERT INTO hr.role_grant VALUES (8, 'order');
\c - :me
BEGIN;
SELECT idflow.bypass('test');
INSERT INTO hr.role_grant VALUES (8, 'pay');
COMMIT;
\c - sd_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - sd_risk
SELECT activity FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.role_grant WHERE person_id = 8 ORDER BY role;
-- two aspects, two reviews, one after the other
CREATE VIEW hr.all_conflicts AS SELECT role_a, role_b, severity FROM risk.conflict UNION ALL VALUES ('read', 'pay', NULL);
SELECT version FROM idflow.deploy(replace(public.wf('Do="Review" Profile="risk"', '<PointCut Activity="Grant:Request" ActivityState="Executed" Mode="After"/>')::text,
 '</ConfigurationFile>', '<SeparationAspect Identifier="Second_Look" Binding="person_id" Right="role" Conflicts="hr.all_conflicts" Do="Review" Profile="boss"
 Expression="SQL:ARRAY(SELECT g.role FROM hr.role_grant g WHERE g.person_id = new.person_id)"><PointCut Activity="Grant:Request" ActivityState="Executed"/></SeparationAspect></ConfigurationFile>')::xml);
\c - sd_app
INSERT INTO hr.role_grant VALUES (7, 'pay');
INSERT INTO hr.role_grant VALUES (7, 'read');
SELECT activity FROM idflow.request WHERE state = 'open' ORDER BY id;
\c - sd_risk
SELECT activity, idflow.approve(task) FROM idflow.inbox;
\c - sd_boss
SELECT activity, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT activity, idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT workflow, aspect, person, right_a, right_b, severity, message FROM idflow.separation_violation ORDER BY 2, 3, 4, 5;

-- ----------- after the rows are written a request may swap what it takes away
SELECT version FROM idflow.deploy(public.wf('', '<PointCut Activity="Grant:Persist" ActivityState="Invoked" Mode="After"/>'));
\c - sd_app
BEGIN;
SELECT idflow.begin_request() > 0 AS begun;
DELETE FROM hr.role_grant WHERE person_id = 3 AND role = 'pay';
INSERT INTO hr.role_grant VALUES (3, 'order');
SELECT idflow.submit(idflow.last_request());
COMMIT;
INSERT INTO hr.role_grant VALUES (4, 'order');
INSERT INTO hr.role_grant VALUES (4, 'pay');
\c - sd_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task LIMIT 2;
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT idflow.decline(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.role_grant WHERE person_id IN (3, 4) ORDER BY 1, 2;

-- ------------------------------------- without Right, Expression says it all
SELECT version FROM idflow.deploy(replace(public.wf('IfExpression="SQL:new.person_id &lt; 100"')::text, 'Right="role"', '')::xml);
SELECT version FROM idflow.deploy(replace(replace(public.wf('IfExpression="SQL:new.person_id &lt; 100"')::text, 'Right="role"', ''),
 'new.person_id)"', 'new.person_id UNION SELECT new.role) -- the one asked for"')::xml);
\c - sd_app
INSERT INTO hr.role_grant VALUES (9, 'order');
INSERT INTO hr.role_grant VALUES (9, 'pay');
INSERT INTO hr.role_grant VALUES (109, 'order'), (109, 'pay');
\c - :me
SELECT person, right_a, right_b FROM idflow.separation_violation ORDER BY 1, 2, 3;
-- many people take no time worth speaking of
BEGIN;
SELECT idflow.bypass('test');
INSERT INTO hr.role_grant SELECT n, r FROM generate_series(1000, 10999) n, unnest(CASE WHEN n % 100 = 0 THEN '{order,pay}' ELSE '{order,read}' END::text[]) r;
COMMIT;
SELECT version FROM idflow.deploy(public.wf());
SET statement_timeout = '20s';
SELECT count(*), min(person::int), max(person::int) FROM idflow.separation_violation WHERE person::int >= 1000;
RESET statement_timeout;
-- hostile: names with quotes and braces, a relation that is gone
INSERT INTO risk.conflict VALUES (E'x\x1f",\\', '{y,[', NULL);
\c - sd_app
INSERT INTO hr.role_grant VALUES (9, E'x\x1f",\\');
INSERT INTO hr.role_grant VALUES (9, '{y,[');
\c - :me
DROP VIEW hr.all_conflicts;
DROP TABLE risk.conflict;
\c - sd_app
INSERT INTO hr.role_grant VALUES (10, 'pay');
\c - :me
SELECT count(*) FROM idflow.separation_violation;
\c :home
DROP DATABASE idflow_separation_data;
DROP ROLE sd_app, sd_boss, sd_risk, sd_audit;
