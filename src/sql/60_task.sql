/*
 * Tasks: the verbs of those who decide.  Each returns the request's state
 * afterwards.
 */

CREATE FUNCTION idflow.approve(task bigint, comment text DEFAULT NULL, revision int DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_approve';
COMMENT ON FUNCTION idflow.approve(bigint, text, int) IS
'Approves a review. The last approval of a request writes its changes in this transaction. revision: the one that was looked at; another one fails with 40001. Returns the request''s state: committed, open, conflict ... Errors: WF004 no such task, WF005 closed, WF006 claimed by another, WF007 own request, WF009 not a review, 42501 not a candidate, 40001, and those of the table.';

CREATE FUNCTION idflow.decline(task bigint, comment text DEFAULT NULL, revision int DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_decline';
COMMENT ON FUNCTION idflow.decline(bigint, text, int) IS
'Declines a review and so ends the request. Errors as of idflow.approve().';

CREATE FUNCTION idflow.refine(task bigint, to_actor text DEFAULT NULL, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_refine';
COMMENT ON FUNCTION idflow.refine(bigint, text, text) IS
'Asks somebody to work on the draft before the review goes on; to_actor null: the requester. That person''s idflow.execute() gives the task back to the reviewers. Errors: WF004, WF005, WF006, WF009 the template has no Refine, 42501.';

CREATE FUNCTION idflow.delegate(task bigint, to_actor text, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_delegate';
COMMENT ON FUNCTION idflow.delegate(bigint, text, text) IS
'Hands a task that is being worked on to somebody else. Errors: WF004, WF005, WF006, WF009 the state has no Delegate, 42501.';

CREATE FUNCTION idflow.execute(task bigint, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_execute';
COMMENT ON FUNCTION idflow.execute(bigint, text) IS
'Ends one''s work on a task. Errors: WF004, WF005, WF006, WF009 the state has no Execute, 42501.';

CREATE FUNCTION idflow.save(task bigint, changes jsonb, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_save';
COMMENT ON FUNCTION idflow.save(bigint, jsonb, text) IS
'Edits the draft of a task: {"column": value}, or {"<change id>": {"column": value}} where the request has several changes. Makes the next revision: votes are void, the reviewers are asked again, and the editor may not approve it. Errors: WF004, WF005, WF009, 42501 not a candidate or without privilege on a column, 22023, and those of the table.';

CREATE FUNCTION idflow.abort(task bigint, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_abort';
COMMENT ON FUNCTION idflow.abort(bigint, text) IS
'Ends a request by one of its tasks, without a decision. Errors: WF004, WF005, WF006, WF009, 42501.';

CREATE FUNCTION idflow.claim(task bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_claim';
COMMENT ON FUNCTION idflow.claim(bigint) IS
'Takes a task for oneself; it leaves the inboxes of the others. Errors: WF004, WF005, WF006, 42501.';

CREATE FUNCTION idflow.release(task bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_release';
COMMENT ON FUNCTION idflow.release(bigint) IS
'Gives a claimed task back; its holder may, and idflow_admin. Errors: WF004, WF005, WF006, 55000 not claimed.';

CREATE FUNCTION idflow.approve_all(tasks bigint[], comment text DEFAULT NULL,
	OUT task bigint, OUT request bigint, OUT state text, OUT sqlstate text, OUT message text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_approve_all';
COMMENT ON FUNCTION idflow.approve_all(bigint[], text) IS
'Approves many tasks, each by itself: one that fails is reported with its sqlstate and message and leaves the others alone.';

CREATE FUNCTION idflow.decline_all(tasks bigint[], comment text DEFAULT NULL,
	OUT task bigint, OUT request bigint, OUT state text, OUT sqlstate text, OUT message text) RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_decline_all';
COMMENT ON FUNCTION idflow.decline_all(bigint[], text) IS
'Declines many tasks, each by itself, as idflow.approve_all() approves.';

CREATE FUNCTION idflow.add_candidate(task bigint, principal text) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_add_candidate';
COMMENT ON FUNCTION idflow.add_candidate(bigint, text) IS
'Lets one more person act on an open task. For idflow_admin. Errors: WF004, WF005, 22004.';

CREATE FUNCTION idflow.reassign(task bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_reassign';
COMMENT ON FUNCTION idflow.reassign(bigint) IS
'Finds anew whom an open task asks, from its workflow''s rules. For idflow_admin. Errors: WF004, WF005.';

REVOKE ALL ON FUNCTION idflow.add_candidate(bigint, text), idflow.reassign(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.add_candidate(bigint, text), idflow.reassign(bigint) TO idflow_admin;
