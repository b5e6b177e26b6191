/*-------------------------------------------------------------------------
 *
 * reading.c
 *	  How much of a request's changes somebody sees.
 *
 * Images disclose no more than the table: the requester sees the values he
 * wrote, and of the others those that he may SELECT.  Who sees which request
 * at all is viewer.c's matter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "idflow.h"
#include "pack.h"
#include "reading.h"
#include "subxact.h"
#include "viewer.h"

PG_FUNCTION_INFO_V1(idflow_change_image);

/* An image that a row of change_data holds at a column and the next. */
static Image *
image_at(HeapTuple row, int column)
{
	bool		columns_null;
	bool		values_null;
	Datum		columns = spi_datum(row, column, &columns_null);
	Datum		values = spi_datum(row, column + 1, &values_null);

	return image_from_arrays(columns, columns_null, values, values_null);
}

/* The columns that change_from_row() reads. */
#define CHANGE_COLUMNS \
	"d.seq, d.revision, d.target::pg_catalog.oid, d.target_name, d.operation, d.layout," \
	" d.written, d.key_columns, d.key, d.old_columns, d.old_image, d.new_columns, d.new_image, d.gates," \
	" d.others, d.based_at, d.count"
#define CHANGE_NCOLUMNS 17

/* A change, or a pack, from a row of CHANGE_COLUMNS, in the current memory context. */
static Change *
change_from_row(SPITupleTable *table, uint64 i)
{
	HeapTuple	row = table->vals[i];
	Change	   *change = palloc0(sizeof(Change));
	char	   *operation;
	bool		isnull;
	Datum		written;
	Datum		others;

	SPI_tuptable = table;		/* looking up a layout may move it */
	change->seq = spi_int32(row, 1);
	change->revision = spi_int32(row, 2);
	change->target = DatumGetObjectId(spi_datum(row, 3, &isnull));
	change->target_name = spi_text(row, 4);
	operation = spi_text(row, 5);
	change->operation = operation[0] == 'I' ? CMD_INSERT :
		operation[0] == 'U' ? CMD_UPDATE : CMD_DELETE;
	written = spi_datum(row, 7, &isnull);
	change->written_known = !isnull;
	if (!isnull)
		change->written = positions_of(written);
	change->count = spi_int32(row, 17);
	if (change->count > 1)
	{
		Datum		key_columns = spi_datum(row, 8, &isnull);

		if (!isnull)
			change->key_positions = positions_of(key_columns);
		change->rows = spi_datum(row, 13, &isnull);
		if (!isnull)
			change->rows = datumCopy(change->rows, false, -1);
	}
	else
	{
		change->key = image_at(row, 8);
		change->old_image = image_at(row, 10);
		change->new_image = image_at(row, 12);
	}
	change->gates = text_array_list(spi_datum(row, 14, &isnull));
	others = spi_datum(row, 15, &isnull);
	if (!isnull)
		change->others = positions_of(others);
	change->based_at = DatumGetTimestampTz(spi_datum(row, 16, &isnull));
	if (isnull)
		change->based_at = 0;
	change->layout = layout_by_id(spi_int64(row, 6));
	return change;
}

/*
 * reading_stored: the changes of a request as they are stored, packs among them,
 * or the one that this seq is of if it is not 0; in the current memory context.
 * Takes no lock.
 */
List *
reading_stored(int64 request, int seq)
{
	static StorePlan plan = {
		"SELECT " CHANGE_COLUMNS
		" FROM idflow.change_data d WHERE d.request OPERATOR(pg_catalog.=) $1"
		" AND d.superseded IS NULL ORDER BY d.seq",
		1, {INT8OID}
	};
	static StorePlan one_plan = {
		"SELECT " CHANGE_COLUMNS
		" FROM idflow.change_data d WHERE d.request OPERATOR(pg_catalog.=) $1"
		" AND d.seq OPERATOR(pg_catalog.<=) $2"
		" AND d.superseded IS NULL ORDER BY d.seq DESC LIMIT 1",
		2, {INT8OID, INT4OID}
	};
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(request), Int32GetDatum(seq)};
	UserSwitch	save;
	SPITupleTable *table;
	uint64		n;
	List	   *changes = NIL;

	store_begin(&save);
	n = store_exec(seq ? &one_plan : &plan, values, NULL, true);
	table = SPI_tuptable;
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		Change	   *change = change_from_row(table, i);

		if (seq == 0 || seq < change->seq + change->count)
			changes = lappend(changes, change);
	}
	store_end(&save);
	return changes;
}

/*
 * reading_changes: the same, each row of a pack a change.
 */
