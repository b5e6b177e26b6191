/*-------------------------------------------------------------------------
 *
 * nested.c
 *	  Nested="Include": what triggers write to gated tables, as changes of the
 *	  request whose apply fires them.
 *
 * Without it such a row becomes a request of its own when the apply happens.
 * With it the request is tried before anybody reviews it, and what triggers
 * would write is drafted as changes of the request, which go through the gates
 * of their tables as its others do: the request goes on in those workflows.
 *
 * At the apply the triggers write those rows themselves.  A gate lets such a
 * row through only if it is one that was drafted, each once, in a request that
 * has gone through the gate's workflow.  Anything else becomes a request of
 * its own, as ever.  So nobody gets past a gate by what he can have executed
 * during an apply, be it by a trigger on a table that he owns, be it by a
 * function that a trigger finds in his search_path: what its reviewers have not
 * seen does not pass.  That is why either workflow may say it, that of the
 * request or that of the gate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "apply.h"
#include "attach.h"
#include "capture.h"
#include "column.h"
#include "nested.h"
#include "reading.h"

/* A row that a trigger wrote while a request was tried. */
typedef struct Found
{
	Change	   *change;
	List	   *gates;			/* OIDs of the triggers that it came through */
	SubTransactionId subid;
} Found;

static NestedScope *scopes = NULL;	/* innermost first */
static List *found = NIL;
static Request *discovering = NULL; /* what triggers write is noted for it */

/* ------------------------------------------------------------ is it said? */

/* Does a workflow that the request begins in, or a bundle's other, say so? */
static bool
request_includes(Request *req)
{
	ListCell   *lc;
	ListCell   *lg;

	foreach(lc, request_stored(req))
	{
		Change	   *change = lfirst(lc);

		if (change->nested)
			continue;
		foreach(lg, change->gates)
		{
			Workflow   *wf = workflow_current(lfirst(lg), true);

			if (wf && wf->includes)
				return true;
		}
	}
	return false;
}

/* The workflows of all gates that a table has for an operation. */
static List *
gates_of(Relation rel, CmdType operation)
{
	TriggerDesc *triggers = rel->trigdesc;
	List	   *result = NIL;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];
		const char *name;

		if (trigger_is_gate(trigger) &&
			(trigger->tgtype & operation_trigger_event(operation)) &&
			(name = trigger_workflow(trigger)) != NULL && !strings_contain(result, name))
			result = lappend(result, pstrdup(name));
	}
	return result;
}

static bool
all_include(List *gates)
{
	ListCell   *lc;

	foreach(lc, gates)
	{
		Workflow   *wf = workflow_current(lfirst(lc), true);

		if (wf == NULL || !wf->includes)
			return false;
	}
	return gates != NIL;
}

/* ------------------------------------------------------------- the same row */

static bool
same_images(Image *a, Image *b, Bitmapset *positions)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		int			position = image_position(a, i);

		if (position != image_position(b, i))
			return false;
		if (positions && !bms_is_member(position, positions))
			continue;
		if (a->values[i] == NULL || b->values[i] == NULL)
		{
			if (a->values[i] != b->values[i])
				return false;
		}
		else if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	}
	return true;
}

/*
 * Is a row what was drafted?  Columns that an INSERT doesn't name hold defaults,
 * such as the next number of a sequence.
 */
static bool
same_change(Change *a, Change *b)
{
	if (a->target != b->target || a->operation != b->operation || a->layout->id != b->layout->id)
		return false;
	if (a->operation != CMD_INSERT)
		return same_images(a->key, b->key, NULL) &&
			same_images(a->old_image, b->old_image, NULL) &&
			same_images(a->new_image, b->new_image, NULL);
	if (a->written_known != b->written_known)
		return false;
	if (!a->written_known)
		return same_images(a->new_image, b->new_image, NULL);
	/* INSERT ... DEFAULT VALUES names none */
	if (bms_is_empty(a->written) || bms_is_empty(b->written))
		return bms_is_empty(a->written) && bms_is_empty(b->written);
	return bms_equal(a->written, b->written) &&
		same_images(a->new_image, b->new_image, a->written);
}

/* ------------------------------------------------------------------ the gate */

/*
 * nested_enter: the changes of a request are about to be written, or tried.
 */
