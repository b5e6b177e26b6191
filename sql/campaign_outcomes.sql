-- what becomes of an item: every mix of keep, revoke and silence of 1 to 5 who are asked
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
-- a row: how many keep, revoke and say nothing; then, by policy, K or R as soon
-- as that is so, and at the end k, r, or u where nobody has decided it
CREATE TEMPORARY TABLE expected (kept int, revoked int, silent int, one text, every text, deny text, unless text);
COPY expected FROM stdin (DELIMITER ' ');
0 0 1 u u u k
0 1 0 R R R R
1 0 0 K K K K
0 0 2 u u u k
0 1 1 r R R R
1 0 1 K u k k
0 2 0 R R R R
1 1 0 K R R R
2 0 0 K K K K
0 0 3 u u u k
0 1 2 r R R R
1 0 2 K u k k
0 2 1 r R R R
1 1 1 K R R R
2 0 1 K u k k
0 3 0 R R R R
1 2 0 K R R R
2 1 0 K R R R
3 0 0 K K K K
0 0 4 u u u k
0 1 3 r R R R
1 0 3 K u k k
0 2 2 r R R R
1 1 2 K R R R
2 0 2 K u k k
0 3 1 r R R R
1 2 1 K R R R
2 1 1 K R R R
3 0 1 K u k k
0 4 0 R R R R
1 3 0 K R R R
2 2 0 K R R R
3 1 0 K R R R
4 0 0 K K K K
0 0 5 u u u k
0 1 4 r R R R
1 0 4 K u k k
0 2 3 r R R R
1 1 3 K R R R
2 0 3 K u k k
0 3 2 r R R R
1 2 2 K R R R
2 1 2 K R R R
3 0 2 K u k k
0 4 1 r R R R
1 3 1 K R R R
2 2 1 K R R R
3 1 1 K R R R
4 0 1 K u k k
0 5 0 R R R R
1 4 0 K R R R
2 3 0 K R R R
3 2 0 K R R R
4 1 0 K R R R
5 0 0 K K K K
\.
SELECT count(*) FROM expected;
-- none is missing
SELECT n, k, r FROM generate_series(1, 5) n, generate_series(0, n) k, generate_series(0, n - k) r
EXCEPT SELECT kept + revoked + silent, kept, revoked FROM expected;
CREATE TEMPORARY VIEW policies AS
	SELECT e.kept, e.revoked, e.silent, p.policy, p.result,
		idflow.campaign_outcome(p.policy, e.kept, e.revoked, e.kept + e.revoked + e.silent, false) AS now,
		idflow.campaign_outcome(p.policy, e.kept, e.revoked, e.kept + e.revoked + e.silent, true) AS at_end
	FROM expected e, LATERAL (VALUES ('AcceptIfOne', one), ('AcceptIfAll', every), ('DenyIfOne', deny),
		('AcceptUnlessDenied', unless)) p (policy, result);
SELECT * FROM policies
	WHERE now IS DISTINCT FROM CASE result WHEN 'K' THEN 'Keep' WHEN 'R' THEN 'Revoke' END
		OR at_end IS DISTINCT FROM CASE upper(result) WHEN 'K' THEN 'Keep' WHEN 'R' THEN 'Revoke' ELSE 'Unanswered' END;
SELECT policy, count(*) FROM policies GROUP BY policy ORDER BY policy;

-- and so it goes with real votes: three people, a row for each mix of theirs
CREATE ROLE co_app;
GRANT SET ON PARAMETER idflow.actor TO co_app;
SET idflow.notice = off;
CREATE SCHEMA co;
GRANT USAGE ON SCHEMA co TO co_app;
CREATE TABLE co.thing (id text PRIMARY KEY);
GRANT SELECT, DELETE ON co.thing TO co_app;
INSERT INTO co.thing SELECT a || b || c FROM unnest('{k,r,s}'::text[]) a, unnest('{k,r,s}'::text[]) b, unnest('{k,r,s}'::text[]) c;
SELECT name FROM idflow.deploy($$<Workflow Identifier="co_leave" DisplayName_L1="Leave">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('co_leave', 'co.thing', '{DELETE}');
CREATE FUNCTION co.play(policy text, unanswered text) RETURNS TABLE (state text, things text) LANGUAGE plpgsql AS $$
DECLARE
	c bigint;
	who int;
BEGIN
	PERFORM set_config('idflow.actor', 'starter', true);
	c := idflow.start_review('co.thing', 'co_leave', reviewer => $e$'{v1,v2,v3}'::text[]$e$, outcome => policy, unanswered => unanswered);
	FOR who IN 1 .. 3 LOOP
		PERFORM set_config('idflow.actor', 'v' || who, true);
		IF EXISTS (SELECT FROM idflow.keep(c, ARRAY(SELECT item FROM idflow.review_item i
				WHERE i.campaign = c AND substr(i.key->>'id', who, 1) = 'k')) k WHERE k.sqlstate IS NOT NULL)
			OR EXISTS (SELECT FROM idflow.revoke(c, ARRAY(SELECT item FROM idflow.review_item i
				WHERE i.campaign = c AND substr(i.key->>'id', who, 1) = 'r')) k WHERE k.sqlstate IS NOT NULL) THEN
			RAISE 'a vote failed';
		END IF;
	END LOOP;
	PERFORM set_config('idflow.actor', 'starter', true);
	PERFORM idflow.end_review(c);
	RETURN QUERY SELECT i.state, string_agg(i.key->>'id', ' ' ORDER BY i.seq) FROM idflow.campaign_item i WHERE i.campaign = c GROUP BY i.state ORDER BY 1;
	IF (SELECT count(*) FROM idflow.request r JOIN idflow.campaign_item i ON i.request = r.id WHERE i.campaign = c AND r.state = 'open')
		<> (SELECT count(*) FROM idflow.campaign_item i WHERE i.campaign = c AND i.state = 'revoked') THEN
		RAISE 'a revoked row has no request';
	END IF;
	PERFORM idflow.withdraw(i.request) FROM idflow.campaign_item i WHERE i.campaign = c AND i.request IS NOT NULL;
END $$;
SELECT * FROM co.play('AcceptIfOne', 'Escalate');
SELECT * FROM co.play('AcceptIfAll', 'Escalate');
SELECT * FROM co.play('DenyIfOne', 'Escalate');
SELECT * FROM co.play('AcceptUnlessDenied', 'Escalate');
SELECT * FROM co.play('AcceptIfOne', 'Keep');
SELECT * FROM co.play('AcceptIfOne', 'Revoke');
RESET idflow.actor;
DROP SCHEMA co CASCADE;
DROP OWNED BY co_app;
DROP ROLE co_app;
