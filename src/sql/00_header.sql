/* idflow: identity workflows inside PostgreSQL */
\echo Use "CREATE EXTENSION idflow" to load this file. \quit

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