void
nested_enter(NestedScope *scope, Request *req, bool trying)
{
	ListCell   *lc;

	scope->req = req;
	scope->trying = trying;
	scope->outer = scopes;
	scopes = scope;
	foreach(lc, req->changes)
		((Change *) lfirst(lc))->nested_gates = NIL;
}

void
nested_leave(NestedScope *scope)
{
	scopes = scope->outer;
}

/* Note a row for the request that is tried. */
static bool
discover(Relation rel, Oid gate, CmdType operation, TupleTableSlot *old, TupleTableSlot *new,
		 StatementInfo *info)
{
	List	   *gates = gates_of(rel, operation);
	Change	   *change;
	Found	   *f;

	if (!all_include(gates) && !request_includes(discovering))
		return false;
	change = capture_change(rel, operation, old, new, linitial(gates), info);

	/* another gate of the table, the same row: the gates fire one after the other */
	if (found != NIL)
	{
		f = llast(found);
		if (f->gates != NIL && !list_member_oid(f->gates, gate) && same_change(f->change, change) &&
			same_images(f->change->new_image, change->new_image, NULL))
		{
			f->gates = lappend_oid(f->gates, gate);
			return true;
		}
	}
	f = palloc(sizeof(Found));
	f->change = change;
	f->gates = list_make1_oid(gate);
	f->subid = GetCurrentSubTransactionId();
	change->gates = gates;
	change->nested = true;
	found = lappend(found, f);
	return true;
}

/* Is a row one of the drafted ones, and has the request gone through its gates? */
static bool
is_drafted(Request *req, Relation rel, Oid gate, CmdType operation, TupleTableSlot *old,
		   TupleTableSlot *new, StatementInfo *info)
{
	List	   *gates = gates_of(rel, operation);
	Change	   *now;
	bool		any = false;
	ListCell   *lc;

	foreach(lc, req->changes)
		any |= ((Change *) lfirst(lc))->nested;
	if (!any)
		return false;
	foreach(lc, gates)
		if (!strings_contain(current_pass->passed, lfirst(lc)))
			return false;
	now = capture_change(rel, operation, old, new, linitial(gates), info);
	foreach(lc, req->changes)
	{
		Change	   *change = lfirst(lc);

		if (!change->nested || list_member_oid(change->nested_gates, gate) ||
			!same_change(now, change))
			continue;
		if (change->nested_gates == NIL)
			change->nested_subid = GetCurrentSubTransactionId();
		change->nested_gates = lappend_oid(change->nested_gates, gate);
		if (operation == CMD_INSERT)
		{
			change->key = now->key;
			change->new_image = now->new_image;
		}
		return true;
	}
	return false;
}

/*
 * nested_passes: a row that a statement of a trigger is about to write meets a
 * gate.  Whether it is written there and then, as a change of the request that
 * is applied; else it is drafted.  Only while the row of one of the request's
 * changes is being written, by the role that the request is of: another's
 * statements are not its own.
 */
