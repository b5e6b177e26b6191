-- Who sees which request, and how much of it.  The rows are put into idflow's
-- tables directly, to have every kind of reader at once.
SELECT current_database() AS home \gset
CREATE DATABASE idflow_visibility;
\c idflow_visibility
CREATE EXTENSION idflow;
CREATE ROLE vis_requester;
CREATE ROLE vis_subject;
CREATE ROLE vis_profile;
CREATE ROLE vis_manager;
CREATE ROLE vis_named;
CREATE ROLE vis_voter;
CREATE ROLE vis_editor;
CREATE ROLE vis_other;
CREATE ROLE vis_refiner;
CREATE ROLE vis_auditor;
CREATE ROLE vis_admin;
CREATE ROLE vis_owner;
GRANT vis_profile TO vis_manager;
GRANT idflow_auditor TO vis_auditor;
GRANT idflow_admin TO vis_admin;

CREATE SCHEMA hr AUTHORIZATION vis_owner;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
SET ROLE vis_owner;
CREATE TABLE hr.person (
	id int PRIMARY KEY, name text, salary int, rating text DEFAULT 'new', tenant text DEFAULT 'a'
);
INSERT INTO hr.person VALUES (1, 'Ann', 100, 'good', 'a'), (2, 'Ben', 200, 'bad', 'b');
GRANT INSERT, UPDATE, DELETE ON hr.person TO vis_requester;
GRANT SELECT (id, name, tenant) ON hr.person TO vis_requester;
RESET ROLE;

INSERT INTO idflow.workflow (name, version, display_name, definition, digest, deployed_by)
	VALUES ('w', 1, 'W', '<Workflow/>', '\x00', current_user);
INSERT INTO idflow.layout (target, target_name, relid, columns, attnums, types)
	VALUES ('hr.person', 'hr.person', 'hr.person'::regclass, '{id,name,salary,rating,tenant}', '{1,2,3,4,5}',
	        '{integer,pg_catalog.text,integer,pg_catalog.text,pg_catalog.text}');
INSERT INTO idflow.request (id, workflow, version, title, state, activity, activity_state, requester, subject,
                            opened_at, closed_at, workflow_id, position, editors, requested_role)
	SELECT i, 'w', 1, 'secret title ' || i, CASE WHEN i < 5 THEN 'open' ELSE 'committed' END, 'Review',
		'Review-ReviewPending', 'vis_requester', CASE WHEN i = 2 THEN 'vis_subject' END,
		'2026-01-01', CASE WHEN i < 5 THEN NULL ELSE '2026-01-02'::timestamptz END, 1, 1,
		CASE WHEN i = 6 THEN '{vis_editor}' ELSE '{}' END::text[], 'vis_requester'
	FROM generate_series(1, 6) i;
INSERT INTO idflow.request (id, workflow, version, title, state, requester, opened_at, requested_role)
	VALUES (7, 'w', 1, 'secret title 7', 'draft', 'somebody', '2026-01-01', 'somebody');
-- 1: an INSERT that names id, name, salary; 2: an UPDATE of Ann; 3: a DELETE of Ben; others as 2
INSERT INTO idflow.change_data (request, seq, target, target_name, operation, layout, key_columns, key,
                                old_columns, old_image, new_columns, new_image, written)
	VALUES (1, 1, 'hr.person', 'hr.person', 'INSERT', 1, '{1}', '{3}', NULL, NULL, NULL, '{3,Cy,300,new,a}', '{1,2,3}'),
	       (3, 1, 'hr.person', 'hr.person', 'DELETE', 1, '{1}', '{2}', NULL, '{2,Ben,200,bad,b}', NULL, NULL, NULL);
INSERT INTO idflow.change_data (request, seq, target, target_name, operation, layout, key_columns, key,
                                old_columns, old_image, new_columns, new_image)
	SELECT i, 1, 'hr.person', 'hr.person', 'UPDATE', 1, '{1}', '{1}', '{2,3}', '{Ann,100}', '{2,3}', '{Anna,150}'
	FROM unnest('{2,4,5,6,7}'::int[]) i;
