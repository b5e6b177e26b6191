/*-------------------------------------------------------------------------
 *
 * edit.c
 *	  Changing drafts: save, and what ends a conflict: resolve and rebase.
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
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "apply.h"
#include "decide.h"
#include "idflow.h"
#include "plancache.h"
#include "task.h"

PG_FUNCTION_INFO_V1(idflow_save);
PG_FUNCTION_INFO_V1(idflow_resolve);
PG_FUNCTION_INFO_V1(idflow_rebase);

/* change ids are made of the request's number and the change's */
#define CHANGE_ID(request, seq) (((request) << 24) | (seq))

static Change *
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

static int
layout_position(Layout *layout, const char *name)
{
	for (int p = 1; p <= layout->ncolumns; p++)
		if (strcmp(layout->names[p - 1], name) == 0)
			return p;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the draft has no column \"%s\"", name)));
	return 0;
}

/* The keys of a JSON object, as List of char *. */
static List *
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
 * A draft is at its next revision: ask again where a task is open.
 */
static void
next_revision(Request *req)
{
	req->revision++;
	if (req->task)
		task_ask_again(req);
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
		return;
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

	pending_keys_drop(req, change->seq);

	/* the other changes as they were, this one as it is */
	others = req->changes;
	req->changes = list_delete_ptr(list_copy(others), change);
	become(&save, requester_role(req), 0);
	tried = draft_check(req, change, rel, NULL, old, new, touched);
	/* in a partitioned table the leaf's indexes hold the keys, as at first */
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		pending_keys_add(req, change, rel, new, touched, old ? &old->tts_tid : NULL,
						 !tried);
	restore_user(&save);
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

		check_edit_privilege(change, rel, position);
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
		spicxt = MemoryContextSwitchTo(cxt);
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
		if (change->operation == CMD_INSERT)
			change->written = bms_add_member(change->written, position);
		MemoryContextSwitchTo(spicxt);
	}
	transmission_modes_end(nest);
	SPI_finish();

	/* an INSERT's key may have been edited */
	if (change->operation == CMD_INSERT && change->key)
		for (int i = 0; i < change->key->n; i++)
		{
			bool		found;

			change->key->values[i] = unconstify(char *,
												image_value(change->new_image, change->key->columns[i], &found));
		}
	check_again(req, change, rel);
	change->revision = req->revision + 1;
	change_update(req, change);
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
	event->from_state = request_full_state(req);
	req->activity_state = to;
	event->to_state = request_full_state(req);

	/* keyed by change where the first member is an object under a number */
	keys = object_keys(edits);
	if (strspn(linitial(keys), "0123456789") == strlen(linitial(keys)) &&
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
		if (list_length(request_changes(req)) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("request " INT64_FORMAT " has %d changes", req->id,
							list_length(req->changes)),
					 errhint("Say which: {\"<change id>\": {\"column\": value}}.")));
		edit_change(req, linitial(req->changes), edits);
	}
	if (!strings_contain(req->editors, actor))
		req->editors = lappend(req->editors, pstrdup(actor));
	request_participant(req, actor, true);
	next_revision(req);
	event->data = json_from_text(psprintf("{\"revision\": %d, \"digests\": %s}", req->revision,
										  image_digests(req)));
	request_write(req);
	PG_RETURN_TEXT_P(cstring_to_text(req->state));
}

/* Take positions out of a change's images. */
static void
image_remove(Image *image, int position)
{
	int			k = 0;

	if (image == NULL || image->columns == NULL)
		return;
	for (int i = 0; i < image->n; i++)
	{
		if (image->columns[i] == position)
			continue;
		image->columns[k] = image->columns[i];
		image->values[k++] = image->values[i];
	}
	image->n = k;
}

/*
 * After conflicts were settled: a change that is left with nothing goes, and
 * a request that is left with nothing ends.  Returns whether it goes on.
 */
static bool
still_something(Request *req, Change *change)
{
	if (change->operation == CMD_UPDATE && change->new_image->n == 0)
		change_drop(req, change->seq);
	else
		change_update(req, change);
	if (request_changes(req) != NIL)
		return true;
	request_event(req, req->acting, req->acting_via, "Abort", "nothing is left to write");
	(void) task_close(req, "Aborted", NULL);
	request_close(req, "aborted");
	return false;
}

