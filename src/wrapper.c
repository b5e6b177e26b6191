/*-------------------------------------------------------------------------
 *
 * wrapper.c
 *	  Drafted rows in the eyes of the client: counted, and returned by
 *	  RETURNING, as if they had been written.
 *
 * A gate's trigger returns NULL for a row that it drafts, and ModifyTable then
 * goes on as if there had been no such row.  So each ModifyTable that may
 * meet a gate gets another function to call: it says which ModifyTable is
 * running, and puts what the gate has projected meanwhile before the row
 * that ModifyTable itself returns.  All else stays with core: WHEN, UPDATE OF,
 * row locks and EvalPlanQual, routing to partitions, ON CONFLICT, MERGE.
 *
 * The trigger decides what is drafted, with or without all this.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "attach.h"
#include "compat.h"
#include "idflow.h"
#include "wrapper.h"

/* A row that was drafted and so shows no mark of the statement. */
typedef struct DraftedRow
{
	Oid			relid;
	ItemPointerData tid;
} DraftedRow;

struct Wrapper
{
	ModifyTableState *mtstate;
	ExecProcNodeMtd execute;	/* ModifyTable's own function */
	ExecProcNodeMtd fetch;		/* its subplan's own; NULL: not replaced */
	bool		counting;		/* idflow.count_drafts when it began */
	int64		ndrafted;

	/* rows of UPDATE, DELETE and MERGE that are drafted */
	DraftedRow	first;
	HTAB	   *others;

	/* what RETURNING made of drafted rows, not yet handed out */
	Tuplestorestate *queue;
	int64		queued;
	TupleTableSlot *queue_slot;
	TupleTableSlot *output_slot;
	TupleTableSlot *held;		/* ModifyTable's row that comes after them */

	TupleTableSlot *expected;	/* see wrapper_expect_update() */
	struct Wrapper *next;
};

/* The session's ModifyTables with a wrapper, newest first. */
static Wrapper *wrappers = NULL;

static Wrapper *
wrapper_of(PlanState *state)
{
	for (Wrapper *w = wrappers; w; w = w->next)
		if ((PlanState *) w->mtstate == state || outerPlanState(w->mtstate) == state)
			return w;
	elog(ERROR, "ModifyTable without its wrapper");
	return NULL;
}

/* The query's memory goes, at its end or by an error: forget the wrapper. */
static void
unlink_wrapper(void *arg)
{
	for (Wrapper **link = &wrappers; *link; link = &(*link)->next)
	{
		if (*link == (Wrapper *) arg)
		{
			*link = (*link)->next;
			return;
		}
	}
}

/* ---------------------------------------------------------------- execution */

/*
 * ON CONFLICT DO UPDATE was to update a row that is there.  If it inserted
 * one, a row went round the gate: only code that runs between the gate and
 * the insertion can bring that about.
 */
static void
check_expected(Wrapper *w)
{
	TupleTableSlot *slot = w->expected;

	w->expected = NULL;
	if (slot && ItemPointerIsValid(&slot->tts_tid))
		ereport(ERROR,
				(errcode(ERRCODE_WF_GATE_HAZARD),
				 errmsg("INSERT ... ON CONFLICT DO UPDATE would insert a row that no gate has seen"),
				 errdetail("The row that it was to update is gone, or a trigger has changed the row's key, after the gate looked."),
				 errhint("Draft the key that the trigger makes, or use INSERT and UPDATE.")));
}

/* The row that was queued first, in the slot that parents of ours read. */
static TupleTableSlot *
next_queued(Wrapper *w)
{
	if (!tuplestore_gettupleslot(w->queue, true, false, w->queue_slot))
		elog(ERROR, "queued row is missing");
	ExecCopySlot(w->output_slot, w->queue_slot);
	w->queued--;
	if (w->queued == 0)
		tuplestore_clear(w->queue);
	return w->output_slot;
}

/*
 * The function that stands in ModifyTable's place.  An error leaves through
 * the hook that made the frame, which so needs no clean-up here.
 */