INSERT INTO idflow.task (id, request, workflow_id, position, activity, activity_state, state, opened_at)
	SELECT 10 + i, i, 1, 1, 'Review', 'Review-ReviewPending', CASE WHEN i < 5 THEN 'open' ELSE 'closed' END, '2026-01-01'
	FROM generate_series(1, 6) i;
INSERT INTO idflow.candidate (task, request, key)
	VALUES (11, 1, 'p:vis_profile'), (12, 2, 'p:vis_profile'), (12, 2, 'u:vis_named'), (14, 4, 'u:vis_requester');
UPDATE idflow.candidate SET source = 'Requester' WHERE task = 14;
INSERT INTO idflow.vote (task, seq, request, principal, via, vote, voted_at, revision)
	VALUES (15, 1, 5, 'vis_voter', 'principal', 'Approve', '2026-01-02', 1);
INSERT INTO idflow.event (request, seq, at, actor) SELECT i, 1, '2026-01-01', 'vis_requester' FROM generate_series(1, 7) i;

INSERT INTO idflow.event (request, seq, at, actor, via, transition) VALUES
	(1, 2, '2026-01-02', 'vis_refiner', 'principal', 'ReviewWithFeedback-RefinePending-Execute'),
	(2, 2, '2026-01-02', 'vis_refiner', NULL, 'Comment'),
	(3, 2, '2026-01-02', 'vis_refiner', 'requester', 'Action-ActionPending-Execute'),
	(4, 2, '2026-01-02', 'vis_refiner', NULL, 'Action-ActionPending-Execute');
-- what the library keeps beside these rows
UPDATE idflow.change_data SET key_hash = key[1]::bigint WHERE key IS NOT NULL;
UPDATE idflow.request r SET task = t.id FROM idflow.task t WHERE t.request = r.id AND t.state = 'open';
INSERT INTO idflow.candidate (task, request, key) SELECT t.id, t.request, 'a:idflow_admin' FROM idflow.task t
	WHERE t.state = 'open' AND NOT EXISTS (SELECT FROM idflow.candidate c WHERE c.task = t.id);
INSERT INTO idflow.candidate (task, request, key, source) SELECT -id, id, 'u:' || requester, 'Requester'
	FROM idflow.request WHERE closed_at IS NULL AND task IS NULL;
INSERT INTO idflow.participant SELECT actor, request, bool_or(acted) FROM (
	SELECT actor, request, transition <> 'Comment' AS acted FROM idflow.event
	WHERE transition = 'Comment' OR via <> 'requester'
		AND (transition = 'Claim' OR split_part(transition, '-', 3) IN ('Refine', 'Delegate', 'Execute', 'Abort'))
	UNION ALL SELECT e, r.id, true FROM idflow.request r, unnest(r.editors) e) a GROUP BY 1, 2;

CREATE FUNCTION public.sight() RETURNS TABLE (actor text, visible text, request text, task text, event text,
                                              vote text, candidate text, change text) LANGUAGE sql AS $$
	SELECT idflow.actor(), (SELECT string_agg(v::text, ' ' ORDER BY v) FROM idflow.visible() v),
		(SELECT string_agg(id::text, ' ' ORDER BY id) FROM idflow.request),
		(SELECT string_agg(id::text, ' ' ORDER BY id) FROM idflow.task),
		(SELECT string_agg(DISTINCT e.request::text, ' ') FROM idflow.event e),
		(SELECT string_agg(v.request::text, ' ' ORDER BY v.request) FROM idflow.vote v),
		(SELECT string_agg(c.key, ' ' ORDER BY c.task, c.key) FROM idflow.candidate c),
		(SELECT string_agg(c.request::text, ' ' ORDER BY c.request) FROM idflow.change c) $$;

