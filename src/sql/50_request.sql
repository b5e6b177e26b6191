/*
 * Requests: the verbs of those who ask.
 */

CREATE FUNCTION idflow.last_request() RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_last_request';
COMMENT ON FUNCTION idflow.last_request() IS
'The present actor''s newest request in this transaction, else in this session; null if there is none.';

CREATE FUNCTION idflow.begin_request(title text DEFAULT NULL, effective_at timestamptz DEFAULT NULL,
	expires_at timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_begin_request';
COMMENT ON FUNCTION idflow.begin_request(text, timestamptz, timestamptz) IS
'Begins a request by hand and returns its number: DML on attached tables that follows in this transaction adds changes to it, until idflow.submit() sends them on as one. effective_at: it is not written before, however early it is approved; expires_at: what it has written is reversed then; null: what the settings idflow.effective_at and idflow.expires_at say, else at once and never. Errors: WF008 without an actor where one is required, WF021 if a date is not acceptable.';

CREATE FUNCTION idflow.resume_request(request bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_resume_request';
COMMENT ON FUNCTION idflow.resume_request(bigint) IS
'Goes on collecting changes into a request in state draft, for the rest of this transaction. Errors: WF003 no such request, WF016 it is submitted already, 42501 it is somebody else''s.';

CREATE FUNCTION idflow.submit(request bigint, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_submit';
COMMENT ON FUNCTION idflow.submit(bigint, text) IS
'Sends a collected request on its way and returns its state. Errors: WF003, WF016 not a draft or without changes, 42501.';

CREATE FUNCTION idflow.withdraw(request bigint, comment text DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_withdraw';
COMMENT ON FUNCTION idflow.withdraw(bigint, text) IS
'The requester''s Abort: ends a request that is not closed yet; returns its state. Members of idflow_admin may do it for others. Errors: WF003, WF016 already closed, 42501.';

CREATE FUNCTION idflow.comment(request bigint, comment text, data jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_comment';
COMMENT ON FUNCTION idflow.comment(bigint, text, jsonb) IS
'Adds a remark to a request''s history and returns its number (idflow.event.seq). Whoever sees the request may. Errors: WF003, 42501, 22004 without a comment.';

CREATE FUNCTION idflow.purge(request bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_purge';
COMMENT ON FUNCTION idflow.purge(bigint) IS
'Blanks the images, the title and the comments of an aborted request; the digests in its events stay. For its requester and idflow_admin. Errors: WF003, WF016 not aborted, 42501.';

CREATE FUNCTION idflow.retry(request bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_retry';
COMMENT ON FUNCTION idflow.retry(bigint) IS
'Tries to apply a request in state failed again; returns its state. For its requester and idflow_admin. Errors: WF003, WF016 not failed, 42501, and those of the table: then it stays failed.';

CREATE FUNCTION idflow.rebase(request bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_rebase';
COMMENT ON FUNCTION idflow.rebase(bigint) IS
'Bases the drafts of a request on the rows as they are now; drafted values stay. If anything moved, votes are void and the review begins again. Errors: WF003, WF016, 42501.';

CREATE FUNCTION idflow.resolve(request bigint, change bigint, resolution jsonb) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_resolve';
COMMENT ON FUNCTION idflow.resolve(bigint, bigint, jsonb) IS
'Ends a conflict column by column: {"column": "live" | "draft" | "base"}. live gives the column up, draft writes the drafted value over the present one, base puts the value back that the draft was based on; anything but live is reviewed again. Of a request in state failed, too; an insertion then only to draft. For the requester, the reviewers and idflow_admin. Errors: WF003, WF016 neither in conflict nor failed, 42501, 22023.';

CREATE FUNCTION idflow.bypass(reason text) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'idflow_bypass';
COMMENT ON FUNCTION idflow.bypass(text) IS
'Lets the rows of the rest of this transaction pass the gates, each recorded in a request of its own kind (event transition Bypass). For members of idflow_admin. Errors: 42501, 22023 without a reason.';
REVOKE ALL ON FUNCTION idflow.bypass(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.bypass(text) TO idflow_admin;

-- ------------------------------------------------------------ transactions' requests

/* A row stands for a request that is to be sent on when its transaction ends, and not longer. */
CREATE TABLE idflow.bundle (
	request  bigint NOT NULL PRIMARY KEY
);
COMMENT ON TABLE idflow.bundle IS
'Requests that take the rows of a transaction at work (idflow.bundle = transaction). For nobody but the library; empty to everybody else.';

CREATE FUNCTION idflow.submit_bundle() RETURNS trigger
	AS 'MODULE_PATHNAME', 'idflow_submit_bundle'
	LANGUAGE C;
REVOKE EXECUTE ON FUNCTION idflow.submit_bundle() FROM PUBLIC;
COMMENT ON FUNCTION idflow.submit_bundle() IS
'The trigger function that sends a transaction''s request on.';

CREATE CONSTRAINT TRIGGER submit_bundle AFTER INSERT ON idflow.bundle
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION idflow.submit_bundle();
COMMENT ON TRIGGER submit_bundle ON idflow.bundle IS
'Before the commit, or when SET CONSTRAINTS idflow.submit_bundle IMMEDIATE says so.';
ALTER TABLE idflow.bundle ENABLE ALWAYS TRIGGER submit_bundle;