static TupleTableSlot *
execute_wrapped(PlanState *state)
{
	Wrapper    *w = wrapper_of(state);
	Wrapper    *outer;
	TupleTableSlot *slot;

	if (w->queued > 0)
		return next_queued(w);
	if (w->held)
	{
		slot = w->held;
		w->held = NULL;
		return slot;
	}

	outer = set_running_wrapper(w);
	slot = w->execute(state);
	set_running_wrapper(outer);
	if (w->expected)
		check_expected(w);

	if (w->queued == 0)
		return slot;
	if (!TupIsNull(slot))
	{
		/* its values live in memory that the executor resets per row */
		ExecMaterializeSlot(slot);
		w->held = slot;
	}
	return next_queued(w);
}

/*
 * The function in the place of the subplan's, under INSERT ... ON CONFLICT DO
 * UPDATE: ModifyTable asks for a row when it is done with the one before.
 */
static TupleTableSlot *
fetch_wrapped(PlanState *state)
{
	Wrapper    *w = wrapper_of(state);

	if (w->expected)
		check_expected(w);
	return w->fetch(state);
}

/* ------------------------------------------------------------------ the start */

/*
 * Whether a ModifyTable may meet a gate.  The partitions that it will insert
 * into are not known yet.
 */
static bool
may_meet_gate(ModifyTableState *mtstate)
{
	ResultRelInfo *root = mtstate->rootResultRelInfo;

	if (root->ri_RelationDesc->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return true;
	return has_gate(root->ri_TrigDesc);
}

static void
wrap(QueryDesc *query, ModifyTableState *mtstate)
{
	MemoryContext cxt = query->estate->es_query_cxt;
	ModifyTable *plan = (ModifyTable *) mtstate->ps.plan;
	MemoryContextCallback *callback;
	Wrapper    *w;

	w = MemoryContextAllocZero(cxt, sizeof(Wrapper));
	w->mtstate = mtstate;
	w->counting = setting_count_drafts;
	ItemPointerSetInvalid(&w->first.tid);
	callback = MemoryContextAllocZero(cxt, sizeof(MemoryContextCallback));
	callback->func = unlink_wrapper;
	callback->arg = w;
	MemoryContextRegisterResetCallback(cxt, callback);
	w->next = wrappers;
	wrappers = w;

	w->execute = mtstate->ps.ExecProcNodeReal;
	ExecSetExecProcNode(&mtstate->ps, execute_wrapped);
	if (plan->onConflictAction == ONCONFLICT_UPDATE)
	{
		PlanState  *subplan = outerPlanState(mtstate);

		w->fetch = subplan->ExecProcNodeReal;
		ExecSetExecProcNode(subplan, fetch_wrapped);
	}
}

/*
 * wrapper_start: after ExecutorStart: wrap what may meet a gate.
 */
void
wrapper_start(QueryDesc *query)
{
	ListCell   *lc;

	if (IsA(query->planstate, ModifyTableState) &&
		may_meet_gate((ModifyTableState *) query->planstate))
		wrap(query, (ModifyTableState *) query->planstate);
	foreach(lc, query->estate->es_auxmodifytables)
	{
		ModifyTableState *mtstate = lfirst_node(ModifyTableState, lc);

		if ((PlanState *) mtstate != query->planstate && may_meet_gate(mtstate))
			wrap(query, mtstate);
	}
}

/*
 * wrapper_end: before ExecutorEnd: let go of what does not go with the query's
 * memory by itself.
 */
void
wrapper_end(QueryDesc *query)
{
	for (Wrapper *w = wrappers; w; w = w->next)
	{
		if (w->mtstate->ps.state != query->estate)
			continue;
		if (w->queue)
		{
			tuplestore_end(w->queue);
			ExecDropSingleTupleTableSlot(w->queue_slot);
			ExecDropSingleTupleTableSlot(w->output_slot);
		}
		w->queue = NULL;
		w->queued = 0;
	}
}

/*
 * wrapper_drafted_rows: how many rows a query has drafted; -1 if it may not
 * meet a gate.
 */
int64
wrapper_drafted_rows(QueryDesc *query)
{
	int64		result = -1;

	for (Wrapper *w = wrappers; w; w = w->next)
		if (w->mtstate->ps.state == query->estate)
			result = Max(result, 0) + w->ndrafted;
	return result;
}

/* ------------------------------------------------------------- the gate's side */

/*
 * wrapper_running: the ModifyTable on whose behalf a trigger of rel fires, and
 * in *rri what it knows of the table.  NULL if none is known: COPY, a
 * statement that began before the library was loaded, logical replication.
 */
Wrapper *
wrapper_running(Relation rel, ResultRelInfo **rri)
{
	Wrapper    *w = running_wrapper();
	ModifyTableState *mtstate;
	ListCell   *lc;

	if (w == NULL)
		return NULL;
	mtstate = w->mtstate;
	for (int i = 0; i < mtstate->mt_nrels; i++)
	{
		*rri = &mtstate->resultRelInfo[i];
		if ((*rri)->ri_RelationDesc == rel)
			return w;
	}
	foreach(lc, mtstate->ps.state->es_tuple_routing_result_relations)
	{
		*rri = lfirst(lc);
		if ((*rri)->ri_RelationDesc == rel &&
			(*rri)->ri_RootResultRelInfo == mtstate->rootResultRelInfo)
			return w;
	}
	*rri = NULL;
	return NULL;
}

EState *
wrapper_estate(Wrapper *w)
{
	return w->mtstate->ps.state;
}

/*
 * wrapper_action: the action of the running statement that makes a trigger for
 * event fire.  An UPDATE that moves a row between partitions fires those for
 * DELETE and INSERT, too.  CMD_UNKNOWN where that can't be told.
 */
CmdType
wrapper_action(Wrapper *w, CmdType event)
{
	ModifyTableState *mtstate = w->mtstate;

	if (mtstate->operation != CMD_MERGE)
		return mtstate->operation == CMD_INSERT ? event : mtstate->operation;
	if (merge_action(mtstate) != CMD_UNKNOWN)
		return merge_action(mtstate);

	/*
	 * A source row without a match has no target row to move.  The plan's row
	 * does not tell: what it matched may have gone meanwhile.
	 */
	if (mtstate->ps.ps_ExprContext->ecxt_scantuple == NULL)
		return CMD_INSERT;
	return event == CMD_INSERT ? CMD_UPDATE : CMD_UNKNOWN;
}

Plan *
wrapper_plan(Wrapper *w)
{
	return w->mtstate->ps.plan;
}

OnConflictAction
wrapper_on_conflict(Wrapper *w)
{
	return ((ModifyTable *) w->mtstate->ps.plan)->onConflictAction;
}

/* wrapper_conflicting: ON CONFLICT has left a row alone; for EXPLAIN. */
void
wrapper_conflicting(Wrapper *w)
{
	InstrCountTuples2(&w->mtstate->ps, 1);
}

/* A row that can't be drafted again is a second match of it. */
static void
refuse_second_time(Wrapper *w)
{
	if (w->mtstate->operation == CMD_MERGE)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("%s command cannot affect row a second time", "MERGE"),
				 errhint("Ensure that not more than one source row matches any one target row.")));
	if (w->mtstate->operation == CMD_INSERT)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("%s command cannot affect row a second time", "ON CONFLICT DO UPDATE"),
				 errhint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")));
}