List *
reading_changes(int64 request, int seq)
{
	List	   *changes = NIL;
	ListCell   *lc;

	foreach(lc, reading_stored(request, seq))
	{
		Change	   *change = lfirst(lc);

		if (change->count == 1)
			changes = lappend(changes, change);
		else if (seq)
			changes = lappend(changes, unpack_row(change, seq));
		else
			changes = list_concat(changes, unpack(change));
	}
	return changes;
}

/*
 * reading_open_changes: the changes of a table, as SeenChange, that requests
 * draft which are open and of which the one who asks may see something, in the
 * order of the requests; of one request only if it is not 0; unseen: those of
 * which he may see nothing as well; own: if request is 0, only those that he has
 * made.  In the current memory context.  Takes no lock.
 *
 * Open requests are few beside those that somebody has ever made, so the way
 * does not go by idflow.visible().
 */
List *
reading_open_changes(Oid relid, int64 request, bool unseen, bool own)
{
	static StorePlan plan = {
		"SELECT " CHANGE_COLUMNS ", r.id, " VIEWER_FLAGS
		" FROM (SELECT DISTINCT o.request FROM idflow.candidate o) o"
		" JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) o.request"
		" JOIN ONLY idflow.change_data d ON d.request OPERATOR(pg_catalog.=) o.request"
		" WHERE d.target OPERATOR(pg_catalog.=) $1 AND d.superseded IS NULL"
		" AND (NOT $9 OR r.requester OPERATOR(pg_catalog.=) $2 AND " IS_BOUND("r.requester", "r.requester_binding") ")"
		" ORDER BY r.id, d.seq",
		9, {REGCLASSOID, VIEWER_TYPES, INT8OID, BOOLOID}
	};
	static StorePlan one_plan = {
		"SELECT " CHANGE_COLUMNS ", r.id, " VIEWER_FLAGS
		" FROM idflow.request r"
		" JOIN ONLY idflow.change_data d ON d.request OPERATOR(pg_catalog.=) r.id"
		" WHERE r.id OPERATOR(pg_catalog.=) $8"
		" AND EXISTS (SELECT FROM idflow.candidate o WHERE o.request OPERATOR(pg_catalog.=) r.id)"
		" AND d.target OPERATOR(pg_catalog.=) $1 AND d.superseded IS NULL"
		" ORDER BY d.seq",
		8, {REGCLASSOID, VIEWER_TYPES, INT8OID}
	};
	MemoryContext caller = CurrentMemoryContext;
	bool		auditor = role_is_auditor(GetUserId());
	Datum		values[9];
	UserSwitch	save;
	SPITupleTable *table;
	uint64		n;
	List	   *changes = NIL;

	values[0] = ObjectIdGetDatum(relid);
	viewer_arguments(&values[1]);
	values[7] = Int64GetDatum(request);
	values[8] = BoolGetDatum(own);

	store_begin(&save);
	n = store_exec(request ? &one_plan : &plan, values, NULL, true);
	table = SPI_tuptable;
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		Change	   *change;
		Viewer		viewer;
		ListCell   *lc;

		SPI_tuptable = table;
		viewer = auditor ? VIEWER_ALL : viewer_by_flags(table->vals[i], CHANGE_NCOLUMNS + 2);
		if (viewer == VIEWER_NONE && !unseen)
			continue;
		change = change_from_row(table, i);
		SPI_tuptable = table;
		foreach(lc, change->count == 1 ? list_make1(change) : unpack(change))
		{
			SeenChange *seen = palloc(sizeof(SeenChange));

			seen->viewer = viewer;
			seen->request = spi_int64(table->vals[i], CHANGE_NCOLUMNS + 1);
			seen->change = lfirst(lc);
			changes = lappend(changes, seen);
		}
	}
	store_end(&save);
	return changes;
}

/*
 * layout_attribute: the attribute that a position of a layout stands for in
 * the relation as it is now; InvalidAttrNumber if it has none any more.  In a
 * restored database columns may have other numbers, and the name decides.
 */
AttrNumber
layout_attribute(Layout *layout, Oid relid, int position)
{
	AttrNumber	attnum = get_attnum(relid, layout->names[position - 1]);

	if (layout->relid == relid && attnum != layout->attnums[position - 1])
		return InvalidAttrNumber;
	return attnum > 0 ? attnum : InvalidAttrNumber;
}

/*
 * Did the requester's statement give this column of an INSERT a value?  Where
 * the statement's columns are not known, a column that has a default may have
 * got its value from that.
 */
