/*
 * Homonyms: rows and drafts that a request's drafts might be the doubles of.
 */

CREATE FUNCTION idflow.homonyms(request bigint, OUT change bigint, OUT link text, OUT filter int, OUT source text,
								OUT target regclass, OUT key jsonb, OUT "row" jsonb, OUT draft_request bigint,
								OUT hidden int)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_homonyms'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10 COST 10000;
COMMENT ON FUNCTION idflow.homonyms(bigint) IS
'What the homonym links of a request''s workflow find for its drafts, as things stand now. change: the draft that was compared; link and filter: what found it, filters counted from 1; source: table, or draft for a row that another change or request drafts; target, key and row: what was found, columns by name; draft_request: the request that drafts it. Of a table one sees rows and columns that one may SELECT, of drafts those of requests that one may see; the others are counted, in a line of which only hidden, their number, says more. No line once the request is closed, and none for whoever may not see the request. At most 1000 are found for each draft and table. Errors: 0A000 an operator needs an extension that is gone, 42703 and 42P01 a column or table is gone, WF013, WF014, and those of the link''s expressions.';
