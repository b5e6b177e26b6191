/*
 * Health: what stands in the way of approval, or of those who wait for it.
 */

/*
 * One row per finding, and one "ok" per group without findings.  It reads
 * only, so that it works on a standby, and calls nothing in the library.
 */
CREATE FUNCTION idflow.health() RETURNS TABLE (subject text, state text, detail text, hint text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gates bigint;
	tables bigint;
	/* reasons and numbers of requests are for admins and auditors */
	full_view boolean := EXISTS (
		SELECT FROM pg_roles o JOIN pg_roles a ON o.rolsuper
			OR (a.rolname IN ('idflow_admin', 'idflow_auditor') AND pg_has_role(o.oid, a.oid, 'USAGE'))
		WHERE o.rolname = idflow.outer_role());
BEGIN
	SELECT count(*), count(DISTINCT t.tgrelid) INTO gates, tables
	FROM idflow.gate_trigger t WHERE t.function = 'gate' AND t.tgparentid = 0;

	/* ------------------------------------------------------------ gates */

	/* a partition's gate counts where it is off and that of the whole table is not */
	RETURN QUERY
		SELECT 'gate'::text, CASE WHEN o.role IS NULL THEN 'error' ELSE 'warning' END,
			   format(CASE t.tgenabled WHEN 'D' THEN '%s on %s is switched off' ELSE '%s on %s does not fire as it should' END,
					  t.tgname, t.tgrelid::regclass)
			   || CASE WHEN o.role IS NULL THEN ', and nobody is on record for it.'
					   WHEN full_view THEN format(' since %s by %s (role %s): %s', to_char(o.at, 'YYYY-MM-DD HH24:MI'), o.actor, o.role, o.reason)
					   ELSE '.' END,
			   format('SELECT idflow.enable(%L);', coalesce(pg_partition_root(t.tgrelid), t.tgrelid::regclass))
		FROM idflow.gate_trigger t
		LEFT JOIN idflow.gate_trigger p ON p.oid = t.tgparentid
		LEFT JOIN idflow.gate_off o ON o.target::oid = t.tgrelid AND o.trigger_name = t.tgname::text
		WHERE t.tgenabled <> 'O' AND t.function = 'gate' AND (p.oid IS NULL OR p.tgenabled = 'O')
		ORDER BY t.tgrelid::regclass::text, t.tgname;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'gate'::text, 'ok'::text,
			format('%s on %s, all switched on.', CASE gates WHEN 1 THEN '1 gate' ELSE format('%s gates', gates) END,
				   CASE tables WHEN 1 THEN '1 table' ELSE format('%s tables', tables) END), NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'gate dropped'::text, 'warning'::text,
			   CASE o.trigger_name
				   WHEN '!idflow_detached' THEN format('Partition %s was detached and has no gate.', o.target_name)
				   ELSE format('%s on %s was dropped.', o.trigger_name, o.target_name) END
			   || CASE WHEN full_view THEN format(' %s, %s, by %s.', o.reason, to_char(o.at, 'YYYY-MM-DD HH24:MI'), o.actor) ELSE '' END,
			   'Attach the workflow again.'::text
		FROM idflow.gate_off o
		WHERE starts_with(o.trigger_name, '!idflow_')
		  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = o.target::oid AND t.tgname::text = o.trigger_name)
		ORDER BY o.target_name, o.trigger_name;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'gate dropped'::text, 'ok'::text, 'No gate was dropped but by idflow.detach().'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'gate renamed'::text, 'error'::text,
			   format('%s on %s was made as %s.', t.tgname, t.tgrelid::regclass, coalesce(idflow.trigger_argument(t.tgargs, 2), 'a trigger without arguments')),
			   format('ALTER TRIGGER %I ON %s RENAME TO %I;', t.tgname, t.tgrelid::regclass, idflow.trigger_argument(t.tgargs, 2))
		FROM idflow.gate_trigger t
		WHERE t.function = 'gate' AND t.tgparentid = 0
		  AND t.tgname::text IS DISTINCT FROM idflow.trigger_argument(t.tgargs, 2)
		ORDER BY t.tgrelid::regclass::text, t.tgname;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'gate renamed'::text, 'ok'::text, 'Every gate has its own name.'::text, NULL::text;
	END IF;

	/* off together with the gates is as it should be */
	RETURN QUERY
		SELECT 'truncate'::text, 'warning'::text,
			   format('TRUNCATE is not refused on %s.', g.relation::regclass),
			   'An idflow_admin should attach the workflow again.'::text
		FROM (SELECT DISTINCT t.tgrelid AS relation FROM idflow.gate_trigger t WHERE t.function = 'gate' AND t.tgenabled <> 'D') g
		WHERE NOT EXISTS (SELECT FROM idflow.gate_trigger t
						  WHERE t.tgrelid = g.relation AND t.function = 'refuse_truncate' AND t.tgenabled IN ('O', 'A'))
		ORDER BY g.relation::regclass::text;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'truncate'::text, 'ok'::text, 'TRUNCATE is refused wherever a gate is on.'::text, NULL::text;
	END IF;

	/* ---------------------------------------------- the tables around them */

	RETURN QUERY
		SELECT 'trigger'::text,
			   CASE WHEN t.tgname::text COLLATE "C" < g.first THEN 'warning' ELSE 'info' END,
			   CASE WHEN t.tgname::text COLLATE "C" < g.first
					THEN format('%s on %s runs before the gate, whether or not the change will be approved.', t.tgname, t.tgrelid::regclass)
					ELSE format('%s on %s runs when an approved row is written, and could alter what was approved.', t.tgname, t.tgrelid::regclass) END,
			   CASE WHEN t.tgname::text COLLATE "C" < g.first
					THEN format('Rename it so that it sorts after %s.', g.first) END
		FROM pg_trigger t
		JOIN (SELECT x.tgrelid, x.tgtype::int & 28 AS event, min(x.tgname::text COLLATE "C") AS first
			  FROM idflow.gate_trigger x WHERE x.function = 'gate' GROUP BY 1, 2) g
		  ON g.tgrelid = t.tgrelid AND g.event & t.tgtype::int <> 0
		WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgtype::int & 3 = 3 AND t.tgenabled <> 'D'
		  AND NOT EXISTS (SELECT FROM idflow.gate_trigger x WHERE x.oid = t.oid)
		  /* on DELETE only those that come first matter: there is no row to alter */
		  AND (t.tgname::text COLLATE "C" < g.first OR g.event <> 8)
		GROUP BY t.oid, t.tgname, t.tgrelid, g.first
		ORDER BY t.tgrelid::regclass::text, t.tgname;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'trigger'::text, 'ok'::text, 'No gated table has BEFORE triggers of its own.'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'rule'::text, 'error'::text,
			   format('Rule %s on %s can rewrite statements before a gate sees them.', w.rulename, w.ev_class::regclass),
			   format('DROP RULE %I ON %s;', w.rulename, w.ev_class::regclass)
		FROM pg_rewrite w
		WHERE w.ev_class IN (SELECT t.tgrelid FROM idflow.gate_trigger t WHERE t.function = 'gate')
		ORDER BY w.ev_class::regclass::text, w.rulename;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'rule'::text, 'ok'::text, 'No gated table has rules.'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'inheritance'::text, 'error'::text,
			   format('%s inherits from %s, and statements on the one also change the other.', i.inhrelid::regclass, i.inhparent::regclass),
			   format('ALTER TABLE %s NO INHERIT %s;', i.inhrelid::regclass, i.inhparent::regclass)
		FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid AND NOT c.relispartition
		JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'r'
		WHERE EXISTS (SELECT FROM idflow.gate_trigger t WHERE t.function = 'gate' AND t.tgrelid IN (i.inhrelid, i.inhparent))
		ORDER BY i.inhrelid::regclass::text;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'inheritance'::text, 'ok'::text, 'No gated table inherits or is inherited from.'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT DISTINCT 'key'::text, 'error'::text,
			   format('%s has no key by which an approved UPDATE or DELETE would find its row.', t.tgrelid::regclass),
			   'Add a primary key.'::text
		FROM idflow.gate_trigger t
		WHERE t.function = 'gate' AND t.tgparentid = 0 AND t.tgtype::int & 24 <> 0
		  AND NOT EXISTS (SELECT FROM pg_index i
						  WHERE i.indrelid = t.tgrelid AND i.indisunique AND i.indimmediate AND i.indisvalid AND NOT i.indisexclusion
							AND i.indpred IS NULL AND i.indexprs IS NULL
							AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
											JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
											WHERE k.n <= i.indnkeyatts AND NOT a.attnotnull))
		ORDER BY 3;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'key'::text, 'ok'::text, 'Every table with gates on UPDATE or DELETE has a key.'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'preview'::text, 'warning'::text,
			   format('View %s no longer fits table %s.', v.view, v.target),
			   format('SELECT idflow.create_preview(%L, %L);', v.target, n.nspname)
		FROM idflow.preview_view v
		JOIN pg_class c ON c.oid = v.view
		JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_class t ON t.oid = v.target
		WHERE c.relname <> t.relname
		   OR NOT coalesce(c.reloptions @> '{security_invoker=true}', false)
		   OR ARRAY(SELECT (a.attname, a.atttypid, a.atttypmod, a.attcollation)::text FROM pg_attribute a
					WHERE a.attrelid = v.view AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
			<> ARRAY(SELECT (a.attname, a.atttypid, a.atttypmod, a.attcollation)::text FROM pg_attribute a
					 WHERE a.attrelid = v.target AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
		ORDER BY 3;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'preview'::text, 'ok'::text, 'Every preview view fits its table.'::text, NULL::text;
	END IF;

	/* -------------------------------------------------------- workflows */

	RETURN QUERY
		SELECT 'workflow'::text, 'error'::text,
			   format('Workflow %s is attached to %s, but is not deployed.', idflow.trigger_argument(t.tgargs, 1), t.tgrelid::regclass),
			   'Deploy it, or detach it.'::text
		FROM idflow.gate_trigger t
		WHERE t.function = 'gate' AND t.tgparentid = 0
		  AND NOT EXISTS (SELECT FROM idflow.workflow w WHERE w.name = idflow.trigger_argument(t.tgargs, 1))
		GROUP BY t.tgrelid, idflow.trigger_argument(t.tgargs, 1)
		UNION ALL
		SELECT 'workflow'::text, 'error'::text,
			   format('Role %s, as which the expressions of workflow %s run, does not exist.', w.deployed_by, w.name),
			   'Deploy the workflow again, as another role.'::text
		FROM (SELECT DISTINCT ON (x.name) x.name, x.deployed_by FROM idflow.workflow x ORDER BY x.name, x.version DESC) w
		WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = w.deployed_by)
		UNION ALL
		-- older versions matter as long as requests are on them
		SELECT 'workflow'::text, 'error'::text,
			   format('Role %s, as which the expressions of version %s of workflow %s run, does not exist, and open requests are on that version.',
					  w.deployed_by, w.version, w.name),
			   format('CREATE ROLE %I; the requests keep their version.', w.deployed_by)
		FROM idflow.workflow w
		WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = w.deployed_by)
		  AND EXISTS (SELECT FROM idflow.workflow x WHERE x.name = w.name AND x.version > w.version)
		  AND EXISTS (SELECT FROM idflow.request q WHERE q.workflow_id = w.id AND q.closed_at IS NULL)
		ORDER BY 3;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'workflow'::text, 'ok'::text, 'Every attached workflow is deployed, and its role exists.'::text, NULL::text;
	END IF;

	/* -------------------------------------------------------------- jobs */

	RETURN QUERY
		SELECT 'job'::text, 'error'::text,
			   format('%s jobs of kind %s have failed.', count(*), j.kind),
			   'See idflow.job; then idflow.retry_job(job).'::text
		FROM idflow.job j WHERE j.state = 'failed' GROUP BY j.kind
		UNION ALL
		SELECT 'job'::text, 'warning'::text,
			   format('%s jobs of kind %s wait for more than an hour: no agent takes them.', count(*), j.kind),
			   'Start an agent.'::text
		FROM idflow.job j WHERE j.state = 'queued' AND j.attempts = 0 AND j.run_after < now() - interval '1 h' GROUP BY j.kind
		ORDER BY 3;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'job'::text, 'ok'::text, 'No job has failed.'::text, NULL::text;
	END IF;

	/* ------------------------------------------------------------ guards */

	RETURN QUERY
		SELECT 'event trigger'::text, 'error'::text,
			   CASE WHEN e.evtname IS NULL THEN format('%s does not exist: a table''s owner can open its gates.', x.name)
					ELSE format('%s is switched off: a table''s owner can open its gates.', x.name) END,
			   CASE WHEN e.evtname IS NULL THEN 'Drop and create the extension, or restore it.'
					ELSE format('ALTER EVENT TRIGGER %s ENABLE;', x.name) END
		FROM (VALUES ('idflow_guard_start'), ('idflow_guard_end'), ('idflow_guard_drop'), ('idflow_guard_rewrite')) x(name)
		LEFT JOIN pg_event_trigger e ON e.evtname::text = x.name
		WHERE e.evtname IS NULL OR e.evtenabled NOT IN ('O', 'A')
		ORDER BY x.name;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'event trigger'::text, 'ok'::text, 'The event triggers that guard gates are switched on.'::text, NULL::text;
	END IF;

	/* ------------------------------------------------------ installation */

	RETURN QUERY
		SELECT 'version'::text, CASE WHEN v.default_version = x.extversion THEN 'ok' ELSE 'warning' END,
			   CASE WHEN v.default_version = x.extversion THEN format('Version %s.', x.extversion)
					WHEN v.default_version IS NULL THEN format('Version %s of the SQL objects; the extension''s files are missing on the server.', x.extversion)
					ELSE format('Version %s of the SQL objects, but %s is installed on the server.', x.extversion, v.default_version) END,
			   CASE WHEN v.default_version <> x.extversion THEN 'ALTER EXTENSION idflow UPDATE;'
					WHEN v.default_version IS NULL THEN 'Install idflow on the server again.' END
		FROM pg_extension x
		LEFT JOIN pg_available_extensions() v ON v.name = x.extname
		WHERE x.extname = 'idflow';

	/* what sessions will have, and what this one has: the setting is known once the library is loaded */
	RETURN QUERY
		SELECT 'preload'::text, CASE WHEN p.loaded THEN 'ok' ELSE 'info' END,
			   CASE WHEN p.loaded THEN 'The library is loaded when a session starts.'
					ELSE 'The library is loaded by a session''s first use of idflow, and clients see drafted rows as not written.' END,
			   CASE WHEN NOT p.loaded THEN format('ALTER DATABASE %I SET session_preload_libraries = ''idflow'';', current_database()) END
		FROM (SELECT (current_setting('session_preload_libraries') || ',' || current_setting('shared_preload_libraries') || ',' || current_setting('local_preload_libraries'))
					 ~ '(^|[,/[:space:]"])idflow($|[.,[:space:]"])' AS loaded) p;

	RETURN QUERY
		SELECT 'count_drafts'::text, CASE c.setting WHEN 'on' THEN 'ok' ELSE 'info' END,
			   CASE c.setting WHEN 'on' THEN 'In this session drafted rows are counted, and returned by RETURNING.'
							  WHEN 'off' THEN 'In this session drafted rows count as not written, and RETURNING leaves them out.'
							  ELSE 'The library is not loaded in this session.' END,
			   CASE c.setting WHEN 'off' THEN 'SET idflow.count_drafts = on;' END
		FROM (SELECT (SELECT s.setting FROM pg_settings s WHERE s.name = 'idflow.count_drafts') AS setting) c;

	RETURN QUERY
		SELECT 'actor'::text, 'info'::text,
			   format('%s may set idflow.actor, and so act as anybody.', CASE a.grantee WHEN 0 THEN 'Every role' ELSE format('Role %s', a.grantee::regrole) END),
			   CASE a.grantee WHEN 0 THEN 'REVOKE SET ON PARAMETER idflow.actor FROM PUBLIC;' END
		FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a
		WHERE p.parname = 'idflow.actor' AND a.privilege_type = 'SET'
		  AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.grantee AND r.rolsuper)
		ORDER BY 3;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'actor'::text, 'ok'::text, 'Only superusers may set idflow.actor.'::text, NULL::text;
	END IF;

	/* ---------------------------------------------------------- requests */

	IF NOT full_view THEN
		RETURN QUERY SELECT 'request'::text, 'info'::text, 'Only idflow_admin and idflow_auditor see the numbers.'::text, NULL::text;
		RETURN QUERY SELECT 'task'::text, 'info'::text, 'Only idflow_admin and idflow_auditor see the numbers.'::text, NULL::text;
		RETURN QUERY SELECT 'timer'::text, 'info'::text, 'Only idflow_admin and idflow_auditor see the numbers.'::text, NULL::text;
		RETURN;
	END IF;

	RETURN QUERY
		SELECT 'request'::text, 'warning'::text,
			   format('Requests in state %s: %s; the oldest is %s.', r.state, count(*), min(r.id)),
			   CASE r.state WHEN 'conflict' THEN 'See idflow.change_diff; idflow.resolve() or idflow.rebase() ends it.'
							ELSE 'See idflow.event; idflow.retry() tries again.' END
		FROM idflow.request r
		WHERE r.id IN (SELECT c.request FROM idflow.candidate c WHERE c.task < 0)
		  AND r.state IN ('conflict', 'failed')
		GROUP BY r.state
		ORDER BY r.state;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'request'::text, 'ok'::text, 'No request is in state conflict or failed.'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'task'::text, 'warning'::text,
			   format('Open tasks that only an idflow_admin can decide: %s; the oldest is %s.', count(*), min(t.id)),
			   'Give the activity an Actor, or add a candidate to the task.'::text
		FROM idflow.task t
		WHERE t.state = 'open'
		  AND EXISTS (SELECT FROM idflow.candidate c WHERE c.task = t.id AND c.key = 'a:idflow_admin')
		HAVING count(*) > 0;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'task'::text, 'ok'::text, 'Every open task has somebody who can decide it.'::text, NULL::text;
	END IF;

	RETURN QUERY
		SELECT 'timer'::text, 'warning'::text,
			   format('Timers that failed and were set aside: %s; the oldest is %s: %s.', count(*), min(t.id), (array_agg(t.error ORDER BY t.id))[1]),
			   'Remove the cause, then call idflow.retry_timer().'::text
		FROM idflow.timer t
		WHERE t.set_aside_at IS NOT NULL
		HAVING count(*) > 0
		UNION ALL
		SELECT 'timer'::text, 'warning'::text,
			   format('Timers that are overdue by more than five minutes: %s.', count(*)),
			   'Something has to call idflow.run_due(): the worker (idflow.databases, idflow.worker_role) or a scheduler such as pg_cron.'::text
		FROM idflow.timer t
		WHERE t.set_aside_at IS NULL AND t.due_at < statement_timestamp() - interval '5 min'
		HAVING count(*) > 0;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'timer'::text, 'ok'::text, 'No timer is overdue or was set aside.'::text, NULL::text;
	END IF;
END
$$;
COMMENT ON FUNCTION idflow.health() IS
'What is wrong, or worth knowing, with gates, their tables and workflows, the installation and open requests; state is ok, info, warning or error, and each subject has at least one row. Reads only.';
