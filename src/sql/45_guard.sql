/*
 * Guards: event triggers that keep table owners from opening gates by DDL.
 *
 * They look at what a command has left behind, not at its text: whatever way
 * leads to a gate that is off, renamed or gone is met.  They are PL/pgSQL, so
 * that DDL goes on when the library is missing.
 *
 * guard_end() and guard_drop() run as the user of the command, because only
 * so they can tell whether that user is an idflow_admin: the outer role alone
 * would let a table owner's function act under the name of an admin who has
 * only called it.  What needs more rights than that user has is done by the
 * SECURITY DEFINER functions below; each does nothing but bring idflow's
 * tables in line with the catalogs, so that calling them directly is no use.
 */

CREATE FUNCTION idflow.guard_admin() RETURNS boolean
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*) = 2
	FROM (VALUES (1, current_user), (2, idflow.outer_role())) u(n, name)
	JOIN pg_roles r ON r.rolname = u.name
	WHERE r.rolsuper
	   OR EXISTS (SELECT FROM pg_roles a WHERE a.rolname = 'idflow_admin' AND pg_has_role(r.oid, a.oid, 'USAGE'))
$$;
COMMENT ON FUNCTION idflow.guard_admin() IS
'True if both the current and the outer role are idflow_admin or superuser.';

/*
 * Most DDL concerns no gate at all; this says so, cheaply.
 */
CREATE FUNCTION idflow.guard_concerns(relations oid[]) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN current_setting('transaction_isolation') IN ('repeatable read', 'serializable')	/* see guard_findings() */
		OR EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
				   WHERE t.tgrelid = ANY (relations) AND p.proname IN ('gate', 'refuse_truncate'))
		OR EXISTS (SELECT FROM pg_inherits i JOIN pg_trigger t ON t.tgrelid = i.inhparent JOIN pg_proc p ON p.oid = t.tgfoid
				   WHERE i.inhrelid = ANY (relations) AND p.proname IN ('gate', 'refuse_truncate'))
		OR EXISTS (SELECT FROM idflow.layout l WHERE l.relid = ANY (relations) OR l.target::oid = ANY (relations))
		OR EXISTS (SELECT FROM idflow.gate_off o WHERE o.target::oid = ANY (relations));
END
$$;
COMMENT ON FUNCTION idflow.guard_concerns(oid[]) IS
'True if one of the tables has, or may have, to do with gates.';

/*
 * What is wrong with the gates of these tables, or with these triggers.
 * Whatever idflow.gate_off has on record is left out.  recorded: an admin may
 * do it, and it is put on record; null: an admin may, and there is nothing to
 * record; false: nobody may.
 */
CREATE FUNCTION idflow.guard_findings(relations oid[], triggers oid[])
	RETURNS TABLE (relation oid, name name, recorded boolean, message text, detail text, hint text)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gate oid;
	refuse oid;
	r oid;
	names text[];
