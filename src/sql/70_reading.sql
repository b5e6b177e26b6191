/*
 * Reading: what everybody sees of requests, by plain SELECT.
 */

-- ------------------------------------------------------------------- indexes

CREATE INDEX request_requester ON idflow.request (requester);
CREATE INDEX request_subject ON idflow.request (subject) WHERE subject IS NOT NULL;
CREATE INDEX candidate_key ON idflow.candidate (place, request) INCLUDE (binding);
CREATE INDEX vote_principal ON idflow.vote (principal, request);
CREATE INDEX change_data_key ON idflow.change_data (key_hash);

-- ---------------------------------------------------------------- visibility

CREATE FUNCTION idflow.visible() RETURNS SETOF bigint
	AS 'MODULE_PATHNAME', 'idflow_visible'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 COST 1000;
COMMENT ON FUNCTION idflow.visible() IS
'Numbers of the requests that the present actor may see: his own, those about him, those that he may decide, those that he acted on. The policies of idflow''s tables are built on it. It reads idflow''s tables with their owner''s rights.';

/*
 * All policies have one shape, which stays fast: the array is made once per
 * statement and then probes an index.  No policy reads a table that has
 * policies itself.
 */
DO $$
DECLARE
	tab text;
	col text;
BEGIN
	FOREACH tab IN ARRAY ARRAY['request', 'change_data', 'task', 'candidate', 'vote', 'participant', 'event'] LOOP
		col := CASE WHEN tab OPERATOR(pg_catalog.=) 'request' THEN 'id' ELSE 'request' END;
		EXECUTE pg_catalog.format('ALTER TABLE idflow.%I ENABLE ROW LEVEL SECURITY', tab);
		EXECUTE pg_catalog.format('CREATE POLICY visible ON idflow.%I FOR SELECT TO PUBLIC'
			' USING (%I OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT idflow.visible())))', tab, col);
		EXECUTE pg_catalog.format('CREATE POLICY auditor ON idflow.%I FOR SELECT TO idflow_auditor USING (true)', tab);
		EXECUTE pg_catalog.format('CREATE POLICY admin ON idflow.%I FOR SELECT TO idflow_admin USING (true)', tab);
	END LOOP;
END
$$;

GRANT SELECT ON idflow.workflow, idflow.activity, idflow.workflow_element TO PUBLIC;
GRANT SELECT ON idflow.request, idflow.task, idflow.candidate, idflow.vote, idflow.event TO PUBLIC;
-- images and keys are shown by idflow.change and idflow.change_diff, never raw
GRANT SELECT (request, seq, count, revision, target, target_name, operation, gates, superseded)
	ON idflow.change_data TO PUBLIC;

COMMENT ON TABLE idflow.request IS
'One run of a workflow: who asked for what, for whom, and where it stands.';
COMMENT ON COLUMN idflow.request.state IS
'draft (not yet submitted), open, scheduled (approved, waits for its date), committed, declined, aborted, purged, conflict, failed or terminated.';
COMMENT ON COLUMN idflow.request.activity_state IS
'Full name of the state of the activity at which the request stands, such as Review-ReviewPending.';
COMMENT ON COLUMN idflow.request.subject IS 'Principal whom the request is about, by the workflow''s Subject.';
COMMENT ON COLUMN idflow.request.tenant IS
'The requester''s tenant when he made it, by the directory; null: none. People of other tenants have no part in it.';
COMMENT ON COLUMN idflow.candidate.place IS 'The key within the request''s tenant, see idflow.place().';
COMMENT ON COLUMN idflow.request.requester_binding IS
'Whose the requester''s name is, see idflow.binding(): a role made again under it is another one. Likewise subject_binding, role_binding, and the columns binding and _binding of other tables.';
COMMENT ON COLUMN idflow.request.parent IS 'Request whose apply made this one, or that this one reverses.';
COMMENT ON COLUMN idflow.request.effective_at IS 'It is not written before; null: as soon as it is approved. The latest that its requester and its workflows say.';
COMMENT ON COLUMN idflow.request.expires_at IS 'What it has written is reversed then; null: never. The earliest that its requester, its reviewers and its workflows say.';
COMMENT ON COLUMN idflow.request.revision IS 'Counts the edits of the draft, from 1.';
COMMENT ON TABLE idflow.event IS
'History: what happened to a request, in the order of seq. Never updated or deleted.';
COMMENT ON TABLE idflow.task IS 'An activity of a request that waits for people.';
COMMENT ON TABLE idflow.vote IS 'What people decided on a task; superseded when the draft was edited afterwards.';
COMMENT ON TABLE idflow.candidate IS 'Who may act on an open task: u:principal or p:profile. Rows go when the task closes.';

