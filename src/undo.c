/*-------------------------------------------------------------------------
 *
 * undo.c
 *	  undo: asking for the reverse of a request that was committed.
 *
 * Unlike an expiry nobody has agreed to it yet, so it is a request of whoever
 * asks, and begins where any request does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "decide.h"
#include "edit.h"
#include "idflow.h"
#include "reading.h"
#include "schedule.h"
#include "session.h"

PG_FUNCTION_INFO_V1(idflow_undo);

/* Whoever may not write a column by a statement may not by an undo. */
static void
require_privileges(Change *change, Relation rel)
{
	AclMode		mode = operation_privilege(change->operation);
	Oid			relid = RelationGetRelid(rel);

	if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK)
		return;
	if (change->operation == CMD_DELETE)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
	for (int i = 0; i < change->new_image->n; i++)
		if (pg_attribute_aclcheck(relid, row_attnum(change->layout, rel, change->new_image->columns[i], false),
								  GetUserId(), mode) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
}

/*
 * The values that an undo would write are old ones.  As its requester one would
 * see them; so they must be for one's eyes already: who decided the original
 * has seen them, others must be able to SELECT them.  Of a row that is deleted
 * no policy can say whether it would have been shown.
 */
static void
require_sight(Request *original, Change *change)
{
	Sight	   *sight;
	bool		row_visible;

	if (viewer_of(original->id) == VIEWER_ALL)
		return;
	sight = sight_of(change, VIEWER_OWN);
	row_visible = change->operation == CMD_INSERT ?
		check_enable_rls(change->target, InvalidOid, true) != RLS_ENABLED : sight->row_visible;
	for (int i = 0; change->new_image && i < change->new_image->n; i++)
		if (!row_visible || !sight->selectable[change->new_image->columns[i]])
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("request " INT64_FORMAT " can't be undone by who may not see what it has changed",
							original->id),
					 errdetail("Column \"%s\" of %s, or its row, is not yours to see.",
							   change->layout->names[change->new_image->columns[i] - 1],
							   change->target_name)));
}

/* What the history, and a notice, say of columns that have been dropped since. */
static Jsonb *
left_out_data(List *gone)
{
	JsonbParseState *state = NULL;
	ListCell   *lc;

	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "left_out");
	json_strings(&state, gone);
	foreach(lc, gone)
		ereport(NOTICE,
				(errmsg("column %s is gone, and nothing of it is undone", (char *) lfirst(lc))));
	return JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/*
 * idflow_undo: open the reverse of a committed request.
 */
Datum
idflow_undo(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	char	   *comment = text_argument(fcinfo, 1);
	const char *actor = actor_name();
	Request    *original = load_request(id);
	Request    *req;
	Change	   *first;
	List	   *moot;
	List	   *gone;
	Event	   *event;
	ListCell   *lc;

	if (viewer_of(id) == VIEWER_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("request " INT64_FORMAT " is not yours to see", id)));
	if (strcmp(original->state, "committed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " is %s, not committed", id, original->state),
				 request_is_closed(original) ? 0 :
				 errhint("It can be withdrawn: idflow.withdraw(" INT64_FORMAT ").", id)));
	req = reverse_make(original, actor, GetUserNameFromId(GetUserId(), false), &moot, &gone);
	if (req == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("nothing is left to undo of request " INT64_FORMAT, id),
				 gone ? errdetail("The rows that it wrote are gone, or are as they were before, but for columns that have been dropped since.") :
				 errdetail("The rows that it wrote are gone, or are as they were before.")));

	first = linitial(req->changes);
	req->workflow = workflow_current(linitial(first->gates), false);
	req->title = psprintf("Undo of request " INT64_FORMAT "%s%s", id,
						  original->title ? ": " : "", original->title ? original->title : "");
	req->subject = NULL;
	req->subject_binding = 0;
	req->acting = actor;
	request_name(req, first);
	foreach(lc, list_copy(req->changes))
	{
		Change	   *change = lfirst(lc);
		Relation	rel = row_open(change, RowShareLock);

		require_privileges(change, rel);
		require_sight(original, change);
		edit_done(req, change, rel);
		table_close(rel, NoLock);
	}
	event = request_event(req, actor, "requester", "Undo", comment);
	if (gone)
		event->data = left_out_data(gone);
	engine_start(req, req->workflow);
	request_write(req);
	remember_request(actor, req->id);
	PG_RETURN_INT64(req->id);
}
