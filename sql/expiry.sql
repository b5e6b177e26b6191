-- What is granted for a time ends: the reverse runs as a request of its own.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_expiry;
\c idflow_expiry
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_expiry SET idflow.notice = off;
ALTER DATABASE idflow_expiry SET datestyle = 'ISO';
CREATE ROLE ex_app LOGIN;
CREATE ROLE ex_boss LOGIN;
CREATE ROLE ex_owner LOGIN;
CREATE ROLE ex_clock LOGIN IN ROLE idflow_admin;
CREATE SCHEMA ex;
GRANT USAGE ON SCHEMA ex TO PUBLIC;
CREATE TABLE ex.grants (id int PRIMARY KEY, person text NOT NULL, role text, level int DEFAULT 1, stamp text, UNIQUE (person, role));
GRANT SELECT, INSERT, UPDATE, DELETE ON ex.grants TO ex_app;
CREATE FUNCTION ex.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stamp := coalesce(OLD.stamp, '') || '*'; RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON ex.grants FOR EACH ROW EXECUTE FUNCTION ex.stamp();
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Grant" DisplayName_L1="A grant" Title="SQL:coalesce(new.person, old.person)">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="ex_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Grant', 'ex.grants', '{INSERT,UPDATE,DELETE}');
-- the test's clock: a request's end has come
CREATE PROCEDURE public.ends(r bigint) LANGUAGE sql AS $$
	UPDATE idflow.request SET expires_at = now() - interval '1 minute' WHERE id = r;
	UPDATE idflow.timer SET due_at = now() - interval '1 minute' WHERE request = r AND kind = 'expiry';
$$;
CREATE PROCEDURE public.others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('test');
	EXECUTE statement;
	COMMIT;
END$$;
CREATE FUNCTION public.reverse(r bigint) RETURNS TABLE (state text, title text, requester text, role text, changes text) LANGUAGE sql AS $$
	SELECT q.state, q.title, q.requester, q.requested_role,
		(SELECT string_agg(format('%s %s %s -> %s', c.operation, c.key, c.old_row, c.new_row), ', ' ORDER BY c.seq) FROM idflow.change c WHERE c.request = q.id)
	FROM idflow.request q WHERE q.parent = r ORDER BY q.id $$;
CREATE FUNCTION public.history(r bigint) RETURNS TABLE (actor text, via text, transition text, comment text) LANGUAGE sql AS $$
	SELECT actor, via, transition, comment FROM idflow.event WHERE request = r ORDER BY seq $$;
CALL others('INSERT INTO ex.grants VALUES (50, ''zoe'', ''auditor''), (51, ''yan'', ''auditor''), (52, ''xia'', ''auditor'')');

-- ------------------------------------------------- each operation and its reverse
\c - ex_app
SET idflow.expires_at = '2100-01-01 00:00+00';
INSERT INTO ex.grants VALUES (1, 'ann', 'admin');
SELECT idflow.last_request() AS i1 \gset
UPDATE ex.grants SET role = 'admin', level = 5 WHERE id = 50;
SELECT idflow.last_request() AS u1 \gset
DELETE FROM ex.grants WHERE id = 51;
SELECT idflow.last_request() AS d1 \gset
RESET idflow.expires_at;
\c - ex_boss
SELECT expires_at AT TIME ZONE 'UTC' AS utc, effective_at FROM idflow.request WHERE id = :i1;
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT * FROM ex.grants ORDER BY id;
SELECT kind, request = :i1 AS i1, due_at AT TIME ZONE 'UTC' AS utc FROM idflow.timer ORDER BY request;
SELECT idflow.run_due();
-- a column that nobody has granted changes meanwhile: it stays
CALL public.others('UPDATE ex.grants SET person = ''zoë'' WHERE id = 50');
CALL public.ends(:i1);
CALL public.ends(:u1);
CALL public.ends(:d1);
\c - ex_clock
SELECT idflow.run_due();
SELECT idflow.run_due();
\c - :me
SELECT * FROM ex.grants ORDER BY id;
SELECT * FROM public.reverse(:i1);
SELECT * FROM public.reverse(:u1);
SELECT * FROM public.reverse(:d1);
SELECT * FROM public.history((SELECT id FROM idflow.request WHERE parent = :i1));
SELECT * FROM public.history(:i1);
SELECT data -> 'request' = to_jsonb((SELECT id FROM idflow.request WHERE parent = :i1)) AS names_it FROM idflow.event WHERE request = :i1 ORDER BY seq DESC LIMIT 1;

