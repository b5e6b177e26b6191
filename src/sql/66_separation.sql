/*
 * Separation of duties.
 */

CREATE FUNCTION idflow.separated(request bigint, workflow bigint, "position" int, state text) RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_separated'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10;
COMMENT ON FUNCTION idflow.separated(bigint, bigint, int, text) IS
'The activity of a request in which the present actor acted and which, by SeparateFrom, keeps him from the activity at a position of a workflow''s version in a state such as Review-ReviewPending; null if there is none. Part of idflow.inbox.';