static bool
insert_wrote(Change *change, int position)
{
	HeapTuple	tuple;
	bool		fills_itself;
	AttrNumber	attnum;

	if (change->written_known)
		return bms_is_member(position, change->written);

	attnum = layout_attribute(change->layout, change->target, position);
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(change->target), Int16GetDatum(attnum));
	if (!HeapTupleIsValid(tuple))
		return false;
	fills_itself = ((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef ||
		((Form_pg_attribute) GETSTRUCT(tuple))->attidentity != '\0';
	ReleaseSysCache(tuple);
	return !fills_itself;
}

/*
 * What others have put into a draft the requester has not written.  In a new
 * row it is shown to him as the table would show it; where there are policies
 * nobody can say before it is written whether they would show him the row.
 */
static void
others_are_hidden(Change *change, Sight *sight)
{
	int			p = -1;
	bool		hidden = change->others && change->operation == CMD_INSERT &&
		get_rel_name(change->target) != NULL &&
		check_enable_rls(change->target, InvalidOid, true) == RLS_ENABLED &&
		!live_row_visible(change);

	while ((p = bms_next_member(change->others, p)) >= 0)
	{
		sight->written[p] = false;
		if (hidden)
			sight->selectable[p] = false;
	}
}

/*
 * sight_is_narrow: is there a value in a draft that whoever acts may not see,
 * so that an error must not name it?  Who decides sees all; the requester, in
 * whose own transaction it may be written, need not.
 */
bool
sight_is_narrow(Request *req, Change *change)
{
	bool		is_explicit;
	Sight	   *sight;
	int			p = -1;

	if (change->others == NULL || !request_is_of(req, actor_lookup(&is_explicit)))
		return false;
	sight = sight_of_columns(change, VIEWER_OWN);
	while ((p = bms_next_member(change->others, p)) >= 0)
		if (!sight->selectable[p])
			return true;
	return false;
}

/*
 * sight_of_columns: what a viewer may see of a change, in the current memory
 * context, but for whether its row is shown to him: that is for the caller to
 * say, and until then it counts as not shown.
 */
Sight *
sight_of_columns(Change *change, Viewer viewer)
{
	Sight	   *sight = palloc0(sizeof(Sight));
	Layout	   *layout = change->layout;
	bool		exists;
	bool		whole;

	sight->viewer = viewer;
	sight->show = columns_show(change);
	if (viewer != VIEWER_OWN)
		return sight;

	sight->selectable = palloc0((layout->ncolumns + 1) * sizeof(bool));
	sight->written = palloc0((layout->ncolumns + 1) * sizeof(bool));
	exists = get_rel_name(change->target) != NULL;
	whole = exists && pg_class_aclcheck(change->target, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		AttrNumber	attnum = exists ? layout_attribute(layout, change->target, p) : 0;

		if (attnum != InvalidAttrNumber)
			sight->selectable[p] = whole ||
				pg_attribute_aclcheck(change->target, attnum, GetUserId(), ACL_SELECT) == ACLCHECK_OK;

		/*
		 * An UPDATE's new image holds touched columns only: he touched them,
		 * unless it is said which ones he did.
		 */
		if (change->operation == CMD_UPDATE)
			sight->written[p] = !change->written_known || bms_is_member(p, change->written);
		else if (change->operation == CMD_INSERT)
			sight->written[p] = exists && insert_wrote(change, p);
	}
	others_are_hidden(change, sight);
	return sight;
}

/*
 * sight_of: what a viewer may see of a change, in the current memory context.
 */
Sight *
sight_of(Change *change, Viewer viewer)
{
	Sight	   *sight = sight_of_columns(change, viewer);

	/* an INSERT's row is the draft's own, there is none to hide */
	if (viewer == VIEWER_OWN)
		sight->row_visible = get_rel_name(change->target) != NULL &&
			(change->operation == CMD_INSERT || live_row_visible(change));
	return sight;
}

static ColumnShow
shown(Sight *sight, int position)
{
	return sight->show ? sight->show[position] : COLUMN_SHOWN;
}

/* Has the viewer a right to the drafted value, whatever workflows hide? */
static bool
right_to_draft(Sight *sight, int position)
{
	switch (sight->viewer)
	{
		case VIEWER_ALL:
			return true;
		case VIEWER_OWN:
			return sight->written[position] || (sight->selectable[position] && sight->row_visible);
		default:
			return false;
	}
}

/* Has he one to the table's own value? */
static bool
right_to_row(Sight *sight, int position)
{
	switch (sight->viewer)
	{
		case VIEWER_ALL:
			return true;
		case VIEWER_OWN:
			return sight->selectable[position] && sight->row_visible;
		default:
			return false;
	}
}

/* sight_of_draft: may the drafted value at this position be shown? */
bool
sight_of_draft(Sight *sight, int position)
{
	return shown(sight, position) == COLUMN_SHOWN && right_to_draft(sight, position);
}

/* sight_of_row: may the table's own value at this position be shown? */
bool
sight_of_row(Sight *sight, int position)
{
	return shown(sight, position) == COLUMN_SHOWN && right_to_row(sight, position);
}

/* sight_of_masked_draft: may it be shown that there is a drafted value? */
bool
sight_of_masked_draft(Sight *sight, int position)
{
	return shown(sight, position) == COLUMN_MASKED && right_to_draft(sight, position);
}

/* sight_of_masked_row: may it be shown that the table has a value? */
bool
sight_of_masked_row(Sight *sight, int position)
{
	return shown(sight, position) == COLUMN_MASKED && right_to_row(sight, position);
}

/*
 * idflow.change_image(request, seq, part): an image of a change as jsonb; part
 * is key, old or new.  Columns that the one who asks may not see are left out;
 * null if none is left.
 */
Datum
idflow_change_image(PG_FUNCTION_ARGS)
{
	char	   *part = text_to_cstring(PG_GETARG_TEXT_PP(2));
	bool		want_key = strcmp(part, "key") == 0;
	bool		want_old = strcmp(part, "old") == 0;
	bool		want_new = strcmp(part, "new") == 0;
	List	   *changes;
	Change	   *change;
	Sight	   *sight;
	Viewer		viewer;
	Image	   *image;
	List	   *positions = NIL;
	List	   *values = NIL;
	Datum		result;

	if (!want_key && !want_old && !want_new)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown part of a change: \"%s\"", part),
				 errhint("The parts are key, old and new.")));

	viewer = viewer_of(PG_GETARG_INT64(0));
	if (viewer == VIEWER_NONE || PG_GETARG_INT32(1) == 0)
		PG_RETURN_NULL();
	changes = reading_changes(PG_GETARG_INT64(0), PG_GETARG_INT32(1));
	if (changes == NIL)
		PG_RETURN_NULL();
	change = linitial(changes);
	image = want_key ? change->key : want_old ? change->old_image : change->new_image;
	if (image == NULL)
		PG_RETURN_NULL();

	sight = sight_of(change, viewer);
	for (int p = 1; p <= change->layout->ncolumns; p++)
	{
		bool		found;
		bool		in_key = false;
		bool		from_row;
		const char *value = image_value(image, p, &found);

		/* an UPDATE's image holds touched columns; say of which row, too */
		if (!found && change->operation == CMD_UPDATE)
		{
			value = image_value(change->key, p, &found);
			in_key = found;
		}
		if (!found)
			continue;
		from_row = want_old || in_key || (want_key && change->operation != CMD_INSERT);
		if (from_row ? sight_of_masked_row(sight, p) : sight_of_masked_draft(sight, p))
		{
			positions = lappend_int(positions, p);
			values = lappend(values, value ? unconstify(char *, &column_mask[0]) : NULL);
		}
		else if (from_row ? sight_of_row(sight, p) : sight_of_draft(sight, p))
		{
			positions = lappend_int(positions, p);
			values = lappend(values, unconstify(char *, value));
		}
	}
	result = json_of_positions(change->layout, positions, values);
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/*
 * value_read: a value of a type from its text; NULL, or the error if the type
 * takes it no more, in the current memory context.  While a parallel plan runs
 * that error is raised.
 */
