-- Jobs: scripts and provisioning, taken by agents with plain SQL.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_job;
\c idflow_job
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE jo_app LOGIN;
CREATE ROLE jo_boss LOGIN;
CREATE ROLE jo_agent LOGIN;
CREATE ROLE jo_other LOGIN;
CREATE SCHEMA jo;
GRANT USAGE ON SCHEMA jo TO PUBLIC;
CREATE TABLE jo.account (id int PRIMARY KEY, login text, hash text);
GRANT SELECT, INSERT, UPDATE, DELETE ON jo.account TO jo_app;
-- who takes jobs is said by a grant
GRANT EXECUTE ON FUNCTION idflow.take_job(text, interval), idflow.finish_job(bigint, jsonb), idflow.fail_job(bigint, text) TO jo_agent;
CREATE FUNCTION public.decide() RETURNS SETOF text LANGUAGE sql AS
$$SELECT a.state || coalesce(': ' || a.message, '') FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a$$;
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
  <Workflow Identifier="Account" DisplayName_L1="An account" Title="SQL:coalesce(new.login, old.login)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="jo_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
    <Column Name="hash" Show="No"/>
  </Workflow>
  <InvokeScriptAspect Identifier="Ticket" ScriptFile="open-ticket" Expression="SQL:upper(new.login)" IfExpression="SQL:new.login &lt;&gt; 'quiet'">
    <PointCut Activity="Account:Review" ActivityState="ReviewPending"/>
  </InvokeScriptAspect>
  <InvokeScriptAspect Identifier="Mailbox" Agent="mail" ScriptFile="make-mailbox">
    <PointCut Activity="Account:Persist" ActivityState="Invoked" Mode="After"/>
  </InvokeScriptAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Account', 'jo.account', '{INSERT,UPDATE,DELETE}');
SELECT idflow.add_provisioning('jo.account', 'ldap');

\c - jo_app
SET idflow.notice = off;
INSERT INTO jo.account VALUES (1, 'ann', 's3cret');
INSERT INTO jo.account VALUES (2, 'quiet', 's3cret');
-- what is rolled back sets nothing off
BEGIN;
INSERT INTO jo.account VALUES (3, 'gone', 's3cret');
ROLLBACK;
-- the requester sees that there is a job, not what is in it
SELECT kind, script, aspect, activity, state FROM idflow.job ORDER BY id;
SELECT payload FROM idflow.job;
SELECT request, reason, on_whom FROM idflow.waiting ORDER BY request, reason;
SELECT * FROM idflow.take_job('script', '1 min');
-- a stranger sees nothing
\c - jo_other
SELECT kind FROM idflow.job;
SELECT idflow.finish_job(1);
SELECT idflow.job_event(1, 'x', 'y', NULL);

\c - jo_agent
SELECT kind FROM idflow.job;
SELECT kind, script, payload, state, attempts FROM idflow.take_job('script', '1 min');
SELECT id FROM idflow.take_job('script', '1 min');
SELECT id FROM idflow.take_job('mail', '1 min');
SELECT idflow.finish_job(1, '{"ticket": 17}');
SELECT idflow.finish_job(1);
SELECT idflow.finish_job(99);
\c - jo_boss
SELECT public.decide();
SELECT public.decide();
\c - :me
SELECT kind, script, activity, state, payload FROM idflow.job WHERE state <> 'done' ORDER BY id;
SELECT r.title, e.actor, e.via, e.transition, e.data FROM idflow.event e JOIN idflow.request r ON r.id = e.request WHERE e.transition LIKE 'Job%' ORDER BY 1, e.seq;

