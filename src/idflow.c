/*-------------------------------------------------------------------------
 *
 * idflow.c
 *	  Module start: settings and hooks.
 *
 * The library may be loaded by the first trigger or function call of a
 * session, in the midst of a statement.  The hooks therefore never count on
 * having seen a statement's start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/portal.h"
#include "utils/varlena.h"

#include "apply.h"
#include "bundle.h"
#include "compat.h"
#include "definition.h"
#include "explain.h"
#include "idflow.h"
#include "language.h"
#include "notification.h"
#include "notice.h"
#include "session.h"
#include "wrapper.h"
#include "worker.h"

PG_MODULE_MAGIC;

char	   *setting_actor = NULL;
char	   *setting_actor_function = NULL;
bool		setting_require_actor = false;
char	   *setting_context = NULL;
char	   *setting_title = NULL;
char	   *setting_comment = NULL;
char	   *setting_effective_at = NULL;
char	   *setting_expires_at = NULL;
int			setting_notice = NOTICE_STATEMENT;
int			setting_check_limit = 1000;
bool		setting_count_drafts = true;
bool		setting_trace = false;
static char *setting_agent = NULL;

static const struct config_enum_entry notice_options[] = {
	{"statement", NOTICE_STATEMENT, false},
	{"row", NOTICE_ROW, false},
	{"off", NOTICE_OFF, false},
	{NULL, 0, false}
};

static const struct config_enum_entry on_drop_options[] = {
	{"auto", ON_DROP_AUTO, false},
	{"refuse", ON_DROP_REFUSE, false},
	{"end", ON_DROP_END, false},
	{NULL, 0, false}
};

static const struct config_enum_entry bundle_options[] = {
	{"row", BUNDLE_ROW, false},
	{"statement", BUNDLE_STATEMENT, false},
	{"transaction", BUNDLE_TRANSACTION, false},
	{NULL, 0, false}
};

/* The statements being executed, innermost first. */
typedef struct QueryFrame
{
	PlannedStmt *stmt;
	QueryDesc  *query;			/* NULL for a utility statement */
	struct Wrapper *running;	/* its ModifyTable at work; see wrapper.c */
	struct QueryFrame *outer;	/* what was before it ... */
	int			outer_depth;
} QueryFrame;

static QueryFrame *query_frames = NULL;
static int	depth = 0;

/*
 * The statement that was in execution when the library was loaded.  The hooks
 * did not see it begin, but it is the outermost statement and counts in depth.
 */
static PlannedStmt *loading_stmt = NULL;

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;
static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;

PGDLLEXPORT void _PG_init(void);

/*
 * executing_query: the innermost statement in execution, NULL if it began
 * before the library was loaded or is no executor's (COPY).
 */
QueryDesc *
executing_query(void)
{
	return query_frames ? query_frames->query : NULL;
}

/*
 * Whether a trigger that no hook knows the statement of is fired by the
 * portal's own, and not by one that a function of it executes: a trigger is
 * called in per-tuple memory, whose parent is the executor's, whose parent is
 * where its query was started.
 */
static bool
fired_by_portal(void)
{
	MemoryContext executor = CurrentMemoryContext->parent;

	return executor && executor->parent == ActivePortal->portalContext;
}

/*
 * executing_statement: the same with utility statements, and with the one
 * that loaded the library as far as the portal tells; NULL if not known.  A
 * trigger's function must ask in the memory context that it was called in.
 */
PlannedStmt *
executing_statement(void)
{
	if (query_frames)
		return query_frames->stmt;
	if (loading_stmt && depth == 1 && ActivePortal && list_length(ActivePortal->stmts) == 1 &&
		fired_by_portal())
		return linitial_node(PlannedStmt, ActivePortal->stmts);
	return NULL;
}

/*
 * running_wrapper: the wrapper whose ModifyTable the innermost statement is
 * executing; NULL if there is none.
 */
struct Wrapper *
running_wrapper(void)
{
	return query_frames ? query_frames->running : NULL;
}

/*
 * set_running_wrapper: say which; returns the one before.  After an error
 * nobody need put that back: the statement's frame goes as a whole.
 */
struct Wrapper *
set_running_wrapper(struct Wrapper *wrapper)
{
	struct Wrapper *before;

	if (query_frames == NULL)
		return NULL;
	before = query_frames->running;
	query_frames->running = wrapper;
	return before;
}

