/*-------------------------------------------------------------------------
 *
 * gate.c
 *	  The trigger that turns a row operation into a request.
 *
 * It looks at how it was called, at the hazards, and at what the statement
 * would do with the row; capture.c drafts it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "apply.h"
#include "capture.h"
#include "conflict.h"
#include "idflow.h"
#include "nested.h"
#include "pack.h"
#include "propose.h"
#include "session.h"
#include "statement.h"
#include "subxact.h"
#include "wrapper.h"

PG_FUNCTION_INFO_V1(idflow_gate);

/*
 * An INSERT or DELETE on a partition may be half of an UPDATE that moves a
 * row.  The UPDATE's own gate has spoken about that; to hold one half would
 * lose the row.
 */
static bool
is_row_movement(Relation rel, CmdType operation, StatementInfo *info)
{
	bool		plain;

	if (!rel->rd_rel->relispartition || operation == CMD_UPDATE)
		return false;
	if (info->wrapper)
	{
		CmdType		action = wrapper_action(info->wrapper, operation);

		if (action != CMD_UNKNOWN)
			return action == CMD_UPDATE;
	}
	if (!info->known)
		ereport(ERROR,
				(errcode(ERRCODE_WF_GATE_HAZARD),
				 errmsg("can't tell whether %s on partition \"%s\" is part of an UPDATE that moves a row",
						operation_name(operation), RelationGetRelationName(rel)),
				 errhint("Run the statement again, or load the library first: session_preload_libraries = 'idflow'.")));
	plain = operation == CMD_INSERT ? info->inserts : info->deletes;
	if (!info->updates)
		return false;
	if (plain)
		ereport(ERROR,
				(errcode(ERRCODE_WF_GATE_HAZARD),
				 errmsg("can't tell whether %s on partition \"%s\" is part of an UPDATE that moves a row",
						operation_name(operation), RelationGetRelationName(rel)),
				 errdetail("The statement has both actions."),
				 errhint("Use a statement for each action.")));
	return true;
}

/* A slot of our own that holds the row, so that core's stays as it is. */
static TupleTableSlot *
own_slot(Relation rel, HeapTuple tuple)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);

	ExecForceStoreHeapTuple(tuple, slot, false);
	slot->tts_tableOid = RelationGetRelid(rel);
	slot->tts_tid = tuple->t_self;
	return slot;
}

/*
 * An INSERT with ON CONFLICT: draft the row if no other is in its way.  Returns
 * what the statement is to do with the row that is.
 *
 * Between the look and the draft somebody may write such a row; and an open
 * draft may ask for the same key.  So a unique violation is no error yet.
 */
static ConflictVerdict
capture_unless_conflict(Relation rel, TupleTableSlot *new, const char *workflow, StatementInfo *info)
{
	for (volatile bool again = false;; again = true)
	{
		ConflictVerdict verdict = conflict_look(info, rel, new);
		ErrorData  *volatile error = NULL;
		SubXact		sub;

		if (verdict == CONFLICT_NOTHING)
		{
			check_proposed(rel, info, new);
			wrapper_conflicting(info->wrapper);
		}
		if (verdict != CONFLICT_NONE)
			return verdict;

		subxact_begin(&sub);
		PG_TRY();
		{
			gate_capture(rel, CMD_INSERT, NULL, new, workflow, info);
			subxact_commit(&sub);
		}
		PG_CATCH();
		{
			error = subxact_error(&sub);
		}
		PG_END_TRY();
		if (error == NULL)
			return CONFLICT_NONE;
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			ReThrowError(error);
		/* somebody drafted a key at the same moment; the next try says which */
		if (pending_key_raced(error))
			continue;
		if (!conflict_arbitrates(info, error->constraint_name))
			ReThrowError(error);
		if (!again)
			continue;
		/* no live row: then a draft asks for the key, or a trigger makes it */
		if (wrapper_on_conflict(info->wrapper) != ONCONFLICT_NOTHING)
			ReThrowError(error);
		wrapper_conflicting(info->wrapper);
		return CONFLICT_NOTHING;
	}
}

/*
 * idflow_gate: the trigger function of all gates.
 */