/*
 * wrapper_seen: whether this statement has drafted a change of this row.  A
 * row that was not written bears no mark by which core would see that a
 * join meets it a second time; what core does then, an error or nothing, is
 * done here.
 */
bool
wrapper_seen(Wrapper *w, Relation rel, ItemPointer tid)
{
	DraftedRow	row;
	bool		seen;

	if (!ItemPointerIsValid(&w->first.tid))
		return false;
	seen = w->first.relid == RelationGetRelid(rel) && ItemPointerEquals(&w->first.tid, tid);
	if (!seen && w->others)
	{
		memset(&row, 0, sizeof(row));
		row.relid = RelationGetRelid(rel);
		row.tid = *tid;
		(void) hash_search(w->others, &row, HASH_FIND, &seen);
	}
	if (seen)
		refuse_second_time(w);
	return seen;
}

static void
remember_row(Wrapper *w, Oid relid, ItemPointer tid)
{
	DraftedRow	row;

	if (!ItemPointerIsValid(&w->first.tid))
	{
		w->first.relid = relid;
		w->first.tid = *tid;
		return;
	}
	if (w->others == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = ctl.entrysize = sizeof(DraftedRow);
		ctl.hcxt = w->mtstate->ps.state->es_query_cxt;
		w->others = hash_create("idflow drafted rows", 64, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&row, 0, sizeof(row));
	row.relid = relid;
	row.tid = *tid;
	(void) hash_search(w->others, &row, HASH_ENTER, NULL);
}

/*
 * Give a new row, in a slot of the gate's own, the system columns of one that
 * this transaction has written: a tuple that was only formed has others'
 * bytes in their place.
 */
static void
mark_as_ours(TupleTableSlot *slot)
{
	HeapTuple	tuple;

	ExecMaterializeSlot(slot);
	tuple = ExecFetchSlotHeapTuple(slot, true, NULL);
	tuple->t_data->t_infomask &= ~HEAP_XACT_MASK;
	tuple->t_data->t_infomask2 &= ~HEAP2_XACT_MASK;
	tuple->t_data->t_infomask |= HEAP_XMAX_INVALID;
	HeapTupleHeaderSetXmin(tuple->t_data, GetCurrentTransactionId());
	HeapTupleHeaderSetCmin(tuple->t_data, GetCurrentCommandId(false));
	HeapTupleHeaderSetXmax(tuple->t_data, InvalidTransactionId);
}

/*
 * Compute the RETURNING list for a row as ModifyTable would, and queue it.
 * What the statement joined is the subplan's row, which ModifyTable keeps at
 * hand for EvalPlanQual.
 */
static void
queue_returning(Wrapper *w, ResultRelInfo *rri, CmdType operation,
				TupleTableSlot *old, TupleTableSlot *new)
{
	EState	   *estate = w->mtstate->ps.state;
	TupleTableSlot *result;

	if (new)
		mark_as_ours(new);
	result = project_returning(estate, rri, operation, old, new,
							   w->mtstate->mt_epqstate.origslot);
	if (w->queue == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);

		/* the caller's context is gone with the row */
		w->queue_slot = MakeSingleTupleTableSlot(result->tts_tupleDescriptor, &TTSOpsMinimalTuple);
		w->output_slot = MakeSingleTupleTableSlot(result->tts_tupleDescriptor, &TTSOpsVirtual);
		w->queue = tuplestore_begin_heap(false, false, work_mem);
		MemoryContextSwitchTo(oldcxt);
	}
	tuplestore_puttupleslot(w->queue, result);
	w->queued++;
}

/*
 * wrapper_drafted: a row of the running statement was drafted.  old and new
 * are slots of the gate's own; what RETURNING may ask of them as system
 * columns must be there.
 */
void
wrapper_drafted(Wrapper *w, ResultRelInfo *rri, CmdType operation,
				TupleTableSlot *old, TupleTableSlot *new)
{
	w->ndrafted++;
	if (old)
		remember_row(w, RelationGetRelid(rri->ri_RelationDesc), &old->tts_tid);
	if (!w->counting)
		return;
	if (w->mtstate->canSetTag)
		w->mtstate->ps.state->es_processed++;
	if (rri->ri_projectReturning)
		queue_returning(w, rri, operation, old, new);
}

/*
 * wrapper_expect_update: the gate lets a proposed row through, because the row
 * it conflicts with is there and locked, so that core updates that one.  slot
 * holds the proposed row; an insertion would put the new row's place there.
 */
void
wrapper_expect_update(Wrapper *w, TupleTableSlot *slot)
{
	ItemPointerSetInvalid(&slot->tts_tid);
	w->expected = slot;
}