BEGIN
	SELECT max(p.oid::bigint) FILTER (WHERE p.proname = 'gate')::oid,
		   max(p.oid::bigint) FILTER (WHERE p.proname = 'refuse_truncate')::oid
	INTO gate, refuse
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'idflow' AND p.proname IN ('gate', 'refuse_truncate') AND p.pronargs = 0;
	IF gate IS NULL OR refuse IS NULL THEN
		RETURN;		/* the extension is being made or dropped */
	END IF;

	/*
	 * Queries here read by the transaction's snapshot, which may be older
	 * than a gate; functions on object addresses read the catalogs as they
	 * are.
	 */
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		FOR r IN
			SELECT unnest(relations)
			UNION
			SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = ANY (relations)
		LOOP
			BEGIN
				SELECT a.object_names INTO names FROM pg_identify_object_as_address('pg_class'::regclass, r, 0) a;
				PERFORM FROM pg_get_object_address('trigger', names || '!idflow_000_truncate'::text, '{}');
			EXCEPTION WHEN undefined_object OR undefined_table OR invalid_schema_name OR wrong_object_type OR invalid_parameter_value THEN
				CONTINUE;
			END;
			IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = r AND t.tgname = '!idflow_000_truncate') THEN
				RAISE EXCEPTION 'could not serialize access due to a concurrent idflow.attach()'
					USING ERRCODE = 'serialization_failure',
						  HINT = 'Run the command again in a new transaction.';
			END IF;
		END LOOP;
	END IF;

	/* gates, and what refuses TRUNCATE: off, or on in another way */
	RETURN QUERY
		SELECT t.tgrelid, t.tgname, true,
			   CASE t.tgenabled
					WHEN 'D' THEN format('cannot switch off gate "%s" on table %s', t.tgname, t.tgrelid::regclass)
					ELSE format('cannot change when gate "%s" on table %s fires', t.tgname, t.tgrelid::regclass)
			   END,
			   'Changes to the table need approval.'::text,
			   'An idflow_admin can switch gates off with idflow.disable(reason, table).'::text
		FROM pg_trigger t
		WHERE t.tgrelid = ANY (relations)
		  AND t.tgfoid IN (gate, refuse)
		  AND t.tgenabled <> 'O'
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o
						  WHERE o.trigger_name = t.tgname::text
							AND (o.target = t.tgrelid
								 OR o.target IN (SELECT a.relid FROM pg_partition_ancestors(t.tgrelid) a)));

	/* gates renamed: a trigger's second argument is its true name */
	RETURN QUERY
		SELECT t.tgrelid, t.tgname, true,
			   format('cannot rename gate "%s" on table %s', idflow.trigger_argument(t.tgargs, 2), t.tgrelid::regclass),
			   'Its name puts it before the table''s other triggers.'::text,
			   'Attach and detach gates with idflow.attach() and idflow.detach().'::text
		FROM pg_trigger t
		WHERE t.tgrelid = ANY (relations)
		  AND t.tgfoid = gate
		  AND t.tgname::text IS DISTINCT FROM idflow.trigger_argument(t.tgargs, 2)
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o WHERE o.target = t.tgrelid AND o.trigger_name = t.tgname::text);
	RETURN QUERY
		SELECT t.tgrelid, t.tgname, true,
			   format('cannot rename trigger "!idflow_000_truncate" on table %s', t.tgrelid::regclass),
			   'By its name idflow finds it.'::text,
			   'Attach and detach gates with idflow.attach() and idflow.detach().'::text
		FROM pg_trigger t
		WHERE t.tgrelid = ANY (relations)
		  AND t.tgfoid = refuse
		  AND t.tgname <> '!idflow_000_truncate'
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o WHERE o.target = t.tgrelid AND o.trigger_name = t.tgname::text);

	/* gates made by hand, and names that are theirs */
	RETURN QUERY
		SELECT t.tgrelid, t.tgname, NULL::boolean,
			   format('cannot create or alter trigger "%s" on table %s', t.tgname, t.tgrelid::regclass),
			   'Names that begin with "!idflow_", and the function idflow.gate(), are for gates.'::text,
			   'Choose another name, or have an idflow_admin attach the workflow.'::text
		FROM pg_trigger t
		WHERE t.oid = ANY (triggers)
		  AND (starts_with(t.tgname::text, '!idflow_') OR t.tgfoid = gate)
		  AND NOT (t.tgfoid = refuse AND t.tgname = '!idflow_000_truncate' AND t.tgtype = 34 AND t.tgqual IS NULL)
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o WHERE o.target = t.tgrelid AND o.trigger_name = t.tgname::text);

	/* new, renamed or newly come with a partition: triggers that run before the first gate */
	RETURN QUERY
		SELECT t.tgrelid, t.tgname, true,
			   format('trigger "%s" would run before the gates of table %s', t.tgname, t.tgrelid::regclass),
			   'What it does would be done before anybody has approved the change.'::text,
			   format('Choose a name that sorts after "%s".', g.first)
		FROM pg_trigger t
		CROSS JOIN LATERAL (SELECT min(g.tgname::text COLLATE "C") AS first FROM pg_trigger g
							WHERE g.tgrelid = t.tgrelid AND g.tgfoid = gate AND (g.tgtype::int & t.tgtype::int & 28) <> 0) g
		WHERE t.tgrelid = ANY (relations)
		  AND NOT t.tgisinternal
		  AND t.tgtype::int & 3 = 3
		  AND t.tgfoid <> gate
		  AND t.tgenabled <> 'D'
		  AND t.tgname::text COLLATE "C" < g.first
		  AND (t.oid = ANY (triggers)
			   OR (t.tgrelid IN (SELECT c.oid FROM pg_class c WHERE c.relispartition)
				   AND NOT EXISTS (SELECT FROM pg_trigger x WHERE x.tgrelid = t.tgrelid AND x.tgfoid = refuse)))
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o WHERE o.target = t.tgrelid AND o.trigger_name = t.tgname::text);

	/*
	 * Rows that come with a partition: they have no approval.  Asked of the
	 * file and not by a query: the plan of one would evaluate the owner's
	 * index expressions, here with the rights of the extension's owner, and
	 * an old snapshot would not show all rows.
	 */
	FOR r IN
		SELECT c.oid FROM pg_class c
		WHERE c.oid = ANY (relations)
		  AND c.relispartition AND c.relkind = 'r'
		  AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgfoid = gate AND g.tgtype::int & 4 <> 0)
		  AND NOT EXISTS (SELECT FROM pg_trigger x WHERE x.tgrelid = c.oid AND x.tgfoid = refuse)
	LOOP
		IF pg_relation_size(r) > 0 THEN
			RETURN QUERY
				SELECT r, NULL::name, NULL::boolean,
					   format('cannot attach partition %s because it has rows', r::regclass),
					   'Rows that are added to its parent need approval.'::text,
					   'Attach it empty, after TRUNCATE, or have an idflow_admin attach it.'::text;
		END IF;
	END LOOP;

	/* rules */
	RETURN QUERY
		SELECT w.ev_class, w.rulename, true,
			   format('cannot have rule "%s" on table %s', w.rulename, w.ev_class::regclass),
			   'It could rewrite a statement before the table''s gates see it.'::text,
			   'Write a trigger.'::text
		FROM pg_rewrite w
		WHERE w.ev_class = ANY (relations)
		  AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = w.ev_class AND g.tgfoid = gate)
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o WHERE o.target = w.ev_class AND o.trigger_name = w.rulename::text);

	/* inheritance children, and foreign partitions: for nobody */
	RETURN QUERY
		SELECT i.inhrelid, NULL::name, false,
			   format('table %s cannot inherit from table %s', i.inhrelid::regclass, i.inhparent::regclass),
			   'Changes to one of them need approval, and statements on the one also change the other.'::text,
			   'Partitions get the gates of their table; inheritance children would not.'::text
		FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid AND NOT c.relispartition
		JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'r'
		WHERE (i.inhrelid = ANY (relations) OR i.inhparent = ANY (relations))
		  AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid IN (i.inhrelid, i.inhparent) AND g.tgfoid = gate);
	RETURN QUERY
		SELECT c.oid, NULL::name, false,
			   format('foreign table %s cannot be a partition of a table whose changes need approval', c.oid::regclass),
			   'An approved change could not be written to it in the transaction of its approval with certainty.'::text,
			   'Make it a local table.'::text
		FROM pg_class c
		WHERE c.oid = ANY (relations)
		  AND c.relkind = 'f'
		  AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgfoid = gate);

	/*
	 * Partitions detached: core has dropped their gates without a word, but
	 * not what refuses TRUNCATE, and that says that it was a partition's.
	 */
	IF EXISTS (SELECT FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
			   WHERE c.oid = ANY (relations) AND c.relkind = 'p' AND t.tgfoid = gate) THEN
		RETURN QUERY
			SELECT t.tgrelid, '!idflow_detached'::name, true,
				   format('cannot detach partition %s', t.tgrelid::regclass),
				   'Changes to it need approval; detached, it would have no gate.'::text,
				   'Have an idflow_admin detach it.'::text
			FROM idflow.gate_trigger t JOIN pg_class c ON c.oid = t.tgrelid
			WHERE t.function = 'refuse_truncate'
			  AND NOT c.relispartition
			  AND idflow.trigger_argument(t.tgargs, 1) = 'partition'
			  AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.tgrelid AND g.tgfoid = gate);
	END IF;
