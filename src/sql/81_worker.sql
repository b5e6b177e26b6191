/*
 * The background worker, and timers that failed.
 */

CREATE FUNCTION idflow.workers(OUT database text, OUT pid int, OUT started_at timestamptz, OUT last_run timestamptz,
							   OUT done bigint, OUT errors bigint, OUT last_error text)
	RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'idflow_workers';
REVOKE EXECUTE ON FUNCTION idflow.workers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.workers() TO idflow_admin, idflow_auditor;
COMMENT ON FUNCTION idflow.workers() IS
'The rows of idflow.worker: one per database of the setting idflow.databases as it was when the server started; none if the server does not preload the library.';

CREATE VIEW idflow.worker AS
	SELECT w.database, w.pid, w.started_at, w.last_run, w.done, w.errors, w.last_error FROM idflow.workers() w;
GRANT SELECT ON idflow.worker TO idflow_admin, idflow_auditor;
COMMENT ON VIEW idflow.worker IS
'Background workers of the server, one for each database of idflow.databases. For idflow_admin and idflow_auditor.';
COMMENT ON COLUMN idflow.worker.pid IS 'Its process; null while it does not run: on a standby, or for ten seconds after it failed.';
COMMENT ON COLUMN idflow.worker.last_run IS 'When it last looked for what is due.';
COMMENT ON COLUMN idflow.worker.done IS 'What it has done since the server started, as idflow.run_due() counts.';
COMMENT ON COLUMN idflow.worker.errors IS 'Transactions of its own that failed. A timer that fails has its error in idflow.timer and is not counted here.';

CREATE FUNCTION idflow.retry_timer(id bigint) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE idflow.timer t SET set_aside_at = NULL, attempts = 0, error = NULL, due_at = clock_timestamp()
	WHERE t.id = retry_timer.id AND t.set_aside_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('there is no timer %s that was set aside', id);
	END IF;
END $$;
REVOKE EXECUTE ON FUNCTION idflow.retry_timer(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.retry_timer(bigint) TO idflow_admin;
COMMENT ON FUNCTION idflow.retry_timer(bigint) IS
'Makes a timer that was set aside due again, as if it were new. For idflow_admin. Errors: 55000 if there is none of that number.';
