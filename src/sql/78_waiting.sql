/*
 * What requests wait for: people, dates, and jobs.
 */

CREATE VIEW idflow.waiting WITH (security_invoker) AS
	SELECT r.id AS request, r.activity,
		CASE WHEN r.state OPERATOR(pg_catalog.=) 'draft' THEN 'not submitted'
			WHEN r.state OPERATOR(pg_catalog.=) 'conflict' THEN 'conflict'
			WHEN r.state OPERATOR(pg_catalog.=) 'failed' THEN 'failed'
			WHEN r.state OPERATOR(pg_catalog.=) 'scheduled' THEN 'scheduled'
			WHEN t.id IS NULL THEN 'no open task'
			WHEN NOT idflow.decidable(r.id) THEN 'nobody can decide'
			WHEN pg_catalog.right(t.activity_state, 14) OPERATOR(pg_catalog.=) '-ReviewPending' THEN 'review'
			WHEN pg_catalog.right(t.activity_state, 14) OPERATOR(pg_catalog.=) '-RefinePending' THEN 'refinement'
			ELSE 'action' END AS reason,
		CASE WHEN r.state OPERATOR(pg_catalog.=) 'open'
			THEN coalesce(CASE WHEN idflow.is_bound(t.claimed_by, t.claimed_binding) THEN t.claimed_by END,
				(SELECT pg_catalog.string_agg(
					CASE WHEN pg_catalog.starts_with(c.key, 'p:')
						THEN 'profile ' OPERATOR(pg_catalog.||) pg_catalog.substr(c.key, 3)
						ELSE pg_catalog.substr(c.key, 3) END, ', ' ORDER BY c.key COLLATE pg_catalog."C" DESC)
				 FROM idflow.candidate c WHERE c.task OPERATOR(pg_catalog.=) t.id
					AND (c.binding IS NULL OR idflow.place_is_bound(c.place, c.binding))), 'idflow_admin')
			WHEN r.state OPERATOR(pg_catalog.=) 'scheduled' THEN NULL
			ELSE r.requester END AS on_whom,
		coalesce(t.opened_at,
			(SELECT pg_catalog.max(e.at) FROM ONLY idflow.event e WHERE e.request OPERATOR(pg_catalog.=) r.id),
			r.opened_at) AS since,
		CASE WHEN r.state OPERATOR(pg_catalog.=) 'scheduled' THEN r.effective_at ELSE t.due_at END AS due_at,
		CASE WHEN r.state OPERATOR(pg_catalog.=) 'draft'
			THEN pg_catalog.format('Send it on with idflow.submit(%s), or end it with idflow.withdraw(%1$s).', r.id)
			WHEN r.state OPERATOR(pg_catalog.=) 'conflict'
			THEN pg_catalog.format('See idflow.change_diff, then call idflow.resolve(%s, change, resolution) or idflow.rebase(%1$s).', r.id)
			WHEN r.state OPERATOR(pg_catalog.=) 'failed'
			THEN pg_catalog.format('Remove the cause%s, then call idflow.retry(%s).',
				(SELECT pg_catalog.format(' (%s)', e.comment) FROM ONLY idflow.event e
				 WHERE e.request OPERATOR(pg_catalog.=) r.id AND e.transition OPERATOR(pg_catalog.=) 'Fail'
				 ORDER BY e.seq DESC LIMIT 1), r.id)
			WHEN r.state OPERATOR(pg_catalog.=) 'scheduled' THEN 'It is written when its time comes.'
			WHEN t.id IS NULL
			THEN pg_catalog.format('A member of idflow_admin calls idflow.retry(%s).', r.id)
			WHEN NOT idflow.decidable(r.id)
			THEN pg_catalog.format(CASE WHEN EXISTS (SELECT FROM idflow.candidate c
					WHERE c.task OPERATOR(pg_catalog.=) t.id AND c.key OPERATOR(pg_catalog.=) 'a:idflow_admin')
				THEN 'A member of idflow_admin decides it, or calls idflow.add_candidate(%s, principal).'
				ELSE 'Somebody must come to hold the profile, or a member of idflow_admin calls idflow.add_candidate(%s, principal).'
				END, t.id)
			WHEN pg_catalog.right(t.activity_state, 14) OPERATOR(pg_catalog.=) '-ReviewPending'
			THEN pg_catalog.format('One of them calls idflow.approve(%s) or idflow.decline(%1$s).', t.id)
			ELSE pg_catalog.format('One of them calls idflow.execute(%s).', t.id) END AS remedy
	FROM idflow.request r
		LEFT JOIN idflow.task t ON t.id OPERATOR(pg_catalog.=) r.task AND t.state OPERATOR(pg_catalog.=) 'open'
	WHERE r.id IN (SELECT c.request FROM idflow.candidate c)		-- what has none is closed
		AND r.state OPERATOR(pg_catalog.=) ANY (ARRAY['draft', 'open', 'scheduled', 'conflict', 'failed'])
	UNION ALL
	SELECT j.request, j.activity,
		CASE WHEN j.state OPERATOR(pg_catalog.=) 'blocked' THEN 'job blocked'
			WHEN j.state OPERATOR(pg_catalog.=) 'failed' THEN 'job failed'
			ELSE 'job' END,
		CASE WHEN j.state OPERATOR(pg_catalog.=) 'running' THEN j.taken_by
			WHEN j.state OPERATOR(pg_catalog.=) 'queued' THEN 'agent of ' OPERATOR(pg_catalog.||) j.kind
			ELSE 'idflow_admin' END,
		j.created_at, CASE WHEN j.state OPERATOR(pg_catalog.=) 'running' THEN j.leased_until ELSE j.run_after END,
		CASE WHEN j.state OPERATOR(pg_catalog.=) 'blocked' THEN pg_catalog.format('A member of idflow_admin calls idflow.unblock_jobs(%s).', j.request)
			WHEN j.state OPERATOR(pg_catalog.=) 'failed' THEN pg_catalog.format('Remove the cause, then a member of idflow_admin calls idflow.retry_job(%s).', j.id)
			ELSE pg_catalog.format('An agent takes it with idflow.take_job(%L, lease).', j.kind) END
	FROM idflow.job j WHERE j.state OPERATOR(pg_catalog.<>) 'done';
GRANT SELECT ON idflow.waiting TO PUBLIC;
COMMENT ON VIEW idflow.waiting IS 'What each request that is not closed waits for, and what would move it on; and what jobs of closed ones do.';
COMMENT ON COLUMN idflow.waiting.reason IS
'not submitted, review, refinement, action, nobody can decide, no open task, scheduled, conflict or failed; of a job that is not done: job, job blocked or job failed.';
COMMENT ON COLUMN idflow.waiting.on_whom IS 'Candidates as the task has them: principals and profiles; or who has claimed it.';
