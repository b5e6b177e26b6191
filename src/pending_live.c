/*-------------------------------------------------------------------------
 *
 * pending_live.c
 *	  The unique keys of live rows, beside those of a draft.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "idflow.h"
#include "pending.h"
#include "probe.h"

/* What expressions of an index are computed with. */
EState *
execution_estate(KeyExecution *execution)
{
	if (execution->estate == NULL)
	{
		execution->estate = CreateExecutorState();
		GetPerTupleExprContext(execution->estate)->ecxt_scantuple = execution->slot;
	}
	return execution->estate;
}

static ResultRelInfo *
execution_indexes(KeyExecution *execution)
{
	if (execution->rri == NULL)
	{
		execution->rri = makeNode(ResultRelInfo);
		InitResultRelInfo(execution->rri, execution->rel, 0, NULL, 0);
		ExecOpenIndices(execution->rri, true);
	}
	return execution->rri;
}

/* Do the columns that an UPDATE changes have a part in an index? */
static bool
changes_index(Change *change, Relation rel, Relation index)
{
	IndexInfo  *info = BuildIndexInfo(index);
	Bitmapset  *touched = NULL;

	for (int i = 0; i < change->new_image->n; i++)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel),
										change->layout->names[change->new_image->columns[i] - 1]);

		if (attnum > 0)
			touched = bms_add_member(touched, attnum);
	}
	return touched && index_is_touched(info, touched);
}

/* Is a change about the row in the slot, which is one of rel? */
static bool
is_about_row(Change *change, Relation rel, TupleTableSlot *slot)
{
	if (change->key == NULL)
		return false;
	for (int i = 0; i < change->key->n; i++)
	{
		int			position = image_position(change->key, i);
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), change->layout->names[position - 1]);
		Datum		value;
		bool		isnull;
		Oid			output;
		bool		varlena;

		if (attnum <= 0)
			return false;
		value = slot_getattr(slot, attnum, &isnull);
		if (isnull || change->key->values[i] == NULL)
			return false;
		getTypeOutputInfo(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid, &output, &varlena);
		if (strcmp(OidOutputFunctionCall(output, value), change->key->values[i]) != 0)
			return false;
	}
	return true;
}

/*
 * Whether the request itself deletes the row that has the key, or gives it
 * another one: its changes are written in their order, so the key is free then.
 */
static bool
is_vacated(Request *req, Relation rel, PendingKey *key, ItemPointer tid)
{
	List	   *ancestors;
	TupleTableSlot *slot;
	ListCell   *lc;
	bool		result = false;
	int			nest;

	if (req->stands_alone || !ItemPointerIsValid(tid))
		return false;
	ancestors = rel->rd_rel->relispartition ? get_partition_ancestors(RelationGetRelid(rel)) : NIL;
	slot = table_slot_create(rel, NULL);
	nest = transmission_modes_begin();
	if (table_tuple_fetch_row_version(rel, tid, SnapshotAny, slot))
		foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);

		if (change->operation == CMD_INSERT ||
			(change->target != RelationGetRelid(rel) && !list_member_oid(ancestors, change->target)) ||
			!is_about_row(change, rel, slot))
			continue;
		result |= change->operation == CMD_DELETE || changes_index(change, rel, key->index);
	}
	transmission_modes_end(nest);
	ExecDropSingleTupleTableSlot(slot);
	return result;
}

/*
 * check_live_key: error as the table itself would if a live row has the key.
 */
void
check_live_key(Request *req, KeyExecution *execution, PendingKey *key, ItemPointer self)
{
	ItemPointerData conflict;
	ItemPointerData invalid;
	char	   *description;

	if (!key->index->rd_index->indimmediate)
		return;

	/* nearly always nobody has the key, nor is about to have it */
	if (!key->has_null)
	{
		SnapshotData dirty;

		InitDirtySnapshot(dirty);
		if (index_probe(execution->rel, key->index, &dirty, key->values) == PROBE_NOT_FOUND)
			return;
	}
	ItemPointerSetInvalid(&conflict);
	ItemPointerSetInvalid(&invalid);
	if (check_index_constraints(execution_indexes(execution), execution->slot,
								execution_estate(execution), &conflict, self ? self : &invalid,
								list_make1_oid(RelationGetRelid(key->index))) ||
		(self && ItemPointerEquals(self, &conflict)) ||
		is_vacated(req, execution->rel, key, &conflict))
		return;
	description = key_description(key);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"",
					RelationGetRelationName(key->index)),
			 description ? errdetail("Key %s already exists.", description) : 0,
			 errtableconstraint(execution->rel, RelationGetRelationName(key->index))));
}

/* execution_end: let go of it. */
void
execution_end(KeyExecution *execution)
{
	if (execution->rri)
		ExecCloseIndices(execution->rri);
	if (execution->estate)
		FreeExecutorState(execution->estate);
}
