-- Every mix of approval, decline and silence of one to five people, under each
-- policy, against a table written by hand: how many approvals end the task as
-- approved, and how many declines end it as declined, because the workflow says
-- so or because too few are left to approve it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
SET idflow.notice = off;
CREATE SCHEMA vo;

CREATE TABLE vo.policy (policy text, approvals text, declines text, people int, approved_by int, declined_by int);
INSERT INTO vo.policy VALUES
	('one',        '1',   '1',   1, 1, 1), ('one',        '1',   '1',   2, 1, 1), ('one',        '1',   '1',   3, 1, 1), ('one',        '1',   '1',   4, 1, 1), ('one',        '1',   '1',   5, 1, 1),
	('lenient',    '1',   'all', 1, 1, 1), ('lenient',    '1',   'all', 2, 1, 2), ('lenient',    '1',   'all', 3, 1, 3), ('lenient',    '1',   'all', 4, 1, 4), ('lenient',    '1',   'all', 5, 1, 5),
	('two',        '2',   '2',   1, 2, 2), ('two',        '2',   '2',   2, 2, 1), ('two',        '2',   '2',   3, 2, 2), ('two',        '2',   '2',   4, 2, 2), ('two',        '2',   '2',   5, 2, 2),
	('three',      '3',   '1',   1, 3, 1), ('three',      '3',   '1',   2, 3, 1), ('three',      '3',   '1',   3, 3, 1), ('three',      '3',   '1',   4, 3, 1), ('three',      '3',   '1',   5, 3, 1),
	('half',       '50%', '50%', 1, 1, 1), ('half',       '50%', '50%', 2, 1, 1), ('half',       '50%', '50%', 3, 2, 2), ('half',       '50%', '50%', 4, 2, 2), ('half',       '50%', '50%', 5, 3, 3),
	('two thirds', '66%', '3',   1, 1, 1), ('two thirds', '66%', '3',   2, 2, 1), ('two thirds', '66%', '3',   3, 2, 2), ('two thirds', '66%', '3',   4, 3, 2), ('two thirds', '66%', '3',   5, 4, 2),
	('unanimous',  'all', '2',   1, 1, 1), ('unanimous',  'all', '2',   2, 2, 1), ('unanimous',  'all', '2',   3, 3, 1), ('unanimous',  'all', '2',   4, 4, 1), ('unanimous',  'all', '2',   5, 5, 1);

CREATE TABLE vo.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, policy text, people text[]);
SELECT count(v) FROM (SELECT DISTINCT policy, approvals, declines FROM vo.policy) p, LATERAL idflow.deploy(format($$
<Workflow Identifier=%s DisplayName_L1="Vote">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review" Approvals=%s Declines=%s>
    <Actor Expression="SQL:new.people"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$, '"vo_' || replace(policy, ' ', '_') || '"', '"' || approvals || '"', '"' || declines || '"')::xml) v;
SELECT count(idflow.attach('vo_' || replace(policy, ' ', '_'), 'vo.thing', condition => format('new.policy = %L', policy)))
FROM (SELECT DISTINCT policy FROM vo.policy) p;

-- they vote one after the other, as far as the task is open
CREATE FUNCTION vo.outcome(policy text, mix text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text := 'open';
	task bigint;
BEGIN
	PERFORM set_config('idflow.actor', 'requester', true);
	INSERT INTO vo.thing (policy, people) SELECT outcome.policy, array_agg('p' || g) FROM generate_series(1, length(mix)) g;
	SELECT max(t.id) INTO task FROM idflow.task t;
	FOR i IN 1 .. length(mix) LOOP
		CONTINUE WHEN substr(mix, i, 1) = '-';
		PERFORM set_config('idflow.actor', 'p' || i, true);
		state := CASE substr(mix, i, 1) WHEN 'A' THEN idflow.approve(task) ELSE idflow.decline(task) END;
		EXIT WHEN state <> 'open';
	END LOOP;
	RETURN state;
END $$;

-- the same by the table: who comes first to his number
CREATE FUNCTION vo.expected(mix text, approved_by int, declined_by int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a int := 0;
	d int := 0;
BEGIN
	FOR i IN 1 .. length(mix) LOOP
		a := a + (substr(mix, i, 1) = 'A')::int;
		d := d + (substr(mix, i, 1) = 'D')::int;
		IF a >= approved_by THEN RETURN 'committed'; END IF;
		IF d >= declined_by THEN RETURN 'declined'; END IF;
	END LOOP;
	RETURN 'open';
END $$;

CREATE TABLE vo.result AS
	WITH RECURSIVE mix (mix) AS (
		VALUES ('') UNION ALL SELECT m.mix || v FROM mix m, unnest('{A,D,-}'::text[]) v WHERE length(m.mix) < 5
	)
	SELECT p.policy, m.mix, vo.expected(m.mix, p.approved_by, p.declined_by) AS expected, vo.outcome(p.policy, m.mix) AS outcome
	FROM mix m JOIN vo.policy p ON p.people = length(m.mix);
SELECT policy, count(*) AS mixes, count(*) FILTER (WHERE outcome = 'committed') AS committed,
	count(*) FILTER (WHERE outcome = 'declined') AS declined, count(*) FILTER (WHERE outcome = 'open') AS open,
	count(*) FILTER (WHERE outcome IS DISTINCT FROM expected) AS wrong
FROM vo.result GROUP BY policy ORDER BY policy;
SELECT * FROM vo.result WHERE outcome IS DISTINCT FROM expected ORDER BY length(mix), policy, mix LIMIT 20;
-- what was committed is there, and nothing else
SELECT (SELECT count(*) FROM vo.thing) = (SELECT count(*) FROM vo.result WHERE outcome = 'committed') AS agrees;

SELECT count(idflow.withdraw(r.id)) > 0 AS withdrawn FROM idflow.request r WHERE r.workflow LIKE 'vo\_%' AND r.state = 'open';
DROP SCHEMA vo CASCADE;
