/*-------------------------------------------------------------------------
 *
 * change.c
 *	  Drafted row operations as they are stored in idflow.change_data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "change.h"
#include "compact.h"
#include "heapstore.h"
#include "history.h"
#include "idflow.h"
#include "pack.h"

/* Columns of idflow.change_data. */
enum
{
	CH_REQUEST = 1,
	CH_SEQ,
	CH_COUNT,
	CH_REVISION,
	CH_TARGET,
	CH_TARGET_NAME,
	CH_OPERATION,
	CH_LAYOUT,
	CH_GATES,
	CH_KEY_COLUMNS,
	CH_KEY,
	CH_KEY_HASH,
	CH_OLD_COLUMNS,
	CH_OLD_IMAGE,
	CH_NEW_COLUMNS,
	CH_NEW_IMAGE,
	CH_WRITTEN,
	CH_HELD,
	CH_SUPERSEDED,
	CH_SALT,
	CH_CONTEXT,
	CH_BASE_XID,
	CH_BASE_FILE,
	CH_BASED_AT,
	CH_OTHERS,
	CH_NESTED
};

static StoreTable change_table = {"change_data"};

static StorePlan update_change = {
	"UPDATE ONLY idflow.change_data SET (revision, key_columns, key, old_columns, old_image,"
	" new_columns, new_image, written, gates, key_hash, base_xid, base_file, based_at, others)"
	" = ROW ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	16, {INT8OID, INT4OID, INT4OID, INT2ARRAYOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID,
	INT2ARRAYOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID, INT8OID, INT8OID, OIDOID, TIMESTAMPTZOID,
	INT2ARRAYOID}
};

static StorePlan update_held = {
	"UPDATE ONLY idflow.change_data SET held = $3"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	3, {INT8OID, INT4OID, INT8ARRAYOID}
};

static StorePlan supersede_change = {
	"UPDATE ONLY idflow.change_data SET superseded = $3"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	3, {INT8OID, INT4OID, INT4OID}
};

static StorePlan update_gates = {
	"UPDATE ONLY idflow.change_data SET gates = $3"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	3, {INT8OID, INT4OID, TEXTARRAYOID}
};

static StorePlan delete_change = {
	"DELETE FROM ONLY idflow.change_data"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	2, {INT8OID, INT4OID}
};

/* changes of a request on one row: same target, same key */
static StorePlan select_changes_on_row = {
	"SELECT seq FROM ONLY idflow.change_data WHERE request OPERATOR(pg_catalog.=) $1 AND superseded IS NULL"
	" AND target OPERATOR(pg_catalog.=) $2 AND key OPERATOR(pg_catalog.=) $3"
	" AND key_hash OPERATOR(pg_catalog.=) $4 ORDER BY seq",
	4, {INT8OID, REGCLASSOID, TEXTARRAYOID, INT8OID}
};

/* positions as int2[], or null if they are not known */
static Datum
positions_datum(Bitmapset *positions, bool known, char *isnull)
{
	Datum	   *values;
	int			n = 0;
	int			position = -1;

	if (!known)
	{
		*isnull = 'n';
		return (Datum) 0;
	}
	*isnull = ' ';
	values = palloc(Max(bms_num_members(positions), 1) * sizeof(Datum));
	while ((position = bms_next_member(positions, position)) >= 0)
		values[n++] = Int16GetDatum(position);
	return PointerGetDatum(construct_array(values, n, INT2OID, 2, true, TYPALIGN_SHORT));
}

static void
set_image(StoreRow *row, AttrNumber columns, AttrNumber image_column, Image *image)
{
	char		columns_null;
	char		image_null;

	image_to_datums(image, &row->values[columns - 1], &columns_null,
					&row->values[image_column - 1], &image_null);
	row->nulls[columns - 1] = columns_null == 'n';
	row->nulls[image_column - 1] = image_null == 'n';
}

/*
 * Sixteen random bytes.  They are drawn from the system in larger portions,
 * since a call costs more than the bytes.
 */