/*
 * loaded_by_gate: a gate fires.  If it is in the statement that loaded the
 * library, that statement's client is told nothing of its drafts; so that he
 * doesn't hear one thing in the first statement and another in the next, it
 * stays so for the session, unless he asks for the other.
 */
void
loaded_by_gate(void)
{
	if (query_frames == NULL && loading_stmt && setting_count_drafts)
		SetConfigOption("idflow.count_drafts", "off", PGC_USERSET, PGC_S_DYNAMIC_DEFAULT);
}

/* Whether a list of libraries, as in a preload setting, names this one. */
static bool
list_names_idflow(const char *libraries)
{
	List	   *names;
	ListCell   *lc;

	if (libraries == NULL || !SplitDirectoriesString(pstrdup(libraries), ',', &names))
		return false;
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);
		char	   *slash = strrchr(name, '/');
		size_t		len;

		if (slash)
			name = slash + 1;
		len = strcspn(name, ".");
		if (len == strlen("idflow") && strncmp(name, "idflow", len) == 0)
			return true;
	}
	return false;
}

/*
 * library_is_preloaded: whether sessions like this one load the library when
 * they start.
 */
bool
library_is_preloaded(void)
{
	return list_names_idflow(session_preload_libraries_string) ||
		list_names_idflow(shared_preload_libraries_string) ||
		list_names_idflow(local_preload_libraries_string);
}

/*
 * statement_end_is_seen: whether a hook sees the end of the innermost
 * statement, or of the one around it.  That of a utility statement which was
 * in execution when the library was loaded goes by.
 */
bool
statement_end_is_seen(void)
{
	return query_frames || (loading_stmt && loading_stmt->commandType != CMD_UTILITY);
}

/*
 * executor_depth: how many statements deep we are; 1 in a client's own.
 */
int
executor_depth(void)
{
	return depth;
}

/*
 * The statement that loaded the library is over, or its transaction; the
 * latter can end inside a procedure that it calls.
 */
void
loading_statement_end(void)
{
	if (loading_stmt == NULL || depth != 1)
		return;
	loading_stmt = NULL;
	depth = 0;
}

/*
 * A utility statement that loaded the library ends unseen.  Within the same
 * transaction a statement of another portal tells that it did.
 */
static void
look_for_loading_end(void)
{
	if (loading_stmt && depth == 1 &&
		(ActivePortal == NULL || !list_member_ptr(ActivePortal->stmts, loading_stmt)))
	{
		loading_statement_end();
		bundle_statement_end(depth);
	}
}

static void
frame_enter(QueryFrame *frame, PlannedStmt *stmt, QueryDesc *query)
{
	frame->stmt = stmt;
	frame->query = query;
	frame->running = NULL;
	frame->outer = query_frames;
	frame->outer_depth = depth;
	query_frames = frame;
	depth++;
}

/* Also after an error, when frames further in may never have been left. */
static void
frame_leave(QueryFrame *frame)
{
	query_frames = frame->outer;
	depth = frame->outer_depth;
}

static void
idflow_executor_start(QueryDesc *queryDesc, int eflags)
{
	if (prev_executor_start)
		prev_executor_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);

	/* our own apply is no client */
	if ((queryDesc->operation != CMD_SELECT || queryDesc->plannedstmt->hasModifyingCTE) &&
		!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && !dml_is_ours(queryDesc))
		wrapper_start(queryDesc);
}

static void
idflow_executor_run(EXECUTOR_RUN_ARGS)
{
	QueryFrame	frame;

	look_for_loading_end();
	frame_enter(&frame, queryDesc->plannedstmt, queryDesc);
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(EXECUTOR_RUN_PASS);
		else
			standard_ExecutorRun(EXECUTOR_RUN_PASS);
	}
	PG_FINALLY();
	{
		frame_leave(&frame);
	}
	PG_END_TRY();
}

/*
 * What a statement has left undone is done here: its data-modifying CTEs that
 * nobody read to their end, and its AFTER triggers.
 */
