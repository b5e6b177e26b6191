/*
 * Preview: a table as it would be if its open drafts were approved.
 */

CREATE FUNCTION idflow.preview("like" anyelement, request bigint DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME', 'idflow_preview'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 10000;
COMMENT ON FUNCTION idflow.preview(anyelement, bigint) IS
'A table as it would be: idflow.preview(NULL::hr.person) returns its live rows, as the current role may SELECT them, with the open drafts that one may see applied in the order of the requests, or those of one request. Columns that one may not see are null. Errors: 42501 no privilege, 42804 no row type, 42809 no table, or a partition.';

/*
 * These two name the table and no row type of it: a view that did would stand
 * in the way of ALTER TABLE ... ADD COLUMN ... DEFAULT.
 */
CREATE FUNCTION idflow.preview_drafted(target regclass, request bigint DEFAULT NULL, own boolean DEFAULT false) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_preview_drafted'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 1000;
COMMENT ON FUNCTION idflow.preview_drafted(regclass, bigint, boolean) IS
'Of idflow.preview(): the rows that drafts make or change, as they would be; own: drafts of the actor''s own requests only; in FROM, with a list of the table''s columns. Part of preview views.';

CREATE FUNCTION idflow.preview_replaced(target regclass, request bigint DEFAULT NULL, own boolean DEFAULT false) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_preview_replaced'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 1000;
COMMENT ON FUNCTION idflow.preview_replaced(regclass, bigint, boolean) IS
'Of the live rows those that drafts change or delete, as they are; own as there; in FROM, with a list of the table''s columns. Part of preview views.';

-- ------------------------------------------------------------- preview views

CREATE FUNCTION idflow.write_preview() RETURNS trigger
	AS 'MODULE_PATHNAME', 'idflow_write_preview'
	LANGUAGE C;
COMMENT ON FUNCTION idflow.write_preview() IS
'The trigger function of preview views: runs the statement on the table, with the rights of whoever writes. Errors: 55000 the row exists only in a draft, or the table has no key; 40001 the row was changed since the statement began; and the table''s own.';

CREATE FUNCTION idflow.preview_default(target regclass, "column" smallint) RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_preview_default'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.preview_default(regclass, smallint) IS
'The default that a column of a preview view is to have, as SQL; null for none.';

/*
 * Preview views are known by their triggers' function, and their tables by
 * what the views depend on, so that renaming changes nothing.
 */
CREATE VIEW idflow.preview_view AS
	SELECT DISTINCT t.tgrelid::regclass AS view, d.refobjid::regclass AS target
	FROM pg_catalog.pg_namespace n
	JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = 'write_preview' AND p.pronargs = 0
	JOIN pg_catalog.pg_depend f ON f.refclassid = 'pg_catalog.pg_proc'::regclass AND f.refobjid = p.oid
							   AND f.classid = 'pg_catalog.pg_trigger'::regclass
	JOIN pg_catalog.pg_trigger t ON t.oid = f.objid
	JOIN pg_catalog.pg_rewrite w ON w.ev_class = t.tgrelid
	JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
							   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> t.tgrelid
	JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p')
	WHERE n.nspname = 'idflow';
COMMENT ON VIEW idflow.preview_view IS
'Views that idflow.create_preview() made, and the tables behind them. Reads catalogs only.';
GRANT SELECT ON idflow.preview_view TO PUBLIC;

CREATE FUNCTION idflow.create_preview(target regclass, schema name DEFAULT 'preview', own boolean DEFAULT NULL) RETURNS regclass
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tab record;
	place record;
	old regclass;
	view_name text;
	columns text[];
	key text[];
	live text := 'live';
	table_name text;
	column_list text;
	definition text;
	asks text;		-- what the view asks of the functions behind it
	r record;
BEGIN
	IF target IS NULL OR schema IS NULL THEN
		RAISE EXCEPTION 'the table and the schema must be given'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT c.*, n.nspname INTO tab
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation with OID % does not exist', target::oid
			USING ERRCODE = 'undefined_table';
	END IF;
	IF tab.relkind NOT IN ('r', 'p') OR tab.relpersistence = 't' OR tab.nspname IN ('idflow', 'pg_catalog', 'information_schema') THEN
		RAISE EXCEPTION 'cannot make a preview of %', target
			USING ERRCODE = 'wrong_object_type',
				  DETAIL = 'It must be an ordinary or a partitioned table, and not a temporary one or one of the system or of idflow.';
	END IF;
	IF tab.relispartition THEN
		RAISE EXCEPTION 'table % is a partition', target
			USING ERRCODE = 'wrong_object_type',
				  HINT = format('Drafts belong to the partitioned table %s; name that.', pg_partition_root(target));
	END IF;
	IF NOT pg_has_role(tab.relowner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of table %', target
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF tab.nspname = schema THEN
		RAISE EXCEPTION 'the preview of table % cannot stand in the table''s own schema', target
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Name another schema.';
	END IF;
	columns := ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
					 WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum);
	IF columns = '{}' THEN
		RAISE EXCEPTION 'table % has no columns', target
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	table_name := format('%I.%I', tab.nspname, tab.relname);
	SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
							 CASE WHEN a.attcollation <> y.typcollation THEN format(' COLLATE %I.%I', n.nspname, l.collname) END), ', '
					  ORDER BY a.attnum)
	INTO column_list
	FROM pg_attribute a
	JOIN pg_type y ON y.oid = a.atttypid
	LEFT JOIN pg_collation l ON l.oid = a.attcollation
	LEFT JOIN pg_namespace n ON n.oid = l.collnamespace
	WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped;

	/* the schema */
	IF to_regnamespace(quote_ident(schema)) IS NULL THEN
		IF NOT has_database_privilege(current_database(), 'CREATE') THEN
			RAISE EXCEPTION 'permission denied to create schema "%"', schema
				USING ERRCODE = 'insufficient_privilege',
					  HINT = format('Somebody who may has to run CREATE SCHEMA %I, and GRANT CREATE, USAGE ON SCHEMA %1$I TO %s.', schema, quote_ident(current_user));
		END IF;
		EXECUTE format('CREATE SCHEMA %I', schema);
	ELSIF NOT has_schema_privilege(schema, 'CREATE') THEN
		RAISE EXCEPTION 'permission denied for schema %', schema
			USING ERRCODE = 'insufficient_privilege',
				  HINT = format('Its owner has to GRANT CREATE, USAGE ON SCHEMA %I TO %s.', schema, quote_ident(current_user));
	END IF;
	SELECT n.oid, n.nspowner INTO STRICT place FROM pg_namespace n WHERE n.nspname = schema;
	view_name := format('%I.%I', schema, tab.relname);

	/* what is there: this table's preview, maybe under the table's former name */
	SELECT p.view INTO old
	FROM idflow.preview_view p JOIN pg_class c ON c.oid = p.view
	WHERE p.target = create_preview.target AND c.relnamespace = place.oid
	ORDER BY c.relname <> tab.relname, c.relname LIMIT 1;
	IF EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = place.oid AND c.relname = tab.relname
			   AND c.oid::regclass IS DISTINCT FROM old) THEN
		RAISE EXCEPTION 'relation % exists and is not the preview of table %', view_name, target
			USING ERRCODE = 'duplicate_table',
				  HINT = 'Drop or rename it, or name another schema.';
	END IF;
	asks := format('%L::regclass', table_name)
		|| CASE WHEN coalesce(own, pg_get_viewdef(old) ~ 'preview_drafted\([^)]*, NULL::bigint, true\)') THEN ', NULL, true' ELSE '' END;
	IF (SELECT c.relname FROM pg_class c WHERE c.oid = old) <> tab.relname THEN
		EXECUTE format('ALTER VIEW %s RENAME TO %I', old, tab.relname);
	END IF;

	/* the key by which a live row is known; the first of the table's, as in the library */
	SELECT ARRAY(SELECT quote_ident(a.attname)
				 FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
				 JOIN pg_attribute a ON a.attrelid = target AND a.attnum = k.attnum
				 WHERE k.n <= i.indnkeyatts ORDER BY a.attnum)
	INTO key
	FROM pg_index i
	WHERE i.indrelid = target AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
	  AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
					  LEFT JOIN pg_attribute a ON a.attrelid = target AND a.attnum = k.attnum AND k.attnum > 0
					  WHERE k.n <= i.indnkeyatts AND a.attnotnull IS NOT TRUE)
	ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1;
	WHILE live = ANY (columns) LOOP
		live := live || '_';
	END LOOP;

	/* where a key's type has its operators */
	PERFORM set_config('search_path', (
		SELECT 'pg_catalog, ' || coalesce(string_agg(DISTINCT quote_ident(n.nspname), ', ') || ', ', '') || 'pg_temp'
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE a.attrelid = target AND quote_ident(a.attname) = ANY (key) AND n.nspname <> 'pg_catalog'), true);

	/*
	 * The first arm is the table and nothing else, so that conditions and
	 * joins find its indexes; the second is a subquery that stays one, so that
	 * a join may hand it a value, too.  The condition stands above both.
	 */
	definition := format('SELECT %s FROM (SELECT %s, true AS %s FROM %s t UNION ALL '
						 '(SELECT %s, false FROM idflow.preview_drafted(%s) d(%s) OFFSET 0)) u',
						 'u.' || array_to_string(columns, ', u.'), 't.' || array_to_string(columns, ', t.'),
						 live, table_name, 'd.' || array_to_string(columns, ', d.'), asks, column_list);
	IF key IS NOT NULL THEN
		definition := definition
			|| format(' WHERE NOT u.%s OR ((%s) IN (SELECT %s FROM idflow.preview_replaced(%s) r(%s))) IS NOT TRUE',
					  live, 'u.' || array_to_string(key, ', u.'), 'r.' || array_to_string(key, ', r.'), asks, column_list);
	END IF;
	BEGIN
		EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s', view_name, definition);
	EXCEPTION WHEN invalid_table_definition THEN
		/* a column was renamed or dropped */
		EXECUTE format('DROP VIEW %s', view_name);
		EXECUTE format('CREATE VIEW %s WITH (security_invoker = true) AS %s', view_name, definition);
	END;
	EXECUTE format('COMMENT ON VIEW %s IS %L', view_name,
				   format('Table %s as it would be with its open drafts, made by idflow.create_preview().', table_name));

	FOR r IN
		SELECT a.attname, v.atthasdef, idflow.preview_default(target, a.attnum) AS expression
		FROM pg_attribute a
		JOIN pg_attribute v ON v.attrelid = view_name::regclass AND v.attname = a.attname
		WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
	LOOP
		IF r.expression IS NOT NULL THEN
			EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', view_name, r.attname, r.expression);
		ELSIF r.atthasdef THEN
			EXECUTE format('ALTER VIEW %s ALTER COLUMN %I DROP DEFAULT', view_name, r.attname);
		END IF;
	END LOOP;

	FOR r IN SELECT unnest(ARRAY['insert', 'update', 'delete']) AS operation LOOP
		EXECUTE format('CREATE OR REPLACE TRIGGER idflow_%s INSTEAD OF %1$s ON %s FOR EACH ROW EXECUTE FUNCTION idflow.write_preview()',
					   r.operation, view_name);
	END LOOP;

	/* who may what: as on the table, and not more */
	FOR r IN
		SELECT DISTINCT x.grantee
		FROM (SELECT c.relacl AS acl FROM pg_class c WHERE c.oid = view_name::regclass
			  UNION ALL
			  SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = view_name::regclass) s
		CROSS JOIN LATERAL aclexplode(s.acl) x
		WHERE x.grantee <> (SELECT c.relowner FROM pg_class c WHERE c.oid = view_name::regclass)
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s', view_name,
					   CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE r.grantee::regrole::text END);
	END LOOP;
	FOR r IN
		SELECT CASE s.grantee WHEN 0 THEN 'PUBLIC' ELSE s.grantee::regrole::text END AS grantee,
			   string_agg(s.privilege_type || coalesce(' (' || s.columns || ')', ''), ', ') AS privileges
		FROM (SELECT x.grantee, x.privilege_type, NULL::text AS columns
			  FROM aclexplode(coalesce(tab.relacl, acldefault('r', tab.relowner))) x
			  UNION
			  SELECT x.grantee, x.privilege_type, string_agg(DISTINCT quote_ident(a.attname), ', ')
			  FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
			  WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
			  GROUP BY 1, 2) s
		WHERE s.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
		  AND s.grantee <> (SELECT c.relowner FROM pg_class c WHERE c.oid = view_name::regclass)
		GROUP BY 1
	LOOP
		EXECUTE format('GRANT %s ON %s TO %s', r.privileges, view_name, r.grantee);
		IF pg_has_role(place.nspowner, 'USAGE') THEN
			EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', schema, r.grantee);
		END IF;
	END LOOP;
	RETURN view_name::regclass;
