/*-------------------------------------------------------------------------
 *
 * resolve.c
 *	  What ends a conflict, or keeps it from arising: resolve and rebase.
 *
 * As with any change of a draft, what is settled otherwise than by taking
 * what is there makes the request's next revision and is reviewed again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "apply.h"
#include "decide.h"
#include "deputy.h"
#include "edit.h"
#include "idflow.h"
#include "nested.h"
#include "tenant.h"
#include "task.h"

PG_FUNCTION_INFO_V1(idflow_resolve);
PG_FUNCTION_INFO_V1(idflow_rebase);

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
	if (nested_others(req) != NIL)
		return true;
	request_event(req, req->acting, req->acting_via, "Abort", "nothing is left to write");
	task_close(req, "Aborted", NULL);
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

		if (change->nested)
		{
			table_close(rel, NoLock);
			continue;
		}
		become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
		conflict = change->operation != CMD_INSERT &&
			apply_conflicts(req, change, rel, row_base(req, change, rel), &positions, NULL);
		restore_user(&save);
		table_close(rel, NoLock);
		if (conflict)
			return true;
	}
	return false;
}

/* By what right a person may act in a review that the request went through. */
static const char *
review_authority(Request *req, Place *place, const char *actor)
{
	Workflow   *workflow = req->workflow;
	int			position = req->position;
	const char *state = req->activity_state;
	const char *via;

	req->workflow = workflow_by_id(place->workflow);
	req->position = place->position;
	req->activity_state = request_activity(req)->template->initial_state;
	via = task_authority(req, actor);
	req->workflow = workflow;
	req->position = position;
	req->activity_state = state;
	return via;
}

/*
 * The right of somebody who stands in for a reviewer; NULL if he doesn't.  Whom
 * four eyes keeps out of the review doesn't act for a reviewer here either.
 */
static const char *
deputy_settles(Request *req, const char *actor)
{
	List	   *barred = deputy_barred(req);
	ListCell   *lc;
	ListCell   *ls;

	if (strings_contain(barred, actor) || !tenant_admits(req->tenant, actor))
		return NULL;
	foreach(lc, req->reviewed)
	{
		Place	   *place = (Place *) lfirst(lc);

		foreach(ls, stand_ins(actor, true, workflow_by_id(place->workflow)->name, barred, true))
		{
			const char *principal = ((StandIn *) lfirst(ls))->principal;
			const char *via = review_authority(req, place, principal);

			if (via)
			{
				req->acting_for = principal;
				return psprintf("deputy, %s", via);
			}
		}
	}
	return NULL;
}

/*
 * Who may settle a conflict: the requester, and who has a say in the request or
 * stands in for one who has.
 */
static const char *
settling_right(Request *req, const char *actor)
{
	const char *via = NULL;
	ListCell   *lc;

	if (request_is_of(req, actor))
		return "requester";
	if (role_is_admin(GetUserId()))
		return "idflow_admin";
	foreach(lc, req->reviewed)
	{
		via = review_authority(req, (Place *) lfirst(lc), actor);
		if (via)
			return via;
	}
	if (req->task && request_activity(req)->template->is_review)
		via = deputy_authority(req, actor, &req->acting_for);
	if (via == NULL)
		via = deputy_settles(req, actor);
	if (via)
		return via;
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
 * Columns of a change were settled upon the row as it is.  If that is another
 * one than the draft's, it is accepted as such only for all columns at once.
 */
static void
settle_row(Change *change, Jsonb *resolution, HeapTuple live)
{
	if (change->fate == ROW_RECREATED)
		for (int i = 0; i < change->old_image->n; i++)
		{
			int			position = image_position(change->old_image, i);
			const char *name = change->layout->names[position - 1];
			JsonbValue	v;

			if (getKeyJsonValueFromContainer(&resolution->root, name, strlen(name), &v) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_WF_REQUEST_STATE),
						 errmsg("another row has the key of this change by now"),
						 errdetail("The row that was drafted upon is gone."),
						 errhint("Resolve all columns at once, or withdraw the request.")));
		}
	row_base_renew(change, live);
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
	bool		based = false;
	UserSwitch	save;
	Event	   *event;
	int			nest;

	req->acting = actor;
	req->acting_via = settling_right(req, actor);
	if (strcmp(req->state, "conflict") != 0 && strcmp(req->state, "failed") != 0)
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
	live = row_base(req, change, rel);
	(void) apply_conflicts(req, change, rel, live, &positions, NULL);
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

		/* an insertion that failed: to stay with the draft is to have it reviewed anew */
		if (change->operation == CMD_INSERT)
		{
			if (strcmp(choice, "draft") != 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("an insertion can be resolved to \"draft\" only"),
						 errhint("It is then reviewed again, where it can be saved or refined.")));
			review = true;
			continue;
		}
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
			change->others = bms_del_member(change->others, position);
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
			{
				/* the table's old value, which the requester has not written */
				image_set(change->new_image, position, base);
				change->others = bms_add_member(change->others, position);
			}
			image_set(change->old_image, position,
					  row_text(rel, live, row_attnum(change->layout, rel, position, false)));
			review = based = true;
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" can't be resolved to \"%s\"", name, choice),
					 errhint("Write \"live\", \"draft\" or \"base\".")));
	}
	transmission_modes_end(nest);
	if (change && based)
		settle_row(change, resolution, live);

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
	if (change ? still_something(req, change) : nested_others(req) != NIL)
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
	return request_done(req);
}

