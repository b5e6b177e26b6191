/*-------------------------------------------------------------------------
 *
 * decide.c
 *	  The verbs on tasks: approve, decline, refine, delegate, execute, abort,
 *	  claim, release, and many at once.
 *
 * Every verb locks the request, looks whether the task still waits, whether
 * the actor may act now, and moves the state machine; one transaction carries
 * the vote, the next step and the apply.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "access.h"
#include "decide.h"
#include "deputy.h"
#include "idflow.h"
#include "reading.h"
#include "separation.h"
#include "subxact.h"
#include "task.h"
#include "tenant.h"
#include "vote.h"

PG_FUNCTION_INFO_V1(idflow_approve);
PG_FUNCTION_INFO_V1(idflow_decline);
PG_FUNCTION_INFO_V1(idflow_refine);
PG_FUNCTION_INFO_V1(idflow_delegate);
PG_FUNCTION_INFO_V1(idflow_execute);
PG_FUNCTION_INFO_V1(idflow_abort);
PG_FUNCTION_INFO_V1(idflow_claim);
PG_FUNCTION_INFO_V1(idflow_release);
PG_FUNCTION_INFO_V1(idflow_approve_all);
PG_FUNCTION_INFO_V1(idflow_decline_all);

static StorePlan claim_task = {
	"UPDATE idflow.task SET claimed_by = $2, claimed_at = $3, claimed_binding = idflow.binding($2)"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
};

static StorePlan select_request = {
	"SELECT r.id, r.state FROM idflow.task t, idflow.request r"
	" WHERE t.id OPERATOR(pg_catalog.=) $1 AND r.id OPERATOR(pg_catalog.=) t.request",
	1, {INT8OID}
};

/* An argument that must not be null. */
int64
int64_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return PG_GETARG_INT64(n);
}

/* A text argument as C string, NULL for null and for the empty string. */
char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *s;

	if (PG_ARGISNULL(n))
		return NULL;
	s = text_to_cstring(PG_GETARG_TEXT_PP(n));
	return s[0] ? s : NULL;
}

/*
 * load_task: lock the request of a task that must be open.
 */
Request *
load_task(int64 task)
{
	Request    *req = request_load_by_task(task);

	if (req == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_TASK),
				 errmsg("task " INT64_FORMAT " does not exist", task),
				 errhint("idflow.inbox lists the tasks that wait for you.")));
	refuse_applying(req);
	if (req->task != task)
		ereport(ERROR,
				(errcode(ERRCODE_WF_TASK_CLOSED),
				 errmsg("task " INT64_FORMAT " is closed", task),
				 /* to somebody else the number of a task tells nothing more */
				 viewer_of(req->id) == VIEWER_NONE ? 0 :
				 errdetail("Request " INT64_FORMAT " is %s.", req->id, req->state)));
	return req;
}

/*
 * task_verb_state: the state that a verb leads to; errors, naming the verbs
 * there are, if the task's state doesn't have it.
 */
static const char *
task_verb_state(Request *req, const char *verb)
{
	Activity   *activity = request_activity(req);
	const char *to = template_transition(activity->template, req->activity_state, verb);

	if (to == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_TRANSITION),
				 errmsg("%s is not possible in state %s", verb, request_full_state(req)),
				 errhint("Possible are: %s.",
						 template_verbs(activity->template, req->activity_state))));
	return to;
}

/*
 * require_authority: by what right the actor may act on the task; errors if
 * by none.
 */
static const char *
require_authority(Request *req, const char *actor)
{
	const char *via = deputy_authority(req, actor, &req->acting_for);

	if (via == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("task " INT64_FORMAT " is not for \"%s\"", req->task, actor),
				 errhint("idflow.decider shows who may decide a request.")));
	require_separation(req, actor);
	return via;
}

/*
 * require_authority_for: the same for a verb; *to is the state it leads to.
 * That the task's state doesn't have the verb is told to those only who may
 * see the request.
 */
const char *
require_authority_for(Request *req, const char *actor, const char *verb, const char **to)
{
	const char *via = deputy_authority(req, actor, &req->acting_for);

	if (via == NULL && viewer_of(req->id) == VIEWER_NONE)
		return require_authority(req, actor);
	*to = task_verb_state(req, verb);
	if (via == NULL)
		return require_authority(req, actor);
	require_separation(req, actor);
	return via;
}

