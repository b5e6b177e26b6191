/*-------------------------------------------------------------------------
 *
 * simulate.c
 *	  What would become of a request, or of a statement's requests, if
 *	  everybody who is asked agreed.
 *
 * All of it happens for real, inside a subtransaction that is rolled back in
 * the end: the activities, their aspects, the writing of the rows.  Whatever
 * idflow or a session of its keeps in memory follows subtransactions, so that
 * nothing has to be cleaned up here.
 *
 * Each request is followed in a subtransaction of its own that is rolled back
 * when the next one's turn comes: requests that one statement makes know
 * nothing of each other, whereas those that an apply sets off are followed
 * where it has happened.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/shmem.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "aspect.h"
#include "decide.h"
#include "notice.h"
#include "propose.h"
#include "reading.h"
#include "schedule.h"
#include "session.h"
#include "simulate.h"
#include "subxact.h"
#include "task.h"

PG_FUNCTION_INFO_V1(idflow_simulate);
PG_FUNCTION_INFO_V1(idflow_simulate_sql);

/* what moves a request that is simulated; it decides nothing that lasts */
#define ACTOR_SIMULATION	"idflow"
#define VIA_SIMULATION		"simulation"

typedef struct Simulation
{
	MemoryContext context;		/* outlives the subtransactions */
	int64	   *made;			/* requests that nobody has followed yet */
	int			nmade;
	int			room;
} Simulation;

static Simulation *simulation = NULL;

bool
simulating(void)
{
	return simulation != NULL;
}

/*
 * simulation_request_made: a request has got its number.  Whether it comes to
 * be stored is seen when its turn comes.
 */
void
simulation_request_made(int64 request)
{
	if (simulation == NULL)
		return;
	if (simulation->nmade == simulation->room)
	{
		Size		size;

		simulation->room = Max(64, 2 * simulation->room);
		size = mul_size(simulation->room, sizeof(int64));
		if (simulation->made == NULL)
			simulation->made = MemoryContextAllocHuge(simulation->context, size);
		else
			simulation->made = repalloc_huge(simulation->made, size);
	}
	simulation->made[simulation->nmade++] = request;
}

/* ---------------------------------------------------------------- subtransactions */

/*
 * attempt: do something in a subtransaction that is committed, within those
 * that will be rolled back.  Returns the error if that fails; cancellation and
 * trouble of the server's end the simulation.
 */
static ErrorData *
attempt(void (*what) (void *arg), void *arg)
{
	ErrorData  *volatile error = NULL;
	SubXact		sub;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	subxact_begin(&sub);
	PG_TRY();
	{
		what(arg);
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		error = subxact_error(&sub);
	}
	PG_END_TRY();
	PopActiveSnapshot();
	if (error &&
		(error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		 ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		 ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES ||
		 ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTERNAL_ERROR))
		ReThrowError(error);
	return error;
}

/* Do something in a subtransaction that is rolled back. */
static void
apart(void (*what) (void *arg), void *arg)
{
	SubXact		sub;

	check_stack_depth();
	subxact_begin(&sub);
	PG_TRY();
	{
		what(arg);
	}
	PG_CATCH();
	{
		subxact_rethrow(&sub);
	}
	PG_END_TRY();
	subxact_abort(&sub);
}

/* ---------------------------------------------------------------- requests */

/* As if whoever is asked agreed. */
static void
agree(Request *req)
{
	static const char *const verbs[] = {"Approve", "Execute"};
	Activity   *activity = request_activity(req);
	const char *verb = NULL;
	const char *to = NULL;

	for (int i = 0; to == NULL && i < lengthof(verbs); i++)
	{
		verb = verbs[i];
		to = template_transition(activity->template, req->activity_state, verb);
	}
	if (to == NULL)
		elog(ERROR, "state %s leads nowhere", request_full_state(req));
	engine_move(req, template_transition_name(activity->template, req->activity_state, verb),
				to, NULL);
	if (template_state_kind(to) == TEMPLATE_STATE_PENDING)
		task_move(req, NULL);
	else
	{
		task_close(req, to, NULL);
		engine_leave(req);
	}
}

/* A request, and how much whoever asks may see of it. */
typedef struct Followed
{
	Request    *req;
	Viewer		viewer;
	List	   *known;			/* of KnownChange: what he knew before */
} Followed;

