/*-------------------------------------------------------------------------
 *
 * bundle.c
 *	  Which request a drafted row goes into, and when that is sent on.
 *
 * A row is a request for itself, or goes into one that takes all rows of a
 * statement, of a transaction, or those that somebody collects by hand; see
 * filling.c.  That of a statement is sent on at its end.
 *
 * That of a transaction is sent on by a deferred constraint trigger on
 * idflow.bundle: there alone, before a commit, statements may still be run,
 * may fail, and may defer more.  Deferred triggers that a callback of the
 * commit leaves behind would not be fired any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "apply.h"
#include "bundle.h"
#include "filling.h"
#include "idflow.h"
#include "notice.h"
#include "propose.h"
#include "schedule.h"
#include "session.h"

PG_FUNCTION_INFO_V1(idflow_submit_bundle);

int			setting_bundle = BUNDLE_ROW;

/* A request that a transaction's rows go into. */
typedef struct Bundle
{
	int64		request;
	char	   *actor;
	Oid			roleid;
	SubTransactionId subid;
	struct Bundle *next;
} Bundle;

static Bundle *bundles = NULL;	/* newest first */

static StorePlan insert_bundle = {
	"INSERT INTO idflow.bundle (request) VALUES ($1)",
	1, {INT8OID}
};

static StorePlan delete_bundle = {
	"DELETE FROM idflow.bundle WHERE request OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

/* bundle_mode: what a definition says, NULL if nothing. */
BundleMode
bundle_mode(const char *name)
{
	if (name == NULL)
		return BUNDLE_UNSAID;
	return name[0] == 'r' ? BUNDLE_ROW : name[0] == 's' ? BUNDLE_STATEMENT : BUNDLE_TRANSACTION;
}

/* ------------------------------------------------------------ the requests */

static void
check_parents(void)
{
	static StorePlan count_parents = {
		"WITH RECURSIVE chain (id, parent, n) AS ("
		" SELECT id, parent, 1 FROM idflow.request WHERE id OPERATOR(pg_catalog.=) $1"
		" UNION ALL SELECT r.id, r.parent, c.n OPERATOR(pg_catalog.+) 1"
		" FROM idflow.request r, chain c WHERE r.id OPERATOR(pg_catalog.=) c.parent"
		" AND c.n OPERATOR(pg_catalog.<) $2)"
		" SELECT pg_catalog.count(*) FROM chain",
		2, {INT8OID, INT4OID}
	};
	Datum		values[2];
	UserSwitch	save;
	int64		n;

	if (applying_request() == 0)
		return;
	values[0] = Int64GetDatum(applying_request());
	values[1] = Int32GetDatum(MAX_PARENTS);
	store_begin(&save);
	store_exec(&count_parents, values, NULL, false);
	n = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);

	/* those that are being applied right now may not be stored yet */
	if (Max(n, apply_depth()) >= MAX_PARENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("request " INT64_FORMAT " has more than %d requests above it",
						applying_request(), MAX_PARENTS - 1),
				 errhint("Triggers of gated tables write to gated tables in a circle.")));
}

/*
 * new_request: a request made by a statement of an apply has a parent; chains
 * are short.
 */
Request *
new_request(const char *actor)
{
	Request    *req;

	check_parents();
	req = request_create(actor);
	schedule_by_settings(req);
	return req;
}

static void
check_collecting(int64 id, Request *req, const char *actor)
{
	if (req == NULL || strcmp(req->state, "draft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " does not collect changes any more", id),
				 errhint("Begin another with idflow.begin_request().")));
	if (!request_is_of(req, actor))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("request " INT64_FORMAT " collects the changes of \"%s\", not of \"%s\"",
						id, req->requester, actor)));
	if (strcmp(req->role, GetUserNameFromId(GetUserId(), false)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("request " INT64_FORMAT " is applied as role \"%s\" and can't take a change of role \"%s\"",
						id, req->role, GetUserNameFromId(GetUserId(), false)),
				 errhint("All changes of a request are made by one role.")));
}

/* Does a table have a foreign key to itself? */
static bool
refers_to_itself(Relation rel)
{
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
		if (lfirst_node(ForeignKeyCacheInfo, lc)->confrelid == RelationGetRelid(rel))
			return true;
	return false;
}

/*
 * Whether no other row of the present statement can refer to one that it
 * drafts in rel, nor is the same: then drafts need not hold keys that sequences
 * give, nor be looked through for earlier ones of the row.  Without its wrapper
 * a statement may meet a row twice.
 */