/* Nobody approves what he requested, edited, or is the subject of. */
void
require_four_eyes(Request *req, const char *actor)
{
	const char *reason = NULL;

	if (!req->four_eyes)
		return;
	if (strcmp(actor, req->requester) == 0)
		reason = "requested it";
	else if (strings_contain(req->editors, actor))
		reason = "edited it";
	else if (req->subject && strcmp(actor, req->subject) == 0)
		reason = "is its subject";
	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_WF_FOUR_EYES),
				 errmsg("\"%s\" may not approve request " INT64_FORMAT, actor, req->id),
				 errdetail("\"%s\" %s.", actor, reason),
				 errhint("Somebody else must approve it, or the workflow must say FourEyes=\"false\".")));
}

/*
 * A task that somebody else has claimed is his, so long as he may act on it;
 * errors if it is.
 */
static void
refuse_foreign_claim(Request *req, int64 task, const char *claimed_by, const char *actor)
{
	const char *behalf;

	if (claimed_by && strcmp(claimed_by, actor) != 0 &&
		(req->acting_for == NULL || strcmp(claimed_by, req->acting_for) != 0) &&
		deputy_authority(req, claimed_by, &behalf) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_TASK_CLAIMED),
				 errmsg("task " INT64_FORMAT " is claimed by \"%s\"", task, claimed_by),
				 errhint("It can be decided by others after idflow.release(" INT64_FORMAT ").", task)));
}

/* Who is asked must be of the request's tenant, and one of those of its access rules. */
static void
require_askable(Request *req, const char *principal)
{
	require_tenant(req, principal);
	if (access_restricts(req) && access_permits(req, principal) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" may not act in state %s", principal, request_full_state(req)),
				 errhint("idflow.access_rule says whose profile may.")));
}

/*
 * task_act: one verb on a task.  Returns the request's state afterwards.
 */
static const char *
task_act(int64 task, const char *verb, const char *comment, const char *to_actor,
		 bool has_revision, int revision)
{
	const char *actor = actor_name();
	Request    *req = load_task(task);
	Activity   *activity = request_activity(req);
	const char *to;
	const char *via = require_authority_for(req, actor, verb, &to);
	bool		approving = strcmp(verb, "Approve") == 0;
	bool		votes = activity->template->is_review &&
		template_state_kind(to) != TEMPLATE_STATE_PENDING && strcmp(verb, "Abort") != 0;
	Vote		vote = {actor, req->acting_for, via, verb, comment};
	Event	   *event;

	req->acting = actor;
	req->acting_via = via;
	if (approving)
		require_four_eyes(req, actor);
	if (has_revision && revision != req->revision)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the draft of request " INT64_FORMAT " has moved", req->id),
				 errdetail("It is at revision %d, not %d.", req->revision, revision),
				 errhint("Look at idflow.change_diff again and decide on what it says now.")));

	if (comment == NULL && template_state_kind(to) != TEMPLATE_STATE_PENDING &&
		element_boolean(activity->element, "CommentRequired", false))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a decision on task " INT64_FORMAT " needs a comment", task)));

	refuse_foreign_claim(req, task, task_claimant(req), actor);
	if (activity->has_quota && votes && vote_is_open(req))
	{
		verb = vote_cast(req, &vote);
		if (verb == NULL)
		{
			/* others are still to vote */
			event = request_event(req, actor, via,
								  template_transition_name(activity->template, req->activity_state, vote.vote),
								  comment);
			event->from_state = event->to_state = request_full_state(req);
			request_write(req);
			return req->state;
		}
		to = task_verb_state(req, verb);
	}
	engine_move(req, template_transition_name(activity->template, req->activity_state, verb),
				to, comment);

	if (template_state_kind(to) == TEMPLATE_STATE_PENDING)
	{
		/* stays a task, of one person or of the reviewers again */
		request_participant(req, actor, true);
		if (strcmp(to, activity->template->initial_state) == 0)
			to_actor = NULL;
		else
		{
			if (to_actor == NULL)
				to_actor = req->requester;
			require_askable(req, to_actor);
		}
		task_move(req, to_actor);
	}
	else
	{
		task_close(req, to, votes ? &vote : NULL);
		if (!votes)
			request_participant(req, actor, true);
		engine_leave(req);
	}
	request_write(req);
	return req->state;
}

