/* idflow: identity workflows inside PostgreSQL */
\echo Use "CREATE EXTENSION idflow" to load this file. \quit

/*
 * Whoever owns the schema could rename it, or put functions beside ours that
 * fit a call better: it must be made by CREATE EXTENSION, or be empty and
 * belong to a superuser.
 */
DO $$
DECLARE
	owner name;
BEGIN
	SELECT o.rolname INTO owner
	FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) n.nspowner
	WHERE n.nspname OPERATOR(pg_catalog.=) 'idflow' AND NOT o.rolsuper;
	IF FOUND THEN
		RAISE EXCEPTION 'schema "idflow" belongs to role "%"', owner
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'Drop or rename the schema; CREATE EXTENSION makes it.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) d.refobjid
			   WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
				 AND n.nspname OPERATOR(pg_catalog.=) 'idflow'
				 AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass) THEN
		RAISE EXCEPTION 'schema "idflow" is not empty'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Drop or rename the schema; CREATE EXTENSION makes it.';
	END IF;
END
$$;
REVOKE CREATE ON SCHEMA idflow FROM PUBLIC;

COMMENT ON SCHEMA idflow IS 'Identity workflows: definitions, requests, drafts, tasks and their history.';

/*
 * Two roles carry the rights that no actor's name can give.  They are made if
 * missing and left alone if present: roles belong to the cluster, not to the
 * extension.
 */
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'idflow_admin') THEN
		CREATE ROLE idflow_admin NOLOGIN;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'idflow_auditor') THEN
		CREATE ROLE idflow_auditor NOLOGIN;
	END IF;
END
$$;

GRANT USAGE ON SCHEMA idflow TO PUBLIC;
