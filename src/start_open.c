/*-------------------------------------------------------------------------
 *
 * start_open.c
 *	  The request that a date starts for a row.
 *
 * Its requester is the role that deployed the workflow: that role's rule asks
 * for it, so whoever goes by that name may not approve it, and what is written
 * is written with that role's privileges.  The step itself is nobody's: the
 * event says idflow.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "aspect.h"
#include "edit.h"
#include "plancache.h"
#include "schedule.h"
#include "start.h"

static Image *
no_columns(int room)
{
	Image	   *image = palloc0(sizeof(Image));

	image->columns = palloc0(Max(room, 1) * sizeof(int16));
	image->values = palloc0(Max(room, 1) * sizeof(char *));
	return image;
}

/*
 * The settings for the apply: those of a new session.  run_due() has a
 * search_path of its own.
 */
static List *
session_context(void)
{
	List	   *context = request_context();
	const char *path = GetConfigOptionResetString("search_path");

	for (int i = 0; i + 1 < list_length(context); i += 2)
		if (strcmp(list_nth(context, i), "search_path") == 0)
			lfirst(list_nth_cell(context, i + 1)) = pstrdup(path ? path : "");
	return context;
}

/* The change of the row, so far without new values; NULL if the row is gone. */
static Change *
start_change(Workflow *wf, const DefinitionElement *start, Relation rel, StartRow *row)
{
	const char *operation = element_value(start, "Operation");
	Change	   *change = palloc0(sizeof(Change));
	Layout	   *layout = layout_current(rel);
	Bitmapset  *key = row_key_attnums(rel, NULL);
	HeapTuple	live;
	int			n = 0;
	int			nest;

	change->target = RelationGetRelid(rel);
	change->target_name = table_sql(rel, false);
	change->operation = operation && strcmp(operation, "DELETE") == 0 ? CMD_DELETE : CMD_UPDATE;
	change->layout = layout;
	change->gates = list_make1(pstrdup(wf->name));
	change->context = session_context();
	change->key = no_columns(list_length(row->key));
	for (int p = 1; p <= layout->ncolumns; p++)
		if (bms_is_member(layout->attnums[p - 1], key))
		{
			/* the scan gave them by attribute number, and so they stand here */
			change->key->columns[n] = p;
			change->key->values[n] = list_nth(row->key, n);
			n++;
		}
	change->key->n = n;
	live = row_find(rel, change, false);
	if (live == NULL)
		return NULL;
	if (change->operation == CMD_UPDATE)
	{
		change->old_image = no_columns(1);
		change->new_image = no_columns(1);
		return change;
	}
	change->old_image = no_columns(layout->ncolumns);
	nest = transmission_modes_begin_for(layout);
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		change->old_image->columns[p - 1] = p;
		change->old_image->values[p - 1] = row_text(rel, live, layout->attnums[p - 1]);
	}
	change->old_image->n = layout->ncolumns;
	transmission_modes_end(nest);
	return change;
}

/* The values of the <Set> children, those that the row doesn't have already. */
static void
set_values(Request *req, const DefinitionElement *start, Change *change, Relation rel)
{
	HeapTuple	live = row_find(rel, change, false);
	ListCell   *lc;

	foreach(lc, element_children_named(start, "Set"))
	{
		DefinitionElement *set = lfirst(lc);
		char	   *column = binding_column(element_value(set, "Column"), RelationGetDescr(rel));
		int			position = layout_position(change->layout, column);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
		char	   *value = expression_text(element_value(set, "Expression"), req->workflow, req,
											change, psprintf("Expression of <Set> \"%s\"", column));
		const char *present;
		int			nest = transmission_modes_begin_for(change->layout);

		value = canonical_text(req, TupleDescAttr(RelationGetDescr(rel), attnum - 1), value);
		present = live ? row_text(rel, live, attnum) : NULL;
		if (value != present && (value == NULL || present == NULL || strcmp(value, present) != 0))
			edit_set(change, rel, live, position, value, true);
		transmission_modes_end(nest);
	}
}

/*
 * start_open: open the request for a row that is due.  Returns its number, 0 if
 * the row is gone, or if it is as the Start would have it already; *applies is
 * false if the IfExpression is not true.
 */
int64
start_open(Workflow *wf, const DefinitionElement *start, Relation rel, StartRow *row, bool *applies)
{
	const char *condition = element_value(start, "IfExpression");
	Change	   *change = start_change(wf, start, rel, row);
	Request    *req;
	Event	   *event;
	JsonbParseState *state = NULL;

	*applies = true;
	if (change == NULL)
		return 0;
	req = request_create(wf->deployed_by);
	req->role = pstrdup(wf->deployed_by);
	req->workflow = wf;
	req->acting = ACTOR_SYSTEM;
	req->acting_via = "start";
	if (condition && !expression_bool(condition, wf, req, change, "IfExpression of <Start>"))
	{
		*applies = false;
		return 0;
	}
	set_values(req, start, change, rel);
	if (change->operation == CMD_UPDATE && change->new_image->n == 0 &&
		element_children_named(start, "Set") != NIL)
		return 0;

	change_add(req, change);
	change_store(req, change);
	edit_done(req, change, rel);
	request_name(req, change);
	event = request_event(req, ACTOR_SYSTEM, "start", "Start", NULL);
	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "due");
	json_string(&state, WJB_VALUE, date_text(row->due));
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
	engine_start(req, wf);
	request_write(req);
	return req->id;
}
