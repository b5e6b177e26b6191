/*-------------------------------------------------------------------------
 *
 * diff.c
 *	  Changes column by column: base, live and draft.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "edit.h"
#include "idflow.h"
#include "pack.h"
#include "reading.h"

PG_FUNCTION_INFO_V1(idflow_change_diff_rows);

#define DIFF_COLUMNS 9

/* A value as a report shows it: itself, masked, or null. */
static Datum
shown_text(const char *value, bool shown, bool masked, bool *isnull)
{
	if (value && masked)
		value = column_mask;
	else if (!shown)
		value = NULL;
	*isnull = value == NULL;
	return value ? CStringGetTextDatum(value) : (Datum) 0;
}

/* The change's key as jsonb, what of it may be shown. */
static Datum
key_json(Change *change, Sight *sight, bool *isnull)
{
	List	   *positions = NIL;
	List	   *values = NIL;
	Datum		result;

	for (int p = 1; p <= change->layout->ncolumns; p++)
	{
		bool		found;
		const char *value = image_value(change->key, p, &found);

		if (found && (change->operation == CMD_INSERT ?
					  sight_of_draft(sight, p) : sight_of_row(sight, p)))
		{
			positions = lappend_int(positions, p);
			values = lappend(values, unconstify(char *, value));
		}
	}
	result = json_of_positions(change->layout, positions, values);
	*isnull = result == (Datum) 0;
	return result;
}

/*
 * Add the rows of one change: of an INSERT the drafted values that are not
 * null, of an UPDATE the touched columns, of a DELETE what is to go.
 */
static void
diff_change(int64 request, Change *change, Viewer viewer, ReturnSetInfo *rsinfo)
{
	Layout	   *layout = change->layout;
	Sight	   *sight = sight_of(change, viewer);
	bool		exists;
	char	  **live = row_base_values(request, change, &exists);
	bool		live_visible = exists;
	bool		is_explicit;
	const char *reader = actor_lookup(&is_explicit);
	Datum		key;
	bool		key_null;

	/* somebody else's row with the key of a drafted INSERT */
	if (exists && viewer == VIEWER_OWN && change->operation == CMD_INSERT)
		live_visible = live_row_visible(change);

	key = key_json(change, sight, &key_null);
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		bool		has_old;
		bool		has_new;
		const char *base = image_value(change->old_image, p, &has_old);
		const char *draft = image_value(change->new_image, p, &has_new);
		bool		row_shown = sight_of_row(sight, p);
		bool		draft_shown = has_new && sight_of_draft(sight, p);
		bool		row_masked = sight_of_masked_row(sight, p);
		bool		draft_masked = has_new && sight_of_masked_draft(sight, p);
		Datum		values[DIFF_COLUMNS];
		bool		nulls[DIFF_COLUMNS] = {false};

		switch (change->operation)
		{
			case CMD_INSERT:
				if ((!draft_shown && !draft_masked) || draft == NULL)
					continue;
				break;
			case CMD_UPDATE:
				if (!draft_shown && !draft_masked)
					continue;
				break;
			default:
				if (!has_old || base == NULL || (!row_shown && !row_masked))
					continue;
				break;
		}

		values[0] = Int64GetDatum(CHANGE_ID(request, change->seq));
		values[1] = ObjectIdGetDatum(change->target);
		values[2] = CStringGetTextDatum(change->operation == CMD_INSERT ? "INSERT" :
										change->operation == CMD_UPDATE ? "UPDATE" : "DELETE");
		values[3] = key;
		nulls[3] = key_null;
		values[4] = CStringGetTextDatum(layout->names[p - 1]);
		values[5] = CStringGetTextDatum(column_label(change, layout->names[p - 1], reader));
		values[6] = shown_text(base, row_shown, row_masked, &nulls[6]);
		values[7] = shown_text(live_visible ? live[p - 1] : NULL, row_shown, row_masked, &nulls[7]);
		values[8] = shown_text(draft, draft_shown, draft_masked, &nulls[8]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * idflow.change_diff_rows(request): the rows of idflow.change_diff for one
 * request; none if the one who asks may not see it.
 */
Datum
idflow_change_diff_rows(PG_FUNCTION_ARGS)
{
	int64		request = PG_GETARG_INT64(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Viewer		viewer = viewer_of(request);
	MemoryContext cxt;
	MemoryContext old;
	ChangeScan	scan;
	Change	   *change;

	InitMaterializedSRF(fcinfo, 0);
	if (viewer == VIEWER_NONE)
		return (Datum) 0;

	cxt = AllocSetContextCreate(CurrentMemoryContext, "idflow diff", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	changes_begin(&scan, reading_stored(request, 0));
	while ((change = changes_next(&scan)) != NULL)
		diff_change(request, change, viewer, rsinfo);
	changes_end(&scan);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return (Datum) 0;
}