static bool
rows_stand_alone(Relation rel)
{
	PlannedStmt *stmt = executing_statement();

	return !notice_joined() && stmt && !stmt->hasModifyingCTE &&
		(stmt->commandType == CMD_UTILITY || running_wrapper()) && !refers_to_itself(rel);
}

/* The request into which the rows of the present statement go. */
static Request *
request_of_statement(Relation rel, const char *actor)
{
	Filling    *f = filling_of_statement(actor);

	if (f)
		return filling_add(f);
	f = filling_begin(0, actor);
	f->sends = true;
	f->req->stands_alone = rows_stand_alone(rel);
	return f->req;
}

/* The number of what the present transaction collects in without being told; 0: nothing so far. */
static int64
present_bundle(const char *actor)
{
	for (Bundle *b = bundles; b; b = b->next)
		if (b->roleid == GetUserId() && strcmp(b->actor, actor) == 0)
			return b->request;
	return 0;
}

/* The request into which the transaction's rows go. */
static Request *
request_of_transaction(const char *actor)
{
	int64		id = present_bundle(actor);
	Filling    *f = id ? filling_of(id) : NULL;
	Datum		values[1];
	UserSwitch	save;
	Bundle	   *b;

	if (id == 0)
		f = filling_of_statement(actor);
	if (f)
		return filling_add(f);
	if (id)
	{
		f = filling_begin(id, actor);
		if (f)
			return f->req;
		/* he has sent it on, or withdrawn it: another takes its place for now */
	}

	f = filling_begin(0, actor);
	b = MemoryContextAlloc(TopTransactionContext, sizeof(Bundle));
	b->request = f->req->id;
	b->actor = MemoryContextStrdup(TopTransactionContext, actor);
	b->roleid = GetUserId();
	b->subid = GetCurrentSubTransactionId();
	b->next = bundles;
	bundles = b;
	values[0] = Int64GetDatum(b->request);
	store_begin(&save);
	store_exec(&insert_bundle, values, NULL, false);
	store_end(&save);
	return f->req;
}

/* The request that is collected by hand. */
static Request *
request_by_hand(int64 id, const char *actor)
{
	Filling    *f = filling_of(id);

	if (f == NULL)
		f = filling_begin(id, actor);
	check_collecting(id, f ? f->req : NULL, actor);
	return filling_add(f);
}

/*
 * bundle_collecting: the request that the present transaction collects the
 * actor's changes in, as the current role: by hand, or because it is a bundle.
 * NULL: there is none so far.  Where a draft of it is changed, bundle_added()
 * must follow.
 */
Request *
bundle_collecting(const char *actor)
{
	int64		id;
	Filling    *f;

	if (applying_request())
		return NULL;
	if (collecting_request())
		return request_by_hand(collecting_request(), actor);
	id = present_bundle(actor);
	if (id == 0)
		return NULL;
	f = filling_of(id);
	if (f)
		return filling_add(f);
	f = filling_begin(id, actor);
	return f ? f->req : NULL;
}

/*
 * bundle_request: the request that a row of rel goes into, whose first gate is
 * the workflow's.  bundle_added() must follow.
 */
Request *
bundle_request(Workflow *wf, Relation rel, const char *actor)
{
	int64		collecting = applying_request() ? 0 : collecting_request();
	BundleMode	mode = wf->bundle != BUNDLE_UNSAID ? wf->bundle :
		applying_request() ? BUNDLE_ROW : setting_bundle;
	Request    *req;

	if (proposal_is_for(rel))
	{
		req = new_request(actor);
		req->stands_alone = true;
		return req;
	}
	if (collecting)
		return request_by_hand(collecting, actor);

	/*
	 * What triggers write during an apply is not the session's doing, and
	 * must not outlast the apply.  The end of a statement that began before
	 * the library was loaded may go unseen; the transaction's doesn't.
	 */
	if (mode == BUNDLE_TRANSACTION && applying_request())
		mode = BUNDLE_STATEMENT;
	else if (mode == BUNDLE_STATEMENT && !statement_end_is_seen())
		mode = BUNDLE_TRANSACTION;
	if (mode == BUNDLE_STATEMENT)
		return request_of_statement(rel, actor);
	if (mode == BUNDLE_TRANSACTION)
		return request_of_transaction(actor);
	req = new_request(actor);
	req->stands_alone = true;
	return req;
}

