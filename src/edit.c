/*-------------------------------------------------------------------------
 *
 * edit.c
 *	  Changing drafts: save.
 *
 * Every change of a draft makes the request's next revision; what was voted
 * on the former one is void and the reviewers are asked again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "column.h"
#include "decide.h"
#include "edit.h"
#include "idflow.h"
#include "nested.h"
#include "pending.h"
#include "plancache.h"
#include "reading.h"
#include "schedule.h"
#include "task.h"

PG_FUNCTION_INFO_V1(idflow_save);

/*
 * change_by_id: a request's change by the id that views show; errors if it
 * has none such.
 */
Change *
change_by_id(Request *req, int64 id)
{
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);

		if (CHANGE_ID(req->id, change->seq) == id)
			return change;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("request " INT64_FORMAT " has no change " INT64_FORMAT, req->id, id),
			 errhint("idflow.change lists the changes and their ids.")));
	return NULL;
}

/* layout_find_position: a column's position in a layout, by name; 0: it has none. */
int
layout_find_position(Layout *layout, const char *name)
{
	for (int p = 1; p <= layout->ncolumns; p++)
		if (strcmp(layout->names[p - 1], name) == 0)
			return p;
	return 0;
}

/* layout_position: the same; errors if it has none. */
int
layout_position(Layout *layout, const char *name)
{
	int			position = layout_find_position(layout, name);

	if (position == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the draft has no column \"%s\"", name)));
	return position;
}

/* object_keys: the keys of a JSON object, as List of char *. */
List *
object_keys(Jsonb *object)
{
	JsonbIterator *it = JsonbIteratorInit(&object->root);
	JsonbValue	v;
	JsonbIteratorToken token;
	List	   *result = NIL;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
		if (token == WJB_KEY)
			result = lappend(result, pnstrdup(v.val.string.val, v.val.string.len));
	return result;
}

static Jsonb *
object_member(Jsonb *object, const char *key)
{
	JsonbValue	v;
	JsonbValue *found = getKeyJsonValueFromContainer(&object->root, key, strlen(key), &v);

	return found && found->type == jbvBinary ? JsonbValueToJsonb(found) : NULL;
}

/*
 * require_unwritten: refuse to change drafts whose rows are written: nothing
 * would write them again.
 */
void
require_unwritten(Request *req)
{
	if (req->persisted)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("the rows of request " INT64_FORMAT " are written and its drafts can't be changed",
						req->id),
				 errhint("Write another change.")));
}

/*
 * next_revision: a draft is at its next revision; ask again where a task is
 * open.
 */
void
next_revision(Request *req)
{
	req->revision++;
	if (req->task)
		task_ask_again(req);
}

/* The check has computed the stored generated columns: image them, too. */
static void
take_generated(Change *change, Relation rel, TupleTableSlot *slot)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			nest = transmission_modes_begin_for(change->layout);

	change->new_row = ExecCopySlotHeapTuple(slot);
	for (int p = 1; change->operation == CMD_INSERT && p <= change->layout->ncolumns; p++)
	{
		AttrNumber	attnum = row_attnum(change->layout, rel, p, true);

		if (attnum != InvalidAttrNumber &&
			TupleDescAttr(desc, attnum - 1)->attgenerated == ATTRIBUTE_GENERATED_STORED)
			image_set(change->new_image, p, row_text(rel, change->new_row, attnum));
	}
	transmission_modes_end(nest);
}

