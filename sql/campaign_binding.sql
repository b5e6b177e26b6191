-- access reviews: a role that is dropped and made again under its name inherits no items
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS idflow CASCADE;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE ROLE cb_owner;
CREATE ROLE cb_anna;
CREATE ROLE cb_carl;
CREATE ROLE cb_mate;
CREATE SCHEMA cb;
GRANT USAGE, CREATE ON SCHEMA cb TO cb_owner;
SELECT count(*) FROM idflow.deploy($$
<Workflow Identifier="Leave" DisplayName_L1="Leave" Subject="SQL:new.who">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SET ROLE cb_owner;
CREATE TABLE cb.grants (id int PRIMARY KEY, who text, owners text[]);
INSERT INTO cb.grants VALUES (1, 'x', '{cb_anna}'), (2, 'cb_carl', '{cb_anna}'), (3, 'y', '{cb_anna,cb_carl}'),
	(4, 'z', '{pat}'), (5, 'u', '{cb_anna,cb_mate}'), (6, 'v', '{cb_anna,cb_carl}');
RESET ROLE;
SELECT idflow.attach('Leave', 'cb.grants', '{DELETE}');
SET ROLE cb_owner;
SELECT idflow.start_review('cb.grants', 'Leave', reviewer => 'new.owners', outcome => 'AcceptIfAll') AS c \gset
RESET ROLE;
CREATE FUNCTION pg_temp.seen(campaign bigint) RETURNS TABLE (who text, items bigint[], behalf text, all_items bigint, campaigns bigint, votes bigint, events bigint)
LANGUAGE plpgsql AS $$
BEGIN
	FOREACH who IN ARRAY '{cb_owner,cb_anna,cb_carl,cb_mate}'::text[] LOOP
		EXECUTE format('SET LOCAL ROLE %I', who);
		SELECT array_agg(i.item ORDER BY i.item), max(i.on_behalf_of) INTO items, behalf FROM idflow.review_item i WHERE i.campaign = seen.campaign;
		SELECT count(*) INTO all_items FROM idflow.campaign_item i WHERE i.campaign = seen.campaign;
		SELECT count(*) INTO campaigns FROM idflow.campaign c WHERE c.id = seen.campaign;
		SELECT count(*) INTO votes FROM idflow.campaign_vote v WHERE v.campaign = seen.campaign;
		SELECT count(*) INTO events FROM idflow.campaign_event e WHERE e.campaign = seen.campaign;
		RESET ROLE;
		RETURN NEXT;
	END LOOP;
END $$;

SET ROLE cb_anna;
SELECT idflow.add_deputy('cb_anna', 'cb_mate', tstzrange('2001-01-01', NULL)) IS NOT NULL AS deputy;
SELECT item, state FROM idflow.keep(:c, '{3}', 'said Anna');
RESET ROLE;
SELECT * FROM pg_temp.seen(:c);
SELECT seq, asked, cardinality(bindings) AS bindings FROM idflow.campaign_item ORDER BY seq;

-- she leaves, and another Anna comes
DROP ROLE cb_anna;
CREATE ROLE cb_anna;
SELECT * FROM pg_temp.seen(:c);
SET ROLE cb_anna;
SELECT item, sqlstate, message FROM idflow.revoke(:c, '{1,3}');
RESET ROLE;
-- whom she made her deputy stands in for her no more; he answers for himself
SET ROLE cb_mate;
SELECT item, state, sqlstate FROM idflow.keep(:c, '{1,5}');
RESET ROLE;

-- what she left is moved: not what she has answered, nor to whom it is about or who is asked anyway
SELECT idflow.move_tasks('cb_anna', 'cb_carl', 'Anna has left') AS moved;
SELECT idflow.move_tasks('cb_anna', 'cb_mate', 'Anna has left') AS moved;
SELECT idflow.move_tasks('cb_anna', 'pat', 'Anna has left') AS moved;
SELECT seq, reviewers, asked, cardinality(bindings) AS bindings FROM idflow.campaign_item ORDER BY seq;
SELECT item, actor = current_user AS mine, via, transition, from_state, to_state, comment, data FROM idflow.campaign_event WHERE transition = 'Move' ORDER BY seq;
SELECT * FROM pg_temp.seen(:c);
SET ROLE cb_carl;
SELECT item, state, sqlstate FROM idflow.keep(:c, '{1,3}');
RESET ROLE;

-- a review that starts now asks the one who has the name now
SET ROLE cb_owner;
SELECT idflow.start_review('cb.grants', 'Leave', reviewer => 'principal:cb_anna', due => '2001-01-01', unanswered => 'Escalate') AS c2 \gset
RESET ROLE;
SET ROLE cb_anna;
SELECT item, state FROM idflow.keep(:c2, '{1}', 'said the other Anna');
RESET ROLE;
SELECT * FROM pg_temp.seen(:c2);
-- asked anew of others, with bindings for all who have been asked
SELECT idflow.run_due() > 0 AS ran;
SELECT seq, state, reviewers, asked, cardinality(bindings) AS bindings, bindings[2] IS NULL AS admins
FROM idflow.campaign_item WHERE campaign = :c2 ORDER BY seq;
-- so she keeps sight of what she was asked
SELECT who, items, all_items FROM pg_temp.seen(:c2) WHERE who = 'cb_anna';
DROP ROLE cb_anna;
CREATE ROLE cb_anna;
SELECT who, items, all_items, campaigns, votes, events FROM pg_temp.seen(:c2) WHERE who = 'cb_anna';

-- in a restored database the roles' numbers mean nothing, and the name decides
BEGIN;
UPDATE idflow.campaign_item SET bindings = ARRAY(SELECT b # (1::bigint << 40) FROM unnest(bindings) b) WHERE bindings IS NOT NULL;
SELECT who, all_items FROM pg_temp.seen(:c2) WHERE who = 'cb_anna';
ROLLBACK;

-- the same for the starter, and the role as which rows are read and deleted
REASSIGN OWNED BY cb_owner TO CURRENT_USER;
DROP OWNED BY cb_owner;
DROP ROLE cb_owner;
SET ROLE cb_mate;
SELECT * FROM idflow.revoke(:c, '{5}');
RESET ROLE;
CREATE ROLE cb_owner;
ALTER TABLE cb.grants OWNER TO cb_owner;
GRANT USAGE ON SCHEMA cb TO cb_owner;
SELECT * FROM pg_temp.seen(:c) WHERE who = 'cb_owner';
SET ROLE cb_mate;
SELECT * FROM idflow.revoke(:c, '{5}');
SET ROLE cb_owner;
SELECT idflow.end_review(:c);
RESET ROLE;

-- erasure reaches the history of reviews
SELECT idflow.end_review(id) FROM idflow.campaign WHERE state = 'open';
SELECT idflow.erase('cb_carl', 'asked for it') IS NOT NULL AS erased;
SELECT actor, on_behalf_of, via, comment, data FROM idflow.campaign_event e WHERE e::text LIKE '%cb_carl%';
SELECT count(*) AS left FROM idflow.campaign_item i WHERE i::text LIKE '%u:cb_carl%';
SELECT count(*) AS left FROM idflow.campaign_vote v WHERE v::text LIKE '%cb_carl%';
-- nor does the number of his role lead to him
SELECT (SELECT count(*) FROM idflow.campaign_item WHERE idflow.binding('cb_carl') = ANY (bindings)) AS items,
	(SELECT count(*) FROM idflow.campaign_vote WHERE idflow.binding('cb_carl') IN (binding, behalf_binding)) AS votes,
	(SELECT count(*) FROM idflow.campaign_event WHERE idflow.binding('cb_carl') IN (binding, behalf_binding)) AS events;
SELECT seq, cardinality(asked) = cardinality(bindings) AS as_many FROM idflow.campaign_item WHERE campaign = :c AND bindings IS NOT NULL ORDER BY seq;

DROP EXTENSION idflow CASCADE;
DROP SCHEMA cb CASCADE;
DROP ROLE cb_owner, cb_anna, cb_carl, cb_mate;