static Datum
act(FunctionCallInfo fcinfo, const char *verb, char *comment, char *to_actor,
	bool has_revision, int revision)
{
	int64		task = int64_argument(fcinfo, 0, "task");

	PG_RETURN_TEXT_P(cstring_to_text(task_act(task, verb, comment, to_actor,
											  has_revision, revision)));
}

Datum
idflow_approve(PG_FUNCTION_ARGS)
{
	return act(fcinfo, "Approve", text_argument(fcinfo, 1), NULL,
			   !PG_ARGISNULL(2), PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2));
}

Datum
idflow_decline(PG_FUNCTION_ARGS)
{
	return act(fcinfo, "Decline", text_argument(fcinfo, 1), NULL,
			   !PG_ARGISNULL(2), PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2));
}

Datum
idflow_refine(PG_FUNCTION_ARGS)
{
	return act(fcinfo, "Refine", text_argument(fcinfo, 2), text_argument(fcinfo, 1), false, 0);
}

Datum
idflow_delegate(PG_FUNCTION_ARGS)
{
	if (text_argument(fcinfo, 1) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "to_actor")));
	return act(fcinfo, "Delegate", text_argument(fcinfo, 2), text_argument(fcinfo, 1), false, 0);
}

Datum
idflow_execute(PG_FUNCTION_ARGS)
{
	return act(fcinfo, "Execute", text_argument(fcinfo, 1), NULL, false, 0);
}

Datum
idflow_abort(PG_FUNCTION_ARGS)
{
	return act(fcinfo, "Abort", text_argument(fcinfo, 1), NULL, false, 0);
}

static void
store_claim(int64 task, const char *claimant)
{
	Datum		values[3];
	char		nulls[4] = "   ";
	UserSwitch	save;

	values[0] = Int64GetDatum(task);
	values[1] = text_datum(claimant, &nulls[1]);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (claimant == NULL)
		nulls[2] = 'n';
	store_begin(&save);
	store_exec(&claim_task, values, nulls, false);
	store_end(&save);
}

/*
 * idflow_claim: take a task for oneself; it leaves the others' inboxes.
 */
Datum
idflow_claim(PG_FUNCTION_ARGS)
{
	int64		task = int64_argument(fcinfo, 0, "task");
	const char *actor = actor_name();
	Request    *req = load_task(task);
	const char *via = require_authority(req, actor);
	char	   *claimant = task_claimant(req);

	refuse_foreign_claim(req, task, claimant, actor);
	if (claimant == NULL || strcmp(claimant, actor) != 0)
	{
		store_claim(task, actor);
		request_participant(req, actor, true);
		request_event(req, actor, via, "Claim", NULL)->on_behalf_of = req->acting_for;
		request_write(req);
	}
	PG_RETURN_TEXT_P(cstring_to_text(req->state));
}

/*
 * idflow_release: give a claimed task back; its holder may, and an admin.
 */
Datum
idflow_release(PG_FUNCTION_ARGS)
{
	int64		task = int64_argument(fcinfo, 0, "task");
	const char *actor = actor_name();
	Request    *req = load_task(task);
	char	   *claimant = task_claimant(req);

	/* its holder may, even if the task is not for him any more */
	if (!role_is_admin(GetUserId()) && (claimant == NULL || strcmp(claimant, actor) != 0))
		(void) require_authority(req, actor);
	if (claimant == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task " INT64_FORMAT " is not claimed", task)));
	if (!role_is_admin(GetUserId()))
		refuse_foreign_claim(req, task, claimant, actor);
	store_claim(task, NULL);
	request_event(req, actor, strcmp(claimant, actor) == 0 ? "claim" : "idflow_admin", "Release", NULL);
	return request_done(req);
}

/* A task of a call on many, and what came of it. */
typedef struct TaskResult
{
	int64		task;
	int			place;			/* in the caller's array */
	Datum		values[5];
	bool		isnull[5];
} TaskResult;

static int
compare_tasks(const void *a, const void *b)
{
	const TaskResult *x = a;
	const TaskResult *y = b;

	if (x->task != y->task)
		return x->task < y->task ? -1 : 1;
	return x->place - y->place;
}

static int
compare_places(const void *a, const void *b)
{
	return ((const TaskResult *) a)->place - ((const TaskResult *) b)->place;
}

/* A task's request and its state, without locking it; 0 if there is none. */
static int64
request_of_task(int64 task, char **state)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(task)};
	UserSwitch	save;
	int64		request = 0;

	store_begin(&save);
	if (store_exec(&select_request, values, NULL, false) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		request = spi_int64(row, 1);
		*state = spi_text(row, 2);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return request;
}