static bytea *
make_salt(void)
{
	static char pool[512];
	static size_t used = sizeof(pool);
	bytea	   *salt = palloc(VARHDRSZ + 16);

	if (used >= sizeof(pool))
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random bytes")));
		used = 0;
	}
	SET_VARSIZE(salt, VARHDRSZ + 16);
	memcpy(VARDATA(salt), pool + used, 16);
	used += 16;
	return salt;
}

/* the digests of the keys that a change holds, as bigint[] */
static Datum
held_datum(Change *change)
{
	Datum	   *values = palloc(Max(change->nheld, 1) * sizeof(Datum));

	for (int i = 0; i < change->nheld; i++)
		values[i] = Int64GetDatum(change->held[i]);
	return PointerGetDatum(construct_array(values, change->nheld, INT8OID, 8, FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static void
read_held(Change *change, StoreRow *row)
{
	Datum	   *values;
	bool	   *nulls;

	change->held = NULL;
	change->nheld = 0;
	if (row->nulls[CH_HELD - 1])
		return;
	deconstruct_array(DatumGetArrayTypeP(row->values[CH_HELD - 1]), INT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &values, &nulls, &change->nheld);
	change->held = palloc(Max(change->nheld, 1) * sizeof(int64));
	for (int i = 0; i < change->nheld; i++)
		change->held[i] = DatumGetInt64(values[i]);
}

/* next_change: the number of the next change of a request. */
int
next_change(Request *req)
{
	if (req->nchanges >= MAX_CHANGES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("request " INT64_FORMAT " has more than %d changes", req->id, MAX_CHANGES),
				 errhint("Make several requests of them.")));
	return ++req->nchanges;
}

/*
 * change_number: give a change of a request its number, its salt and the
 * settings of the moment, in the current memory context.
 */
void
change_number(Request *req, Change *change)
{
	change->seq = next_change(req);
	change->revision = req->revision;
	change->salt = make_salt();
	if (change->context == NIL)
		change->context = request_context();
}

/* change_add: make a change one of a request's. */
void
change_add(Request *req, Change *change)
{
	change_number(req, change);
	req->changes = lappend(req->changes, change);
}

/*
 * change_store: store a new change.
 */
void
change_store(Request *req, Change *change)
{
	StoreRow	row;
	char		isnull;

	row_clear(&row);
	row_set(&row, CH_REQUEST, Int64GetDatum(req->id));
	row_set(&row, CH_SEQ, Int32GetDatum(change->seq));
	row_set(&row, CH_COUNT, Int32GetDatum(Max(change->count, 1)));
	row_set(&row, CH_REVISION, Int32GetDatum(change->revision));
	row_set(&row, CH_TARGET, ObjectIdGetDatum(change->target));
	row_set_text(&row, CH_TARGET_NAME, change->target_name);
	row_set_text(&row, CH_OPERATION, operation_name(change->operation));
	row_set(&row, CH_LAYOUT, Int64GetDatum(change->layout->id));
	row_set(&row, CH_GATES, text_array_datum(change->gates));
	set_image(&row, CH_KEY_COLUMNS, CH_KEY, change->key);
	if (change->key)
		row_set(&row, CH_KEY_HASH, Int64GetDatum(text_array_hash(row.values[CH_KEY - 1])));
	set_image(&row, CH_OLD_COLUMNS, CH_OLD_IMAGE, change->old_image);
	set_image(&row, CH_NEW_COLUMNS, CH_NEW_IMAGE, change->new_image);
	if (change->count > 1)
	{
		if (change->key_positions)
			row_set(&row, CH_KEY_COLUMNS, positions_datum(change->key_positions, true, &isnull));
		row_set(&row, CH_NEW_IMAGE, change->rows);
	}
	row.values[CH_WRITTEN - 1] = positions_datum(change->written, change->written_known, &isnull);
	row.nulls[CH_WRITTEN - 1] = isnull == 'n';
	row.values[CH_OTHERS - 1] = positions_datum(change->others, change->others != NULL, &isnull);
	row.nulls[CH_OTHERS - 1] = isnull == 'n';
	row_set(&row, CH_SALT, PointerGetDatum(change->salt));
	row_set(&row, CH_CONTEXT, text_array_datum(change->context));
	if (change->nheld > 0)
		row_set(&row, CH_HELD, held_datum(change));
	if (TransactionIdIsValid(change->base_xid))
	{
		row_set(&row, CH_BASE_XID, Int64GetDatum((int64) change->base_xid));
		row_set(&row, CH_BASE_FILE, ObjectIdGetDatum(change->base_file));
	}
	if (change->based_at)
		row_set(&row, CH_BASED_AT, TimestampTzGetDatum(change->based_at));
	if (change->nested)
		row_set(&row, CH_NESTED, BoolGetDatum(true));
	store_insert(&change_table, &row);
	change->stored = true;
}

/*
 * change_store_held: store which keys a change holds, if it is stored itself;
 * else change_store() will.
 */
void
change_store_held(Request *req, Change *change)
{
	Datum		values[3];
	UserSwitch	save;

	if (!change->stored)
		return;
	unpack_stored(req, change->seq);
	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(change->seq);
	values[2] = held_datum(change);
	store_begin(&save);
	store_exec(&update_held, values, NULL, false);
	store_end(&save);
}

/*
 * changes_held: the keys that a request's changes hold, or with a number other
 * than 0 one of them, as a List of Change of which seq and held are set.  Reads
 * nothing else, so that a request can be ended whatever became of its drafts.
 */
List *
changes_held(Request *req, int seq)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, req->changes)
		if (seq == 0 || ((Change *) lfirst(lc))->seq == seq)
			result = lappend(result, lfirst(lc));
	if (req->changes_loaded)
		return result;
	foreach(lc, store_scan(&change_table, req->id))
	{
		StoreRow   *row = lfirst(lc);
		Change	   *change = palloc0(sizeof(Change));

		change->seq = DatumGetInt32(row->values[CH_SEQ - 1]);
		read_held(change, row);
		if (row->nulls[CH_SUPERSEDED - 1] && (seq == 0 || change->seq == seq))
			result = lappend(result, change);
	}
	return result;
}

