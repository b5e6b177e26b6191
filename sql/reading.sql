-- The reports: what they show of every kind of value, operation and state.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_reading;
\c idflow_reading
CREATE EXTENSION idflow;
CREATE ROLE read_asker;
CREATE ROLE read_boss;
CREATE ROLE read_bosses;
CREATE ROLE read_deputy;
GRANT read_bosses TO read_boss, read_deputy;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;

-- ------------------------------------------------------------ values as jsonb
CREATE FUNCTION public.shown(type regtype, value text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	layout bigint;
BEGIN
	INSERT INTO idflow.layout (target, target_name, relid, columns, attnums, types)
		VALUES ('pg_class', 'x', 0, '{v}', '{1}', ARRAY[format_type(type, NULL)]) RETURNING id INTO layout;
	RETURN idflow.key_json(layout, NULL, ARRAY[value]) -> 'v';
END$$;
CREATE DOMAIN hr.grade AS int CHECK (VALUE > 0);
CREATE DOMAIN hr.graded AS hr.grade;
CREATE DOMAIN hr.grades AS int[];
CREATE TYPE hr.mood AS ENUM ('good', 'bad');
CREATE TYPE hr.pair AS (a int, b text);
\pset format unaligned
SELECT t, v, shown(t, v), jsonb_typeof(shown(t, v)) FROM (VALUES
	('int'::regtype, '17'), ('bigint', '-9223372036854775808'), ('smallint', NULL),
	('numeric', '0.10'), ('numeric', 'NaN'), ('numeric', '-Infinity'), ('numeric', '123456789012345678901234567890.5'),
	('float8', '1e+30'), ('float8', '-0'), ('float4', 'Infinity'), ('oid', '17'), ('money', '$1.00'),
	('bool', 't'), ('bool', 'f'), ('text', 'a "b" \ c'), ('text', ''), ('"char"', 'x'), ('name', 'n'),
	('jsonb', '{"a": [1, null]}'), ('json', '{"b": 1, "a": "\n"}'), ('json', '"\u0000"'), ('json', '1e99999'),
	('date', 'infinity'), ('timestamptz', '2026-01-01 00:00:00+00'), ('interval', '1 mon'), ('uuid', '2c1f1c4e-8a5b-4a62-9f0e-1d0d6a1a7a11'),
	('bytea', '\x00ff'), ('xml', '<a/>'), ('int4range', '[1,2)'), ('point', '(1,2)'), ('inet', '::1'),
	('int[]', '{1,NULL,3}'), ('int[]', '{}'), ('int[]', '{{1,2},{3,4}}'), ('int[]', '[2:3]={1,2}'), ('bool[]', '{t,f}'),
	('text[]', '{a,"b,c","NULL",NULL,"{"}'), ('numeric[]', '{1.0,NaN}'), ('jsonb[]', '{"{\"a\": 1}",null}'), ('box[]', '{(1,1),(0,0);(2,2),(1,1)}'),
	('int2vector', '1 2'), ('varchar[]', '{x}'), ('timestamp[]', '{"2026-01-01 00:00:00"}'),
	('hr.grade', '3'), ('hr.graded', '-1'), ('hr.grades', '{1,2}'), ('hr.mood', 'gone'), ('hr.mood[]', '{good}'), ('hr.pair', '(1,x)'), ('hr.grade[]', '{1}')
	) v(t, v);
\pset format aligned
-- a type that is gone is text
SELECT idflow.key_json(9999, NULL, '{x}');
INSERT INTO idflow.layout (id, target, target_name, relid, columns, attnums, types)
	OVERRIDING SYSTEM VALUE VALUES (9999, 'pg_class', 'x', 0, ARRAY['odd " name'], '{1}', '{hr.nothing}');
SELECT idflow.key_json(9999, NULL, '{x}'), idflow.key_json(9999, '{1}', '{NULL}'), idflow.key_json(9999, '{}', '{}'),
	idflow.key_json(9999, NULL, NULL), idflow.key_json(NULL, NULL, '{x}');
SELECT idflow.key_json(9999, '{2}', '{x}');
SELECT idflow.key_json(9999, '{1,2}', '{x}');

-- ---------------------------------------------------------------- the fixture
CREATE TABLE hr.person (
	id int, tenant text, name text, born date, tags text[], note jsonb, gone int, PRIMARY KEY (tenant, id)
);
ALTER TABLE hr.person DROP COLUMN gone;
INSERT INTO hr.person VALUES (1, 'a', 'Ann', '2000-01-01', '{x}', '{"k": 1}'), (2, 'a', 'Ben', NULL, NULL, NULL);
GRANT SELECT ON hr.person TO read_asker;
INSERT INTO idflow.workflow (name, version, display_name, four_eyes, definition, digest, deployed_by)
	VALUES ('w', 1, 'W', true, '<Workflow/>', '\x00', 'x'), ('w2', 1, 'W2', false, '<Workflow/>', '\x00', 'x');
INSERT INTO idflow.layout (id, target, target_name, relid, columns, attnums, types)
	OVERRIDING SYSTEM VALUE VALUES (1000, 'hr.person', 'hr.person', 'hr.person'::regclass, '{id,tenant,name,born,tags,note}', '{1,2,3,4,5,6}',
	        '{integer,pg_catalog.text,pg_catalog.text,pg_catalog.date,pg_catalog.text[],pg_catalog.jsonb}');
CREATE FUNCTION public.req(id bigint, state text, workflow bigint DEFAULT 1, subject text DEFAULT NULL, editors text[] DEFAULT '{}')
	RETURNS void LANGUAGE sql AS $$
	INSERT INTO idflow.request (id, workflow, version, title, state, activity, activity_state, requester, subject, opened_at,
	                            closed_at, workflow_id, position, editors, requested_role, effective_at)
		VALUES (id, 'w', 1, 'title ' || id, state, 'Review', 'Review-ReviewPending', 'read_asker', subject, '2026-01-01',
		        CASE WHEN state IN ('committed', 'declined') THEN '2026-01-03'::timestamptz END, workflow, 1, editors, 'read_asker',
		        CASE WHEN state = 'scheduled' THEN '2027-01-01'::timestamptz END);
	INSERT INTO idflow.event (request, seq, at, actor) VALUES (id, 1, '2026-01-01', 'read_asker'), (id, 2, '2026-01-02', 'read_asker') $$;
CREATE FUNCTION public.open_task(request bigint, keys text[], in_state text DEFAULT 'Review-ReviewPending') RETURNS void LANGUAGE sql AS $$
	INSERT INTO idflow.task (id, request, workflow_id, position, activity, activity_state, opened_at, due_at)
		SELECT 100 + r.id, r.id, r.workflow_id, 1, split_part(in_state, '-', 1), in_state, '2026-01-01 12:00', '2026-02-01'
		FROM idflow.request r WHERE r.id = request;
	INSERT INTO idflow.candidate (task, request, key) SELECT 100 + request, request, k FROM unnest(keys) k $$;
SELECT req(1, 'open'), open_task(1, '{p:read_bosses,u:read_boss}');
SELECT req(2, 'open', 1, 'read_boss'), open_task(2, '{p:read_bosses}');
SELECT req(3, 'open', 2), open_task(3, '{u:read_asker}');
SELECT req(4, 'open', 1), open_task(4, '{}');
SELECT req(5, 'open', 1), open_task(5, '{u:read_asker}');
SELECT req(6, 'open', 1, NULL, '{read_deputy}'), open_task(6, '{p:read_bosses}');
SELECT req(7, 'open', 1), open_task(7, '{u:read_asker}', 'ReviewWithFeedback-RefinePending');
SELECT req(8, 'draft'), req(9, 'conflict'), req(10, 'failed'), req(11, 'scheduled'), req(12, 'committed'), req(13, 'open');
SELECT req(14, 'open', 1), open_task(14, '{p:read_nobody,u:read_asker}');
INSERT INTO idflow.change_data (request, seq, target, target_name, operation, layout, key_columns, key,
                                old_columns, old_image, new_columns, new_image, superseded)
	VALUES (1, 1, 'hr.person', 'hr.person', 'INSERT', 1000, '{1,2}', '{3,a}', NULL, NULL, NULL,
	        '{3,a,Cy,2001-01-01,"{p,q}",NULL}', NULL),
	       (1, 2, 'hr.person', 'hr.person', 'UPDATE', 1000, '{1,2}', '{1,a}', '{3,6}', '{Ann,"{\"k\": 1}"}', '{3,6}', '{Anna,NULL}', NULL),
	       (1, 3, 'hr.person', 'hr.person', 'DELETE', 1000, '{1,2}', '{2,a}', NULL, '{2,a,Ben,NULL,NULL,NULL}', NULL, NULL, NULL),
	       (1, 4, 'hr.person', 'hr.person', 'DELETE', 1000, '{1,2}', '{1,a}', NULL, '{1,a,Ann,NULL,NULL,NULL}', NULL, NULL, 2),
	       (2, 1, 'hr.person', 'hr.person', 'INSERT', 1000, '{1,2}', '{1,a}', NULL, NULL, NULL, '{1,a,Again,NULL,NULL,NULL}', NULL),
	       (9, 1, 'hr.person', 'hr.person', 'UPDATE', 1000, '{1,2}', '{1,a}', '{1}', '{1}', '{1}', '{10}', NULL),
	       (12, 1, 'hr.person', 'hr.person', 'UPDATE', 1000, '{1,2}', '{1,a}', '{3}', '{A}', '{3}', '{Ann}', NULL);
INSERT INTO idflow.vote (task, seq, request, principal, via, vote, comment, voted_at, revision, superseded)
	VALUES (101, 1, 1, 'read_deputy', 'profile read_bosses', 'Approve', 'too early', '2026-01-02', 1, true);
-- what the library keeps beside these rows
UPDATE idflow.change_data SET key_hash = CASE WHEN cardinality(key) = 1 THEN key[1]::bigint ELSE hash_array_extended(key, 0) END WHERE key IS NOT NULL;
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

-- -------------------------------------------------------------------- changes
SELECT id, request, seq, target, operation, key, old_row, new_row, revision FROM idflow.change ORDER BY id;
SELECT * FROM idflow.change_diff WHERE request IN (1, 2, 9) ORDER BY change, column_name;
-- the table moves on
UPDATE hr.person SET name = 'Annika', note = '{"k": 2}' WHERE id = 1;
DELETE FROM hr.person WHERE id = 2;
SELECT change, column_name, base, live, draft FROM idflow.change_diff WHERE request = 1 AND operation <> 'INSERT' ORDER BY change, column_name;
-- settings of the reader change nothing
SET datestyle = 'German';
SET search_path = hr;
SELECT column_name, draft FROM idflow.change_diff WHERE change = (1::bigint << 24 | 1) ORDER BY column_name;
SELECT key, new_row FROM idflow.change WHERE request = 1 AND seq = 1;
SELECT idflow.pending('hr.person', '{"tenant": "a", "id": 1}');
RESET datestyle;
RESET search_path;
SELECT idflow.change_image(1, 1, 'whole');
SELECT idflow.change_image(1, 0, 'new'), idflow.change_image(1, 99, 'new'), idflow.change_image(99, 1, 'new'), idflow.change_image(NULL, 1, 'new');

-- --------------------------------------------------------------------- drafts
SELECT * FROM idflow.drafts(NULL::hr.person) ORDER BY id, tenant, name;
SELECT * FROM idflow.drafts(NULL::hr.person, 1) ORDER BY id, tenant, name;
SELECT d.name FROM idflow.drafts(NULL::hr.person, request => 2) d;
SELECT (idflow.drafts(NULL::hr.person, 2)).name;
SELECT * FROM idflow.drafts(NULL::hr.person, 12);
SELECT * FROM idflow.drafts(NULL::hr.person, 99);
SELECT * FROM idflow.drafts(17);
SELECT * FROM idflow.drafts(NULL::hr.pair);

-- -------------------------------------------------------------------- pending
SELECT * FROM idflow.pending('hr.person', '{"tenant": "a", "id": 1}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', '{"id": "1", "tenant": "a"}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', '{"tenant": "a", "id": 3}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', '{"tenant": "a", "id": 4}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', '{"id": 1}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', '{"tenant": "a", "id": null}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', '{}') ORDER BY 1;
SELECT * FROM idflow.pending('hr.person', NULL);
SELECT * FROM idflow.pending('hr.person', '[1]');
SELECT * FROM idflow.pending('hr.person', '{"ident": 1}');
SELECT * FROM idflow.pending('hr.person', '{"id": "one", "tenant": "a"}');
SELECT * FROM idflow.pending(1::oid::regclass, '{"id": 1}');

-- ---------------------------------------------------------------------- inbox
\pset format unaligned
SET ROLE read_boss;
SELECT task, request, workflow, activity, activity_state, title, requester, subject, target, operation, key, opened_at, due_at,
	claimed_by, on_behalf_of, via, verbs, needed, given, blocked, revision FROM idflow.inbox ORDER BY task;
SET ROLE read_deputy;
SELECT task, via, verbs, given, blocked FROM idflow.inbox ORDER BY task;
SET ROLE read_asker;
SELECT task, via, verbs, given, blocked FROM idflow.inbox ORDER BY task;
-- claimed
RESET ROLE;
UPDATE idflow.task SET claimed_by = 'read_boss' WHERE id = 101;
SET ROLE read_deputy;
SELECT task FROM idflow.inbox ORDER BY task;
SET ROLE read_boss;
SELECT task, claimed_by FROM idflow.inbox ORDER BY task;
-- tasks without candidates
SET ROLE idflow_admin;
SELECT task, via, verbs FROM idflow.inbox ORDER BY task;
SET ROLE idflow_auditor;
SELECT task, via, verbs FROM idflow.inbox ORDER BY task;
RESET ROLE;
SELECT idflow.state_verbs('Review-ReviewPending'), idflow.state_verbs('Review-Approved'), idflow.state_verbs('Review'),
	idflow.state_verbs('Nothing-ReviewPending'), idflow.state_verbs('Review-Nothing'), idflow.state_verbs(NULL);

-- -------------------------------------------------------- deciders and waiting
SET ROLE read_asker;
SELECT request, task, activity, principal, via, vote, voted_at, on_behalf_of, comment, superseded FROM idflow.decider ORDER BY 1, 2, vote, 4;
SELECT * FROM idflow.waiting ORDER BY request;
RESET ROLE;
UPDATE idflow.vote SET superseded = false;
SELECT principal, vote, superseded FROM idflow.decider WHERE request = 1 ORDER BY 1, 2;
SELECT request, idflow.decidable(request) FROM idflow.waiting ORDER BY 1;

-- ------------------------------------------------------------------ bad times
\pset format aligned
-- a column is gone, a layout follows a rename, and the old name has come back as another column
BEGIN;
ALTER TABLE hr.person DROP COLUMN note;
ALTER TABLE hr.person RENAME COLUMN name TO called;
ALTER TABLE hr.person ADD COLUMN name text DEFAULT 'other';
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE change = (1::bigint << 24 | 2) ORDER BY 1;
SELECT * FROM idflow.drafts(NULL::hr.person, 1) ORDER BY 1;
SELECT new_row FROM idflow.change WHERE request = 1 ORDER BY seq;
ROLLBACK;
-- the key has another type
BEGIN;
ALTER TABLE hr.person ALTER COLUMN id TYPE text;
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE change = (1::bigint << 24 | 2) ORDER BY 1;
ROLLBACK;
-- the table is gone, and idflow was not told
SET session_replication_role = replica;
DROP TABLE hr.person;
RESET session_replication_role;
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE change = (1::bigint << 24 | 2) ORDER BY 1;
SELECT key, new_row FROM idflow.change WHERE request = 1 ORDER BY seq;
SET ROLE read_asker;
SELECT key, old_row, new_row FROM idflow.change WHERE request = 1 ORDER BY seq;
SELECT count(*) FROM idflow.inbox;
RESET ROLE;
-- every table and sequence is dumped
SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'idflow'::regnamespace AND c.relkind IN ('r', 'p', 'S')
	AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'idflow' AND c.oid = ANY (e.extconfig));