static void
idflow_executor_finish(QueryDesc *queryDesc)
{
	QueryFrame	frame;

	if (queryDesc->plannedstmt == loading_stmt)
		loading_statement_end();
	frame_enter(&frame, queryDesc->plannedstmt, queryDesc);
	PG_TRY();
	{
		if (prev_executor_finish)
			prev_executor_finish(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
		bundle_statement_end(depth - 1);
	}
	PG_FINALLY();
	{
		frame_leave(&frame);
	}
	PG_END_TRY();

	notice_statement_end(depth);
}

static void
idflow_executor_end(QueryDesc *queryDesc)
{
	explain_end(queryDesc);
	wrapper_end(queryDesc);
	if (prev_executor_end)
		prev_executor_end(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);
}

/*
 * Utility statements count, too: COPY writes rows, and those that a COPY in a
 * function writes are not those of the executor's statements above it.
 */
static void
idflow_process_utility(PlannedStmt *pstmt, const char *queryString,
					   bool readOnlyTree, ProcessUtilityContext context,
					   ParamListInfo params, QueryEnvironment *queryEnv,
					   DestReceiver *dest, QueryCompletion *qc)
{
	QueryFrame	frame;

	apply_check_utility(pstmt->utilityStmt);
	look_for_loading_end();
	frame_enter(&frame, pstmt, NULL);
	PG_TRY();
	{
		if (prev_process_utility)
			prev_process_utility(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
		else
			standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
									params, queryEnv, dest, qc);
		bundle_statement_end(depth - 1);
	}
	PG_FINALLY();
	{
		frame_leave(&frame);
	}
	PG_END_TRY();

	notice_statement_end(depth);
}

static void
idflow_post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
	apply_edit_query(pstate->p_sourcetext, query);
}

void
_PG_init(void)
{
	if (IsBinaryUpgrade)
		return;

	DefineCustomStringVariable("idflow.actor",
							   "Name of the person on whose behalf the session acts.",
							   "Empty: the result of idflow.actor_function, else the database role.",
							   &setting_actor, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.actor_function",
							   "Function without arguments that gives the actor's name.",
							   "Asked where idflow.actor is empty; its null result means the database role.",
							   &setting_actor_function, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("idflow.require_actor",
							 "Refuses requests and decisions without an explicit actor.",
							 NULL,
							 &setting_require_actor, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.context",
							   "Settings stored with a request and restored for its apply.",
							   "A comma-separated list of names of settings.",
							   &setting_context, "TimeZone",
							   PGC_SUSET, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.title",
							   "Title of the requests that plain DML makes.",
							   NULL,
							   &setting_title, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.comment",
							   "Comment of the requests that plain DML makes.",
							   NULL,
							   &setting_comment, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.effective_at",
							   "Date before which the requests that are made are not written.",
							   "A timestamp with time zone; empty: as soon as they are approved.",
							   &setting_effective_at, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.expires_at",
							   "Date on which the requests that are made are reversed.",
							   "A timestamp with time zone; empty: never.",
							   &setting_expires_at, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("idflow.notice",
							 "Whether a NOTICE tells the client the number of its request.",
							 NULL,
							 &setting_notice, NOTICE_STATEMENT, notice_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("idflow.bundle",
							 "What becomes one request: each row, the rows of a statement, or those of a transaction.",
							 "A workflow may say otherwise; rows that are collected by hand are one request.",
							 &setting_bundle, BUNDLE_ROW, bundle_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("idflow.on_drop",
							 "What DROP TABLE does with open requests on the table: is refused, or ends them.",
							 "auto: is refused, and ends them where a superuser or an idflow_admin drops the table.",
							 &setting_on_drop, ON_DROP_AUTO, on_drop_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("idflow.check_limit",
							"Rows of a statement up to which drafts are checked when they are made.",
							"The rows above it are checked when they are applied.",
							&setting_check_limit, 1000, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("idflow.agent",
							   "Sets the name under which the session takes jobs.",
							   "Agents that share a role need a name each, so that one can't end another's job.",
							   &setting_agent, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("idflow.trace",
							 "Keeps what each expression of a workflow gives, for idflow.trace().",
							 "Of requests that are made or moved in the session; a workflow that says Trace=\"true\" keeps it always.",
							 &setting_trace, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("idflow.count_drafts",
							 "Whether drafted rows count, and are returned by RETURNING, as if they were written.",
							 "Off where a gate's trigger was the first of idflow in the session.",
							 &setting_count_drafts, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	definition_init();
	language_init();
	notification_init();
	worker_init();
	MarkGUCPrefixReserved("idflow");

	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = idflow_executor_start;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = idflow_executor_run;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = idflow_executor_finish;
	prev_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = idflow_executor_end;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = idflow_process_utility;
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = idflow_post_parse_analyze;

	explain_init();
	session_init();

	if (ActivePortal && ActivePortal->status == PORTAL_ACTIVE &&
		list_length(ActivePortal->stmts) == 1)
	{
		loading_stmt = linitial_node(PlannedStmt, ActivePortal->stmts);
		depth = 1;
	}
}