/* Does any change of the request conflict with the rows as they are now? */
static bool
conflicts_remain(Request *req)
{
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);
		Relation	rel = row_open(change, RowShareLock);
		UserSwitch	save;
		List	   *positions;
		bool		conflict;

		become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
		conflict = change->operation != CMD_INSERT &&
			apply_conflicts(change, rel, row_find(rel, change, true), &positions);
		restore_user(&save);
		table_close(rel, NoLock);
		if (conflict)
			return true;
	}
	return false;
}

/*
 * Who may settle a conflict: the requester, and who has a say in the request.
 */
static const char *
settling_right(Request *req, const char *actor)
{
	if (strcmp(req->requester, actor) == 0)
		return "requester";
	if (role_is_admin(GetUserId()))
		return "idflow_admin";
	for (int position = 1; position <= req->position; position++)
	{
		int			here = req->position;
		const char *state = req->activity_state;
		const char *via = NULL;
		Activity   *activity = workflow_activity(req->workflow, position);

		if (!activity->template->is_review)
			continue;
		req->position = position;
		req->activity_state = activity->template->initial_state;
		via = task_authority(req, actor);
		req->position = here;
		req->activity_state = state;
		if (via)
			return via;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("\"%s\" may not settle conflicts of request " INT64_FORMAT, actor, req->id),
			 errhint("Its requester and its reviewers may.")));
	return NULL;
}

/*
 * Whether a change was revised after the last vote, by an earlier resolve of
 * the same conflict.
 */
static bool
revised_since_review(Request *req)
{
	static StorePlan last_vote = {
		"SELECT pg_catalog.max(revision) FROM idflow.vote WHERE request OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(req->id)};
	UserSwitch	save;
	int			revision;

	store_begin(&save);
	store_exec(&last_vote, values, NULL, false);
	revision = spi_int32(SPI_tuptable->vals[0], 1);
	store_end(&save);
	return revision > 0 && revision < req->revision;
}

/*
 * idflow_resolve: end a conflict column by column.
 */
Datum
idflow_resolve(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	int64		change_id = int64_argument(fcinfo, 1, "change");
	const char *actor = actor_name();
	Request    *req = load_request(id);
	Change	   *change;
	Relation	rel;
	HeapTuple	live;
	Jsonb	   *resolution;
	List	   *positions;
	ListCell   *lc;
	bool		review = false;
	UserSwitch	save;
	Event	   *event;
	int			nest;

	req->acting = actor;
	req->acting_via = settling_right(req, actor);
	if (strcmp(req->state, "conflict") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s, not in conflict", id, req->state)));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "resolution")));
	resolution = PG_GETARG_JSONB_P(2);
	if (!JB_ROOT_IS_OBJECT(resolution))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object", "resolution"),
				 errhint("Write {\"column\": \"live\" | \"draft\" | \"base\"}.")));
	change = change_by_id(req, change_id);
	rel = row_open(change, RowShareLock);

	become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
	live = row_find(rel, change, true);
	(void) apply_conflicts(change, rel, live, &positions);
	restore_user(&save);

	nest = transmission_modes_begin();
	foreach(lc, object_keys(resolution))
	{
		const char *name = lfirst(lc);
		int			position = layout_position(change->layout, name);
		JsonbValue	v;
		JsonbValue *value = getKeyJsonValueFromContainer(&resolution->root, name, strlen(name), &v);
		char	   *choice = value && value->type == jbvString ?
			pnstrdup(value->val.string.val, value->val.string.len) : "";
		bool		found;
		const char *base = image_value(change->old_image, position, &found);

		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("change " INT64_FORMAT " does not touch column \"%s\"", change_id, name)));
		if (strcmp(choice, "live") == 0)
		{
			if (change->operation == CMD_DELETE)
			{
				/* somebody's newer value stays, so the row does */
				change_drop(req, change->seq);
				change = NULL;
				break;
			}
			/* to drop what nobody else changed is to draft something else */
			if (live && !list_member_int(positions, position))
				review = true;
			image_remove(change->old_image, position);
			image_remove(change->new_image, position);
		}
		else if (strcmp(choice, "draft") == 0 || strcmp(choice, "base") == 0)
		{
			if (live == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_WF_REQUEST_STATE),
						 errmsg("the row is gone, so only \"live\" can resolve the conflict"),
						 errhint("Withdraw the request, or resolve its columns to \"live\".")));
			if (strcmp(choice, "base") == 0 && change->operation == CMD_DELETE)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("a deletion can't be resolved to \"base\""),
						 errhint("Use \"live\" to keep the row or \"draft\" to delete it.")));
			if (strcmp(choice, "base") == 0)
				image_set(change->new_image, position, base);
			image_set(change->old_image, position,
					  row_text(rel, live, row_attnum(change->layout, rel, position, false)));
			review = true;
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" can't be resolved to \"%s\"", name, choice),
					 errhint("Write \"live\", \"draft\" or \"base\".")));
	}
	transmission_modes_end(nest);

	event = request_event(req, actor, req->acting_via, "Resolve", NULL);
	event->data = json_from_text(psprintf("{\"change\": " INT64_FORMAT ", \"resolution\": %s}", change_id,
										  JsonbToCString(NULL, &resolution->root, 0)));
	if (review)
	{
		req->revision++;
		if (change)
			change->revision = req->revision;
	}
	table_close(rel, NoLock);
	if (change ? still_something(req, change) : request_changes(req) != NIL)
	{
		if (!conflicts_remain(req))
		{
			/* anything but taking what is there is reviewed again */
			if (review || revised_since_review(req))
				engine_review_again(req);
			else
				engine_apply_again(req);
		}
	}
	else if (change == NULL)
	{
		request_event(req, actor, req->acting_via, "Abort", "nothing is left to write");
		request_close(req, "aborted");
	}
	request_write(req);
	PG_RETURN_TEXT_P(cstring_to_text(req->state));
}