END
$$;
COMMENT ON FUNCTION idflow.create_preview(regclass, name, boolean) IS
'Makes the view <schema>.<table>: the table as it would be with its open drafts, and what is written to it is written to the table. own: it shows each actor the drafts of his own requests only, not those that he may decide; null: as the view that is there does. Replaces that view. Grants on the table are copied to it. For the table''s owner. Errors: 42501 not the owner, or the schema is not to be made or used; 42P07 another relation has the name; 42809 no table, or a partition; 22023 the table''s own schema.';

CREATE FUNCTION idflow.drop_preview(target regclass, schema name DEFAULT 'preview') RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old regclass;
BEGIN
	SELECT p.view INTO old
	FROM idflow.preview_view p
	JOIN pg_class c ON c.oid = p.view
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE p.target = drop_preview.target AND n.nspname = schema
	ORDER BY c.relname LIMIT 1;
	IF old IS NULL THEN
		RAISE EXCEPTION 'table % has no preview in schema "%"', target, schema
			USING ERRCODE = 'undefined_object',
				  HINT = 'SELECT * FROM idflow.preview_view shows what there is.';
	END IF;
	EXECUTE format('DROP VIEW %s', old);
END
$$;
COMMENT ON FUNCTION idflow.drop_preview(regclass, name) IS
'Drops the view that idflow.create_preview() made of a table in a schema, as its owner. The schema stays. Errors: 42704 there is none; 2BP01 other objects need it.';