/* The draft's row, checked as a new draft is; holds its unique keys anew. */
static void
check_again(Request *req, Change *change, Relation rel)
{
	TupleTableSlot *new;
	TupleTableSlot *old = NULL;
	Bitmapset  *touched = NULL;
	List	   *others;
	bool		tried;
	UserSwitch	save;

	change->old_row = change->new_row = NULL;
	if (change->operation == CMD_DELETE)
	{
		pending_row_take(req, change, rel);
		change_store_held(req, change);
		return;
	}
	row_load(req, change, rel);
	new = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	ExecForceStoreHeapTuple(change->new_row, new, false);
	new->tts_tableOid = RelationGetRelid(rel);
	if (change->operation == CMD_UPDATE)
	{
		HeapTuple	live = row_find(rel, change, false);

		if (live == NULL)
		{
			/* gone: a conflict that the apply reports */
			ExecDropSingleTupleTableSlot(new);
			return;
		}
		old = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
		ExecForceStoreHeapTuple(live, old, false);
		old->tts_tid = live->t_self;
		new->tts_tid = live->t_self;
		for (int i = 0; i < change->new_image->n; i++)
			touched = bms_add_member(touched, row_attnum(change->layout, rel,
														 change->new_image->columns[i], false));
		if (touched == NULL)
		{
			ExecDropSingleTupleTableSlot(old);
			ExecDropSingleTupleTableSlot(new);
			return;
		}
	}

	/* in a partitioned table the leaf's indexes hold the keys, as at first */
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		pending_keys_drop(req, change->seq);

	/* the other changes as they were, this one as it is */
	others = req->changes;
	req->changes = list_delete_ptr(list_copy(others), change);
	become(&save, requester_role(req), 0);
	tried = draft_check(req, change, rel, NULL, old, new, touched);
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		pending_keys_add(req, change, rel, new, touched, old ? &old->tts_tid : NULL,
						 NIL, !tried);
	restore_user(&save);
	take_generated(change, rel, new);
	if (old)
		ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
	req->changes = others;
}

/* An editor must hold the privilege on the columns that he edits. */
static void
check_edit_privilege(Change *change, Relation rel, int position)
{
	AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
	AclMode		mode = change->operation == CMD_INSERT ? ACL_INSERT : ACL_UPDATE;

	if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" is generated and can't be saved",
						change->layout->names[position - 1])));
	if (pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), mode) != ACLCHECK_OK &&
		pg_attribute_aclcheck(RelationGetRelid(rel), attnum, GetUserId(), mode) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for column \"%s\" of table \"%s\"",
						change->layout->names[position - 1], RelationGetRelationName(rel)),
				 errdetail("Who edits a draft needs %s on the columns that he edits.",
						   mode == ACL_INSERT ? "INSERT" : "UPDATE")));
}

/*
 * edit_set: a new value, as output text or NULL, for a column of a draft that
 * is an INSERT or an UPDATE.  live is the row as it is now (UPDATE; NULL: it
 * is gone); value is kept, in the current memory context.  own: the requester
 * himself writes it.  What others put into his draft is not his to see unless
 * he may SELECT it; what he has written stays his as long as it stands.
 */
void
edit_set(Change *change, Relation rel, HeapTuple live, int position, char *value, bool own)
{
	bool		drafted;
	const char *before = image_value(change->new_image, position, &drafted);
	bool		same = drafted &&
		(value == NULL ? before == NULL : before != NULL && strcmp(value, before) == 0);

	if (change->operation == CMD_UPDATE)
	{
		bool		found;

		/* a column that the draft didn't touch is based on what it is now */
		(void) image_value(change->old_image, position, &found);
		if (!found)
		{
			if (live == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_WF_REQUEST_STATE),
						 errmsg("the row of change %d is gone", change->seq)));
			image_set(change->old_image, position,
					  row_text(rel, live, row_attnum(change->layout, rel, position, false)));
		}
	}
	image_set(change->new_image, position, value);

	/* a column of an INSERT that nobody had named may hold a default that he doesn't know */
	if (own)
		change->others = bms_del_member(change->others, position);
	else if (!same || (change->operation == CMD_INSERT && change->written_known &&
					   !bms_is_member(position, change->written)))
		change->others = bms_add_member(change->others, position);
	if (change->operation == CMD_INSERT || (own && change->written_known))
		change->written = bms_add_member(change->written, position);
}

/*
 * edit_done: values of a draft were set: check it as a new one is, and
 * store it.
 */
void
edit_done(Request *req, Change *change, Relation rel)
{
	/* an INSERT's key may have been among them */
	if (change->operation == CMD_INSERT && change->key)
		for (int i = 0; i < change->key->n; i++)
		{
			bool		found;

			change->key->values[i] = unconstify(char *,
												image_value(change->new_image, change->key->columns[i], &found));
		}
	if (change_hides_columns(change) || sight_is_narrow(req, change))
	{
		PG_TRY();
		{
			check_again(req, change, rel);
		}
		PG_CATCH();
		{
			rethrow_without_values();
		}
		PG_END_TRY();
	}
	else
		check_again(req, change, rel);
	change_update(req, change);
}

/*
 * New values for columns of a draft.  JSON values become the columns' types
 * as jsonb_populate_record() makes them, run as the editor.
 */