-- ------------------------------------------------------------- real requests
\c
DROP EXTENSION idflow;
CREATE EXTENSION idflow;
SET idflow.notice = off;
CREATE TABLE hr.account (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, login text UNIQUE, quota int DEFAULT 10, owner text
);
GRANT INSERT (login, owner), UPDATE, DELETE, SELECT (id, login) ON hr.account TO read_asker;
INSERT INTO hr.account (login, quota, owner) VALUES ('ann', 5, 'read_asker'), ('ben', 7, 'read_boss');
SELECT idflow.require_approval('hr.account', 'read_bosses', operations => '{INSERT,UPDATE,DELETE}');
SET ROLE read_asker;
INSERT INTO hr.account (login, owner) VALUES ('cy', 'read_asker');
UPDATE hr.account SET quota = 6 WHERE login = 'ann';
DELETE FROM hr.account WHERE login = 'ben';
-- she sees what she wrote and what she may select, not the quota of others nor its default
SELECT operation, key, old_row, new_row FROM idflow.change WHERE target = 'hr.account'::regclass ORDER BY id;
SELECT operation, column_name, base, live, draft FROM idflow.change_diff WHERE target = 'hr.account'::regclass ORDER BY change, column_name;
SELECT login, quota, owner FROM idflow.drafts(NULL::hr.account) ORDER BY login;
SELECT count(*) FROM idflow.pending('hr.account', '{"id": 2}');
SELECT operation, reason, on_whom FROM idflow.waiting w JOIN idflow.change USING (request) WHERE target = 'hr.account'::regclass ORDER BY request;
-- who decides sees all
SET ROLE read_boss;
SELECT operation, key, old_row, new_row FROM idflow.change WHERE target = 'hr.account'::regclass ORDER BY id;
SELECT operation, column_name, base, live, draft FROM idflow.change_diff WHERE target = 'hr.account'::regclass ORDER BY change, column_name;
SELECT operation, key, via, blocked FROM idflow.inbox WHERE target = 'hr.account'::regclass ORDER BY request;
SELECT idflow.approve(task) FROM idflow.inbox WHERE target = 'hr.account'::regclass AND operation = 'INSERT';
SELECT idflow.decline(task, 'he stays') FROM idflow.inbox WHERE target = 'hr.account'::regclass AND operation = 'DELETE';
SELECT c.operation, r.state FROM idflow.request r JOIN idflow.change c ON c.request = r.id WHERE target = 'hr.account'::regclass ORDER BY r.id;
-- given back for refinement: the requester is a candidate now, and still sees no more
SELECT idflow.refine(task) FROM idflow.inbox WHERE target = 'hr.account'::regclass;
SELECT count(*) FROM idflow.inbox WHERE target = 'hr.account'::regclass;
SELECT old_row, new_row FROM idflow.change WHERE target = 'hr.account'::regclass AND operation = 'UPDATE';
SET ROLE read_asker;
SELECT operation, key, via, verbs, blocked FROM idflow.inbox WHERE target = 'hr.account'::regclass;
SELECT old_row, new_row FROM idflow.change WHERE target = 'hr.account'::regclass AND operation = 'UPDATE';
SELECT reason, on_whom FROM idflow.waiting w JOIN idflow.change USING (request) WHERE target = 'hr.account'::regclass;

\c :home
DROP DATABASE idflow_reading;
DROP ROLE read_asker, read_boss, read_bosses, read_deputy;