/*
 * idflow_rebase: base the drafts of a request on the rows as they are now.
 * Touched columns keep their drafted values; those that the row already has
 * drop out.  What moved is in the event.
 */
Datum
idflow_rebase(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	const char *actor = actor_name();
	Request    *req = load_request(id);
	StringInfoData moved;
	bool		any = false;
	ListCell   *lc;
	Event	   *event;
	bool		in_conflict = strcmp(req->state, "conflict") == 0;

	req->acting = actor;
	req->acting_via = req->workflow ? settling_right(req, actor) : "requester";
	if (req->workflow == NULL)
		require_own(req, actor, "rebase");
	if (!in_conflict && strcmp(req->state, "open") != 0 && strcmp(req->state, "draft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s and can't be rebased", id, req->state)));

	initStringInfo(&moved);
	appendStringInfoChar(&moved, '{');
	foreach(lc, list_copy(request_changes(req)))
	{
		Change	   *change = lfirst(lc);
		Relation	rel;
		HeapTuple	live;
		List	   *positions;
		ListCell   *lp;
		UserSwitch	save;
		int			nest;
		bool		conflict;

		if (change->operation == CMD_INSERT)
			continue;
		rel = row_open(change, RowShareLock);
		become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
		live = row_find(rel, change, true);
		conflict = apply_conflicts(change, rel, live, &positions);
		restore_user(&save);
		if (conflict && live == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_WF_REQUEST_STATE),
					 errmsg("the row of change " INT64_FORMAT " is gone", CHANGE_ID(req->id, change->seq)),
					 errhint("Resolve its columns to \"live\", or withdraw the request.")));
		if (conflict)
		{
			any = true;
			if (moved.len > 1)
				appendStringInfoString(&moved, ", ");
			appendStringInfo(&moved, "\"" INT64_FORMAT "\": [", CHANGE_ID(req->id, change->seq));
			nest = transmission_modes_begin();
			foreach(lp, positions)
			{
				int			position = lfirst_int(lp);

				if (foreach_current_index(lp) > 0)
					appendStringInfoString(&moved, ", ");
				escape_json(&moved, change->layout->names[position - 1]);
				image_set(change->old_image, position,
						  row_text(rel, live, row_attnum(change->layout, rel, position, false)));
			}
			transmission_modes_end(nest);
			appendStringInfoChar(&moved, ']');
			change->revision = req->revision + 1;
			change_update(req, change);
		}
		table_close(rel, NoLock);
	}
	appendStringInfoChar(&moved, '}');

	if (any || in_conflict)
	{
		event = request_event(req, actor, req->acting_via, "Rebase", NULL);
		event->data = json_from_text(psprintf("{\"moved\": %s}", moved.data));
	}
	if (any)
		next_revision(req);
	if (in_conflict)
		engine_review_again(req);
	if (any || in_conflict)
		request_write(req);
	PG_RETURN_TEXT_P(cstring_to_text(req->state));
}