/*
 * change_update: store an edited change.
 */
void
change_update(Request *req, Change *change)
{
	Datum		values[16];
	char		nulls[17];
	UserSwitch	save;

	if (change->count > 1)
		elog(ERROR, "the rows of a pack are edited one by one");
	unpack_stored(req, change->seq);
	memset(nulls, ' ', sizeof(nulls));
	store_begin(&save);
	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(change->seq);
	values[2] = Int32GetDatum(change->revision);
	image_to_datums(change->key, &values[3], &nulls[3], &values[4], &nulls[4]);
	image_to_datums(change->old_image, &values[5], &nulls[5], &values[6], &nulls[6]);
	image_to_datums(change->new_image, &values[7], &nulls[7], &values[8], &nulls[8]);
	values[9] = positions_datum(change->written, change->written_known, &nulls[9]);
	values[10] = text_array_datum(change->gates);
	nulls[11] = nulls[4];
	values[11] = change->key ? Int64GetDatum(text_array_hash(values[4])) : (Datum) 0;
	values[12] = Int64GetDatum((int64) change->base_xid);
	values[13] = ObjectIdGetDatum(change->base_file);
	nulls[12] = nulls[13] = TransactionIdIsValid(change->base_xid) ? ' ' : 'n';
	values[14] = TimestampTzGetDatum(change->based_at);
	nulls[14] = change->based_at ? ' ' : 'n';
	values[15] = positions_datum(change->others, change->others != NULL, &nulls[15]);
	store_exec(&update_change, values, nulls, false);
	store_end(&save);
}

/*
 * change_update_gates: store which gates hold a change, or a pack of them.
 */
void
change_update_gates(Request *req, Change *change)
{
	Datum		values[3];
	UserSwitch	save;

	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(change->pack ? change->pack->seq : change->seq);
	values[2] = text_array_datum(change->gates);
	store_begin(&save);
	store_exec(&update_gates, values, NULL, false);
	store_end(&save);
}

/*
 * change_drop: a change, named by its number, is not to be written any more;
 * its row stays for the record.
 */
