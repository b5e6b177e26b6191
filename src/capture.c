/*-------------------------------------------------------------------------
 *
 * capture.c
 *	  The gate's core: from a row operation to a change of a request.
 *
 * It takes an operation, a relation and the rows before and after, and knows
 * nothing of triggers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupconvert.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "apply.h"
#include "bundle.h"
#include "capture.h"
#include "column.h"
#include "compat.h"
#include "fold.h"
#include "idflow.h"
#include "pack.h"
#include "plancache.h"
#include "propose.h"
#include "session.h"
#include "statement.h"

/*
 * touched_attributes: attribute numbers of the columns whose value differs by
 * image.  Generated columns follow from others and don't count.
 */
Bitmapset *
touched_attributes(TupleDesc desc, TupleTableSlot *old, TupleTableSlot *new)
{
	Bitmapset  *touched = NULL;

	slot_getallattrs(old);
	slot_getallattrs(new);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated != '\0')
			continue;
		if (old->tts_isnull[i] != new->tts_isnull[i] ||
			(!old->tts_isnull[i] &&
			 !same_datum(old->tts_values[i], new->tts_values[i], att->attbyval, att->attlen)))
			touched = bms_add_member(touched, att->attnum);
	}
	return touched;
}

/* Attribute numbers of a relation as positions of its layout. */
static Bitmapset *
layout_positions(Layout *layout, Bitmapset *attnums)
{
	Bitmapset  *positions = NULL;

	for (int p = 1; p <= layout->ncolumns; p++)
		if (bms_is_member(layout->attnums[p - 1], attnums))
			positions = bms_add_member(positions, p);
	return positions;
}

/*
 * target_of: the table that the change is to be made to: the one that the
 * statement named; where that isn't known, the topmost parent that the role
 * may write, else the partition itself.
 */
static Oid
target_of(Relation rel, CmdType operation, StatementInfo *info)
{
	AclMode		mode = operation_privilege(operation);
	Oid			result = RelationGetRelid(rel);
	ListCell   *lc;

	if (!rel->rd_rel->relispartition)
		return result;
	if (info->known && !(info->inserts && info->inserted == NULL))
		return info->named;
	foreach(lc, get_partition_ancestors(RelationGetRelid(rel)))
		if (pg_class_aclcheck(lfirst_oid(lc), GetUserId(), mode) == ACLCHECK_OK)
			result = lfirst_oid(lc);
	return result;
}

/* A slot of the target's shape that holds a row of a partition. */
static TupleTableSlot *
target_slot(Relation rel, Relation target, TupleTableSlot *slot)
{
	TupleConversionMap *map;
	TupleTableSlot *result;

	if (slot == NULL || rel == target)
		return slot;
	result = MakeSingleTupleTableSlot(RelationGetDescr(target), &TTSOpsVirtual);
	map = convert_tuples_by_name(RelationGetDescr(rel), RelationGetDescr(target));
	if (map)
		return execute_attr_map_slot(map->attrMap, slot, result);
	return ExecCopySlot(result, slot);
}

/*
 * change_like: a change of the target, in the current memory context, but for
 * the values of its row.
 */
Change *
change_like(Relation target, CmdType operation, const char *workflow, StatementInfo *info)
{
	Change	   *change = palloc0(sizeof(Change));
	Layout	   *layout = layout_current(target);

	change->target = RelationGetRelid(target);
	change->target_name = table_sql(target, false);
	change->operation = operation;
	change->layout = layout;
	change->gates = list_make1(pstrdup(workflow));
	change->key_positions = layout_positions(layout, row_key_attnums(target, NULL));
	if (operation == CMD_INSERT)
		change->written_known = info->inserts && info->inserted != NULL;
	if (change->written_known)
		change->written = layout_positions(layout, info->inserted);
	return change;
}

/*
 * Make the change: images in the target's shape.
 */
static Change *
make_change(Relation rel, Relation target, CmdType operation, TupleTableSlot *old,
			TupleTableSlot *new, const char *workflow, StatementInfo *info)
{
	Change	   *change = change_like(target, operation, workflow, info);
	Layout	   *layout = change->layout;
	Bitmapset  *key = change->key_positions;
	TupleTableSlot *target_old = target_slot(rel, target, old);
	TupleTableSlot *target_new = target_slot(rel, target, new);
	int			nest;

	if (operation != CMD_INSERT && key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no key by which a row could be found again",
						RelationGetRelationName(target)),
				 errhint("Add a primary key, or a unique constraint over columns that are NOT NULL.")));

	nest = transmission_modes_begin_for(layout);
	switch (operation)
	{
		case CMD_INSERT:
			if (key)
				change->key = image_from_slot(layout, target_new, key);
			change->new_image = image_from_slot(layout, target_new, NULL);
			break;
		case CMD_UPDATE:
			{
				Bitmapset  *touched = touched_attributes(RelationGetDescr(target),
														 target_old, target_new);

				touched = layout_positions(layout, proposal_touches(target, touched));

				change->key = image_from_slot(layout, target_old, key);
				change->old_image = image_from_slot(layout, target_old, touched);
				change->new_image = image_from_slot(layout, target_new, touched);
				break;
			}
		default:
			change->key = image_from_slot(layout, target_old, key);
			change->old_image = image_from_slot(layout, target_old, NULL);
			break;
	}
	transmission_modes_end(nest);
	if (old)
		row_base_note(change, rel, old);

	/* a trigger of the table that is written, or an aspect's function, has chosen the values */
	if (change->new_image && (applying_request() || InSecurityRestrictedOperation()))
		for (int i = 0; i < change->new_image->n; i++)
			change->others = bms_add_member(change->others, image_position(change->new_image, i));

	if (target_old)
		change->old_row = ExecCopySlotHeapTuple(target_old);
	if (target_new)
		change->new_row = ExecCopySlotHeapTuple(target_new);
	if (target_old != old)
		ExecDropSingleTupleTableSlot(target_old);
	if (target_new != new)
		ExecDropSingleTupleTableSlot(target_new);
	return change;
}

