/*
 * Asking without a privilege on the table.
 */

CREATE FUNCTION idflow.propose(target regclass, operation text, "new" jsonb, key jsonb DEFAULT NULL,
	comment text DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_propose';
COMMENT ON FUNCTION idflow.propose(regclass, text, jsonb, jsonb, text) IS
'Asks for an INSERT, UPDATE or DELETE of one row of a table on which one need not have any privilege; returns the number of the request. new: columns and values (INSERT, UPDATE), null for DELETE; key: the row''s key (UPDATE, DELETE). The table''s gate must belong to a workflow with ApplyAs, as which it is drafted and written, and an access rule of that workflow''s first activity must let the actor ask for this row. Errors: 42501 if none does or there is no such row, 42703, 22023, 55000, those of the values'' types, and of checks of the row by itself.';
COMMENT ON COLUMN idflow.request.apply_as_of IS
'Of a request that idflow.propose() made: the version of the workflow (idflow.workflow.id) whose ApplyAs requested_role is; null: it is applied as the role that asked.';