bool
nested_passes(TriggerData *trigdata, CmdType operation, TupleTableSlot *old, TupleTableSlot *new,
			  StatementInfo *info)
{
	NestedScope *scope = scopes;
	Pass	   *pass = current_pass;
	Oid			gate = trigdata->tg_trigger->tgoid;
	MemoryContext oldcxt;
	bool		result;

	if (scope == NULL || applying_request() != scope->req->id || pass == NULL ||
		pass->nused == 0 || pass->held_by || pass->change->resource)
		return false;
	if (scope->trying && discovering != scope->req)
		return false;
	if (GetUserId() != requester_role(scope->req))
		return false;
	oldcxt = MemoryContextSwitchTo(GetMemoryChunkContext(scope->req));
	if (scope->trying)
		result = discover(trigdata->tg_relation, gate, operation, old, new, info);
	else
		result = is_drafted(scope->req, trigdata->tg_relation, gate, operation, old, new, info);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

/* nested_forget: a subtransaction was rolled back, and with it what it wrote. */
void
nested_forget(SubTransactionId subid)
{
	ListCell   *lc;

	if (scopes == NULL)
		return;
	foreach(lc, found)
		if (((Found *) lfirst(lc))->subid >= subid)
			found = foreach_delete_current(found, lc);
	for (NestedScope *scope = scopes; scope; scope = scope->outer)
		foreach(lc, scope->req->changes)
		{
			Change	   *change = lfirst(lc);

			if (change->nested_gates != NIL && change->nested_subid >= subid)
				change->nested_gates = NIL;
		}
}

/* nested_hand_up: a subtransaction was released. */
void
nested_hand_up(SubTransactionId subid, SubTransactionId parent)
{
	ListCell   *lc;

	if (scopes == NULL)
		return;
	foreach(lc, found)
		if (((Found *) lfirst(lc))->subid >= subid)
			((Found *) lfirst(lc))->subid = parent;
	for (NestedScope *scope = scopes; scope; scope = scope->outer)
		foreach(lc, scope->req->changes)
		{
			Change	   *change = lfirst(lc);

			if (change->nested_gates != NIL && change->nested_subid >= subid)
				change->nested_subid = parent;
		}
}

/* --------------------------------------------------------------- the request */

/* Do tables of the request have triggers other than gates? */
static bool
triggers_may_write(List *changes)
{
	ListCell   *lc;

	foreach(lc, changes)
	{
		Relation	rel = row_open(lfirst(lc), AccessShareLock);
		TriggerDesc *triggers = rel->trigdesc;
		bool		result = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;

		for (int i = 0; !result && triggers && i < triggers->numtriggers; i++)
		{
			Trigger    *trigger = &triggers->triggers[i];

			result = !trigger->tgisinternal && !trigger_is_gate(trigger) &&
				(TRIGGER_FOR_INSERT(trigger->tgtype) || TRIGGER_FOR_UPDATE(trigger->tgtype) ||
				 TRIGGER_FOR_DELETE(trigger->tgtype));
		}
		table_close(rel, NoLock);
		if (result)
			return true;
	}
	return false;
}

static void
try_for(Request *req, List *changes)
{
	List	   *outer_found = found;
	Request    *outer = discovering;
	volatile bool hides = false;
	ListCell   *lc;
	List	   *volatile result = NIL;

	foreach(lc, changes)
		hides |= change_hides_columns(lfirst(lc)) || sight_is_narrow(req, lfirst(lc));
	found = NIL;
	discovering = req;
	PG_TRY();
	{
		(void) apply_try(req, changes);
		result = found;
	}
	PG_CATCH();
	{
		found = outer_found;
		discovering = outer;
		if (hides)
			rethrow_without_values();
		PG_RE_THROW();
	}
	PG_END_TRY();
	found = outer_found;
	discovering = outer;

	foreach(lc, result)
	{
		Change	   *change = ((Found *) lfirst(lc))->change;
		Relation	rel = table_open(change->target, AccessShareLock);

		/* a layout that is new with the try went with it */
		change->layout = layout_current(rel);
		table_close(rel, NoLock);
		change_add(req, change);
		change_store(req, change);
	}
}

/* The event of what triggers write, with the changes' numbers. */
static void
record(Request *req, const char *what, List *seqs, const char *other, List *others)
{
	Event	   *event = request_event(req, req->acting, req->acting_via, "Include", NULL);
	JsonbParseState *state = NULL;
	ListCell   *lc;

	json_open(&state, WJB_BEGIN_OBJECT);
	for (int i = 0; i < 2; i++)
	{
		if (i == 1 && others == NIL)
			break;
		json_key(&state, i == 0 ? what : other);
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		foreach(lc, i == 0 ? seqs : others)
			json_int64(&state, WJB_ELEM, lfirst_int(lc));
		pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	}
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/*
 * nested_others: the changes of a request that are not only what triggers would
 * write, as a List in the current memory context.
 */
List *
nested_others(Request *req)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, request_changes(req))
		if (!((Change *) lfirst(lc))->nested)
			result = lappend(result, lfirst(lc));
	return result;
}

/*
 * nested_draft: draft what triggers would write if the request were applied
 * now, in place of what was drafted so before.  Once somebody has reviewed the
 * request nothing is added to what he saw.  The caller sees to it that votes on
 * what is there are void.
 *
 * Who asks without a privilege must not learn of other rows by what a try
 * says; what triggers write for him becomes requests of their own.
 */
