-- Forgetting a person
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
SET idflow.notice = off;
CREATE ROLE regress_er_admin;
GRANT idflow_admin TO regress_er_admin;
CREATE SCHEMA regress_er;
CREATE TABLE regress_er.person (id int PRIMARY KEY, login text, salary int);
INSERT INTO regress_er.person VALUES (1, 'er_ann', 10), (2, 'er_bob', 20);
SELECT count(*) FROM idflow.deploy($$<ConfigurationFile><Workflow Identifier="regress_er" DisplayName_L1="Person" Title="SQL:'about ' || new.login" Subject="SQL:new.login" Trace="true">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="er_ann"/><Actor Principal="er_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<NotificationAspect Identifier="regress_er_mail" SubjectExpression_L1="SQL:'for ' || new.login" BodyExpression_L1="SQL:new.salary::text"><PointCut Activity="regress_er:Review" ActivityState="ReviewWithFeedback-ReviewPending" Mode="After"/><Recipient Type="Hardcoded" EmailAddresses="hr@example.com"/><Recipient Type="Actor" Activity="regress_er:Review" ActivityState="ReviewWithFeedback-ReviewPending"/></NotificationAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('regress_er', 'regress_er.person', '{INSERT,UPDATE}');
INSERT INTO idflow.profile_member VALUES ('regress_er_staff', 'er_ann');

-- about her, asked for by another
SET idflow.actor = 'er_hr';
SET idflow.comment = 'Ann deserves it';
UPDATE regress_er.person SET salary = 11 WHERE id = 1;
SELECT idflow.last_request() AS about \gset
RESET idflow.comment;
SET idflow.actor = 'er_boss';
SELECT idflow.approve(task, 'she does') FROM idflow.inbox WHERE request = :about;
-- by her, about another; she is a deputy's principal, comments and votes
SET idflow.actor = 'er_ann';
SELECT idflow.add_deputy('er_ann', 'er_dep', tstzrange(now() - interval '1 day', NULL)) > 0 AS made;
SET idflow.title = 'Bob''s raise';
UPDATE regress_er.person SET salary = 21 WHERE id = 2;
SELECT idflow.last_request() AS by \gset
RESET idflow.title;
SELECT idflow.comment(:by, 'says Ann', '{"by": "er_ann", "digests": {"1": {"old": "er_ann"}}}') > 0 AS said;
SET idflow.actor = 'er_boss';
SELECT idflow.refine(task, 'er_ann', 'why') FROM idflow.inbox WHERE request = :by;
SET idflow.actor = 'er_ann';
SELECT idflow.execute(task, 'because') FROM idflow.inbox WHERE request = :by;
SET idflow.actor = 'er_boss';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :by;
-- decided by her, and by a deputy for her
SET idflow.actor = 'er_hr';
UPDATE regress_er.person SET salary = 22 WHERE id = 2;
SELECT idflow.last_request() AS voted \gset
SET idflow.actor = 'er_ann';
SELECT idflow.approve(task, 'Ann agrees') FROM idflow.inbox WHERE request = :voted;
SET idflow.actor = 'er_hr';
UPDATE regress_er.person SET salary = 23 WHERE id = 2;
SELECT idflow.last_request() AS deputised \gset
SET idflow.actor = 'er_dep';
SELECT idflow.approve(task, 'for Ann') FROM idflow.inbox WHERE request = :deputised;
-- of no concern to her, though the reviewers' list has her
SET idflow.actor = 'er_hr';
INSERT INTO regress_er.person VALUES (3, 'er_cat', 5);
SELECT idflow.last_request() AS other \gset
SET idflow.actor = 'er_admin';
SET ROLE regress_er_admin;

-- while somebody needs her she is not forgotten
\set VERBOSITY terse
SELECT idflow.erase('er_ann', 'asked for by er_ann');
\set VERBOSITY default
SELECT idflow.override(:other, 'test', 'Decline');

-- who may, and what it needs
SELECT idflow.erase(NULL, 'x');
SELECT idflow.erase('er_ann', ' ');
SELECT idflow.erase('idflow', 'x');
SELECT idflow.erase('er_admin', 'x');
RESET ROLE;
CREATE ROLE regress_er_plain;
SET ROLE regress_er_plain;
SELECT idflow.erase('er_ann', 'x');
RESET ROLE;
DROP ROLE regress_er_plain;

CREATE TEMP TABLE digests AS SELECT request, seq, data -> 'digests' AS d FROM idflow.event
  WHERE request IN (:about, :by, :voted, :deputised, :other) AND transition IS DISTINCT FROM 'Comment';
SET ROLE regress_er_admin;
SELECT idflow.erase('er_ann', 'asked for by er_ann') AS pseudonym \gset
SELECT :'pseudonym' ~ '^erased-[0-9a-f]{16}$' AS named;
SELECT principal, replace(reason, :'pseudonym', '<pseudonym>') AS reason, asked_by, requests, finished_at IS NOT NULL AS done FROM idflow.erasure WHERE pseudonym = :'pseudonym';
RESET ROLE;

-- nothing of idflow's has her name any more
CREATE FUNCTION pg_temp.rows_with(needle text) RETURNS TABLE (rel text, n bigint) LANGUAGE plpgsql AS $$
DECLARE t regclass;
BEGIN
  FOR t IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'idflow'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relname NOT IN ('workflow', 'activity', 'workflow_element') ORDER BY c.relname LOOP
    EXECUTE format('SELECT count(*) FROM %s t WHERE t::text ~ $1', t) INTO n USING '\m' || needle || '\M';
    IF n > 0 THEN rel := t; RETURN NEXT; END IF;
  END LOOP;
END $$;
SELECT * FROM pg_temp.rows_with('er_ann');
-- what is about her is blank, what is about others is not
SELECT r.id = :about AS about, r.id = :by AS by, replace(r.requester, :'pseudonym', '<pseudonym>') AS requester, replace(r.subject, :'pseudonym', '<pseudonym>') AS subject, title, state,
       c.old_image IS NULL AS blank
  FROM idflow.request r JOIN idflow.change_data c ON c.request = r.id WHERE r.id IN (:about, :by, :voted, :deputised, :other) ORDER BY r.id;
SELECT r.id = :about AS about, e.seq, replace(e.actor, :'pseudonym', '<pseudonym>') AS actor, replace(e.on_behalf_of, :'pseudonym', '<pseudonym>') AS on_behalf_of, e.transition, e.comment
  FROM idflow.request r JOIN idflow.event e ON e.request = r.id WHERE r.id IN (:about, :by, :voted, :deputised) ORDER BY r.id, e.seq;
SELECT replace(data::text, :'pseudonym', '<pseudonym>') LIKE '%u:<pseudonym>%' AS candidates FROM idflow.event WHERE request = :other AND seq = 1;
SELECT replace(principal, :'pseudonym', '<pseudonym>') AS principal, address, subject, body FROM idflow.notification WHERE request IN (:about, :by) ORDER BY request, 1, 2;
SELECT count(*) FROM idflow.trace_step WHERE request = :about;
SELECT principal, deputy FROM idflow.deputy WHERE deputy = 'er_dep';
-- digests are what they were
SELECT count(*) > 4 AS some, bool_and(d.d IS NOT DISTINCT FROM e.data -> 'digests') AS same FROM digests d JOIN idflow.event e USING (request, seq) WHERE d.d IS NOT NULL;

-- a person of whom nothing is known
SET ROLE regress_er_admin;
SELECT idflow.erase('er_nobody', 'x') ~ '^erased-' AS named;
RESET ROLE;

-- a long history is gone through by run_due(), and again if it is interrupted
INSERT INTO idflow.request (workflow, state, requester, opened_at, closed_at, requested_role, events)
  SELECT 'regress_er', 'committed', CASE WHEN i % 1000 = 0 THEN 'er_old' ELSE 'er_x' END, now(), now(), 'postgres', 0 FROM generate_series(1, 13000) i;
SET ROLE regress_er_admin;
SELECT idflow.erase('er_old', 'x') AS old \gset
SELECT principal, requests < 13 AS some, finished_at IS NULL AS going_on, done_to < last_request AS more FROM idflow.erasure WHERE pseudonym = :'old';
SELECT idflow.erase('er_old', 'x');
SELECT count(*) FROM idflow.timer WHERE kind = 'erasure';
SELECT idflow.run_due() > 0 AS did;
SELECT principal, requests, finished_at IS NULL AS going_on, done_to < last_request AS more FROM idflow.erasure WHERE pseudonym = :'old';
SELECT count(*) FROM idflow.timer WHERE kind = 'erasure';
RESET ROLE;
SELECT count(*) FROM idflow.request WHERE requester = 'er_old';
SELECT count(*) FROM idflow.event e JOIN idflow.erasure x ON e.data = jsonb_build_object('erasure', x.id) WHERE x.pseudonym = :'old' AND transition = 'Erase' AND actor = 'er_admin';
DELETE FROM idflow.request WHERE workflow = 'regress_er' AND events <= 1 AND requester IN ('er_x', :'old');

-- ------------------------------------------------------- history is append-only
UPDATE idflow.event SET comment = NULL WHERE request = :by;
UPDATE idflow.event SET actor = 'x' WHERE request = :by;
DELETE FROM idflow.event WHERE request = :by;
TRUNCATE idflow.event;

SET client_min_messages = error;
SELECT idflow.detach('regress_er', 'regress_er.person', true);
DROP SCHEMA regress_er CASCADE;
DROP ROLE regress_er_admin;
