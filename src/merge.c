/*-------------------------------------------------------------------------
 *
 * merge.c
 *	  A change beside the row as it stands now: whether others changed what it
 *	  touches, and whether what was written is what was reviewed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "apply.h"
#include "column.h"
#include "compat.h"
#include "idflow.h"

static bool
text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/*
 * apply_conflicts: whether others changed what a change touches.  positions
 * receives those columns' positions in the layout; empty where the whole row
 * is gone, or another one is in its place.  Columns of which the workflow says how they merge are not among
 * them where they do; merged, if wanted, is then a copy of the new image with
 * what comes of them, else NULL.  The caller is the requester.
 */
bool
apply_conflicts(Request *req, Change *change, Relation rel, HeapTuple live, List **positions,
				Image **merged)
{
	Image	   *base = change->old_image;
	int			nest;

	*positions = NIL;
	if (merged)
		*merged = NULL;
	if (change->operation == CMD_INSERT)
		return false;
	if (live == NULL || change->fate == ROW_RECREATED)
		return true;

	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; base && i < base->n; i++)
	{
		int			position = image_position(base, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
		char	   *now = row_text(rel, live, attnum);
		const char *draft = NULL;
		char	   *value;
		bool		found = false;
		ColumnMerge merge;

		if (text_equal(now, base->values[i]))
			continue;
		if (change->operation == CMD_UPDATE)
			draft = image_value(change->new_image, position, &found);
		/* somebody else made the same change */
		if (found && text_equal(now, draft))
			continue;
		merge = column_merge(req, change, change->layout->names[position - 1]);
		if (merge != MERGE_CONFLICT && !found)
			continue;			/* goes with its row, whatever it has become */
		if (merge_column(merge, TupleDescAttr(RelationGetDescr(rel), attnum - 1),
						 base->values[i], now, draft, &value))
		{
			if (merged && *merged == NULL)
				*merged = image_copy(change->new_image);
			if (merged)
				image_set(*merged, position, value);
			continue;
		}
		*positions = lappend_int(*positions, position);
	}
	transmission_modes_end(nest);
	return *positions != NIL;
}

/* "seq": ["column", ...] for the event of a conflict or of triggers' work */
void
report_columns(StringInfo report, Change *change, List *names)
{
	ListCell   *lc;

	if (report->len > 0)
		appendStringInfoString(report, ", ");
	appendStringInfo(report, "\"%s\": [", change_numbers(change));
	foreach(lc, names)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(report, ", ");
		escape_json(report, lfirst(lc));
	}
	appendStringInfoChar(report, ']');
}

/* report_altered: the same of columns that triggers have altered, if there are any. */
void
report_altered(StringInfo report, Change *change, List *names)
{
	if (names)
		report_columns(report, change, names);
}

/*
 * check_written_row: the table's triggers may have altered the row, which the
 * statement has returned.  In columns that were reviewed that is an error unless
 * the workflow allows it; returns the names of others.
 */
List *
check_written_row(Request *req, Change *change, Relation rel, Dml *dml, HeapTuple live,
				  HeapTuple row)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *altered = NIL;
	int			column = 0;

	for (int att_i = 0; att_i < desc->natts; att_i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, att_i);
		bool		isnull;
		bool		expected_null = true;
		Datum		expected = (Datum) 0;
		Datum		value;
		int			arg;

		if (att->attisdropped)
			continue;
		column++;
		if (att->attgenerated != '\0')
			continue;
		value = spi_datum(row, column, &isnull);
		for (arg = 0; arg < dml->nargs; arg++)
			if (dml->attnums[arg] == att->attnum)
				break;
		if (arg < dml->nargs)
		{
			expected_null = dml->nulls[arg] == 'n';
			expected = dml->values[arg];
		}
		else if (live)
			expected = heap_getattr(live, att->attnum, desc, &expected_null);
		else
			continue;			/* a column newer than the draft: its default */

		if (isnull == expected_null &&
			(isnull || same_datum(value, expected, att->attbyval, att->attlen)))
			continue;

		if (arg < dml->nargs && change_is_exact(req, change) &&
			column_merge(req, change, NameStr(att->attname)) == MERGE_CONFLICT)
		{
			int			position = 0;
			int			nest = transmission_modes_begin_for(change->layout);
			const char *drafted;
			Oid			output;
			bool		varlena;
			bool		found;

			for (int p = 1; p <= change->layout->ncolumns && position == 0; p++)
				if (strcmp(change->layout->names[p - 1], NameStr(att->attname)) == 0)
					position = p;
			drafted = image_value(change->new_image, position, &found);
			if (change_touches(change, att, position, drafted))
			{
				getTypeOutputInfo(att->atttypid, &output, &varlena);
				ereport(ERROR,
						(errcode(ERRCODE_WF_APPLY),
						 errmsg("a trigger of table \"%s\" alters column \"%s\", which was reviewed",
								RelationGetRelationName(rel), NameStr(att->attname)),
						 errdetail("The reviewed value is %s and the trigger's is %s.",
								   drafted ? psprintf("\"%s\"", drafted) : "null",
								   isnull ? "null" : psprintf("\"%s\"", OidOutputFunctionCall(output, value))),
						 errhint("Draft the value that the trigger makes, or let the workflow say Exact=\"false\".")));
			}
			transmission_modes_end(nest);
		}
		altered = lappend(altered, NameStr(att->attname));
	}
	return altered;
}

/* Why the statement wrote no row, as an error. */
void
not_written(Request *req, Change *change, Relation rel)
{
	if (change->operation != CMD_INSERT && rel->rd_rel->relrowsecurity)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security of table \"%s\" does not let role \"%s\" %s this row",
						RelationGetRelationName(rel), req->role,
						change->operation == CMD_UPDATE ? "update" : "delete")));
	ereport(ERROR,
			(errcode(ERRCODE_WF_APPLY),
			 errmsg("%s on table \"%s\" wrote no row", operation_name(change->operation),
					RelationGetRelationName(rel)),
			 errdetail("A trigger or rule of the table keeps the change from being written.")));
}