static void
edit_change(Request *req, Change *change, Jsonb *values)
{
	Relation	rel = row_open(change, RowShareLock);
	List	   *names = object_keys(values);
	HeapTuple	live = NULL;
	Datum		args[1] = {JsonbPGetDatum(values)};
	Oid			types[1] = {JSONBOID};
	StringInfoData sql;
	ListCell   *lc;
	int			nest;
	MemoryContext cxt = CurrentMemoryContext;

	nested_require_not(change);
	if (change->operation == CMD_DELETE)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("change %d deletes its row and has no values to save", change->seq)));
	if (change->operation == CMD_UPDATE)
		live = row_find(rel, change, false);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT * FROM pg_catalog.jsonb_populate_record(NULL::%s, $1)",
					 table_sql(rel, false));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql.data, 1, types, args, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read the values to save");

	nest = transmission_modes_begin();
	foreach(lc, names)
	{
		const char *name = lfirst(lc);
		int			position = layout_position(change->layout, name);
		int			column = SPI_fnumber(SPI_tuptable->tupdesc, name);
		char	   *value;
		MemoryContext spicxt;

		column_require_editable(req, change, name);
		check_edit_privilege(change, rel, position);
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
		spicxt = MemoryContextSwitchTo(cxt);
		edit_set(change, rel, live, position, value,
				 req->acting_for == NULL && request_is_of(req, req->acting));
		MemoryContextSwitchTo(spicxt);
	}
	transmission_modes_end(nest);
	SPI_finish();

	change->revision = req->revision + 1;
	edit_done(req, change, rel);
	table_close(rel, NoLock);
}

/*
 * idflow_save: edit the draft of a task, without deciding.
 */
Datum
idflow_save(PG_FUNCTION_ARGS)
{
	int64		task = int64_argument(fcinfo, 0, "task");
	char	   *comment = text_argument(fcinfo, 2);
	const char *actor = actor_name();
	Request    *req = load_task(task);
	const char *to;
	const char *via = require_authority_for(req, actor, "Save", &to);
	Jsonb	   *edits;
	List	   *keys;
	ListCell   *lc;
	Event	   *event;
	bool		dated;

	require_unwritten(req);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "changes")));
	edits = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_OBJECT(edits) || JB_ROOT_COUNT(edits) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object with columns", "changes"),
				 errhint("Write {\"column\": value}, or {\"<change id>\": {\"column\": value}} where the request has several changes.")));

	req->acting = actor;
	req->acting_via = via;
	event = request_event(req, actor, via,
						  template_transition_name(request_activity(req)->template,
												   req->activity_state, "Save"), comment);
	event->from_state = event->to_state = request_full_state(req);

	edits = schedule_save(req, edits, actor, &dated);

	/* keyed by change where the first member is an object under a number */
	keys = object_keys(edits);
	if (keys == NIL)
		;						/* the request's end was all */
	else if (strspn(linitial(keys), "0123456789") == strlen(linitial(keys)) &&
		object_member(edits, linitial(keys)))
	{
		foreach(lc, keys)
		{
			Jsonb	   *values = object_member(edits, lfirst(lc));

			if (values == NULL || !JB_ROOT_IS_OBJECT(values))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("the value of \"%s\" must be a JSON object with columns", (char *) lfirst(lc))));
			edit_change(req, change_by_id(req, strtoi64(lfirst(lc), NULL, 10)), values);
		}
	}
	else
	{
		/* what triggers write follows from it */
		List	   *own = nested_others(req);

		if (list_length(own) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("request " INT64_FORMAT " has %d changes", req->id, list_length(own)),
					 errhint("Say which: {\"<change id>\": {\"column\": value}}.")));
		edit_change(req, linitial(own), edits);
	}

	/* whoever only shortens what he approves has not made it his own */
	if (keys != NIL && !strings_contain(req->editors, actor))
		req->editors = lappend(req->editors, pstrdup(actor));
	request_participant(req, actor, true);
	schedule_again(req);
	if (keys != NIL)
		nested_draft(req);
	next_revision(req);
	event->data = json_from_text(psprintf("{\"revision\": %d, \"digests\": %s%s}", req->revision,
										  image_digests(req),
										  !dated ? "" : req->expires_at == NO_DATE ? ", \"expires_at\": null" :
										  psprintf(", \"expires_at\": \"%s\"", date_text(req->expires_at))));
	return request_done(req);
}
