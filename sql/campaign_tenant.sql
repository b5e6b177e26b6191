-- access reviews: a campaign is of its starter's tenant, and asks nobody of another
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE ROLE ct_app;
GRANT SET ON PARAMETER idflow.actor TO ct_app;
CREATE SCHEMA ct;
GRANT USAGE ON SCHEMA ct TO ct_app;
CREATE TABLE ct.directory (principal text, profile text, manager text, tenant text);
INSERT INTO ct.directory VALUES ('ada', 'staff', NULL, 'a'), ('ann', 'owners', 'amy', 'a'), ('amy', 'boss', NULL, 'a'), ('abe', 'staff', 'bess', 'a'),
	('bob', 'owners', 'bess', 'b'), ('bess', 'boss', NULL, 'b'), ('nora', 'owners', NULL, NULL);
SELECT idflow.set_directory('ct.directory');
SELECT count(*) FROM idflow.deploy($$
<Workflow Identifier="Leave" DisplayName_L1="Leave">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
CREATE TABLE ct.grants (id int PRIMARY KEY, who text, owner text);
INSERT INTO ct.grants VALUES (1, 'x', 'ann'), (2, 'y', 'bob'), (3, 'z', 'abe'), (4, 'u', 'nora');
SELECT idflow.attach('Leave', 'ct.grants', '{DELETE}');
CREATE FUNCTION pg_temp.seen(campaign bigint) RETURNS TABLE (who text, items bigint[], on_behalf_of text, campaigns bigint) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE ct_app;
	FOREACH who IN ARRAY '{ann,amy,abe,bob,bess,nora}'::text[] LOOP
		PERFORM set_config('idflow.actor', who, false);
		SELECT array_agg(i.item ORDER BY i.item), max(i.on_behalf_of) INTO items, on_behalf_of FROM idflow.review_item i WHERE i.campaign = seen.campaign;
		SELECT count(*) INTO campaigns FROM idflow.campaign c WHERE c.id = seen.campaign;
		RETURN NEXT;
	END LOOP;
	RESET ROLE;
END $$;

-- a profile, as it is held in the tenant
SET idflow.actor = 'ada';
SELECT idflow.start_review('ct.grants', 'Leave', reviewer => 'profile:owners', every => '1 day') AS c \gset
SELECT tenant FROM idflow.campaign WHERE id = :c;
SELECT * FROM pg_temp.seen(:c);
-- who knows the numbers is no nearer
SET ROLE ct_app;
SET idflow.actor = 'bob';
SELECT sqlstate, message FROM idflow.revoke(:c, '{1}');
SET idflow.actor = 'nora';
SELECT sqlstate, message FROM idflow.revoke(:c, '{1}');
SET idflow.actor = 'ann';
SELECT state, sqlstate FROM idflow.keep(:c, '{1}');
-- a deputy of another tenant is none; one of the same is
SELECT count(idflow.add_deputy('ann', d, tstzrange('2001-01-01', NULL))) FROM unnest('{bob,abe}'::text[]) d;
RESET ROLE;
SELECT * FROM pg_temp.seen(:c);
SET ROLE ct_app;
SET idflow.actor = 'bob';
SELECT sqlstate, message FROM idflow.keep(:c, '{2}');
SET idflow.actor = 'abe';
SELECT state, sqlstate FROM idflow.keep(:c, '{2}');
RESET ROLE;
-- who moves to another tenant loses what he was asked
UPDATE ct.directory SET tenant = 'b' WHERE principal = 'ann';
SELECT * FROM pg_temp.seen(:c);
UPDATE ct.directory SET tenant = 'a' WHERE principal = 'ann';
-- the next one is of the same tenant
UPDATE idflow.timer SET due_at = now() WHERE kind = 'campaign';
UPDATE idflow.campaign SET started_at = started_at - interval '1 day';
SELECT idflow.run_due();
SELECT tenant, previous = :c AS next, (SELECT count(*) FROM idflow.campaign_item i WHERE i.campaign = c.id AND i.tenant = 'a') AS items FROM idflow.campaign c WHERE previous IS NOT NULL;

-- names: those of other tenants are not asked, nor are managers there; then idflow_admin is
SET idflow.actor = 'ada';
SELECT idflow.start_review('ct.grants', 'Leave', reviewer => 'owner') AS c \gset
SELECT seq, reviewers, asked FROM idflow.campaign_item WHERE campaign = :c ORDER BY seq;
SELECT idflow.end_review(:c);
SELECT seq, reviewers, asked, state FROM idflow.campaign_item WHERE campaign = :c ORDER BY seq;
SELECT * FROM pg_temp.seen(:c);

-- one of no tenant asks those of none
SET idflow.actor = 'root';
SELECT idflow.start_review('ct.grants', 'Leave', reviewer => 'owner') AS c \gset
SELECT seq, reviewers FROM idflow.campaign_item WHERE campaign = :c ORDER BY seq;
SELECT * FROM pg_temp.seen(:c);
SELECT * FROM pg_temp.seen(:c) WHERE who = 'nora';

-- somebody of several can't tell which one it would be of
INSERT INTO ct.directory VALUES ('ada', 'staff', NULL, 'b');
SET idflow.actor = 'ada';
SELECT idflow.start_review('ct.grants', 'Leave', reviewer => 'owner');

RESET idflow.actor;
SELECT idflow.set_directory(NULL);
DROP SCHEMA ct CASCADE;
DROP OWNED BY ct_app;
DROP ROLE ct_app;