-- ------------------------------------------------------------------- changes

CREATE FUNCTION idflow.change_image(request bigint, seq int, part text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'idflow_change_image'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION idflow.change_image(bigint, int, text) IS
'An image of a change as jsonb; part is key, old or new. People who may decide the request or decided it, auditors and admins see all of it; the requester and the subject see the values that the requester himself wrote, and others, such as those of aspects and of reviewers who saved, only of columns and rows that the current role may SELECT. Null if nothing may be seen.';

CREATE FUNCTION idflow.image_has(image text[], positions smallint[], columns text[], name text, value text,
								 without int DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_image_has'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
REVOKE EXECUTE ON FUNCTION idflow.image_has(text[], smallint[], text[], text, text, int) FROM PUBLIC;
COMMENT ON FUNCTION idflow.image_has(text[], smallint[], text[], text, text, int) IS
'Whether a drafted row has a value in a column, given an image as idflow.change_data stores it and the columns of its layout; of a pack any row, but for one by its number from 0. False for a null image.';

CREATE FUNCTION idflow.key_json(layout bigint, columns smallint[], key text[]) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'idflow_key_json'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10;
COMMENT ON FUNCTION idflow.key_json(bigint, smallint[], text[]) IS
'A key as idflow.change_data stores it, as jsonb. Part of idflow.inbox.';

CREATE VIEW idflow.change WITH (security_invoker) AS
	SELECT (d.request OPERATOR(pg_catalog.<<) 24) OPERATOR(pg_catalog.|) d.seq::bigint AS id,
		d.request, d.seq, d.target, d.operation,
		idflow.change_image(d.request, d.seq, 'key') AS key,
		idflow.change_image(d.request, d.seq, 'old') AS old_row,
		idflow.change_image(d.request, d.seq, 'new') AS new_row,
		d.revision
	FROM (
			SELECT o.request, o.seq, o.target, o.operation, o.revision
			FROM idflow.change_data o
			WHERE o.count OPERATOR(pg_catalog.=) 1 AND o.superseded IS NULL
		UNION ALL
			SELECT m.request, n.seq, m.target, m.operation, m.revision
			FROM idflow.change_data m
			CROSS JOIN LATERAL pg_catalog.generate_series(m.seq,
				m.seq OPERATOR(pg_catalog.+) m.count OPERATOR(pg_catalog.-) 1) n(seq)
			WHERE m.count OPERATOR(pg_catalog.>) 1 AND m.superseded IS NULL
		) d;
GRANT SELECT ON idflow.change TO PUBLIC;
COMMENT ON VIEW idflow.change IS
'Drafted row operations of the requests that one may see. Of an UPDATE, old_row and new_row hold the key and the touched columns.';
COMMENT ON COLUMN idflow.change.id IS 'Number of the change: that of its request times 2^24 plus seq.';
COMMENT ON COLUMN idflow.change.key IS 'The row''s key, columns by name; null where there is none or it may not be seen.';
COMMENT ON COLUMN idflow.change.revision IS 'Revision of the request at which the draft was last edited.';

CREATE FUNCTION idflow.change_diff_rows(request bigint, OUT change bigint, OUT target regclass, OUT operation text,
										OUT key jsonb, OUT column_name text, OUT label text,
										OUT base text, OUT live text, OUT draft text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_change_diff_rows'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10 COST 1000;
COMMENT ON FUNCTION idflow.change_diff_rows(bigint) IS
'The rows of idflow.change_diff for one request; none if one may not see it.';

CREATE VIEW idflow.change_diff WITH (security_invoker) AS
	SELECT r.id AS request, d.change, d.target, d.operation, d.key, d.column_name, d.label,
		d.base, d.live, d.draft
	FROM idflow.request r CROSS JOIN LATERAL idflow.change_diff_rows(r.id) d;
GRANT SELECT ON idflow.change_diff TO PUBLIC;
COMMENT ON VIEW idflow.change_diff IS
'A row per touched column of a draft, values as text: base when it was drafted, live as the table has it now, draft as asked for. Live unlike base is a conflict in the making.';
COMMENT ON COLUMN idflow.change_diff.base IS 'Value when the draft was made; null for an INSERT.';
COMMENT ON COLUMN idflow.change_diff.live IS 'Value in the table now; null if there is no such row.';
COMMENT ON COLUMN idflow.change_diff.draft IS 'Value asked for; null for a DELETE.';

-- --------------------------------------------------------------------- inbox

CREATE FUNCTION idflow.state_verbs(state text) RETURNS text[]
	AS 'MODULE_PATHNAME', 'idflow_state_verbs'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.state_verbs(text) IS
'Verbs that lead on from an activity''s state, given by its full name such as Review-ReviewPending; null if there is no such state.';

CREATE VIEW idflow.inbox WITH (security_barrier) AS
	SELECT t.id AS task, r.id AS request, r.workflow, t.activity, t.activity_state, r.title,
		r.requester, r.subject, d.target, d.operation,
		CASE WHEN d.count OPERATOR(pg_catalog.>) 1		-- the key stands in the pack
			OR (SELECT idflow.actor()) OPERATOR(pg_catalog.=) ANY (ARRAY[r.requester, r.subject])
			THEN idflow.change_image(r.id, d.seq, 'key')	-- his sight is narrower
			ELSE idflow.key_json(d.layout, d.key_columns, d.key) END AS key,
		t.opened_at, t.due_at, CASE WHEN idflow.is_bound(t.claimed_by, t.claimed_binding) THEN t.claimed_by END AS claimed_by,
		b.on_behalf_of,
		CASE WHEN m.own THEN '' ELSE 'deputy, ' END OPERATOR(pg_catalog.||) CASE WHEN pg_catalog.starts_with(m.key, 'a:') THEN 'idflow_admin'
			WHEN pg_catalog.starts_with(m.key, 'p:')
			THEN 'profile ' OPERATOR(pg_catalog.||) pg_catalog.substr(m.key, 3)
			ELSE 'principal' END AS via,
		idflow.state_verbs(t.activity_state) AS verbs,
		coalesce((t.quota OPERATOR(pg_catalog.->>) 'needed')::int, 1) AS needed,
		(SELECT pg_catalog.count(*)::int FROM idflow.vote v
		 WHERE v.request OPERATOR(pg_catalog.=) r.id AND v.task OPERATOR(pg_catalog.=) t.id
			AND NOT v.superseded AND v.vote OPERATOR(pg_catalog.=) 'Approve'
			AND idflow.is_bound(v.principal, v.binding) AND idflow.is_bound(v.on_behalf_of, v.behalf_binding)) AS given,
		coalesce(CASE WHEN NOT coalesce(r.four_eyes, w.four_eyes) OR pg_catalog.right(t.activity_state, 14) OPERATOR(pg_catalog.<>) '-ReviewPending'
			THEN NULL
			WHEN r.requester OPERATOR(pg_catalog.=) (SELECT idflow.actor()) THEN 'four eyes: you requested it'
			WHEN r.subject OPERATOR(pg_catalog.=) (SELECT idflow.actor()) THEN 'four eyes: you are its subject'
			WHEN r.editors OPERATOR(pg_catalog.@>) ARRAY[(SELECT idflow.actor())] THEN 'four eyes: you edited it'
		END, 'separation of duties: you acted in ' OPERATOR(pg_catalog.||)
			idflow.separated(r.id, t.workflow_id, t.position, t.activity_state)) AS blocked,
		r.revision
	FROM (
			SELECT DISTINCT ON (c.task) c.task, c.key,
				c.place OPERATOR(pg_catalog.=) ANY ((SELECT idflow.my_places())::text[]) AS own
			FROM idflow.candidate c
			WHERE c.place OPERATOR(pg_catalog.=) ANY
				((SELECT idflow.my_places() OPERATOR(pg_catalog.||) idflow.deputy_places())::text[])
				AND (c.binding IS NULL OR idflow.place_is_bound(c.place, c.binding))
			ORDER BY c.task, own DESC, c.key COLLATE pg_catalog."C" DESC	-- u: before p: before a:
		) m
		JOIN idflow.task t ON t.id OPERATOR(pg_catalog.=) m.task
		JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) t.request
		JOIN idflow.workflow w ON w.id OPERATOR(pg_catalog.=) t.workflow_id
		LEFT JOIN LATERAL (
			SELECT c.seq, c.count, c.target, c.operation, c.layout, c.key_columns, c.key
			FROM ONLY idflow.change_data c
			WHERE c.request OPERATOR(pg_catalog.=) r.id AND c.superseded IS NULL
			ORDER BY c.seq LIMIT 1) d ON true
		CROSS JOIN LATERAL (
			SELECT CASE WHEN NOT m.own THEN
				idflow.stands_in_at(ARRAY(SELECT c.place FROM idflow.candidate c WHERE c.task OPERATOR(pg_catalog.=) t.id
						AND (c.binding IS NULL OR idflow.place_is_bound(c.place, c.binding))),
					r.workflow,
					CASE WHEN coalesce(r.four_eyes, w.four_eyes)
							AND pg_catalog.starts_with(t.activity_state, 'Review')
						THEN pg_catalog.array_remove(ARRAY[r.requester, r.subject] OPERATOR(pg_catalog.||) r.editors, NULL)
						ELSE '{}' END,
					CASE WHEN t.quota IS NULL THEN '{}' ELSE ARRAY(
						SELECT coalesce(v.on_behalf_of, v.principal) FROM idflow.vote v
						WHERE v.request OPERATOR(pg_catalog.=) r.id AND v.task OPERATOR(pg_catalog.=) t.id AND NOT v.superseded
							AND idflow.is_bound(v.principal, v.binding) AND idflow.is_bound(v.on_behalf_of, v.behalf_binding)) END,
					coalesce(t.claimed_by, '')) END AS on_behalf_of) b
	WHERE t.state OPERATOR(pg_catalog.=) 'open'
		AND (m.own OR b.on_behalf_of IS NOT NULL)
		AND (t.claimed_by IS NULL OR NOT idflow.is_bound(t.claimed_by, t.claimed_binding)
			OR t.claimed_by OPERATOR(pg_catalog.=) (SELECT idflow.actor())
			OR t.claimed_by OPERATOR(pg_catalog.=) b.on_behalf_of
			OR NOT idflow.claim_stands(t.id))
		-- who has voted is asked no more, whoever voted in his place
		AND (t.quota IS NULL OR NOT EXISTS (
			SELECT FROM idflow.vote v
			WHERE v.request OPERATOR(pg_catalog.=) r.id AND v.task OPERATOR(pg_catalog.=) t.id AND NOT v.superseded
				AND idflow.is_bound(v.principal, v.binding) AND idflow.is_bound(v.on_behalf_of, v.behalf_binding)
				AND (v.principal OPERATOR(pg_catalog.=) (SELECT idflow.actor())
					OR coalesce(v.on_behalf_of, v.principal) OPERATOR(pg_catalog.=)
						coalesce(b.on_behalf_of, (SELECT idflow.actor())))));
GRANT SELECT ON idflow.inbox TO PUBLIC;
COMMENT ON VIEW idflow.inbox IS
'Open tasks that the present actor may act on, one row each, without those that somebody else has claimed. Members of idflow_admin also see the tasks that have no candidates.';
COMMENT ON COLUMN idflow.inbox.target IS 'Table of the request''s first change; idflow.change has them all.';
COMMENT ON COLUMN idflow.inbox.via IS 'By what right: principal (named himself), profile and its name, or idflow_admin; with "deputy, " before it, that of the one in on_behalf_of.';
COMMENT ON COLUMN idflow.inbox.verbs IS 'What may be done; each is a function of idflow, such as idflow.approve(task).';
COMMENT ON COLUMN idflow.inbox.needed IS 'Approvals that the task needs.';
COMMENT ON COLUMN idflow.inbox.given IS 'Approvals that it has.';
COMMENT ON COLUMN idflow.inbox.blocked IS 'Why the actor cannot decide although he is a candidate; else null.';

-- ------------------------------------------------------------------ deciders

CREATE FUNCTION idflow.decider_rows(request bigint, OUT task bigint, OUT activity text, OUT principal text,
									OUT via text, OUT vote text, OUT voted_at timestamptz, OUT on_behalf_of text,
									OUT comment text, OUT superseded boolean)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_decider_rows'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 5 COST 1000;
COMMENT ON FUNCTION idflow.decider_rows(bigint) IS
'The rows of idflow.decider for one request; none if one may not see it.';

CREATE FUNCTION idflow.decidable(request bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_decidable'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION idflow.decidable(bigint) IS
'Is there anybody, besides idflow_admin, who may act on the request''s open task? Null if one may not see the request.';

CREATE VIEW idflow.decider WITH (security_invoker) AS
	SELECT r.id AS request, d.task, d.activity, d.principal, d.via, d.vote, d.voted_at,
		d.on_behalf_of, d.comment, d.superseded
	FROM idflow.request r CROSS JOIN LATERAL idflow.decider_rows(r.id) d;
GRANT SELECT ON idflow.decider TO PUBLIC;
COMMENT ON VIEW idflow.decider IS
'Who may decide a request (vote is null) and who did. Profiles are given by their holders at this moment, without those whom four eyes bars.';


-- ------------------------------------------------------------- rows of drafts

CREATE FUNCTION idflow.drafts("like" anyelement, request bigint DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME', 'idflow_drafts'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 COST 10000;
COMMENT ON FUNCTION idflow.drafts(anyelement, bigint) IS
'The rows that open requests would write to a table, as rows of that table: idflow.drafts(NULL::hr.person). Only requests that one may see; columns that one may not see are null. Deletions have no row.';

CREATE FUNCTION idflow.pending(target regclass, key jsonb) RETURNS SETOF bigint
	AS 'MODULE_PATHNAME', 'idflow_pending'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1 COST 1000;
COMMENT ON FUNCTION idflow.pending(regclass, jsonb) IS
'Numbers of the open requests on the row with this key, such as {"id": 17}: for whoever may SELECT the key''s columns and is shown the row by row-level security. A drafted new row counts for whoever may see its request. Errors if a column does not exist or may not be selected.';

-- ------------------------------------------------------------------- languages

CREATE FUNCTION idflow.my_language() RETURNS int
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'idflow_my_language';
COMMENT ON FUNCTION idflow.my_language() IS
'Number of the language that the present actor reads, from 1: his in the directory, else idflow.language, among idflow.languages.';

CREATE FUNCTION idflow.label(workflow text, activity text DEFAULT NULL, version int DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN $2 IS NULL THEN coalesce(w.options ->> ('DisplayName_L' || idflow.my_language()), w.display_name)
		ELSE (SELECT coalesce(a.options ->> ('DisplayName_L' || idflow.my_language()), a.display_name)
			  FROM idflow.activity a WHERE a.workflow = w.id AND a.name = $2) END
	FROM idflow.workflow w WHERE w.name = $1 AND ($3 IS NULL OR w.version = $3)
	ORDER BY w.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION idflow.label(text, text, int) IS
'What people call a workflow, or an activity of it, in the language of the present actor. version: NULL means the newest. Null if there is none such.';