void
change_drop(Request *req, int seq)
{
	Datum		values[3];
	UserSwitch	save;
	ListCell   *lc;

	unpack_stored(req, seq);
	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(seq);
	values[2] = Int32GetDatum(req->revision);
	store_begin(&save);
	store_exec(&supersede_change, values, NULL, false);
	store_end(&save);
	pending_keys_drop(req, seq);
	foreach(lc, req->changes)
		if (((Change *) lfirst(lc))->seq == seq)
			req->changes = foreach_delete_current(req->changes, lc);
}

static CmdType
operation_of(const char *name)
{
	return name[0] == 'I' ? CMD_INSERT : name[0] == 'U' ? CMD_UPDATE : CMD_DELETE;
}

static Image *
image_of(StoreRow *row, AttrNumber columns, AttrNumber image)
{
	return image_from_arrays(row->values[columns - 1], row->nulls[columns - 1],
							 row->values[image - 1], row->nulls[image - 1]);
}

/*
 * positions_of: the positions in an int2[], in the current memory context.
 */
Bitmapset *
positions_of(Datum array)
{
	Datum	   *values;
	int			n;
	Bitmapset  *result = NULL;

	deconstruct_array(DatumGetArrayTypeP(array), INT2OID, 2, true, TYPALIGN_SHORT,
					  &values, NULL, &n);
	for (int i = 0; i < n; i++)
		result = bms_add_member(result, DatumGetInt16(values[i]));
	return result;
}

static Change *
change_from_row(StoreRow *row)
{
	Change	   *change = palloc0(sizeof(Change));

	change->seq = DatumGetInt32(row->values[CH_SEQ - 1]);
	change->count = DatumGetInt32(row->values[CH_COUNT - 1]);
	change->revision = DatumGetInt32(row->values[CH_REVISION - 1]);
	change->target = DatumGetObjectId(row->values[CH_TARGET - 1]);
	change->target_name = TextDatumGetCString(row->values[CH_TARGET_NAME - 1]);
	change->operation = operation_of(TextDatumGetCString(row->values[CH_OPERATION - 1]));
	change->gates = text_array_list(row->values[CH_GATES - 1]);
	if (change->count > 1)
	{
		if (!row->nulls[CH_KEY_COLUMNS - 1])
			change->key_positions = positions_of(row->values[CH_KEY_COLUMNS - 1]);
		change->rows = row->values[CH_NEW_IMAGE - 1];
	}
	else
	{
		change->key = image_of(row, CH_KEY_COLUMNS, CH_KEY);
		change->old_image = image_of(row, CH_OLD_COLUMNS, CH_OLD_IMAGE);
		change->new_image = image_of(row, CH_NEW_COLUMNS, CH_NEW_IMAGE);
	}
	change->written_known = !row->nulls[CH_WRITTEN - 1];
	if (change->written_known)
		change->written = positions_of(row->values[CH_WRITTEN - 1]);
	if (!row->nulls[CH_OTHERS - 1])
		change->others = positions_of(row->values[CH_OTHERS - 1]);
	change->nested = !row->nulls[CH_NESTED - 1];
	read_held(change, row);
	change->stored = true;
	if (!row->nulls[CH_SALT - 1])
		change->salt = DatumGetByteaP(row->values[CH_SALT - 1]);
	if (!row->nulls[CH_CONTEXT - 1])
		change->context = text_array_list(row->values[CH_CONTEXT - 1]);
	if (!row->nulls[CH_BASE_XID - 1])
	{
		change->base_xid = (TransactionId) DatumGetInt64(row->values[CH_BASE_XID - 1]);
		change->base_file = DatumGetObjectId(row->values[CH_BASE_FILE - 1]);
	}
	if (!row->nulls[CH_BASED_AT - 1])
		change->based_at = DatumGetTimestampTz(row->values[CH_BASED_AT - 1]);
	change->layout = layout_by_id(DatumGetInt64(row->values[CH_LAYOUT - 1]));
	return change;
}

static void
add_stored(Request *req, StoreRow *row)
{
	if (row->nulls[CH_SUPERSEDED - 1])
		req->changes = lappend(req->changes, change_from_row(row));
}

/* Of so many changes it doesn't matter what memory they take. */
#define FEW_CHANGES	16

