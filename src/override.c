/*-------------------------------------------------------------------------
 *
 * override.c
 *	  Break-glass: an admin decides a request in place of those who should.
 *
 * The history says that it was overridden, by whom and why, and whoever was
 * asked and is passed over is told.  It decides and does no more: the apply
 * merges, checks and conflicts as after any other decision.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "decide.h"
#include "idflow.h"
#include "notification.h"
#include "schedule.h"
#include "task.h"
#include "timer.h"

PG_FUNCTION_INFO_V1(idflow_override);

/* Where the activity at hand ends by an override. */
static const char *
override_state(Request *req, const char *decision)
{
	Activity   *activity = request_activity(req);

	if (strcmp(decision, "Approve") == 0)
		return activity && !activity->template->is_review ? STATE_EXECUTED : STATE_APPROVED;
	if (strcmp(decision, "Decline") == 0 && activity && activity->template->is_review)
		return STATE_DECLINED;
	return STATE_ABORTED;
}

/*
 * idflow_override: decide an open request, whatever it waits for.
 */
Datum
idflow_override(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	char	   *reason = text_argument(fcinfo, 1);
	char	   *decision = text_argument(fcinfo, 2);
	const char *actor = actor_name();
	Request    *req;
	bool		approving;
	bool		declining;

	if (!role_is_admin(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of role \"idflow_admin\" to override a request")));
	if (reason == NULL || strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an override needs a reason")));
	approving = decision && strcmp(decision, "Approve") == 0;
	declining = decision && strcmp(decision, "Decline") == 0;
	if (!approving && !declining && (decision == NULL || strcmp(decision, "Abort") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a decision", decision ? decision : "NULL"),
				 errhint("It is Approve, Decline or Abort.")));

	req = load_request(id);
	if (request_is_closed(req) || strcmp(req->state, "draft") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s and can't be overridden", id, req->state)));
	if (req->persisted && !approving)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("the rows of request " INT64_FORMAT " are written already", id),
				 errhint("idflow.undo() asks for the reverse.")));
	require_four_eyes(req, actor);
	req->acting = actor;
	req->acting_via = "idflow_admin";
	request_participant(req, actor, true);
	if (req->task)
		notify_passed_over(req, task_asked_keys(req), actor, reason);

	if (!approving)
	{
		engine_move(req, "Override", override_state(req, decision), reason);
		task_close(req, declining ? "Declined" : "Aborted", NULL);
		request_close(req, declining ? "declined" : "aborted");
	}
	else if (req->task)
	{
		req->overriding = true;
		engine_move(req, "Override", override_state(req, decision), reason);
		task_close(req, req->activity_state, NULL);
		engine_leave(req);
	}
	else
	{
		/* at a Persist that waits, met a conflict or failed */
		req->overriding = true;
		request_event(req, actor, req->acting_via, "Override", reason);
		if (strcmp(req->state, "scheduled") == 0)
		{
			timers_drop(req->id, 0, TIMER_EFFECTIVE);
			req->effective_at = NO_DATE;
			req->dated = true;
		}
		engine_apply_again(req);
	}
	return request_done(req);
}
