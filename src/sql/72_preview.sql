/*
 * Preview: a table as it would be if its open drafts were approved.
 */

CREATE FUNCTION idflow.preview("like" anyelement, request bigint DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME', 'idflow_preview'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 10000;
COMMENT ON FUNCTION idflow.preview(anyelement, bigint) IS
'A table as it would be: idflow.preview(NULL::hr.person) returns its live rows, as the current role may SELECT them, with the open drafts that one may see applied in the order of the requests, or those of one request. Columns that one may not see are null. Errors: 42501 no privilege, 42804 no row type, 42809 no table, or a partition.';

CREATE FUNCTION idflow.preview_drafted("like" anyelement, request bigint DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME', 'idflow_preview_drafted'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 1000;
COMMENT ON FUNCTION idflow.preview_drafted(anyelement, bigint) IS
'Of idflow.preview(): the rows that drafts make or change, as they would be. Part of preview views.';

CREATE FUNCTION idflow.preview_replaced("like" anyelement, request bigint DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME', 'idflow_preview_replaced'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 COST 1000;
COMMENT ON FUNCTION idflow.preview_replaced(anyelement, bigint) IS
'Of the live rows those that drafts change or delete, as they are. Part of preview views.';