Datum
idflow_gate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation	rel;
	CmdType		operation;
	HeapTuple	result;
	TupleTableSlot *old = NULL;
	TupleTableSlot *new = NULL;
	const char *workflow;
	StatementInfo info;
	Wrapper    *wrapper;
	ResultRelInfo *rri = NULL;
	ConflictVerdict verdict = CONFLICT_NONE;
	bool		bypassed;
	bool		on_conflict;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "idflow.gate")));
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE ROW", "idflow.gate"),
				 errhint("Gates are made by idflow.attach().")));
	if (trigdata->tg_trigger->tgnargs < 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" needs the workflow's name as its argument", "idflow.gate"),
				 errhint("Gates are made by idflow.attach().")));

	rel = trigdata->tg_relation;
	workflow = trigdata->tg_trigger->tgargs[0];
	result = trigdata->tg_trigtuple;
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		operation = CMD_INSERT;
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		operation = CMD_UPDATE;
		result = trigdata->tg_newtuple;
	}
	else
		operation = CMD_DELETE;

	switch (apply_pass(trigdata, operation, workflow))
	{
		case PASS_THROUGH:
			if (operation == CMD_UPDATE)
				result = apply_pass_row(trigdata, result);
			return PointerGetDatum(result);
		case PASS_HELD:
			return PointerGetDatum(NULL);
		case PASS_NONE:
			break;
	}

	if (operation == CMD_INSERT && pack_row(trigdata))
		return PointerGetDatum(NULL);

	loaded_by_gate();
	wrapper = wrapper_running(rel, &rri);
	if (wrapper && operation != CMD_INSERT &&
		wrapper_seen(wrapper, rel, &trigdata->tg_trigtuple->t_self))
		return PointerGetDatum(NULL);

	/* an UPDATE that touches nothing is no change */
	if (operation == CMD_UPDATE && !proposal_is_for(rel) &&
		bms_is_empty(touched_attributes(RelationGetDescr(rel),
										trigdata->tg_trigslot, trigdata->tg_newslot)))
		return PointerGetDatum(result);

	statement_info(rel, wrapper, rri, &info);
	if (is_row_movement(rel, operation, &info))
		return PointerGetDatum(result);

	/* a referential action runs as the table's owner, whoever set it off */
	bypassed = bypass_reason() &&
		role_is_admin(InNoForceRLSOperation() ? GetOuterUserId() : GetUserId());

	/* referential integrity would take a held row for a written one */
	if (InNoForceRLSOperation() && !bypassed)
		ereport(ERROR,
				(errcode(ERRCODE_WF_GATE_HAZARD),
				 errmsg("a referential action can't %s table \"%s\", which waits for approval by workflow \"%s\"",
						operation == CMD_DELETE ? "delete from" : "update",
						RelationGetRelationName(rel), workflow),
				 errdetail("The action must happen together with the change of the referenced row."),
				 errhint("Write the change of the referencing row first, in the same request; see idflow.begin_request().")));

	if (operation != CMD_INSERT)
		old = own_slot(rel, trigdata->tg_trigtuple);
	if (operation != CMD_DELETE)
		new = own_slot(rel, result);
	/* a row to be inserted may bear the place of the one that it is a copy of */
	if (operation == CMD_INSERT)
		ItemPointerSetInvalid(&new->tts_tid);
	if (operation == CMD_UPDATE)
		new->tts_tid = trigdata->tg_trigtuple->t_self;

	on_conflict = operation == CMD_INSERT && wrapper &&
		wrapper_on_conflict(wrapper) != ONCONFLICT_NONE;
	if (!bypassed && nested_passes(trigdata, operation, old, new, &info))
		/* another change of a request that has gone through this gate's workflow */ ;
	else if (bypassed)
	{
		/* a row that ON CONFLICT doesn't insert is no change */
		if (on_conflict)
			verdict = conflict_look(&info, rel, new);
		if (verdict == CONFLICT_NONE)
			record_bypass(rel, operation, old, new, workflow, &info);
	}
	else
	{
		if (on_conflict)
			verdict = capture_unless_conflict(rel, new, workflow, &info);
		else
			gate_capture(rel, operation, old, new, workflow, &info);
		if (verdict == CONFLICT_NONE && wrapper)
			wrapper_drafted(wrapper, rri, operation, old, new);
		if (verdict == CONFLICT_UPDATE)
		{
			/* later triggers copy the tuple, and its place with it */
			ItemPointerSetInvalid(&result->t_self);
			wrapper_expect_update(wrapper, trigdata->tg_trigslot);
		}
		else
			result = NULL;
	}

	/* slots hold on to the table's tuple descriptor */
	if (old)
		ExecDropSingleTupleTableSlot(old);
	if (new)
		ExecDropSingleTupleTableSlot(new);
	return PointerGetDatum(result);
}