END
$$;
COMMENT ON FUNCTION idflow.guard_findings(oid[], oid[]) IS
'What a command has left behind that would let changes past the gates of these tables, or by these triggers.';

/*
 * Put on record what an admin has done.  A detached partition also loses what
 * refuses TRUNCATE.
 */
CREATE FUNCTION idflow.guard_record(relation oid, name name, command text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
BEGIN
	IF guard_record.name = '!idflow_detached' THEN
		DELETE FROM idflow.gate_off o
		WHERE o.target::oid = guard_record.relation AND starts_with(o.trigger_name, '!idflow_');
	END IF;

	INSERT INTO idflow.gate_off (target, target_name, trigger_name, actor, role, reason)
		SELECT c.oid, format('%I.%I', n.nspname, c.relname), guard_record.name,
			   idflow.actor_or_role(), idflow.outer_role(), format('%s by %s', command, idflow.outer_role())
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = guard_record.relation
	ON CONFLICT ON CONSTRAINT gate_off_pkey DO NOTHING;

	FOR t IN
		SELECT g.tgrelid::regclass AS relation, g.tgname
		FROM idflow.gate_trigger g JOIN pg_class c ON c.oid = g.tgrelid
		WHERE g.function = 'refuse_truncate'
		  AND idflow.trigger_argument(g.tgargs, 1) = 'partition'
		  AND NOT c.relispartition
		  AND g.tgrelid = guard_record.relation
		  AND NOT EXISTS (SELECT FROM idflow.gate_trigger x WHERE x.tgrelid = g.tgrelid AND x.function = 'gate')
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
	END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION idflow.guard_record(oid, name, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.guard_record(oid, name, text) TO idflow_admin;
COMMENT ON FUNCTION idflow.guard_record(oid, name, text) IS
'Notes in idflow.gate_off that an idflow_admin has opened a gate by DDL.';

/*
 * Bring idflow's tables in line with the catalogs for these tables, or for
 * all if null.
 */
CREATE FUNCTION idflow.guard_follow(relations oid[], creating boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
	restoring boolean := current_setting('check_function_bodies') = 'off'
		AND EXISTS (SELECT FROM pg_roles o WHERE o.rolname = idflow.outer_role()
					AND (o.rolsuper OR EXISTS (SELECT FROM pg_roles a WHERE a.rolname = 'idflow_admin'
											   AND pg_has_role(o.oid, a.oid, 'USAGE'))));
BEGIN
	/* columns renamed: known by their number */
	UPDATE idflow.layout l
	SET columns = n.columns
	FROM (SELECT x.id, array_agg(coalesce(a.attname::text, u.name) ORDER BY u.position) AS columns
		  FROM idflow.layout x
		  CROSS JOIN LATERAL unnest(x.columns, x.attnums) WITH ORDINALITY u(name, attnum, position)
		  LEFT JOIN pg_attribute a ON a.attrelid = x.relid AND a.attnum = u.attnum AND NOT a.attisdropped
		  WHERE x.relid = x.target::oid AND x.made_in = idflow.this_database() AND (relations IS NULL OR x.relid = ANY (relations))
		  GROUP BY x.id) n
	WHERE l.id = n.id AND l.columns <> n.columns;

	/* tables renamed, or moved to another schema */
	FOR t IN
		UPDATE idflow.layout l
		SET target_name = format('%I.%I', n.nspname, c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = l.target::oid AND (relations IS NULL OR c.oid = ANY (relations))
		  AND l.target_name <> format('%I.%I', n.nspname, c.relname)
		RETURNING l.target, l.target_name
	LOOP
		UPDATE idflow.change_data d SET target_name = t.target_name
		WHERE d.target::oid = t.target::oid AND d.target_name <> t.target_name;
	END LOOP;
	UPDATE idflow.gate_off o
	SET target_name = format('%I.%I', n.nspname, c.relname)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.oid = o.target::oid AND o.target_name <> format('%I.%I', n.nspname, c.relname);

	/*
	 * A restore brings both what is on record and the triggers of partitions
	 * itself, and disables a gate that was off right after it is created.
	 * Dumps begin with this setting.  What a data-only restore disables and
	 * enables again must not stay on record, though: it would be leave to
	 * disable it.
	 */
	IF restoring AND creating THEN
		RETURN;
	END IF;

	/* new partitions get their gates from core, but not what refuses TRUNCATE */
	FOR t IN
		SELECT DISTINCT g.tgrelid::regclass AS relation
		FROM pg_trigger g
		JOIN pg_proc p ON p.oid = g.tgfoid AND p.proname = 'gate'
		JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'idflow'
		WHERE NOT restoring AND g.tgrelid = ANY (relations)
		  AND g.tgparentid <> 0
		  AND NOT EXISTS (SELECT FROM pg_trigger x WHERE x.tgrelid = g.tgrelid AND x.tgname = '!idflow_000_truncate')
		  AND NOT EXISTS (SELECT FROM idflow.gate_off o
						  WHERE o.target::oid = g.tgrelid AND o.trigger_name = '!idflow_000_truncate')
	LOOP
		EXECUTE format('CREATE TRIGGER "!idflow_000_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION idflow.refuse_truncate(''partition'')',
					   t.relation);
	END LOOP;

	/* what is on record, but is no longer so; a gate that was dropped stays on record */
	DELETE FROM idflow.gate_off o
	WHERE (relations IS NULL OR o.target::oid = ANY (relations))
	  AND CASE WHEN o.trigger_name = '!idflow_detached'
			   THEN EXISTS (SELECT FROM pg_class c WHERE c.oid = o.target::oid AND c.relispartition)
			   WHEN starts_with(o.trigger_name, '!idflow_')
			   THEN EXISTS (SELECT FROM idflow.gate_trigger g
							WHERE g.tgrelid = o.target::oid AND g.tgname::text = o.trigger_name AND g.tgenabled = 'O'
							  AND (g.function = 'refuse_truncate' OR idflow.trigger_argument(g.tgargs, 2) = g.tgname::text))
			   ELSE NOT EXISTS (SELECT FROM pg_trigger x WHERE x.tgrelid = o.target::oid AND x.tgname::text = o.trigger_name)
					AND NOT EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = o.target::oid AND w.rulename::text = o.trigger_name)
		  END;
END
$$;
COMMENT ON FUNCTION idflow.guard_follow(oid[], boolean) IS
'Lets layouts, changes and idflow.gate_off follow renamed columns and tables, and has TRUNCATE refused on new partitions.';

CREATE FUNCTION idflow.guard_end() RETURNS event_trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relations oid[];
	triggers oid[];
	f record;
BEGIN
	IF tg_tag IN ('ALTER SCHEMA', 'ALTER TYPE') THEN
		PERFORM idflow.guard_follow(NULL);
		RETURN;
	END IF;

	/* the tables that the command touched, and all of their partitions */
	SELECT array_agg(DISTINCT coalesce(p.relid::oid, x.relid)), array_agg(DISTINCT x.trigger) FILTER (WHERE x.trigger IS NOT NULL)
	INTO relations, triggers
	FROM (SELECT CASE c.classid
					  WHEN 'pg_class'::regclass THEN c.objid
					  WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = c.objid)
					  WHEN 'pg_rewrite'::regclass THEN (SELECT w.ev_class FROM pg_rewrite w WHERE w.oid = c.objid)
				 END AS relid,
				 CASE c.classid WHEN 'pg_trigger'::regclass THEN c.objid END AS trigger
		  FROM pg_event_trigger_ddl_commands() c
		  WHERE c.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass)) x
	JOIN pg_class k ON k.oid = x.relid AND k.relkind IN ('r', 'p', 'f')
	LEFT JOIN LATERAL pg_partition_tree(x.relid::regclass) p ON k.relkind = 'p';
	IF relations IS NULL OR (triggers IS NULL AND NOT idflow.guard_concerns(relations)) THEN
		RETURN;
	END IF;

	FOR f IN SELECT * FROM idflow.guard_findings(relations, coalesce(triggers, '{}')) LOOP
		IF f.recorded IS NOT DISTINCT FROM false OR NOT idflow.guard_admin() THEN
			RAISE EXCEPTION USING
				ERRCODE = 'WF011',
				MESSAGE = f.message,
				DETAIL = f.detail,
				HINT = f.hint;
		END IF;
		IF f.recorded THEN
			PERFORM idflow.guard_record(f.relation, f.name, tg_tag);
		END IF;
	END LOOP;

	PERFORM idflow.guard_follow(relations, tg_tag = 'CREATE TRIGGER');
END
$$;
COMMENT ON FUNCTION idflow.guard_end() IS
'Event trigger: refuses DDL that would open a gate (WF011) unless an idflow_admin does it, and follows renames.';

CREATE FUNCTION idflow.guard_open_requests(relation oid) RETURNS bigint
	AS 'MODULE_PATHNAME', 'idflow_guard_open_requests'
	LANGUAGE C STRICT;
REVOKE EXECUTE ON FUNCTION idflow.guard_open_requests(oid) FROM PUBLIC;
COMMENT ON FUNCTION idflow.guard_open_requests(oid) IS
'How many open requests there are on a table, whatever the transaction''s snapshot shows. For the event trigger only.';

/*
 * What a command has dropped: gates whose tables are still there, and open
 * requests on tables that are not.
 */
CREATE FUNCTION idflow.guard_dropped() RETURNS TABLE (relation oid, relation_name text, trigger_name text, requests bigint)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid,
			   format('%I.%I', d.address_names[1], d.address_names[2]), d.address_names[3], NULL::bigint
		FROM pg_event_trigger_dropped_objects() d
		WHERE d.classid = 'pg_trigger'::regclass
		  AND starts_with(d.address_names[3], '!idflow_')
		  AND NOT d.is_temporary
		  AND to_regclass(format('%I.%I', d.address_names[1], d.address_names[2])) IS NOT NULL
		  /* where no gate is left there is nothing to truncate past; but see the old snapshots in guard_findings() */
		  AND (d.address_names[3] <> '!idflow_000_truncate'
			   OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
			   OR EXISTS (SELECT FROM idflow.gate_trigger g
						  WHERE g.function = 'gate'
							AND g.tgrelid = to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))));

	/* an old snapshot does not show the last drafts */
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		RETURN QUERY
			SELECT d.objid, d.object_identity, NULL::text, o.n
			FROM pg_event_trigger_dropped_objects() d
			CROSS JOIN LATERAL idflow.guard_open_requests(d.objid) o (n)
			WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.object_type IN ('table', 'foreign table')
			  AND NOT d.is_temporary AND o.n > 0;
		RETURN;
	END IF;

	RETURN QUERY
		SELECT d.objid, d.object_identity, NULL::text, count(DISTINCT c.request)
		FROM pg_event_trigger_dropped_objects() d
		JOIN idflow.request r ON r.state IN ('draft', 'open', 'scheduled', 'conflict', 'failed') AND NOT r.persisted
		JOIN idflow.change_data c ON c.request = r.id AND c.target::oid = d.objid AND c.superseded IS NULL
		WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.object_type IN ('table', 'foreign table')
		  AND EXISTS (SELECT FROM idflow.layout l WHERE l.target::oid = d.objid)	/* most tables have none */
		GROUP BY d.objid, d.object_identity;
