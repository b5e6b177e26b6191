/*
 * What expressions see, and what they gave.
 */

CREATE TABLE idflow.trace_step (
	id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	request         bigint NOT NULL,
	at              timestamptz NOT NULL,
	activity        text,
	activity_state  text,
	change          int NOT NULL,		-- seq in idflow.change_data
	what            text NOT NULL,
	expression      text NOT NULL,
	result          text[] NOT NULL,
	hidden          boolean NOT NULL
);
CREATE INDEX trace_step_request ON idflow.trace_step (request, id);
GRANT SELECT ON idflow.trace_step TO idflow_admin, idflow_auditor;
COMMENT ON TABLE idflow.trace_step IS
'What each expression of a workflow gave, where the workflow says Trace="true" or the session idflow.trace = on. Read by idflow.trace().';
COMMENT ON COLUMN idflow.trace_step.hidden IS
'The result is not kept, because the workflow hides values of columns.';

CREATE FUNCTION idflow.trace(request bigint)
	RETURNS TABLE (step bigint, at timestamptz, activity text, activity_state text, change bigint,
				   what text, expression text, result text[], hidden boolean)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT row_number() OVER (ORDER BY s.id), s.at, s.activity, s.activity_state, (s.request << 24) | s.change,
		s.what, s.expression, s.result, s.hidden
	FROM idflow.trace_step s WHERE s.request = $1 ORDER BY s.id
$$;
REVOKE EXECUTE ON FUNCTION idflow.trace(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.trace(bigint) TO idflow_admin, idflow_auditor;
COMMENT ON FUNCTION idflow.trace(bigint) IS
'The expressions that were evaluated for a request, in their order: where the request stood, what the expression is for, over which change, and what it gave (a condition t or f; an empty array is null or nobody). Kept where the workflow says Trace="true" or the session idflow.trace = on. For idflow_admin and idflow_auditor: expressions see with the rights of whoever deployed the workflow.';

CREATE FUNCTION idflow.request_document(request bigint, change bigint DEFAULT NULL)
	RETURNS xml
	AS 'MODULE_PATHNAME', 'idflow_request_document'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
REVOKE EXECUTE ON FUNCTION idflow.request_document(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.request_document(bigint, bigint) TO idflow_admin;
COMMENT ON FUNCTION idflow.request_document(bigint, bigint) IS
'What expressions in XPath see of a request: of one of its changes, NULL meaning the first. For whoever writes definitions. Errors: WF003 if there is no such request, 42704 if it has no such change.';