-- every kind of reader
SET ROLE vis_requester;
SELECT * FROM sight();
SET ROLE vis_subject;
SELECT * FROM sight();
SET ROLE vis_manager;
SELECT * FROM sight();
SET ROLE vis_named;
SELECT * FROM sight();
SET ROLE vis_voter;
SELECT * FROM sight();
SET ROLE vis_editor;
SELECT * FROM sight();
SET ROLE vis_refiner;
SELECT * FROM sight();
SELECT request, new_row FROM idflow.change;
SET ROLE vis_other;
SELECT * FROM sight();
SET ROLE vis_auditor;
SELECT * FROM sight();
SET ROLE vis_admin;
SELECT * FROM sight();

-- images: who decides sees all
SET ROLE vis_manager;
SELECT request, operation, key, old_row, new_row FROM idflow.change ORDER BY id;
SELECT request, column_name, base, live, draft FROM idflow.change_diff ORDER BY change, column_name;
SET ROLE vis_voter;
SELECT request, operation, key, old_row, new_row FROM idflow.change ORDER BY id;
SET ROLE vis_auditor;
SELECT request, operation, key, old_row, new_row FROM idflow.change WHERE request < 4 ORDER BY id;
-- the requester what he wrote, and what he may SELECT; not Ann's old salary, not the default rating
SET ROLE vis_requester;
SELECT request, operation, key, old_row, new_row FROM idflow.change ORDER BY id;
SELECT request, column_name, base, live, draft FROM idflow.change_diff WHERE request < 5 ORDER BY change, column_name;
SELECT * FROM idflow.drafts(NULL::hr.person) ORDER BY id, name LIMIT 2;
SELECT task, request, key FROM idflow.inbox;
-- the subject has no privilege at all
SET ROLE vis_subject;
SELECT request, operation, key, old_row, new_row FROM idflow.change ORDER BY id;
SELECT request, column_name, base, live, draft FROM idflow.change_diff ORDER BY change, column_name;
SELECT * FROM idflow.drafts(NULL::hr.person);
SELECT * FROM idflow.pending('hr.person', '{"id": 1}');
-- nobody
SET ROLE vis_other;
SELECT idflow.change_image(1, 1, 'new'), idflow.change_image(3, 1, 'old');
SELECT * FROM idflow.change_diff_rows(1);
SELECT * FROM idflow.decider_rows(1);
SELECT idflow.decidable(1);
SELECT * FROM idflow.drafts(NULL::hr.person);
SELECT * FROM idflow.pending('hr.person', '{"id": 1}');
SELECT * FROM idflow.inbox;
SELECT * FROM idflow.waiting;

-- where the statement's columns are not known, columns with a default may hold it
RESET ROLE;
UPDATE idflow.change_data SET written = NULL WHERE request = 1;
SET ROLE vis_requester;
SELECT new_row FROM idflow.change WHERE request = 1;
RESET ROLE;
UPDATE idflow.change_data SET written = '{1,2,3}' WHERE request = 1;

-- row-level security of the table: Ben is another tenant's
SET ROLE vis_owner;
ALTER TABLE hr.person ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON hr.person USING (tenant = 'a');
SET ROLE vis_requester;
SELECT request, key, old_row FROM idflow.change WHERE request IN (2, 3) ORDER BY request;
SELECT request, column_name, base, live, draft FROM idflow.change_diff WHERE request IN (2, 3) ORDER BY change, column_name;
SELECT * FROM idflow.pending('hr.person', '{"id": 1}');
SELECT * FROM idflow.pending('hr.person', '{"id": 2}');
SELECT * FROM idflow.pending('hr.person', '{"id": 3}');
-- who decides sees the row, whatever the policies say to him
SET ROLE vis_manager;
SELECT request, column_name, base, live, draft FROM idflow.change_diff WHERE request = 2 ORDER BY column_name;
-- with FORCE too, and with row_security off
SET ROLE vis_owner;
ALTER TABLE hr.person FORCE ROW LEVEL SECURITY;
DROP POLICY tenant ON hr.person;
SET ROLE vis_manager;
SELECT request, column_name, base, live, draft FROM idflow.change_diff WHERE request = 2 ORDER BY column_name;
SET row_security = off;
SELECT request, column_name, base, live, draft FROM idflow.change_diff_rows(2) d, (VALUES (2)) r(request) ORDER BY column_name;
SELECT count(*) FROM idflow.request;
SET ROLE vis_requester;
SELECT idflow.change_image(2, 1, 'old');
RESET row_security;
SELECT request, key, old_row, new_row FROM idflow.change WHERE request = 2;