/* The changes of a request being read. */
typedef struct Reading
{
	Request    *req;
	bool		any;			/* there are rows, be they of no account any more */
	MemoryContext scratch;		/* of what is left over of a row; NULL: few so far */
} Reading;

/* One more: where there are many, in as little memory as it takes. */
static void
read_stored(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Reading    *reading = (Reading *) arg;
	Request    *req = reading->req;
	MemoryContext oldcxt;
	StoreRow	row;

	reading->any = true;
	if (list_length(req->changes) < FEW_CHANGES)
	{
		add_stored(req, row_of_tuple(tuple, desc));
		return;
	}
	if (reading->scratch == NULL)
		reading->scratch = AllocSetContextCreate(CurrentMemoryContext, "idflow change", ALLOCSET_DEFAULT_SIZES);
	row_clear(&row);
	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	if (row.nulls[CH_SUPERSEDED - 1])
	{
		Change	   *change;

		oldcxt = MemoryContextSwitchTo(reading->scratch);
		change = change_from_row(&row);
		MemoryContextSwitchTo(oldcxt);
		req->changes = lappend(req->changes, change_compact(change, (Change *) llast(req->changes)));
		MemoryContextReset(reading->scratch);
	}
}

/*
 * request_stored: the changes of a request that are to be written, in order, as
 * they are stored: a pack counts as one.
 */
List *
request_stored(Request *req)
{
	Reading		reading = {0};
	ListCell   *lc;

	if (req->changes_loaded)
		return req->changes;
	reading.req = req;
	store_scan_each(&change_table, req->id, read_stored, &reading);
	if (reading.scratch)
		MemoryContextDelete(reading.scratch);
	/* those of a closed one may be history */
	if (!reading.any && req->nchanges > 0 && request_is_closed(req))
		foreach(lc, history_rows(req->id))
			add_stored(req, (StoreRow *) lfirst(lc));
	req->changes_loaded = true;
	return req->changes;
}

/*
 * request_changes: the same, and each row of a pack is a change.  For who needs
 * them all at hand; who doesn't goes through them with changes_begin().
 */
List *
request_changes(Request *req)
{
	List	   *result = NIL;
	bool		packed = false;
	ListCell   *lc;

	foreach(lc, request_stored(req))
		packed |= ((Change *) lfirst(lc))->count > 1;
	if (!packed)
		return req->changes;
	foreach(lc, req->changes)
	{
		Change	   *change = lfirst(lc);

		result = change->count > 1 ? list_concat(result, unpack(change)) : lappend(result, change);
	}
	req->changes = result;
	return result;
}

/*
 * change_replace: store the rows of a pack in its place.
 */
void
change_replace(Request *req, Change *pack, List *rows)
{
	Datum		values[2];
	UserSwitch	save;
	ListCell   *lc;

	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(pack->seq);
	store_begin(&save);
	store_exec(&delete_change, values, NULL, false);
	store_end(&save);
	foreach(lc, rows)
		change_store(req, lfirst(lc));
}

/*
 * changes_on_row: the changes of a request on the row that another change is
 * about.
 */
List *
changes_on_row(Request *req, Change *like)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[4];
	Datum		columns;
	char		nulls[2];
	UserSwitch	save;
	List	   *seqs = NIL;
	List	   *result = NIL;
	ListCell   *lc;
	int			n;

	if (like->key == NULL)
		return NIL;
	values[0] = Int64GetDatum(req->id);
	values[1] = ObjectIdGetDatum(like->target);
	image_to_datums(like->key, &columns, &nulls[0], &values[2], &nulls[1]);
	values[3] = Int64GetDatum(text_array_hash(values[2]));
	store_begin(&save);
	n = store_exec(&select_changes_on_row, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		int			seq = spi_int32(SPI_tuptable->vals[i], 1);
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		seqs = lappend_int(seqs, seq);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);

	if (seqs == NIL)
		return NIL;
	foreach(lc, request_changes(req))
		if (list_member_int(seqs, ((Change *) lfirst(lc))->seq))
			result = lappend(result, lfirst(lc));
	return result;
}