/*
 * act_in_subxact: act on one task; if that fails, NULL, and the error in
 * *error.  What says nothing of the task is raised through.
 */
static const char *
act_in_subxact(int64 task, const char *verb, const char *comment, ErrorData **error)
{
	SubXact		sub;
	const char *volatile state = NULL;
	ErrorData  *volatile caught = NULL;

	subxact_begin(&sub);
	PG_TRY();
	{
		state = task_act(task, verb, comment, NULL, false, 0);
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		caught = subxact_error(&sub);
	}
	PG_END_TRY();
	if (caught &&
		(caught->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		 caught->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		 ERRCODE_TO_CATEGORY(caught->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES ||
		 ERRCODE_TO_CATEGORY(caught->sqlerrcode) == ERRCODE_INTERNAL_ERROR))
		ReThrowError(caught);
	*error = caught;
	return state;
}

/*
 * Many tasks, each in a subtransaction of its own: one that fails is reported
 * and leaves the others alone.  Cancellation and trouble of the server's end
 * the whole call.  The tasks are taken in the order of their numbers: two
 * calls with tasks in common then lock the requests in the same order and
 * don't deadlock.  The answer is in the caller's order.
 */
static Datum
act_on_all(FunctionCallInfo fcinfo, const char *verb)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *comment = text_argument(fcinfo, 1);
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	TaskResult *results;
	int			nresults = 0;
	MemoryContext cxt;
	MemoryContext each;

	InitMaterializedSRF(fcinfo, 0);
	PreventCommandDuringRecovery("a decision on a task");
	PreventCommandIfReadOnly("a decision on a task");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "tasks")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &n);
	results = palloc(Max(n, 1) * sizeof(TaskResult));
	for (int i = 0; i < n; i++)
		if (!nulls[i])
		{
			results[nresults].task = DatumGetInt64(elements[i]);
			results[nresults++].place = i;
		}
	qsort(results, nresults, sizeof(TaskResult), compare_tasks);
	each = AllocSetContextCreate(CurrentMemoryContext, "idflow task", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < nresults; i++)
	{
		TaskResult *result = &results[i];
		ErrorData  *error;
		const char *state;
		int64		request;
		char	   *state_now = NULL;

		CHECK_FOR_INTERRUPTS();
		cxt = MemoryContextSwitchTo(each);
		state = act_in_subxact(result->task, verb, comment, &error);
		request = request_of_task(result->task, &state_now);
		MemoryContextSwitchTo(cxt);
		memset(result->isnull, true, sizeof(result->isnull));
		result->values[0] = Int64GetDatum(result->task);
		result->isnull[0] = false;
		/* somebody else's, its number guessed, is not told of */
		if (request != 0 && (error == NULL || viewer_of(request) != VIEWER_NONE))
		{
			result->values[1] = Int64GetDatum(request);
			result->values[2] = CStringGetTextDatum(state ? state : state_now);
			result->isnull[1] = result->isnull[2] = false;
		}
		if (error)
		{
			result->values[3] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
			result->values[4] = CStringGetTextDatum(error->message);
			result->isnull[3] = result->isnull[4] = false;
		}
		MemoryContextReset(each);
	}

	qsort(results, nresults, sizeof(TaskResult), compare_places);
	for (int i = 0; i < nresults; i++)
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 results[i].values, results[i].isnull);
	return (Datum) 0;
}

Datum
idflow_approve_all(PG_FUNCTION_ARGS)
{
	return act_on_all(fcinfo, "Approve");
}

Datum
idflow_decline_all(PG_FUNCTION_ARGS)
{
	return act_on_all(fcinfo, "Decline");
}