/* One step of a request: until it waits, or ends. */
static void
advance(void *arg)
{
	Request    *req = arg;

	req->acting = ACTOR_SIMULATION;
	req->acting_via = VIA_SIMULATION;
	if (strcmp(req->state, "draft") == 0)
	{
		Change	   *first;

		if (request_changes(req) == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_WF_REQUEST_STATE),
					 errmsg("request " INT64_FORMAT " has no changes", req->id)));
		first = linitial(req->changes);
		engine_start(req, workflow_current(linitial(first->gates), false));
	}
	else if (req->task != 0)
		agree(req);
	else
	{
		/* the day has come */
		req->dated = true;
		req->effective_at = NO_DATE;
		engine_apply_again(req);
	}
	request_write(req);
}

/* What it has come to, in the end. */
static void
report_outcome(void *arg)
{
	Followed   *followed = arg;
	Request    *req = followed->req;
	Activity   *activity = request_activity(req);

	simulation_report_changes(req, followed->viewer, followed->known);
	if (strcmp(req->state, "conflict") == 0)
		simulation_report_conflicts(req, followed->viewer);
	else
		simulation_report(&(Finding) {
						  .request = req->id, .kind = req->state,
						  .activity = activity ? activity->name : NULL
						  });
}

/*
 * Take a request a step further, or tell how it ended.  Returns whether it goes
 * on.  What it waits for at first, a date or somebody who settles a conflict,
 * is taken for given.
 */
static bool
take_step(Followed *followed, bool first)
{
	Request    *req = followed->req;
	bool		ends = request_is_closed(req) || (!first && req->task == 0 && strcmp(req->state, "scheduled") != 0);
	ErrorData  *error = attempt(ends ? report_outcome : advance, ends ? (void *) followed : req);

	if (error)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		simulation_report_error(req, followed->viewer, followed->known, error);
		PopActiveSnapshot();
	}
	return !ends && error == NULL;
}

static void follow_apart(int64 id, bool from_start);

/*
 * Follow a request from where it stands; from_start: it was made just now, and
 * its first steps are told, too.  Requests that its apply or its aspects set
 * off are followed at the end, from there.
 */
static void
follow(int64 id, bool from_start)
{
	int			before = simulation->nmade;
	int			seen = -1;
	Followed	followed = {NULL, VIEWER_NONE, NIL};
	MemoryContext step = AllocSetContextCreate(CurrentMemoryContext, "idflow simulation",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcxt = MemoryContextSwitchTo(step);

	for (bool goes_on = true; goes_on;)
	{
		Request    *req;
		bool		first = seen < 0;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(step);
		CommandCounterIncrement();
		req = request_load(id);
		/* its subtransaction was rolled back */
		if (req == NULL)
			break;
		PushActiveSnapshot(GetTransactionSnapshot());
		if (first)
		{
			/* whose task it is loses sight of it when that is closed */
			followed.viewer = viewer_of(id);
			simulation_report_request(req, followed.viewer);
			MemoryContextSwitchTo(oldcxt);
			followed.known = simulation_known(req, followed.viewer);
			MemoryContextSwitchTo(step);
			seen = from_start ? 0 : req->nevents;
		}
		if (followed.viewer != VIEWER_NONE)
		{
			simulation_report_events(req, seen);
			if (req->task != 0)
				simulation_report_task(req);
			if (strcmp(req->state, "scheduled") == 0)
				simulation_report(&(Finding) {
								  .request = id, .kind = req->state,
								  .activity = request_activity(req)->name,
								  .message = psprintf("waits for %s", date_text(req->effective_at))
								  });
		}
		PopActiveSnapshot();
		seen = req->nevents;
		followed.req = req;
		/* what an apply would say of rows is not for him who asks without a privilege */
		goes_on = followed.viewer != VIEWER_NONE &&
			!(followed.viewer == VIEWER_OWN && apply_as_hides(req)) && take_step(&followed, first);
	}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(step);

	for (int i = before, end = simulation->nmade; i < end; i++)
		follow_apart(simulation->made[i], true);
	simulation->nmade = before;
}

typedef struct Start
{
	int64		id;
	bool		from_start;
} Start;

static void
follow_start(void *arg)
{
	Start	   *start = arg;

	follow(start->id, start->from_start);
}

/* The same, and roll it back. */
static void
follow_apart(int64 id, bool from_start)
{
	Start		start = {id, from_start};

	apart(follow_start, &start);
}

/* ---------------------------------------------------------------- statements */

/* Is it one statement that writes rows? */
static bool
is_dml(Node *statement)
{
	ListCell   *lc;
	WithClause *with;

	switch (nodeTag(statement))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return true;
		case T_SelectStmt:
			with = ((SelectStmt *) statement)->withClause;
			if (((SelectStmt *) statement)->intoClause)
				return false;
			foreach(lc, with ? with->ctes : NIL)
				if (!IsA(((CommonTableExpr *) lfirst(lc))->ctequery, SelectStmt))
					return true;
			return false;
		default:
			return false;
	}
}