void
nested_draft(Request *req)
{
	List	   *own = NIL;
	List	   *seqs = NIL;
	ListCell   *lc;

	if (!workflow_any_includes() || req->persisted || req->reviewed || req->passed || req->apply_as_of)
		return;
	foreach(lc, list_copy(request_stored(req)))
	{
		Change	   *change = lfirst(lc);

		if (change->nested)
			change_drop(req, change->seq);
		else
			own = lappend(own, change);
	}
	if (!triggers_may_write(own))
		return;
	try_for(req, own);
	foreach(lc, req->changes)
		if (((Change *) lfirst(lc))->nested)
			seqs = lappend_int(seqs, ((Change *) lfirst(lc))->seq);
	if (seqs)
		record(req, "drafted", seqs, NULL, NIL);
}

/* Does another change of the request write the same row? */
static bool
row_is_shared(Request *req, Change *change)
{
	ListCell   *lc;

	foreach(lc, req->changes)
	{
		Change	   *other = lfirst(lc);

		if (other != change && other->target == change->target &&
			(other->key == NULL || same_images(other->key, change->key, NULL)))
			return true;
	}
	return false;
}

/*
 * The row that a trigger has written must be what was reviewed, as any other
 * must: a trigger of its own table, which fires after the gates, may have
 * altered it or left it out.  One that has no key, or another by now, can't be
 * looked for; of one that several changes write the last has the say.
 */
static void
check_as_drafted(Request *req, Change *change)
{
	Relation	rel;
	HeapTuple	live;
	int			nest;

	if (change->key == NULL || !change_is_exact(req, change) || row_is_shared(req, change))
		return;
	for (int i = 0; change->operation == CMD_UPDATE && i < change->key->n; i++)
	{
		bool		found_it;

		(void) image_value(change->new_image,
						   image_position(change->key, i), &found_it);
		if (found_it)
			return;
	}
	rel = row_open(change, AccessShareLock);
	live = row_find(rel, change, false);
	if ((live == NULL) != (change->operation == CMD_DELETE))
		ereport(ERROR,
				(errcode(ERRCODE_WF_APPLY),
				 errmsg("%s on table \"%s\" by a trigger was not done", operation_name(change->operation),
						RelationGetRelationName(rel)),
				 errdetail("A trigger of the table keeps change %d from being written.", change->seq)));
	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; change->operation != CMD_DELETE && i < change->new_image->n; i++)
	{
		int			position = image_position(change->new_image, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
		const char *drafted = change->new_image->values[i];
		const char *now;

		if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated != '\0' ||
			(change->operation == CMD_INSERT && change->written_known &&
			 !bms_is_member(position, change->written)))
			continue;
		now = row_text(rel, live, attnum);
		if (drafted == now || (drafted && now && strcmp(drafted, now) == 0))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_WF_APPLY),
				 errmsg("a trigger of table \"%s\" alters column \"%s\", which was reviewed",
						RelationGetRelationName(rel), change->layout->names[position - 1]),
				 errdetail("It belongs to change %d, which a trigger writes.", change->seq),
				 errhint("Let the workflow say Exact=\"false\", or the trigger leave the column as it is.")));
	}
	transmission_modes_end(nest);
	table_close(rel, NoLock);
}

/*
 * nested_written: the request's rows are written.  What triggers did not write
 * as it was drafted is no change of it any more.
 */
void
nested_written(Request *req)
{
	List	   *written = NIL;
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, list_copy(request_stored(req)))
	{
		Change	   *change = lfirst(lc);

		if (!change->nested)
			continue;
		if (change->nested_gates != NIL)
		{
			check_as_drafted(req, change);
			written = lappend_int(written, change->seq);
			if (change->operation == CMD_INSERT)
				change_update(req, change);
		}
		else
		{
			left = lappend_int(left, change->seq);
			change_drop(req, change->seq);
		}
	}
	if (written || left)
		record(req, "written", written, "not_written", left);
}

/*
 * nested_require_not: refuse to edit what a trigger writes.
 */
void
nested_require_not(Change *change)
{
	if (change->nested)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("change %d is written by a trigger and can't be changed", change->seq),
				 errhint("Change the row on whose account the trigger writes it.")));
}
