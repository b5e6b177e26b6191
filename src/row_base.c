/*-------------------------------------------------------------------------
 *
 * row_base.c
 *	  The row that a draft is based on, and what has become of it.
 *
 * A row is known by its key, and a key may have gone over to another row: the
 * draft must not be written to that, however alike the two are.  PostgreSQL
 * gives rows no identity, so two things are looked at.  A version that some
 * UPDATE has made bears a mark; one without it was inserted, and if that was
 * not the draft's base, it is another row.  And idflow knows from its own
 * requests which rows have got another key.
 *
 * What neither tells is taken as before: the row is the one that has the key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "heapstore.h"
#include "idflow.h"
#include "reading.h"

/* A row with this key was given another by a request that is written. */
static StorePlan select_move = {
	"SELECT d.layout, d.new_columns, d.new_image, COALESCE(r.closed_at, pg_catalog.clock_timestamp())"
	" FROM idflow.change_data d"
	" JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) d.request"
	" WHERE d.key_hash OPERATOR(pg_catalog.=) $1 AND d.key OPERATOR(pg_catalog.=) $2"
	" AND d.target OPERATOR(pg_catalog.=) $3 AND d.operation OPERATOR(pg_catalog.=) 'UPDATE'"
	" AND d.superseded IS NULL AND r.persisted AND r.id OPERATOR(pg_catalog.<>) $4"
	" AND d.new_columns OPERATOR(pg_catalog.&&) d.key_columns"
	" AND (r.closed_at IS NULL OR r.closed_at OPERATOR(pg_catalog.>=) $5)"
	" ORDER BY r.closed_at, d.seq LIMIT 1",
	5, {INT8OID, TEXTARRAYOID, REGCLASSOID, INT8OID, TIMESTAMPTZOID}
};

/*
 * row_base_note: a change of rel is drafted upon a row of it: note which
 * version of the row that is.
 */
void
row_base_note(Change *change, Relation rel, TupleTableSlot *old)
{
	HeapTuple	tuple;

	change->based_at = GetCurrentTimestamp();
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return;
	tuple = ExecFetchSlotHeapTuple(old, false, NULL);
	change->base_xid = HeapTupleHeaderGetRawXmin(tuple->t_data);
	change->base_file = rel->rd_rel->relfilenode;
}

/* The version of a row at its place, in a slot; NULL if it can't be told. */
static TupleTableSlot *
fetch_version(HeapTuple live, Relation *leaf)
{
	TupleTableSlot *slot = NULL;

	*leaf = table_open(live->t_tableOid, AccessShareLock);
	if ((*leaf)->rd_rel->relam == HEAP_TABLE_AM_OID)
	{
		slot = table_slot_create(*leaf, NULL);
		if (!table_tuple_fetch_row_version(*leaf, &live->t_self, SnapshotAny, slot))
		{
			ExecDropSingleTupleTableSlot(slot);
			slot = NULL;
		}
	}
	return slot;
}

/*
 * row_base_renew: a draft is based on the row as it is now, which row_find()
 * or row_base() has found.
 */
void
row_base_renew(Change *change, HeapTuple live)
{
	Relation	leaf;
	TupleTableSlot *slot = fetch_version(live, &leaf);

	change->base_xid = InvalidTransactionId;
	change->fate = ROW_THERE;
	if (slot)
	{
		row_base_note(change, leaf, slot);
		ExecDropSingleTupleTableSlot(slot);
	}
	change->based_at = GetCurrentTimestamp();
	table_close(leaf, NoLock);
}

/*
 * Whether another row has the key: one that was inserted since.  A table whose
 * rows have been written anew, by VACUUM FULL or ALTER TABLE, tells nothing.
 */
static bool
is_recreated(Change *change, HeapTuple live)
{
	Relation	leaf;
	TupleTableSlot *slot;
	bool		result = false;

	/* in another database these numbers mean nothing */
	if (!TransactionIdIsValid(change->base_xid) || !OidIsValid(change->layout->relid))
		return false;
	slot = fetch_version(live, &leaf);
	if (slot)
	{
		HeapTupleHeader header = ExecFetchSlotHeapTuple(slot, false, NULL)->t_data;

		result = leaf->rd_rel->relfilenode == change->base_file &&
			!(header->t_infomask & HEAP_UPDATED) &&
			HeapTupleHeaderGetRawXmin(header) != change->base_xid;
		ExecDropSingleTupleTableSlot(slot);
	}
	table_close(leaf, NoLock);
	return result;
}