/* bundle_send_on: a request that takes no more rows begins its way. */
void
bundle_send_on(Request *req, Workflow *wf)
{
	engine_start(req, wf);
	if (setting_comment && setting_comment[0] && req->events)
		((Event *) linitial(req->events))->comment = pstrdup(setting_comment);
}

/* activity_name: of the activity where a request stands; NULL: none. */
const char *
activity_name(Request *req)
{
	Activity   *activity = request_activity(req);

	return activity ? activity->name : NULL;
}

/*
 * bundle_added: the row is drafted.  A request that takes no more is sent on.
 */
void
bundle_added(Request *req, Workflow *wf, Change *change, const char *actor)
{
	Filling    *f = filling_of(req->id);

	remember_request(actor, req->id);
	if (f == NULL)
	{
		bundle_send_on(req, wf);
		request_write(req);
		notice_add(req->id, req->state, activity_name(req), change->operation, change->target, false);
		return;
	}
	if (f->rows++ == 0)
	{
		f->operation = change->operation;
		f->target = change->target;
	}
	f->mixed |= f->operation != change->operation || f->target != change->target;
	/* they are stored; there may be any number */
	req->changes = NIL;
	req->changes_loaded = false;
	notice_add(req->id, req->state, NULL, change->operation, change->target, f->sends);
}

/* bundle_counted: one more row like the one before is drafted. */
void
bundle_counted(Filling *filling)
{
	filling->rows++;
	notice_count();
}

/* first_workflow: the first change says in which a request begins. */
Workflow *
first_workflow(Request *req)
{
	Change	   *first = linitial(request_stored(req));

	return workflow_current(linitial(first->gates), false);
}

/* ----------------------------------------------------------- the transaction */

/* A request whose changes have all been taken back. */
static void
end_empty(Request *req)
{
	request_event(req, req->acting, req->acting_via, "Abort", "nothing is left to write");
	request_close(req, "aborted");
}

/*
 * idflow.submit_bundle(): the constraint trigger that sends a transaction's
 * request on, before the commit or when SET CONSTRAINTS says so.
 */
Datum
idflow_submit_bundle(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Datum		values[1];
	bool		isnull;
	UserSwitch	save;
	int64		id;
	Filling    *f;
	Request    *req;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) ||
		RelationGetRelid(trigdata->tg_relation) != extension_relid("bundle"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is the trigger of table idflow.bundle", "idflow.submit_bundle")));

	id = DatumGetInt64(heap_getattr(trigdata->tg_trigtuple, 1,
									RelationGetDescr(trigdata->tg_relation), &isnull));
	values[0] = Int64GetDatum(id);
	store_begin(&save);
	store_exec(&delete_bundle, values, NULL, false);
	store_end(&save);

	/* constraints are immediate, and the statement's rows are still coming */
	f = filling_of(id);
	if (f)
	{
		f->sends = true;
		return PointerGetDatum(NULL);
	}

	req = request_load(id);
	if (req == NULL || strcmp(req->state, "draft") != 0)
		return PointerGetDatum(NULL);
	req->acting = req->requester;
	if (request_stored(req) == NIL)
		end_empty(req);
	else
	{
		Workflow   *wf = first_workflow(req);
		Change	   *first = linitial(req->changes);
		bool		mixed = false;
		int			rows = 0;
		ListCell   *lc;

		foreach(lc, req->changes)
		{
			Change	   *change = lfirst(lc);

			mixed |= change->operation != first->operation || change->target != first->target;
			rows += Max(change->count, 1);
		}
		become(&save, requester_role(req), 0);
		bundle_send_on(req, wf);
		restore_user(&save);
		notice_outcome(req->id, req->state, activity_name(req), first->operation, first->target,
					   mixed, rows);
	}
	request_write(req);
	return PointerGetDatum(NULL);
}

/* bundle_forget_all: the transaction is over. */
void
bundle_forget_all(void)
{
	/* its memory is the transaction's */
	fillings_forget(InvalidSubTransactionId);
	bundles = NULL;
}

/* bundle_forget: a subtransaction was rolled back. */
void
bundle_forget(SubTransactionId subid)
{
	fillings_forget(subid);
	/* newer ones belong to the same or later subtransactions */
	while (bundles && bundles->subid >= subid)
		bundles = bundles->next;
}

/* bundle_hand_up: a subtransaction was released. */
void
bundle_hand_up(SubTransactionId subid, SubTransactionId parent)
{
	fillings_hand_up(subid, parent);
	for (Bundle *b = bundles; b && b->subid >= subid; b = b->next)
		b->subid = parent;
}