CREATE FUNCTION idflow.preview_schema(source name, schema name) RETURNS SETOF regclass
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target regclass;
BEGIN
	IF source IS NULL OR schema IS NULL THEN
		RAISE EXCEPTION 'both schemas must be given'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF to_regnamespace(quote_ident(source)) IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', source
			USING ERRCODE = 'invalid_schema_name';
	END IF;
	IF source = schema THEN
		RAISE EXCEPTION 'the views cannot stand in the tables'' own schema'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Name another schema.';
	END IF;
	FOR target IN
		SELECT DISTINCT c.oid
		FROM idflow.gate g JOIN pg_class c ON c.oid = g.target JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = source AND NOT c.relispartition AND c.relkind IN ('r', 'p')
		ORDER BY c.oid
	LOOP
		RETURN NEXT idflow.create_preview(target, schema, true);
	END LOOP;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no workflow is attached to a table of schema "%"', source
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Attach a workflow first, with idflow.attach() or idflow.require_approval().';
	END IF;
END
$$;
COMMENT ON FUNCTION idflow.preview_schema(name, name) IS
'Makes a view in the second schema for each table of the first that a workflow is attached to, of the same name, and returns them: the table as it would be with the actor''s own open drafts, to be read and written. With search_path = hr_preview, hr an application reads back what it wrote. Calling it again makes them anew, and those of tables attached since. For the owner of the tables. Errors: those of idflow.create_preview(); 3F000 no such schema, 55000 no table of it is attached, 22023 one schema twice.';