/*
 * The key that the row was given since, in the current memory context; NULL if
 * it was given none that is known.  *since is when, and is set to when that was.
 */
static Image *
moved_key(int64 request, Change *change, TimestampTz *since, bool read_only)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[5];
	Datum		columns;
	char		nulls[2];
	UserSwitch	save;
	Image	   *result = NULL;

	image_to_datums(change->key, &columns, &nulls[0], &values[1], &nulls[1]);
	values[0] = Int64GetDatum(text_array_hash(values[1]));
	values[2] = ObjectIdGetDatum(change->target);
	values[3] = Int64GetDatum(request);
	values[4] = TimestampTzGetDatum(*since);
	store_begin(&save);
	if (store_exec(&select_move, values, NULL, read_only) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		Layout	   *layout = layout_by_id(spi_int64(row, 1));
		bool		columns_null;
		bool		image_null;
		Datum		new_columns = spi_datum(row, 2, &columns_null);
		Datum		new_image = spi_datum(row, 3, &image_null);
		Image	   *image;
		MemoryContext spicxt;
		bool		isnull;

		*since = DatumGetTimestampTz(spi_datum(row, 4, &isnull));
		spicxt = MemoryContextSwitchTo(cxt);
		image = image_from_arrays(new_columns, columns_null, new_image, image_null);
		result = image_copy(change->key);
		for (int i = 0; i < result->n; i++)
		{
			const char *name = change->layout->names[result->columns[i] - 1];

			for (int k = 0; k < image->n; k++)
				if (strcmp(layout->names[image->columns[k] - 1], name) == 0)
					result->values[i] = image->values[k] ? pstrdup(image->values[k]) : NULL;
		}
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return result;
}

/*
 * row_base: the row that an UPDATE or DELETE is about, as it is now and locked,
 * as row_find() gives it; change->fate says what has become of it.  A row that
 * has another key by now is followed, and that is the change's key then; if
 * another row has the key, that is returned.
 */
HeapTuple
row_base(Request *req, Change *change, Relation rel)
{
	Image	   *key = change->key;
	TimestampTz since = change->based_at ? change->based_at : req->opened_at;
	HeapTuple	found = row_find(rel, change, true);
	HeapTuple	live = found;
	int			moves = 0;

	if (key == NULL || (live && !is_recreated(change, live)))
	{
		/* it may have been followed before */
		if (live == NULL || change->fate != ROW_MOVED)
			change->fate = live ? ROW_THERE : ROW_DELETED;
		return live;
	}
	for (live = NULL; live == NULL && moves < 100; moves++)
	{
		Image	   *next = moved_key(req->id, change, &since, false);

		if (next == NULL)
			break;
		change->key = next;
		live = row_find(rel, change, true);
		/* nor is that the row, if it was inserted */
		if (live && is_recreated(change, live))
			live = NULL;
	}
	if (live)
	{
		change->fate = ROW_MOVED;
		return live;
	}
	change->key = key;
	change->fate = found ? ROW_RECREATED : ROW_DELETED;
	return found;
}

/*
 * row_base_values: for readers, as live_values() and with the key that the row
 * has by now: the row that a change of a request is about.
 */
char **
row_base_values(int64 request, Change *change, bool *exists)
{
	char	  **values = live_values(change, exists);
	TimestampTz since = change->based_at;
	Change		moved = *change;

	for (int moves = 0; !*exists && change->operation != CMD_INSERT && change->key && since && moves < 100; moves++)
	{
		moved.key = moved_key(request, &moved, &since, true);
		if (moved.key == NULL)
			break;
		values = live_values(&moved, exists);
	}
	return values;
}

/* row_fate_name: the word for it; NULL for a row that is simply there. */
const char *
row_fate_name(RowFate fate)
{
	static const char *const names[] = {NULL, "moved", "recreated", "deleted"};

	return names[fate];
}

/*
 * row_fates: what has become of the rows of a request's changes, where they
 * are not simply there, as members of a JSON object; "" if all are.  No key is
 * told: images are blanked one day, events aren't.
 */
const char *
row_fates(Request *req)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, request_stored(req))
	{
		Change	   *change = lfirst(lc);

		if (change->fate != ROW_THERE)
			appendStringInfo(&buf, "%s\"%d\": \"%s\"", buf.len > 0 ? ", " : "",
							 change->seq, row_fate_name(change->fate));
	}
	return buf.data;
}