/*
 * capture_change: a row operation as a change, of no request yet, in the current
 * memory context.
 */
Change *
capture_change(Relation rel, CmdType operation, TupleTableSlot *old, TupleTableSlot *new,
			   const char *workflow, StatementInfo *info)
{
	Relation	target = table_open(target_of(rel, operation, info), AccessShareLock);
	Change	   *change = make_change(rel, target, operation, old, new, workflow, info);

	table_close(target, NoLock);
	return change;
}

/*
 * A row that an admin lets through: recorded, not held.
 */
void
record_bypass(Relation rel, CmdType operation, TupleTableSlot *old, TupleTableSlot *new,
			  const char *workflow, StatementInfo *info)
{
	const char *actor = actor_name();
	Request    *req = bypass_request() ? request_load(bypass_request()) : NULL;
	Change	   *change = capture_change(rel, operation, old, new, workflow, info);
	Event	   *event;

	if (req == NULL)
	{
		req = request_create(actor);
		req->workflow = workflow_current(workflow, false);
		req->title = "bypass";
		req->persisted = true;
	}
	change_add(req, change);
	change_store(req, change);
	event = request_event(req, actor, "idflow_admin", "Bypass", bypass_reason());
	event->data = json_from_text(psprintf("{\"change\": %d}", change->seq));
	if (!request_is_closed(req))
		request_close(req, "committed");
	request_write(req);
	if (bypass_request() != req->id)
		bypass_set_request(req->id);
}

/*
 * Whether the table would take the row; the change gets its number and holds
 * its keys.
 */
static void
check_draft(Request *req, Change *change, Relation rel, Relation target, TupleTableSlot *old,
			TupleTableSlot *new, const char *workflow, StatementInfo *info, Bitmapset *touched)
{
	bool		tried;

	info->blind = proposal_is_blind(rel);
	tried = draft_check(req, change, rel, info, old, new, touched);

	if (change->operation == CMD_INSERT && RelationGetDescr(rel)->constr &&
		RelationGetDescr(rel)->constr->has_generated_stored)
	{
		/* the check computed the generated columns: image them too */
		Change	   *again = make_change(rel, target, CMD_INSERT, old, new, workflow, info);

		change->key = again->key;
		change->new_image = again->new_image;
		change->new_row = again->new_row;
	}
	change_add(req, change);
	if (info->blind)
		pending_row_add(req, change, rel);
	else
		pending_keys_add(req, change, rel, new, touched, old ? &old->tts_tid : NULL,
						 info->rri ? info->rri->ri_onConflictArbiterIndexes : NIL, !tried);
}

/*
 * The same where the workflow hides columns: errors don't show values.
 */
static pg_noinline void
check_draft_unseen(Request *req, Change *change, Relation rel, Relation target,
				   TupleTableSlot *old, TupleTableSlot *new, const char *workflow,
				   StatementInfo *info, Bitmapset *touched)
{
	PG_TRY();
	{
		check_draft(req, change, rel, target, old, new, workflow, info, touched);
	}
	PG_CATCH();
	{
		rethrow_without_values();
	}
	PG_END_TRY();
}

/*
 * gate_capture: draft a row operation.  rel is the table whose gate holds it;
 * new must be a slot of our own, since stored generated columns are computed
 * into it.
 */
void
gate_capture(Relation rel, CmdType operation, TupleTableSlot *old, TupleTableSlot *new,
			 const char *workflow, StatementInfo *info)
{
	Workflow   *wf = workflow_current(workflow, false);
	const char *actor = actor_name();
	Relation	target = table_open(target_of(rel, operation, info), AccessShareLock);
	Request    *req = bundle_request(wf, rel, actor);
	Change	   *change;
	Bitmapset  *touched = NULL;

	if (operation == CMD_UPDATE)
		touched = proposal_touches(rel, touched_attributes(RelationGetDescr(rel), old, new));
	req->acting = req->requester;
	if (operation == CMD_INSERT && (change = pack_add(req, wf, rel, target, new, info)) != NULL)
	{
		bundle_added(req, wf, change, actor);
		table_close(target, NoLock);
		return;
	}
	change = make_change(rel, target, operation, old, new, workflow, info);
	if (proposal_is_for(rel))
		proposal_admit(req, wf, change, actor);
	if (fold(req, change, target))
	{
		bundle_added(req, wf, change, actor);
		table_close(target, NoLock);
		return;
	}
	if (req->workflow == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(bundle_context(req));

		req->workflow = wf;
		request_name(req, change);
		MemoryContextSwitchTo(old);
	}
	if (workflow_hides_columns(wf))
		check_draft_unseen(req, change, rel, target, old, new, workflow, info, touched);
	else
		check_draft(req, change, rel, target, old, new, workflow, info, touched);
	change_store(req, change);

	bundle_added(req, wf, change, actor);
	table_close(target, NoLock);
}