-- ------------------------------------------------------ what happened meanwhile
\c - ex_app
SET idflow.expires_at = '2100-01-01';
INSERT INTO ex.grants VALUES (2, 'bob', 'admin');
SELECT idflow.last_request() AS i2 \gset
INSERT INTO ex.grants VALUES (3, 'cid', 'admin');
SELECT idflow.last_request() AS i3 \gset
UPDATE ex.grants SET level = 9 WHERE id = 52;
SELECT idflow.last_request() AS u2 \gset
BEGIN;
SELECT idflow.begin_request('two at once', expires_at => '2100-01-01') AS b1 \gset
INSERT INTO ex.grants VALUES (4, 'dan', 'admin');
UPDATE ex.grants SET role = 'operator' WHERE id = 52;
COMMIT;
SELECT idflow.submit(:b1);
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
-- gone already; changed: people decide; one of two gone
CALL public.others('DELETE FROM ex.grants WHERE id IN (2, 4)');
CALL public.others('UPDATE ex.grants SET level = 3 WHERE id IN (3, 52)');
CALL public.ends(:i2);
CALL public.ends(:i3);
CALL public.ends(:u2);
CALL public.ends(:b1);
SELECT idflow.run_due();
SELECT count(*) FROM idflow.request WHERE parent = :i2;
SELECT comment, data -> 'nothing_to_reverse' AS nothing FROM idflow.event WHERE request IN (:i2, :b1) AND transition = 'Expire' ORDER BY request;
SELECT state, changes FROM public.reverse(:i3);
SELECT state, changes FROM public.reverse(:u2);
SELECT state, changes FROM public.reverse(:b1);
SELECT id AS x3 FROM idflow.request WHERE parent = :i3 \gset
SELECT id AS xu FROM idflow.request WHERE parent = :u2 \gset
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :xu;
\c - ex_app
SELECT request = :x3 AS x3, reason FROM idflow.waiting ORDER BY request;
SELECT idflow.resolve(:x3, (SELECT id FROM idflow.change WHERE request = :x3), '{"level": "draft"}');
SELECT idflow.resolve(:xu, (SELECT id FROM idflow.change WHERE request = :xu), '{"level": "live"}');
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT * FROM ex.grants ORDER BY id;

-- the requester has lost the right to take it back: failed, and retried
\c - ex_app
SET idflow.expires_at = '2100-01-01';
INSERT INTO ex.grants VALUES (5, 'eve', 'admin');
SELECT idflow.last_request() AS i5 \gset
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
REVOKE DELETE ON ex.grants FROM ex_app;
CALL public.ends(:i5);
SELECT idflow.run_due();
SELECT id AS x5, state FROM idflow.request WHERE parent = :i5 \gset
\echo :state
\c - ex_app
SELECT reason, remedy LIKE 'Remove the cause (permission denied for table grants), then call idflow.retry(%' AS remedy FROM idflow.waiting WHERE request = :x5;
\c - :me
GRANT DELETE ON ex.grants TO ex_app;
\c - ex_app
SELECT idflow.retry(:x5);
SELECT count(*) FROM ex.grants WHERE id = 5;