ErrorData *
value_read(Oid type, int32 typmod, const char *text, Datum *value)
{
	Oid			input;
	Oid			ioparam;
	SubXact		sub;
	ErrorData  *volatile error = NULL;

	getTypeInputInfo(type, &input, &ioparam);
	/* built-in types don't change; a parallel plan has no subtransactions */
	if (type < FirstNormalObjectId || IsInParallelMode())
	{
		*value = OidInputFunctionCall(input, unconstify(char *, text), ioparam, typmod);
		return NULL;
	}
	subxact_begin(&sub);
	PG_TRY();
	{
		*value = OidInputFunctionCall(input, unconstify(char *, text), ioparam, typmod);
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		error = subxact_error(&sub);
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

/*
 * drafted_value: what a draft has for a column, from its text, as a value of a
 * type; false, and a warning that names the request, if the type takes that no
 * more, as after ALTER TYPE ... RENAME VALUE.  So what one request has drafted
 * doesn't keep anybody from seeing the others'.
 */
bool
drafted_value(int64 request, Form_pg_attribute att, Oid type, int32 typmod, const char *text, Datum *value)
{
	ErrorData  *error = value_read(type, typmod, text, value);

	if (error == NULL)
		return true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("column \"%s\" of request " INT64_FORMAT " is shown as null", NameStr(att->attname), request),
			 errdetail("Its type takes what was drafted no more: %s", error->message),
			 errhint("Put in what it is now with idflow.save(), or withdraw the request.")));
	FreeErrorData(error);
	return false;
}