/* Columns of a row, and those of its key that are not among them. */
static List *
with_key(Change *change, List *positions)
{
	for (int i = 0; i < change->key->n; i++)
		positions = list_append_unique_int(positions, change->key->columns[i]);
	return positions;
}

/*
 * idflow_rebase: base the drafts of a request on the rows as they are now.
 * Touched columns keep their drafted values; those that the row already has
 * drop out.  What triggers would write then is drafted anew.  What moved is in
 * the event.
 */
Datum
idflow_rebase(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	const char *actor = actor_name();
	Request    *req = load_request(id);
	StringInfoData moved;
	StringInfoData rows;
	bool		any = false;
	ListCell   *lc;
	Event	   *event;
	bool		in_conflict = strcmp(req->state, "conflict") == 0;
	bool		failed = strcmp(req->state, "failed") == 0;

	req->acting = actor;
	req->acting_via = req->workflow ? settling_right(req, actor) : "requester";
	if (req->workflow == NULL)
		require_own(req, actor, "rebase");
	if (!in_conflict && !failed && strcmp(req->state, "open") != 0 && strcmp(req->state, "draft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s and can't be rebased", id, req->state)));

	require_unwritten(req);

	initStringInfo(&moved);
	initStringInfo(&rows);
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
		bool		found;

		if (change->operation == CMD_INSERT || change->nested)
			continue;
		rel = row_open(change, RowShareLock);
		become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
		live = row_base(req, change, rel);
		conflict = apply_conflicts(req, change, rel, live, &positions, NULL);
		restore_user(&save);
		if (conflict && live == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_WF_REQUEST_STATE),
					 errmsg("the row of change " INT64_FORMAT " is gone", CHANGE_ID(req->id, change->seq)),
					 errhint("Resolve its columns to \"live\", or withdraw the request.")));
		/* nothing of another row is what the draft was made upon */
		for (int i = 0; change->fate == ROW_RECREATED && i < change->old_image->n; i++)
			positions = list_append_unique_int(positions, image_position(change->old_image, i));
		if (change->fate != ROW_THERE)
			appendStringInfo(&rows, "%s\"" INT64_FORMAT "\": \"%s\"", rows.len > 0 ? ", " : "",
							 CHANGE_ID(req->id, change->seq), row_fate_name(change->fate));
		if (change->fate == ROW_MOVED)
			positions = with_key(change, positions);
		if (positions != NIL)
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
				(void) image_value(change->old_image, position, &found);
				if (found)
					image_set(change->old_image, position,
							  row_text(rel, live, row_attnum(change->layout, rel, position, false)));
			}
			transmission_modes_end(nest);
			appendStringInfoChar(&moved, ']');
			row_base_renew(change, live);
			change->revision = req->revision + 1;
			change_update(req, change);
		}
		table_close(rel, NoLock);
	}
	appendStringInfoChar(&moved, '}');

	if (any || in_conflict)
	{
		event = request_event(req, actor, req->acting_via, "Rebase", NULL);
		event->data = json_from_text(psprintf("{\"moved\": %s%s%s%s}", moved.data,
											  rows.len > 0 ? ", \"rows\": {" : "", rows.data,
											  rows.len > 0 ? "}" : ""));
	}
	if (any)
	{
		nested_draft(req);
		next_revision(req);
	}
	if (in_conflict || (failed && any))
		engine_review_again(req);
	if (any || in_conflict)
		request_write(req);
	PG_RETURN_TEXT_P(cstring_to_text(req->state));
}