END
$$;
COMMENT ON FUNCTION idflow.guard_dropped() IS
'Gates, and tables with open requests, that the present command has dropped. For the event trigger only.';

CREATE FUNCTION idflow.guard_end_requests(relation oid, name text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'idflow_guard_end_requests'
	LANGUAGE C STRICT;
COMMENT ON FUNCTION idflow.guard_end_requests(oid, text) IS
'Ends the open requests on a table that exists no more, as terminated; name is for their history. Returns how many. Errors: WF015 one is being decided.';

CREATE FUNCTION idflow.guard_forget() RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM idflow.gate_off o
	WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = o.target::oid)
	   OR (NOT starts_with(o.trigger_name, '!idflow_')
		   AND NOT EXISTS (SELECT FROM pg_trigger x WHERE x.tgrelid = o.target::oid AND x.tgname::text = o.trigger_name)
		   AND NOT EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = o.target::oid AND w.rulename::text = o.trigger_name))
$$;
COMMENT ON FUNCTION idflow.guard_forget() IS
'Deletes what idflow.gate_off says of tables, triggers and rules that do not exist any more.';

CREATE FUNCTION idflow.guard_drop() RETURNS event_trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	f record;
	/* anybody may set it, so that it may as well be a placeholder */
	on_drop text := lower(coalesce(nullif(current_setting('idflow.on_drop', true), ''), 'auto'));
