-- What idflow.run_due() does with its caller's limits.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE SCHEMA rd;
CREATE TABLE rd.thing (id int PRIMARY KEY, due date);
CREATE INDEX ON rd.thing (due);
CREATE FUNCTION rd.wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id < 0 AND current_setting('rd.slow', true) = 'on' THEN
		PERFORM pg_sleep(30);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER wait BEFORE INSERT ON rd.thing FOR EACH ROW EXECUTE FUNCTION rd.wait();
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Later" DisplayName_L1="Later">
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Later', 'rd.thing');
SELECT idflow.run_due(NULL);
SELECT idflow.run_due(0);

-- one takes longer than the caller has time: it has failed, and comes after the others
SET idflow.actor = 'anna';
SET idflow.effective_at = '2100-01-01';
INSERT INTO rd.thing VALUES (1);
INSERT INTO rd.thing VALUES (-1);
INSERT INTO rd.thing VALUES (2);
RESET idflow.effective_at;
UPDATE idflow.request SET effective_at = now() - interval '1 hour';
UPDATE idflow.timer SET due_at = now() - interval '1 hour' + id * interval '1 second';
SET rd.slow = on;
SET statement_timeout = '1s';
SELECT idflow.run_due();
RESET statement_timeout;
SELECT id FROM rd.thing ORDER BY id;
SELECT request, attempts, error, due_at > now() AS later FROM idflow.timer WHERE kind = 'effective' ORDER BY id;
SET statement_timeout = '10s';
SELECT idflow.run_due();
RESET statement_timeout;
SELECT id FROM rd.thing ORDER BY id;
SELECT idflow.withdraw(2);

-- a Start goes on after a while, so that the worker's transactions stay small
SELECT idflow.detach('Later', 'rd.thing');
INSERT INTO rd.thing SELECT g, current_date FROM generate_series(11, 260) g;
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Old" DisplayName_L1="Old">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"/>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  <Start Target="rd.thing" Date="due" Operation="DELETE"/>
</Workflow>$$);
SELECT idflow.run_due(20);
SELECT count(*) FROM idflow.started;
SELECT idflow.run_due();
SELECT count(*), count(request) AS requests FROM idflow.started;

SELECT count(idflow.withdraw(id)) FROM idflow.request WHERE state = 'open';
RESET idflow.actor;
DROP SCHEMA rd CASCADE;
