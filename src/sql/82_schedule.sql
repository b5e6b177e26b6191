/*
 * Dates: what takes effect later, what ends, and what starts by itself.
 */

CREATE FUNCTION idflow.undo(request bigint, comment text DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_undo';
COMMENT ON FUNCTION idflow.undo(bigint, text) IS
'Asks for the reverse of a committed request, as a request of the present actor''s that goes through the gates like any other; returns its number. What has happened to the same columns since is a conflict when it is applied. The current role needs the privileges of the reverse changes. Errors: WF003, WF016 not committed, its images purged or nothing left to undo, 42501.';