-- --------------------------------------------------------------- it goes wrong
\c - jo_agent
SET idflow.agent = 'first';
SELECT id AS job FROM idflow.take_job('mail', '1 min') \gset
SELECT idflow.fail_job(:job, 'no such host');
SELECT count(*) FROM idflow.take_job('mail', '1 min') WHERE id = :job;
\c - :me
SELECT state, attempts, error, run_after > clock_timestamp() + interval '8 s' AS later, taken_by FROM idflow.job WHERE id = :job;
-- pauses grow, and the eighth attempt is the last
DO $$
DECLARE j bigint; pause interval; pauses text := '';
BEGIN
	FOR i IN 1..7 LOOP
		UPDATE idflow.job SET run_after = clock_timestamp() - interval '1 day' WHERE id = (SELECT min(id) FROM idflow.job WHERE kind = 'mail');
		SELECT id INTO j FROM idflow.take_job('mail', '1 min');
		PERFORM idflow.fail_job(j, 'still none');
		SELECT date_trunc('minute', run_after - clock_timestamp() + interval '1 s') INTO pause FROM idflow.job WHERE id = j;
		pauses := pauses || ' ' || extract(epoch FROM pause);
	END LOOP;
	RAISE NOTICE 'pauses in whole minutes:%', pauses;
END $$;
SELECT state, attempts, error, finished_at IS NOT NULL AS over FROM idflow.job WHERE kind = 'mail' ORDER BY id LIMIT 1;
SELECT state, detail FROM idflow.health() WHERE subject = 'job';
SELECT transition, comment, data -> 'attempts' AS attempts FROM idflow.event WHERE transition = 'JobFailed';
SELECT reason, on_whom FROM idflow.waiting WHERE reason LIKE 'job failed';
SELECT idflow.retry_job(min(id)) FROM idflow.job WHERE state = 'failed';
SELECT idflow.retry_job(1);
-- an agent that dies: its lease runs out, another takes over, and its late word doesn't count
\c - jo_agent
SET idflow.agent = 'first';
SELECT id AS job FROM idflow.take_job('ldap', '1 ms') \gset
SELECT pg_sleep(0.01);
SET idflow.agent = 'second';
SELECT id = :job AS same, attempts FROM idflow.take_job('ldap', '1 min');
SET idflow.agent = 'first';
SELECT idflow.finish_job(:job);
SELECT idflow.fail_job(:job, 'x');
SET idflow.agent = 'second';
SELECT idflow.finish_job(:job);
-- bad arguments
SELECT idflow.take_job(NULL, '1 min');
SELECT idflow.take_job('ldap', '-1 min');

-- ----------------------------------------------------- provisioning held back
\c - :me
SELECT count(*) FROM idflow.deploy(replace(idflow.export('Account')::text, 'Template="Persist"', 'Template="Persist" ArgumentBlockProvisioning="true"')::xml);
\c - jo_app
SET idflow.notice = off;
UPDATE jo.account SET login = 'anna', hash = 's3cret2' WHERE id = 1;
DELETE FROM jo.account WHERE id = 2;
\c - jo_boss
SELECT public.decide();
\c - jo_agent
SELECT count(*) FROM idflow.take_job('ldap', '1 min') WHERE attempts > 1;
\c - :me
SELECT state, payload - '{request,change}'::text[] AS payload FROM idflow.job WHERE kind = 'ldap' AND state = 'blocked' ORDER BY id;
SELECT reason, on_whom FROM idflow.waiting WHERE reason = 'job blocked';
SELECT idflow.unblock_jobs(request) FROM idflow.job WHERE state = 'blocked' ORDER BY request;
SELECT idflow.drop_provisioning('jo.account');
\c - jo_app
SET idflow.notice = off;
INSERT INTO jo.account VALUES (5, 'eve', 'x');
\c - jo_boss
SELECT public.decide();
\c - :me
SELECT kind, count(*) FROM idflow.job GROUP BY kind ORDER BY kind;
SELECT count(*) FROM idflow.job WHERE payload::text LIKE '%s3cret%';
SELECT idflow.add_provisioning(NULL);

\c :home :me
DROP DATABASE idflow_job;
DROP ROLE jo_app, jo_boss, jo_agent, jo_other;
