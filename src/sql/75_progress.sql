/*
 * How far applies have come, see progress.c.
 */
CREATE FUNCTION idflow.progress_rows(OUT pid int, OUT request bigint, OUT phase text, OUT target regclass,
									 OUT rows_total bigint, OUT rows_done bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_progress'
	LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION idflow.progress_rows() IS
'The rows of idflow.progress.';

CREATE VIEW idflow.progress WITH (security_invoker) AS
	SELECT p.pid, p.request, p.phase, p.target, p.rows_total, p.rows_done FROM idflow.progress_rows() p;
GRANT SELECT ON idflow.progress TO PUBLIC;
COMMENT ON VIEW idflow.progress IS
'Requests of several changes whose changes are being written at this moment, in any session of the database: of those that one may see. With track_activities off, a session tells nothing.';
COMMENT ON COLUMN idflow.progress.pid IS 'Process of the session, as in pg_stat_activity.';
COMMENT ON COLUMN idflow.progress.phase IS 'writing rows, or checking deferred constraints, which includes other deferred triggers.';
COMMENT ON COLUMN idflow.progress.target IS 'Table that is written to; null while constraints are checked.';
COMMENT ON COLUMN idflow.progress.rows_total IS 'Rows that the request''s changes are about.';
COMMENT ON COLUMN idflow.progress.rows_done IS 'Those that are written. Rows that were inserted by one statement in bulk are written many at a time.';