-- ------------------------------------------------- who may say when it ends
BEGIN;
SELECT idflow.begin_request('until 2100', expires_at => '2100-01-01') AS s1 \gset
INSERT INTO ex.grants VALUES (6, 'fay', 'admin');
COMMIT;
SELECT idflow.submit(:s1);
\c - ex_boss
SELECT task AS t FROM idflow.inbox \gset
SELECT idflow.save(:t, '{"expires_at": "2150-01-01"}');
SELECT idflow.save(:t, '{"expires_at": null}');
SELECT idflow.save(:t, '{"expires_at": "soon"}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.save(:t, '{"expires_at": 7}');
SELECT idflow.save(:t, '{"expires_at": "2020-01-01"}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.save(:t, '{"request.expires_at": "2090-01-01 00:00+00"}', 'ten years less');
SELECT expires_at AT TIME ZONE 'UTC' AS utc, revision FROM idflow.request WHERE id = :s1;
SELECT transition, comment, data ->> 'expires_at' LIKE '20%' AS told FROM idflow.event WHERE request = :s1 ORDER BY seq DESC LIMIT 1;
-- the requester may ask for more, and is reviewed again
SELECT idflow.refine(:t);
\c - ex_app
SELECT idflow.save(task, '{"expires_at": "2120-01-01 00:00+00"}') FROM idflow.inbox;
SELECT idflow.execute(task) FROM idflow.inbox;
\c - ex_boss
-- who shortens it, beside or without other values: an edit needs other eyes, an end does not
SELECT idflow.save(task, '{"expires_at": "2110-01-01 00:00+00"}') FROM idflow.inbox;
SELECT idflow.approve(task, NULL, 2) FROM idflow.inbox;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT expires_at AT TIME ZONE 'UTC' AS utc, revision FROM idflow.request WHERE id = :s1;
\c - ex_app
INSERT INTO ex.grants VALUES (7, 'guy', 'admin');
SELECT idflow.last_request() AS s2 \gset
\c - ex_boss
SELECT idflow.save(task, '{"expires_at": "2110-01-01", "level": 2}') FROM idflow.inbox;
\c - :me
GRANT UPDATE, INSERT ON ex.grants TO ex_boss;
\c - ex_boss
SELECT idflow.save(task, '{"expires_at": "2110-01-01", "level": 2}') FROM idflow.inbox;
SELECT idflow.approve(task) FROM idflow.inbox;
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.decline(task) FROM idflow.inbox;

-- --------------------------------------------------- the workflow's own; a column
\c - :me
CREATE TABLE ex.badge (id int PRIMARY KEY, expires_at date, days int);
GRANT SELECT, INSERT, UPDATE, DELETE ON ex.badge TO ex_app, ex_boss;
SELECT name FROM idflow.deploy($$<Workflow Identifier="Badge" DisplayName_L1="A badge" EffectiveDate="SQL:now() + new.days * interval '1 day'" ExpiryDate="SQL:new.expires_at">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="ex_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.attach('Badge', 'ex.badge', '{INSERT,DELETE}');
\c - ex_app
INSERT INTO ex.badge VALUES (1, '2020-01-01');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
INSERT INTO ex.badge VALUES (1, current_date + 10, 20);
\set VERBOSITY default
INSERT INTO ex.badge VALUES (1, '2100-01-01');
SELECT idflow.last_request() AS b1 \gset
BEGIN;
SELECT idflow.begin_request(expires_at => '2099-01-01') AS b2 \gset
INSERT INTO ex.badge VALUES (2, '2100-01-01');
COMMIT;
SELECT idflow.submit(:b2);
SELECT id = :b1 AS b1, expires_at FROM idflow.request WHERE id IN (:b1, :b2) ORDER BY id;
\c - ex_boss
-- the draft's column has the name; the request's end has the longer one
SELECT idflow.save(task, '{"expires_at": "2098-01-01"}') FROM idflow.inbox WHERE request = :b1;
SELECT idflow.save(task, '{"request.expires_at": "2097-01-01"}') FROM idflow.inbox WHERE request = :b1;
SELECT expires_at FROM idflow.request WHERE id = :b1;
SELECT new_row FROM idflow.change WHERE request = :b1;
\set VERBOSITY terse
SELECT idflow.save(task, '{"request.expires_at": "2000-01-01 00:00+00"}') FROM idflow.inbox WHERE request = :b1;
SELECT idflow.save(task, '{"request.expires_at": "-infinity"}') FROM idflow.inbox WHERE request = :b1;
\set VERBOSITY default
SELECT idflow.decline(task) FROM idflow.inbox WHERE request = :b1;
-- what has expired before it is approved is not written
\c - :me
UPDATE idflow.request SET expires_asked = now() - interval '1 minute' WHERE id = :b2;
\c - ex_boss
\set VERBOSITY terse
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :b2;
\set VERBOSITY default
SELECT idflow.decline(task) FROM idflow.inbox WHERE request = :b2;

-- a gate that the request has not gone through holds its reverse
\c - :me
CREATE TABLE ex.key (id int PRIMARY KEY, a text);
GRANT SELECT, INSERT, DELETE ON ex.key TO ex_app;
SELECT name FROM idflow.deploy($$<Workflow Identifier="Return" DisplayName_L1="R">
  <Activity Identifier="Hand" DisplayName_L1="H" Template="Review"><Actor Principal="ex_owner"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT name FROM idflow.deploy($$<Workflow Identifier="Give" DisplayName_L1="R">
  <Activity Identifier="Review" DisplayName_L1="R" Template="Review"><Actor Principal="ex_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>$$);
SELECT idflow.attach('Give', 'ex.key');
SELECT idflow.attach('Return', 'ex.key', '{DELETE}');
\c - ex_app
SET idflow.expires_at = '2100-01-01';
INSERT INTO ex.key VALUES (1, 'front door');
SELECT idflow.last_request() AS k1 \gset
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k1;
\c - :me
CALL public.ends(:k1);
SELECT idflow.run_due();
SELECT state, workflow, activity FROM idflow.request WHERE parent = :k1;
\c - ex_owner
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT count(*) FROM ex.key;
-- parents and children of one request: the last written goes first
CREATE TABLE ex.team (id int PRIMARY KEY, name text);
CREATE TABLE ex.member (team int REFERENCES ex.team, person text, since date, PRIMARY KEY (team, person));
GRANT SELECT, INSERT, UPDATE, DELETE ON ex.team, ex.member TO ex_app;
SELECT idflow.attach('Give', 'ex.team', '{INSERT,UPDATE,DELETE}');
SELECT idflow.attach('Give', 'ex.member', '{INSERT,UPDATE,DELETE}');
\c - ex_app
BEGIN;
SELECT idflow.begin_request('a team for a time', expires_at => '2100-01-01') AS m1 \gset
INSERT INTO ex.team VALUES (1, 'night shift');
INSERT INTO ex.member VALUES (1, 'ann'), (1, 'bob');
COMMIT;
SELECT idflow.submit(:m1);
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :m1;
-- a key that was changed is found as it was left
\c - ex_app
SET idflow.expires_at = '2100-01-01';
UPDATE ex.member SET person = 'bobby' WHERE person = 'bob';
SELECT idflow.last_request() AS m2 \gset
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :m2;
\c - :me
SELECT * FROM ex.member ORDER BY person;
CALL public.ends(:m2);
SELECT idflow.run_due();
SELECT * FROM ex.member ORDER BY person;
CALL public.ends(:m1);
SELECT idflow.run_due();
SELECT state, changes FROM public.reverse(:m1);
SELECT (SELECT count(*) FROM ex.team) AS teams, (SELECT count(*) FROM ex.member) AS members;
-- a column that was dropped since is left out; a table that is gone keeps its timer's error
\c - ex_app
SET idflow.expires_at = '2100-01-01';
INSERT INTO ex.team VALUES (2, 'day shift');
SELECT idflow.last_request() AS m3 \gset
INSERT INTO ex.team VALUES (3, 'late shift');
SELECT idflow.last_request() AS m4 \gset
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request IN (:m3, :m4);
\c - :me
ALTER TABLE ex.team DROP COLUMN name;
CALL public.ends(:m3);
SELECT idflow.run_due();
SELECT state, changes FROM public.reverse(:m3);
SELECT * FROM ex.team;
DROP TABLE ex.member, ex.team;
CALL public.ends(:m4);
SELECT idflow.run_due();
SELECT kind, attempts, error FROM idflow.timer WHERE request = :m4;
DELETE FROM idflow.timer WHERE request = :m4;
-- images that are purged
\c - ex_app
SET idflow.expires_at = '2100-01-01';
INSERT INTO ex.key VALUES (2, 'back door');
SELECT idflow.last_request() AS k2 \gset
\c - ex_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :k2;
\c - :me
UPDATE idflow.change_data SET key = NULL, key_columns = NULL, new_image = NULL, new_columns = NULL, key_hash = NULL WHERE request = :k2;
CALL public.ends(:k2);
SELECT idflow.run_due();
SELECT transition, comment FROM idflow.event WHERE request = :k2 ORDER BY seq DESC LIMIT 1;
SELECT count(*) FROM ex.key;
SELECT idflow.undo(:k2);

\c :home :me
DROP DATABASE idflow_expiry WITH (FORCE);
DROP ROLE ex_app, ex_boss, ex_owner, ex_clock;
