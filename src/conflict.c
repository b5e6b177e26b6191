/*-------------------------------------------------------------------------
 *
 * conflict.c
 *	  INSERT ... ON CONFLICT at a gate: is the proposed row to be drafted?
 *
 * A gate fires before core looks for the row that would be in the way.  So it
 * looks itself, by the statement's own arbiter indexes, and drafts only what
 * would be inserted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "conflict.h"
#include "idflow.h"

/*
 * Lock the row that is in the way as ON CONFLICT DO UPDATE will.  Returns false
 * if it has moved on, so that one has to look again.
 */
static bool
lock_row(StatementInfo *info, EState *estate, Relation rel, ItemPointer tid)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(rel, tid, estate->es_snapshot, slot, estate->es_output_cid,
							  ExecUpdateLockMode(estate, info->rri), LockWaitBlock, 0, &failure);
	ExecDropSingleTupleTableSlot(slot);

	/* whatever is an error now is core's to raise, in its own words */
	return result == TM_Ok || result == TM_Invisible || IsolationUsesXactSnapshot();
}

/*
 * With a snapshot for the whole transaction a row that it can't see is a
 * failure to serialize, not a reason to do nothing, unless it is our own.
 */
static void
check_visible(EState *estate, Relation rel, ItemPointer tid)
{
	TupleTableSlot *slot;

	if (!IsolationUsesXactSnapshot())
		return;
	slot = table_slot_create(rel, NULL);
	if (!table_tuple_fetch_row_version(rel, tid, SnapshotAny, slot))
		elog(ERROR, "failed to fetch conflicting tuple for ON CONFLICT");
	if (!table_tuple_satisfies_snapshot(rel, slot, estate->es_snapshot))
	{
		bool		isnull;
		Datum		xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull);

		if (!TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update")));
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * conflict_look: whether a live row is in the way of new, a row proposed by the
 * running statement, for an INSERT with ON CONFLICT.  Waits for transactions
 * that are about to decide that.
 *
 * For CONFLICT_UPDATE the row stays as it is until our transaction ends, so
 * that core finds it, too; what the table's own triggers may do meanwhile is
 * watched by wrapper_expect_update().
 */
ConflictVerdict
conflict_look(StatementInfo *info, Relation rel, TupleTableSlot *new)
{
	EState	   *estate = wrapper_estate(info->wrapper);
	ResultRelInfo *rri = info->rri;
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	OnConflictAction action = wrapper_on_conflict(info->wrapper);
	ItemPointerData tid;

	if (rri->ri_NumIndices == 0)
		return CONFLICT_NONE;
	if (constr && constr->has_generated_stored)
		ExecComputeStoredGenerated(rri, estate, new, CMD_INSERT);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		ItemPointerSetInvalid(&tid);
		if (check_index_constraints(rri, new, estate, &tid, &new->tts_tid,
									rri->ri_onConflictArbiterIndexes))
			return CONFLICT_NONE;
		if (action == ONCONFLICT_NOTHING)
			break;
		if (lock_row(info, estate, rel, &tid))
			return CONFLICT_UPDATE;
	}

	check_visible(estate, rel, &tid);
	return CONFLICT_NOTHING;
}

/*
 * conflict_arbitrates: whether a unique constraint or index, by its name,
 * is one that the statement's ON CONFLICT means.
 */
bool
conflict_arbitrates(StatementInfo *info, const char *constraint)
{
	ResultRelInfo *rri = info->rri;

	for (int i = 0; constraint && i < rri->ri_NumIndices; i++)
	{
		Relation	index = rri->ri_IndexRelationDescs[i];

		if (strcmp(RelationGetRelationName(index), constraint) == 0)
			return rri->ri_onConflictArbiterIndexes == NIL ||
				list_member_oid(rri->ri_onConflictArbiterIndexes, RelationGetRelid(index));
	}
	return false;
}