typedef struct Statement
{
	const char *text;
	List	   *parsed;			/* of RawStmt */
} Statement;

static void
parse_statement(void *arg)
{
	Statement  *statement = arg;

	statement->parsed = pg_parse_query(statement->text);
}

static void
set_constraints_immediate(void)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = NIL;
	stmt->deferred = false;
	AfterTriggerSetState(stmt);
}

/* Run the statement as its caller, and what it has deferred. */
static void
run_statement(void *arg)
{
	SPIExecuteOptions options = {0};
	int			rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	options.dest = None_Receiver;
	rc = SPI_execute_extended(((Statement *) arg)->text, &options);
	if (rc < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the statement can't be simulated: %s", SPI_result_code_string(rc))));
	SPI_finish();
	set_constraints_immediate();
}

static void
simulate_statement(const char *statement)
{
	Statement	sql = {statement, NIL};
	ErrorData  *error = attempt(parse_statement, &sql);
	int64		bundle = collecting_request();
	int			changes = 0;

	if (error == NULL)
	{
		if (list_length(sql.parsed) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("only one statement can be simulated"),
					 errdetail("There are %d.", list_length(sql.parsed)),
					 errhint("Several that make one request go into a transaction: idflow.begin_request(), the statements, SELECT * FROM idflow.simulate(request), ROLLBACK.")));
		if (!is_dml(linitial_node(RawStmt, sql.parsed)->stmt))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("only INSERT, UPDATE, DELETE and MERGE can be simulated"),
					 errhint("A query that begins with WITH may have them inside it.")));
		if (bundle)
			changes = request_read(bundle)->nchanges;
		error = attempt(run_statement, &sql);
	}
	if (error)
	{
		simulation_report_error(NULL, VIEWER_OWN, NIL, error);
		return;
	}
	/* rows that went into the request which the transaction collects */
	if (bundle && request_read(bundle)->nchanges != changes)
		follow_apart(bundle, false);
	for (int i = 0; i < simulation->nmade; i++)
		follow_apart(simulation->made[i], true);
}

/* ---------------------------------------------------------------- in SQL */

/*
 * Refuse to begin where what is under way can't be rolled back to, or would be
 * taken for a part of the simulation.
 */
static void
refuse_nested(const char *function)
{
	const char *within = NULL;
	int			depth;

	if (simulating())
		within = "a simulation";
	else if (apply_depth() > 0)
		within = "an apply";
	else if (invoking_request(&depth) != 0)
		within = "an aspect";
	else if (DatumGetInt32(OidFunctionCall0(F_PG_TRIGGER_DEPTH)) > 0)
		within = "a trigger";
	if (within)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s can't be called within %s", function, within)));
}

/* The request that is simulated must be there, be seen, and go on. */
static void
require_simulable(int64 id)
{
	Request    *req = load_request(id);

	if (viewer_of(id) == VIEWER_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("request " INT64_FORMAT " is not yours to see", id)));
	if (request_is_closed(req))
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s and has nothing before it", id, req->state)));
}

/* What is simulated: a request, or a statement where that is not NULL. */
typedef struct Subject
{
	int64		request;
	const char *statement;
} Subject;

static void
simulate_subject(void *arg)
{
	Subject    *subject = arg;

	if (subject->statement)
		simulate_statement(subject->statement);
	else
	{
		require_simulable(subject->request);
		follow_apart(subject->request, false);
	}
}

static Datum
simulate(FunctionCallInfo fcinfo, const char *function, int64 request, const char *statement)
{
	Simulation	now = {0};
	Subject		subject = {request, statement};
	bool		told;

	refuse_nested(function);
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	(void) actor_name();
	InitMaterializedSRF(fcinfo, 0);
	simulation_report_to((ReturnSetInfo *) fcinfo->resultinfo);
	now.context = CurrentMemoryContext;

	told = notice_suspend(true);
	simulation = &now;
	PG_TRY();
	{
		apart(simulate_subject, &subject);
	}
	PG_FINALLY();
	{
		simulation = NULL;
		notice_suspend(told);
	}
	PG_END_TRY();
	return (Datum) 0;
}

/*
 * idflow_simulate: what would become of a request.
 */
Datum
idflow_simulate(PG_FUNCTION_ARGS)
{
	return simulate(fcinfo, "idflow.simulate()", int64_argument(fcinfo, 0, "request"), NULL);
}

/*
 * idflow_simulate_sql: what would become of the requests of a statement.
 */
Datum
idflow_simulate_sql(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "statement")));
	return simulate(fcinfo, "idflow.simulate_sql()", 0,
					text_to_cstring(PG_GETARG_TEXT_PP(0)));
}
