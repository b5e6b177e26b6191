/*-------------------------------------------------------------------------
 *
 * verbs.c
 *	  The verbs on requests: begin, resume, submit, withdraw, comment, purge,
 *	  retry, and the bypass.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "aspect.h"
#include "bundle.h"
#include "decide.h"
#include "idflow.h"
#include "reading.h"
#include "retention.h"
#include "schedule.h"
#include "session.h"

PG_FUNCTION_INFO_V1(idflow_last_request);
PG_FUNCTION_INFO_V1(idflow_begin_request);
PG_FUNCTION_INFO_V1(idflow_resume_request);
PG_FUNCTION_INFO_V1(idflow_submit);
PG_FUNCTION_INFO_V1(idflow_withdraw);
PG_FUNCTION_INFO_V1(idflow_comment);
PG_FUNCTION_INFO_V1(idflow_purge);
PG_FUNCTION_INFO_V1(idflow_retry);
PG_FUNCTION_INFO_V1(idflow_bypass);

/*
 * refuse_applying: the table's triggers can't work on the request whose
 * changes are being written: it is in memory, half way through a step.
 */
void
refuse_applying(Request *req)
{
	if (request_is_invoking(req->id))
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is in the middle of a step", req->id),
				 errdetail("One of its aspects invokes what runs now.")));
	if (applying_request() != 0 && req->id == applying_request())
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is being applied", req->id),
				 errhint("Triggers can tell by idflow.applying() that they run at an apply.")));
}

/*
 * load_request: lock a request that must exist.
 */
Request *
load_request(int64 id)
{
	Request    *req;

	if (bundle_is_filled(id))
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is taking the rows of a statement that is still running", id),
				 errhint("Use a statement of its own.")));
	req = request_load(id);
	if (req == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_REQUEST),
				 errmsg("request " INT64_FORMAT " does not exist", id)));
	refuse_applying(req);
	return req;
}

/*
 * require_visible: refuse somebody who has no sight of a request.
 */
static void
require_visible(int64 request)
{
	if (viewer_of(request) == VIEWER_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("request " INT64_FORMAT " is not yours to see", request)));
}

/*
 * require_own: refuse everybody but the requester and the admins.
 */
void
require_own(Request *req, const char *actor, const char *what)
{
	if (!request_is_of(req, actor) && !role_is_admin(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" may not %s request " INT64_FORMAT, actor, what, req->id),
				 viewer_of(req->id) == VIEWER_NONE ? 0 :
				 errdetail("It was made by \"%s\".", req->requester)));
}

/*
 * Lock a request for a verb of its requester or of an admin, who moves it now.
 */
static Request *
load_own(int64 id, const char *what)
{
	const char *actor = actor_name();
	Request    *req = load_request(id);

	require_own(req, actor, what);
	req->acting = actor;
	req->acting_via = request_is_of(req, actor) ? "requester" : "idflow_admin";
	return req;
}

/*
 * request_done: write back a request that a verb has moved; returns its state,
 * for SQL.
 */
Datum
request_done(Request *req)
{
	request_write(req);
	return PointerGetDatum(cstring_to_text(req->state));
}

/*
 * idflow_last_request: the present actor's newest request in this
 * transaction, else in this session, else null.
 */
Datum
idflow_last_request(PG_FUNCTION_ARGS)
{
	bool		is_explicit;
	int64		id = remembered_request(actor_lookup(&is_explicit));

	if (id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}

/*
 * idflow_begin_request: a request by hand; DML that follows in the
 * transaction adds to it.
 */
Datum
idflow_begin_request(PG_FUNCTION_ARGS)
{
	const char *actor = actor_name();
	Request    *req;
	TimestampTz effective_at = PG_ARGISNULL(1) ? NO_DATE : PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz expires_at = PG_ARGISNULL(2) ? NO_DATE : PG_GETARG_TIMESTAMPTZ(2);

	PreventCommandDuringRecovery("idflow.begin_request()");
	req = request_create(actor);
	req->title = text_argument(fcinfo, 0);
	req->acting = actor;
	schedule_by_settings(req);
	schedule_ask(req, PG_ARGISNULL(1) ? NULL : &effective_at, PG_ARGISNULL(2) ? NULL : &expires_at);
	request_event(req, actor, "requester", "Begin", setting_comment);
	request_write(req);
	collect_into(req->id);
	remember_request(actor, req->id);
	PG_RETURN_INT64(req->id);
}

static Request *
load_own_draft(int64 id)
{
	Request    *req = load_own(id, "change");

	if (strcmp(req->state, "draft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s, not draft", id, req->state),
				 errhint("Only a request that is not yet submitted takes further changes.")));
	return req;
}