BEGIN
	PERFORM FROM pg_event_trigger_dropped_objects() d
	WHERE d.classid IN ('pg_trigger'::regclass, 'pg_rewrite'::regclass)
	   OR (d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.object_type IN ('table', 'foreign table') AND NOT d.is_temporary);
	IF NOT FOUND THEN
		RETURN;
	END IF;

	FOR f IN SELECT * FROM idflow.guard_dropped() LOOP
		IF f.trigger_name IS NOT NULL THEN
			IF idflow.guard_admin() THEN
				PERFORM idflow.guard_record(f.relation, f.trigger_name::name, tg_tag);
				CONTINUE;
			END IF;
			RAISE EXCEPTION 'cannot drop gate "%" on table %', f.trigger_name, f.relation_name
				USING ERRCODE = 'WF011',
					  DETAIL = 'Changes to the table need approval.',
					  HINT = 'An idflow_admin who owns the table can call idflow.detach(workflow, table).';
		ELSIF on_drop = 'end' OR (on_drop = 'auto' AND idflow.guard_admin()) THEN
			PERFORM idflow.guard_end_requests(f.relation, f.relation_name);
		ELSE
			RAISE EXCEPTION 'cannot drop table % because requests for it are open', f.relation_name
				USING ERRCODE = 'WF015',
					  DETAIL = format('Open requests: %s.', f.requests),
					  HINT = 'Have them decided or withdrawn first; or have them ended with the table: SET idflow.on_drop = ''end''.';
		END IF;
	END LOOP;

	PERFORM idflow.guard_forget();
