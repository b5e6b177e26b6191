/*
 * Dates: what takes effect later, what ends, and what starts by itself.
 */

CREATE FUNCTION idflow.undo(request bigint, comment text DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_undo';
COMMENT ON FUNCTION idflow.undo(bigint, text) IS
'Asks for the reverse of a committed request, as a request of the present actor''s that goes through the gates like any other; returns its number. What has happened to the same columns since is a conflict when it is applied. The current role needs the privileges of the reverse changes. Errors: WF003, WF016 not committed, its images purged or nothing left to undo, 42501.';

-- what dates in the data have started; due is the row's date with the Start's Offset
CREATE TABLE idflow.started (
	workflow  text NOT NULL,
	target    regclass NOT NULL,
	key       text[] NOT NULL,
	due       timestamptz NOT NULL,
	request   bigint,
	error     text,
	attempts  int NOT NULL DEFAULT 0,
	at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (workflow, target, key, due)
);
ALTER TABLE idflow.started ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON idflow.started FOR SELECT TO PUBLIC
	USING (request OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT idflow.visible())));
CREATE POLICY auditor ON idflow.started FOR SELECT TO idflow_auditor USING (true);
CREATE POLICY admin ON idflow.started FOR SELECT TO idflow_admin USING (true);
GRANT SELECT ON idflow.started TO PUBLIC;
COMMENT ON TABLE idflow.started IS
'Rows for which the <Start> of a workflow has opened a request: once per workflow, row and date, whatever version.';
COMMENT ON COLUMN idflow.started.key IS 'The row''s key, as text.';
COMMENT ON COLUMN idflow.started.due IS 'The row''s date, with the Offset of the Start.';
COMMENT ON COLUMN idflow.started.request IS 'Null: the row was gone or was as it should be already, or error says why not.';
COMMENT ON COLUMN idflow.started.error IS 'Why no request could be opened; it is tried again, an hour after at the earliest, five times in all.';
