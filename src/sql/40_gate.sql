/*
 * Gates: triggers that tie workflows to tables, and the off-switch.
 */

CREATE FUNCTION idflow.gate() RETURNS trigger
	AS 'MODULE_PATHNAME', 'idflow_gate'
	LANGUAGE C;
/*
 * PUBLIC may execute it, because core asks that of whoever makes a partition
 * of a gated table and so gets copies of its gates.  Gates themselves are
 * made by idflow_admin only: the guards refuse CREATE TRIGGER with it.
 */
COMMENT ON FUNCTION idflow.gate() IS
'The trigger function of gates. idflow.attach() makes the triggers; their arguments are the workflow and the trigger''s own name.';

CREATE FUNCTION idflow.refuse_truncate() RETURNS trigger
	AS 'MODULE_PATHNAME', 'idflow_refuse_truncate'
	LANGUAGE C;
REVOKE EXECUTE ON FUNCTION idflow.refuse_truncate() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.refuse_truncate() TO idflow_admin;
COMMENT ON FUNCTION idflow.refuse_truncate() IS
'The trigger function that refuses TRUNCATE on a table with gates (WF010).';

CREATE FUNCTION idflow.attach(workflow text, target regclass, operations text[] DEFAULT '{INSERT}',
							  condition text DEFAULT NULL, columns name[] DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'idflow_attach'
	LANGUAGE C VOLATILE;
REVOKE EXECUTE ON FUNCTION idflow.attach(text, regclass, text[], text, name[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.attach(text, regclass, text[], text, name[]) TO idflow_admin;
COMMENT ON FUNCTION idflow.attach(text, regclass, text[], text, name[]) IS
'Puts the workflow before INSERT, UPDATE or DELETE on the table; attaching again replaces what was attached. condition is an SQL expression over new and old, as in a trigger''s WHEN; only rows that meet it need approval. columns: only an UPDATE that changes one of them does. Needs idflow_admin and the ownership of the table. Errors: WF002 no such workflow, WF014 an expression of the workflow does not fit the table, 42501 not the owner, 42809 or 0A000 not a table that can be gated, 55000 no key to find rows by, 42703 no such column, 22023 and 22004 wrong arguments, and PostgreSQL''s own for the condition.';

CREATE FUNCTION idflow.detach(workflow text, target regclass, force boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'idflow_detach'
	LANGUAGE C VOLATILE;
REVOKE EXECUTE ON FUNCTION idflow.detach(text, regclass, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.detach(text, regclass, boolean) TO idflow_admin;
COMMENT ON FUNCTION idflow.detach(text, regclass, boolean) IS
'Takes the workflow away from the table. Refuses (WF015) while requests are open that came through it; with force they stay as they are, can be decided, and meet no gate when applied. Needs idflow_admin and the ownership of the table. Errors: 42704 not attached, 42501 not the owner.';

CREATE FUNCTION idflow.require_approval(target regclass, profile text DEFAULT NULL, expression text DEFAULT NULL,
										operations text[] DEFAULT '{INSERT}', condition text DEFAULT NULL,
										columns name[] DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_require_approval'
	LANGUAGE C VOLATILE;
REVOKE EXECUTE ON FUNCTION idflow.require_approval(regclass, text, text, text[], text, name[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.require_approval(regclass, text, text, text[], text, name[]) TO idflow_admin;
COMMENT ON FUNCTION idflow.require_approval(regclass, text, text, text[], text, name[]) IS
'The short way in: writes, deploys and attaches a workflow <table>_approval and returns its name. Holders of the profile decide, or the principals that the SQL expression yields, or both; with neither only idflow_admin. operations, condition and columns as in idflow.attach(). Calling it again replaces what it did. Needs idflow_admin and the ownership of the table. Errors as of idflow.deploy() and idflow.attach(); 42710 if the name is taken by another table.';

-- ------------------------------------------------------------------- the view

CREATE FUNCTION idflow.gate_condition(trigger oid) RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_gate_condition'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.gate_condition(oid) IS
'The condition under which a gate fires, as SQL; null if it has none.';

CREATE FUNCTION idflow.gate_columns(trigger oid) RETURNS name[]
	AS 'MODULE_PATHNAME', 'idflow_gate_columns'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.gate_columns(oid) IS
'The columns that a gate on UPDATE watches; null if it watches all.';

CREATE FUNCTION idflow.trigger_argument(arguments bytea, n int) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	/*
	 * pg_trigger.tgargs: each argument ends with a zero byte.  greatest(), as
	 * the planner computes what it can, whether or not a row will need it.
	 */
	WITH RECURSIVE a(i, argument, rest) AS (
		SELECT 1,
			   substring(arguments FROM 1 FOR greatest(position('\x00'::bytea IN arguments) - 1, 0)),
			   substring(arguments FROM position('\x00'::bytea IN arguments) + 1)
		WHERE position('\x00'::bytea IN arguments) > 0
		UNION ALL
		SELECT i + 1,
			   substring(rest FROM 1 FOR greatest(position('\x00'::bytea IN rest) - 1, 0)),
			   substring(rest FROM position('\x00'::bytea IN rest) + 1)
		FROM a
		WHERE i < n AND position('\x00'::bytea IN rest) > 0
	)
	SELECT convert_from(argument, getdatabaseencoding()::name) FROM a WHERE i = n
$$;
COMMENT ON FUNCTION idflow.trigger_argument(bytea, int) IS
'The nth argument, from 1, of a trigger, out of pg_trigger.tgargs; null if it has fewer.';

/*
 * Gates are found by what depends on their function, which is indexed; the
 * oid of a function is none of pg_trigger's keys.
 */
CREATE VIEW idflow.gate_trigger AS
	SELECT t.oid, t.tgrelid, t.tgname, t.tgtype, t.tgenabled, t.tgparentid, t.tgargs, p.proname AS function
	FROM pg_catalog.pg_namespace n
	JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname IN ('gate', 'refuse_truncate') AND p.pronargs = 0
	JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid
							   AND d.classid = 'pg_catalog.pg_trigger'::regclass
	JOIN pg_catalog.pg_trigger t ON t.oid = d.objid
	WHERE n.nspname = 'idflow';
COMMENT ON VIEW idflow.gate_trigger IS
'Every trigger of idflow''s, with those on partitions and those that refuse TRUNCATE. Reads catalogs only.';
GRANT SELECT ON idflow.gate_trigger TO PUBLIC;

CREATE VIEW idflow.gate AS
	SELECT idflow.trigger_argument(t.tgargs, 1) AS workflow,
		   t.tgrelid::regclass AS target,
		   CASE t.tgtype::int & 28 WHEN 4 THEN 'INSERT' WHEN 8 THEN 'DELETE' WHEN 16 THEN 'UPDATE' ELSE 'several' END AS operation,
		   idflow.gate_condition(t.oid) AS condition,
		   idflow.gate_columns(t.oid) AS columns,
		   t.tgenabled IN ('O', 'A') AS enabled,
		   t.tgname AS trigger
	FROM idflow.gate_trigger t
	WHERE t.function = 'gate' AND t.tgparentid = 0;
COMMENT ON VIEW idflow.gate IS
'Which workflow stands before which operation on which table, read from pg_trigger. A partitioned table''s gates hold for all its partitions.';
GRANT SELECT ON idflow.gate TO PUBLIC;

-- ------------------------------------------------------------- the off-switch

/*
 * These two work without the library, which may be what is broken.
 */

CREATE FUNCTION idflow.outer_role() RETURNS name
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	/* SECURITY DEFINER functions change current_user, but not this */
	SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END
$$;
COMMENT ON FUNCTION idflow.outer_role() IS
'The database role that acts: that of SET ROLE, else the session''s.';

CREATE FUNCTION idflow.actor_or_role() RETURNS text
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN idflow.actor();
EXCEPTION WHEN OTHERS THEN
	RETURN idflow.outer_role();
END
$$;
COMMENT ON FUNCTION idflow.actor_or_role() IS
'idflow.actor(), or the role where the library cannot be asked.';

CREATE FUNCTION idflow.gated_relations(target regclass) RETURNS TABLE (relation regclass, root regclass)
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF target IS NULL THEN
		RETURN QUERY
			SELECT DISTINCT t.tgrelid::regclass, coalesce(pg_partition_root(t.tgrelid), t.tgrelid::regclass)
			FROM idflow.gate_trigger t;
		RETURN;
	END IF;
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = target AND c.relispartition) THEN
		RAISE EXCEPTION 'table % is a partition', target
			USING ERRCODE = 'wrong_object_type',
				  HINT = format('Name the partitioned table %s, whose gates hold for all its partitions.', pg_partition_root(target));
	END IF;
	IF NOT EXISTS (SELECT FROM idflow.gate_trigger t WHERE t.tgrelid = target) THEN
		RAISE EXCEPTION 'table % has no gate', target
			USING ERRCODE = 'undefined_object',
				  HINT = 'SELECT * FROM idflow.gate shows what is attached where.';
	END IF;
	RETURN QUERY
		SELECT DISTINCT t.tgrelid::regclass, target
		FROM idflow.gate_trigger t
		WHERE t.tgrelid = target OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(target));
END
$$;
COMMENT ON FUNCTION idflow.gated_relations(regclass) IS
'The table and those of its partitions that have gates; of all tables if it is null. Errors: 42704 no gate, 42809 a partition.';

CREATE FUNCTION idflow.disable(reason text, target regclass DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
BEGIN
	IF reason IS NULL OR btrim(reason, E' \t\r\n') = '' THEN
		RAISE EXCEPTION 'a reason must be given'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'It stands in idflow.gate_off for as long as the gates are off: idflow.disable(''why'', table).';
	END IF;

	/* a partitioned table passes it on to its partitions' gates; TRUNCATE's are each table's own */
	FOR t IN
		SELECT g.tgrelid::regclass AS relation, g.tgname
		FROM idflow.gated_relations(disable.target) r JOIN idflow.gate_trigger g ON g.tgrelid = r.relation
		WHERE g.tgparentid = 0 AND g.tgenabled <> 'D'
		ORDER BY r.root <> r.relation, r.relation::oid, g.tgname
	LOOP
		EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.relation, t.tgname);
	END LOOP;

	/* the guards have put it on record, but don't know why */
	INSERT INTO idflow.gate_off (target, target_name, trigger_name, actor, role, reason)
		SELECT c.oid, format('%I.%I', n.nspname, c.relname), g.tgname, idflow.actor_or_role(), idflow.outer_role(), reason
		FROM idflow.gated_relations(disable.target) r
		JOIN idflow.gate_trigger g ON g.tgrelid = r.relation
		JOIN pg_class c ON c.oid = g.tgrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace
	ON CONFLICT ON CONSTRAINT gate_off_pkey DO UPDATE
		SET target_name = excluded.target_name, actor = excluded.actor, role = excluded.role,
			reason = excluded.reason, at = excluded.at
		/* switching everything off keeps what is known of gates that were off */
		WHERE disable.target IS NOT NULL OR gate_off.at >= statement_timestamp();
END
$$;
REVOKE EXECUTE ON FUNCTION idflow.disable(text, regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.disable(text, regclass) TO idflow_admin;
COMMENT ON FUNCTION idflow.disable(text, regclass) IS
'Switches the gates of a table off, or of all tables; statements then go straight to the table, TRUNCATE too. Who, and the reason, stand in idflow.gate_off and in idflow.health(). Works without the library. Errors: 22023 no reason, 42704 no gate, 42809 a partition.';

CREATE FUNCTION idflow.enable(target regclass DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
BEGIN
	FOR t IN
		SELECT g.tgrelid::regclass AS relation, g.tgname
		FROM idflow.gated_relations(enable.target) r JOIN idflow.gate_trigger g ON g.tgrelid = r.relation
		WHERE g.tgenabled <> 'O'
		ORDER BY r.root <> r.relation, r.relation::oid, g.tgname
	LOOP
		EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', t.relation, t.tgname);
	END LOOP;

	DELETE FROM idflow.gate_off o
	WHERE EXISTS (SELECT FROM idflow.gate_trigger g
				  WHERE g.tgrelid = o.target AND g.tgname = o.trigger_name::name AND g.tgenabled = 'O');
END
$$;
REVOKE EXECUTE ON FUNCTION idflow.enable(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.enable(regclass) TO idflow_admin;
COMMENT ON FUNCTION idflow.enable(regclass) IS
'Switches the gates of a table on again, or of all tables. Works without the library. Errors: 42704 no gate, 42809 a partition.';