END
$$;
COMMENT ON FUNCTION idflow.guard_drop() IS
'Event trigger: refuses to drop a gate while its table stays (WF011), unless an idflow_admin does it; and a table with open requests (WF015), or ends them, as the setting idflow.on_drop says.';

CREATE FUNCTION idflow.guard_rewrite() RETURNS event_trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation oid := pg_event_trigger_table_rewrite_oid();
BEGIN
	/* 4: a column's type is changed, perhaps with an expression for its values */
	IF pg_event_trigger_table_rewrite_reason() & 4 <> 0
	   AND EXISTS (SELECT FROM pg_trigger t
				   JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname = 'gate'
				   JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'idflow'
				   WHERE t.tgrelid = relation AND t.tgtype::int & 16 <> 0 AND t.tgenabled <> 'D')
	   AND NOT idflow.guard_admin() THEN
		RAISE EXCEPTION 'cannot change the type of a column of table %', relation::regclass
			USING ERRCODE = 'WF011',
				  DETAIL = 'It would change the values of rows, and updates of the table need approval.',
				  HINT = 'Have an idflow_admin do it.';
	END IF;
END
$$;
COMMENT ON FUNCTION idflow.guard_rewrite() IS
'Event trigger: refuses to rewrite the values of a table whose updates are gated (WF011), unless an idflow_admin does it.';