/*
 * idflow_resume_request: go on collecting in a later transaction.
 */
Datum
idflow_resume_request(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	Request    *req = load_own_draft(id);

	collect_into(id);
	remember_request(req->acting, id);
	PG_RETURN_VOID();
}

/*
 * idflow_submit: send a collected request on its way.
 */
Datum
idflow_submit(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	Request    *req = load_own_draft(id);
	Change	   *first;

	if (request_stored(req) == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " has no changes", id),
				 errhint("Write to an attached table first, or withdraw the request.")));
	request_event(req, req->acting, req->acting_via, "Submit", text_argument(fcinfo, 1));
	if (collecting_request() == id)
		collect_into(0);
	first = linitial(req->changes);
	engine_start(req, workflow_current(linitial(first->gates), false));
	return request_done(req);
}

/*
 * idflow_withdraw: the requester's Abort, whatever the request waits for.
 */
Datum
idflow_withdraw(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	Request    *req = load_own(id, "withdraw");

	if (request_is_closed(req))
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s and can't be withdrawn", id, req->state)));
	if (req->persisted)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("the rows of request " INT64_FORMAT " are written and it can't be withdrawn", id),
				 errhint("Write another change that takes them back.")));
	engine_move(req, "Withdraw", STATE_ABORTED, text_argument(fcinfo, 1));
	task_close(req, "Aborted", NULL);
	if (collecting_request() == id)
		collect_into(0);
	request_close(req, "aborted");
	return request_done(req);
}

/*
 * idflow_comment: a remark in the history; returns its number there.
 */
Datum
idflow_comment(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	char	   *comment = text_argument(fcinfo, 1);
	const char *actor = actor_name();
	Request    *req = load_request(id);
	Event	   *event;

	require_visible(id);
	if (comment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "comment")));
	event = request_event(req, actor, NULL, "Comment", comment);
	if (!PG_ARGISNULL(2))
		event->data = PG_GETARG_JSONB_P(2);
	request_participant(req, actor, false);
	request_write(req);
	PG_RETURN_INT64(req->nevents);
}

/*
 * idflow_purge: blank what a request that ended without a commit drafted and
 * said; the digests in its events stay.
 */
Datum
idflow_purge(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	Request    *req = load_own(id, "purge");

	if (strcmp(req->state, "aborted") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s; only an aborted one can be purged", id, req->state)));
	engine_move(req, "Purge", STATE_PURGED, NULL);
	request_blank(req);
	request_close(req, "purged");
	return request_done(req);
}

/*
 * idflow_retry: try the apply of a failed request again.
 */
Datum
idflow_retry(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	Request    *req = load_own(id, "retry");

	if (strcmp(req->state, "failed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s, not failed", id, req->state)));
	request_event(req, req->acting, req->acting_via, "Retry", NULL);
	engine_apply_again(req);
	return request_done(req);
}

/*
 * idflow_bypass: idflow_admin; rows pass the gates for the rest of the
 * transaction, each recorded.
 */
Datum
idflow_bypass(PG_FUNCTION_ARGS)
{
	char	   *reason = text_argument(fcinfo, 0);

	if (!role_is_admin(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of role \"idflow_admin\" to bypass gates")));
	if (reason == NULL || strspn(reason, " \t\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a bypass needs a reason")));
	PreventCommandDuringRecovery("idflow.bypass()");
	bypass_begin(reason);
	PG_RETURN_VOID();
}