-- raw images, keys, layouts, unique keys are nobody's
SET ROLE vis_manager;
SELECT new_image FROM idflow.change_data;
SELECT old_image FROM idflow.change_data;
SELECT key FROM idflow.change_data;
SELECT * FROM idflow.change_data;
SELECT count(*) FROM idflow.change_data;
SELECT * FROM idflow.layout;
SELECT * FROM idflow.pending_key;
SET ROLE vis_admin;
SELECT new_image FROM idflow.change_data;
SET ROLE vis_auditor;
SELECT * FROM idflow.change_data;

-- nothing can be written
SET ROLE vis_admin;
UPDATE idflow.request SET state = 'committed';
DELETE FROM idflow.event;
INSERT INTO idflow.candidate (task, request, key) VALUES (11, 1, 'u:vis_other');
INSERT INTO idflow.vote SELECT * FROM idflow.vote;
SET ROLE vis_other;
UPDATE idflow.task SET claimed_by = 'vis_other';
DELETE FROM idflow.request;
TRUNCATE idflow.event;

-- a cheap function in WHERE is not shown what one may not see
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END$$;
SELECT count(*) FROM idflow.inbox WHERE pg_temp.leak(title);
SELECT count(*) FROM idflow.request WHERE pg_temp.leak(title);
SELECT count(*) FROM idflow.event WHERE pg_temp.leak(actor);
SELECT count(*) FROM idflow.candidate WHERE pg_temp.leak(key);
SELECT count(*) FROM idflow.change WHERE pg_temp.leak(target::text);
SELECT count(*) FROM idflow.change_diff WHERE pg_temp.leak(draft);
SELECT count(*) FROM idflow.decider WHERE pg_temp.leak(principal);
SELECT count(*) FROM idflow.waiting WHERE pg_temp.leak(remedy);

-- shadows of what the functions call
CREATE FUNCTION pg_temp.mine(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR pg_temp.= (FUNCTION = pg_temp.mine, LEFTARG = text, RIGHTARG = text);
CREATE TEMP TABLE request AS SELECT 1::bigint AS id;
SET search_path = pg_temp, pg_catalog, idflow;
SELECT idflow.actor(), array(SELECT idflow.visible());
SELECT count(*) FROM idflow.request;
SELECT count(*) FROM idflow.inbox;
SELECT idflow.change_image(1, 1, 'new');
RESET search_path;

-- a name without the role's rights sees what the name may, and no more
RESET ROLE;
CREATE ROLE vis_app;
GRANT SET ON PARAMETER idflow.actor TO vis_app;
SET ROLE vis_app;
SET idflow.actor = 'vis_named';
SELECT * FROM sight();
SET idflow.actor = 'vis_admin';
SELECT * FROM sight();
RESET idflow.actor;

-- definer's rights are for what the definer may, the name stays the caller's
RESET ROLE;
CREATE FUNCTION public.report() RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT id FROM idflow.request ORDER BY 1';
ALTER FUNCTION public.report() OWNER TO vis_other;
SET ROLE vis_named;
SELECT * FROM public.report();

\c :home
DROP DATABASE idflow_visibility;
REVOKE SET ON PARAMETER idflow.actor FROM vis_app;
DROP ROLE vis_requester, vis_subject, vis_profile, vis_manager, vis_named, vis_voter, vis_editor, vis_refiner, vis_other,
	vis_auditor, vis_admin, vis_owner, vis_app;