CREATE FUNCTION idflow.guard_start() RETURNS event_trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	/*
	 * DETACH PARTITION CONCURRENTLY commits halfway: refused at its end it
	 * would leave the partition, with its rows, out of the table.  What table
	 * it is about is not known here; but it is the client's own statement, as
	 * it can't be in a function, and the only ALTER TABLE with that word.
	 */
	IF current_query() ILIKE '%concurrently%'
	   AND EXISTS (SELECT FROM idflow.gate_trigger g JOIN pg_class c ON c.oid = g.tgrelid
				   WHERE g.function = 'gate' AND c.relkind = 'p' AND pg_has_role(c.relowner, 'USAGE'))
	   AND NOT idflow.guard_admin() THEN
		RAISE EXCEPTION 'cannot detach a partition concurrently'
			USING ERRCODE = 'WF011',
				  DETAIL = 'You own a partitioned table whose changes need approval, and this could not be undone where it is refused.',
				  HINT = 'Use DETACH PARTITION without CONCURRENTLY, or have an idflow_admin do it.';
	END IF;
END
$$;
COMMENT ON FUNCTION idflow.guard_start() IS
'Event trigger: refuses DETACH PARTITION CONCURRENTLY (WF011) to owners of gated partitioned tables, unless they are idflow_admin.';

CREATE EVENT TRIGGER idflow_guard_start ON ddl_command_start
	WHEN TAG IN ('ALTER TABLE')
	EXECUTE FUNCTION idflow.guard_start();
COMMENT ON EVENT TRIGGER idflow_guard_start IS 'Keeps partitions from being half detached.';

CREATE EVENT TRIGGER idflow_guard_end ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER TRIGGER', 'ALTER RULE', 'ALTER SCHEMA', 'ALTER TYPE',
				 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE TRIGGER', 'CREATE RULE', 'CREATE SCHEMA')
	EXECUTE FUNCTION idflow.guard_end();
COMMENT ON EVENT TRIGGER idflow_guard_end IS 'Keeps DDL from opening gates.';

CREATE EVENT TRIGGER idflow_guard_drop ON sql_drop
	EXECUTE FUNCTION idflow.guard_drop();
COMMENT ON EVENT TRIGGER idflow_guard_drop IS 'Keeps gates from being dropped while their tables stay.';

CREATE EVENT TRIGGER idflow_guard_rewrite ON table_rewrite
	EXECUTE FUNCTION idflow.guard_rewrite();
COMMENT ON EVENT TRIGGER idflow_guard_rewrite IS 'Keeps ALTER TABLE from changing values past gates.';
