-- Retention: what requests said is forgotten in time
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
SET idflow.notice = off;
CREATE SCHEMA regress_rt;
CREATE TABLE regress_rt.person (id int PRIMARY KEY, salary int);
CREATE FUNCTION pg_temp.wf(retention text) RETURNS xml LANGUAGE sql AS $$
SELECT format('<Workflow Identifier="regress_rt" DisplayName_L1="Person" Retention="%s" Title="SQL:''salary '' || new.salary">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="rt_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>', retention)::xml $$;
SELECT r, v.message, v.hint FROM unnest('{soon,-P1D,P0D,P1Y,90 days}'::text[]) WITH ORDINALITY t (r, n)
  LEFT JOIN LATERAL (SELECT * FROM idflow.validate(pg_temp.wf(r)::text) v WHERE severity = 'error') v ON true ORDER BY n;
SELECT version FROM idflow.deploy(pg_temp.wf('P1Y'));
SELECT idflow.export('regress_rt')::text LIKE '%Retention="P1Y"%' AS kept;
SELECT idflow.attach('regress_rt', 'regress_rt.person');

SET idflow.actor = 'rt_ann';
SET idflow.comment = 'please';
INSERT INTO regress_rt.person VALUES (1, 10);
SELECT idflow.last_request() AS r \gset
SELECT idflow.comment(:r, 'my words', '{"my": "data", "digests": {"my": "own"}}') > 0 AS said;
RESET idflow.comment;
SELECT count(*) FROM idflow.timer WHERE request = :r;
SET idflow.actor = 'rt_boss';
SELECT idflow.approve(task, 'her words') FROM idflow.inbox WHERE request = :r;
-- from the end on, a year
SELECT kind, due_at = closed_at + interval '1 year' AS in_a_year FROM idflow.timer t JOIN idflow.request q ON q.id = t.request WHERE q.id = :r;
CREATE TEMP TABLE before AS SELECT seq, at, actor, activity, transition, from_state, to_state, data -> 'digests' AS digests FROM idflow.event WHERE request = :r;
-- a timer that comes too early waits
UPDATE idflow.timer SET due_at = now() - interval '1 second' WHERE request = :r;
SELECT idflow.run_due() > 0 AS ran;
SELECT title, due_at > now() + interval '300 days' AS waits FROM idflow.timer t JOIN idflow.request q ON q.id = t.request WHERE q.id = :r;
UPDATE idflow.request SET closed_at = closed_at - interval '2 years' WHERE id = :r;
-- nor does it come before the jobs are done
INSERT INTO idflow.job (request, kind, payload) VALUES (:r, 'rt', '{"salary": 10}');
UPDATE idflow.timer SET due_at = now() - interval '1 second' WHERE request = :r;
SELECT idflow.run_due() > 0 AS ran;
SELECT title, due_at > now() AS waits FROM idflow.timer t JOIN idflow.request q ON q.id = t.request WHERE q.id = :r;
UPDATE idflow.job SET state = 'done', finished_at = now() WHERE request = :r;
UPDATE idflow.timer SET due_at = now() - interval '1 second' WHERE request = :r;
SELECT idflow.run_due() > 0 AS ran;
SELECT count(*) FROM idflow.timer WHERE request = :r;
SELECT title, state, requester FROM idflow.request WHERE id = :r;
SELECT old_row, new_row, key FROM idflow.change WHERE request = :r;
SELECT seq, actor, transition, to_state, comment, data - 'digests' - 'task' AS data FROM idflow.event WHERE request = :r ORDER BY seq;
SELECT vote, comment FROM idflow.vote WHERE request = :r;
SELECT payload FROM idflow.job WHERE request = :r;
-- what happened, and the digests, stay; a comment's own data are words, too
SELECT bool_and((b.at, b.actor, b.activity, b.transition, b.from_state, b.to_state) IS NOT DISTINCT FROM (e.at, e.actor, e.activity, e.transition, e.from_state, e.to_state)) AS same,
       bool_and(b.digests IS NOT DISTINCT FROM e.data -> 'digests') FILTER (WHERE e.transition <> 'Comment') AS digests, count(b.digests) > 1 AS some
  FROM before b JOIN idflow.event e ON e.request = :r AND e.seq = b.seq;
SELECT * FROM regress_rt.person;

-- what is granted for a time is kept until it has ended
SET idflow.actor = 'rt_ann';
SET idflow.expires_at = '2100-01-01';
INSERT INTO regress_rt.person VALUES (2, 20);
RESET idflow.expires_at;
SELECT idflow.last_request() AS r \gset
SET idflow.actor = 'rt_boss';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :r;
UPDATE idflow.request SET closed_at = closed_at - interval '2 years' WHERE id = :r;
UPDATE idflow.timer SET due_at = now() - interval '1 second' WHERE request = :r AND kind = 'retention';
SELECT idflow.run_due() > 0 AS ran;
SELECT kind, extract(year FROM due_at) AS year FROM idflow.timer WHERE request = :r ORDER BY 1;
SELECT title FROM idflow.request WHERE id = :r;

-- one that is withdrawn, and purged before its time
SET idflow.actor = 'rt_ann';
INSERT INTO regress_rt.person VALUES (3, 30);
SELECT idflow.last_request() AS r \gset
SELECT idflow.withdraw(:r, 'a mistake');
SELECT count(*) FROM idflow.timer WHERE request = :r;
SELECT idflow.purge(:r);
SELECT title, state FROM idflow.request WHERE id = :r;
SELECT seq, transition, comment FROM idflow.event WHERE request = :r ORDER BY seq;
SELECT count(*) FROM idflow.timer WHERE request = :r;

-- none where the workflow says nothing
SELECT version FROM idflow.deploy(replace(pg_temp.wf('P1Y')::text, 'Retention="P1Y" ', '')::xml);
INSERT INTO regress_rt.person VALUES (4, 40);
SELECT idflow.withdraw(idflow.last_request());
SELECT count(*) FROM idflow.timer WHERE request = idflow.last_request();
RESET idflow.actor;

DELETE FROM idflow.timer WHERE kind IN ('retention', 'expiry') AND request IN (SELECT id FROM idflow.request WHERE workflow = 'regress_rt');
SELECT idflow.detach('regress_rt', 'regress_rt.person');
DROP SCHEMA regress_rt CASCADE;
