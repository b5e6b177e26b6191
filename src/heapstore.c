/*-------------------------------------------------------------------------
 *
 * heapstore.c
 *	  Writing idflow's own rows without a statement.
 *
 * The path from an INSERT to a request and from an approval to its commit
 * writes a dozen small rows.  Starting and ending an executor for each costs
 * more than the rows, so they go straight to the heap and its B-trees, as the
 * system catalogs do.  What the executor would see to is seen to here: read-only
 * transactions are refused and partial indexes honoured.  NOT NULL and CHECK
 * are the callers' to keep; the tables are written by this library alone.
 *
 * Rows are updated and deleted only under the lock of their request, so no
 * other transaction can be at them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "heapstore.h"
#include "probe.h"

/* Tables in use.  One callback serves all: PostgreSQL has room for ten. */
static StoreTable *tables = NULL;
static bool callback_registered = false;

static void
store_relcache_callback(Datum arg, Oid relid)
{
	for (StoreTable *table = tables; table; table = table->next)
		if (!OidIsValid(relid) || relid == table->relid)
			table->valid = false;
}

/*
 * The only partial indexes on idflow's tables ask whether a column is null.
 */
static void
read_predicate(StoreIndex *index)
{
	List	   *predicate = index->info->ii_Predicate;
	NullTest   *test;

	index->not_null = index->null = 0;
	if (predicate == NIL)
		return;
	test = linitial(predicate);
	if (list_length(predicate) != 1 || !IsA(test, NullTest) || !IsA(test->arg, Var))
		elog(ERROR, "unexpected predicate of index %u", index->indexid);
	if (test->nulltesttype == IS_NULL)
		index->null = ((Var *) test->arg)->varattno;
	else
		index->not_null = ((Var *) test->arg)->varattno;
}

/*
 * Open a table, reading up on its indexes if that isn't done.
 */
static Relation
store_open_to_read(StoreTable *table)
{
	Relation	rel;
	ListCell   *lc;
	MemoryContext oldcxt;

	if (!table->valid)
	{
		if (!callback_registered)
		{
			CacheRegisterRelcacheCallback(store_relcache_callback, (Datum) 0);
			callback_registered = true;
		}
		if (table->context == NULL)
		{
			table->context = AllocSetContextCreate(TopMemoryContext, "idflow table",
												   ALLOCSET_SMALL_SIZES);
			table->next = tables;
			tables = table;
		}
		table->relid = extension_relid(table->name);
	}
	rel = table_open(table->relid, RowExclusiveLock);
	if (table->valid)
		return rel;

	MemoryContextReset(table->context);
	table->nindexes = 0;
	table->pkey = primary_key_index(rel);
	oldcxt = MemoryContextSwitchTo(table->context);
	foreach(lc, RelationGetIndexList(rel))
	{
		StoreIndex *index = &table->indexes[table->nindexes];
		Relation	index_rel = index_open(lfirst_oid(lc), RowExclusiveLock);

		if (table->nindexes >= STORE_MAX_INDEXES)
			elog(ERROR, "table \"idflow.%s\" has too many indexes", table->name);
		index->indexid = lfirst_oid(lc);
		index->info = BuildIndexInfo(index_rel);
		index_close(index_rel, NoLock);
		if (index->info->ii_Expressions != NIL)
			elog(ERROR, "table \"idflow.%s\" has an index over an expression", table->name);
		read_predicate(index);
		table->nindexes++;
	}
	MemoryContextSwitchTo(oldcxt);
	if (RelationGetDescr(rel)->natts > STORE_MAX_COLUMNS)
		elog(ERROR, "table \"idflow.%s\" has too many columns", table->name);
	table->valid = true;
	return rel;
}

/* Open a table for writing. */
static Relation
store_open(StoreTable *table)
{
	if (XactReadOnly)
		PreventCommandIfReadOnly("a workflow's change");
	return store_open_to_read(table);
}

/*
 * Open an index of a table that is open.  No lock of its own is needed: nobody
 * drops or rebuilds an index while we hold its table's.
 */
static Relation
open_index(Oid indexid)
{
	Relation	index = RelationIdGetRelation(indexid);

	if (!RelationIsValid(index))
		elog(ERROR, "could not open index %u", indexid);
	return index;
}

void
row_clear(StoreRow *row)
{
	memset(row->nulls, true, sizeof(row->nulls));
	memset(row->values, 0, sizeof(row->values));
}

void
row_set(StoreRow *row, AttrNumber column, Datum value)
{
	row->values[column - 1] = value;
	row->nulls[column - 1] = false;
}

void
row_set_text(StoreRow *row, AttrNumber column, const char *text)
{
	if (text)
		row_set(row, column, CStringGetTextDatum(text));
}

/* row_set_binding: a binding of principal.c, null for none. */
void
row_set_binding(StoreRow *row, AttrNumber column, int64 binding)
{
	if (binding)
		row_set(row, column, Int64GetDatum(binding));
}

/* row_of_tuple: the row in a copy of a tuple, in the current memory context. */
StoreRow *
row_of_tuple(HeapTuple tuple, TupleDesc desc)
{
	StoreRow   *row = palloc(sizeof(StoreRow));

	row_clear(row);
	heap_deform_tuple(heap_copytuple(tuple), desc, row->values, row->nulls);
	return row;
}

static void
insert_index_entries(StoreTable *table, Relation rel, ItemPointer tid, StoreRow *row)
{
	for (int i = 0; i < table->nindexes; i++)
	{
		StoreIndex *index = &table->indexes[i];
		IndexInfo  *info = index->info;
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];
		Relation	index_rel;

		if ((index->not_null && row->nulls[index->not_null - 1]) ||
			(index->null && !row->nulls[index->null - 1]))
			continue;
		for (int k = 0; k < info->ii_NumIndexAttrs; k++)
		{
			values[k] = row->values[info->ii_IndexAttrNumbers[k] - 1];
			nulls[k] = row->nulls[info->ii_IndexAttrNumbers[k] - 1];
		}

		index_rel = open_index(index->indexid);
		index_insert(index_rel, values, nulls, tid, rel,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
		RelationClose(index_rel);
	}
}

void
store_insert(StoreTable *table, StoreRow *row)
{
	ItemPointerData tid;

	store_insert_at(table, row, &tid);
}

/*
 * store_insert_all: insert several rows of a table, for a good deal less than
 * one by one.
 */
void
store_insert_all(StoreTable *table, StoreRow *rows, int n)
{
	Relation	rel = store_open(table);
	TupleTableSlot **slots = palloc(n * sizeof(TupleTableSlot *));

	for (int i = 0; i < n; i++)
	{
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
		ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(rel), rows[i].values, rows[i].nulls),
						   slots[i], true);
	}
	heap_multi_insert(rel, slots, n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < n; i++)
	{
		insert_index_entries(table, rel, &slots[i]->tts_tid, &rows[i]);
		ExecDropSingleTupleTableSlot(slots[i]);
	}
	pfree(slots);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/*
 * store_insert_at: insert a row and tell where it is.  It is visible to what
 * follows in the transaction.
 */
void
store_insert_at(StoreTable *table, StoreRow *row, ItemPointer tid)
{
	Relation	rel = store_open(table);
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), row->values, row->nulls);

	simple_heap_insert(rel, tuple);
	insert_index_entries(table, rel, &tuple->t_self, row);
	*tid = tuple->t_self;
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/*
 * store_key_taken: whether the primary key of a row is in use, or may be: by a
 * row that is there or one that a transaction at work inserts or deletes.
 */
bool
store_key_taken(StoreTable *table, StoreRow *row)
{
	Relation	rel = store_open(table);
	Relation	index = open_index(table->pkey);
	SnapshotData dirty;
	Datum		values[INDEX_MAX_KEYS];
	bool		taken;

	for (int k = 0; k < IndexRelationGetNumberOfKeyAttributes(index); k++)
		values[k] = row->values[index->rd_index->indkey.values[k] - 1];
	InitDirtySnapshot(dirty);
	taken = index_probe(rel, index, &dirty, values) != PROBE_NOT_FOUND;
	RelationClose(index);
	table_close(rel, NoLock);
	return taken;
}

/*
 * store_update: replace the row at *tid, which the caller's lock covers; *tid
 * becomes the new row's.
 */
void
store_update(StoreTable *table, ItemPointer tid, StoreRow *row)
{
	Relation	rel = store_open(table);
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), row->values, row->nulls);

	heap_update_simply(rel, tid, tuple);
	if (!HeapTupleIsHeapOnly(tuple))
		insert_index_entries(table, rel, &tuple->t_self, row);
	*tid = tuple->t_self;
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* The rows whose bigint column, the first of the primary key, has a value. */
typedef struct StoreScan
{
	Relation	index;
	Snapshot	snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} StoreScan;

static void
scan_begin(StoreScan *scan, Relation rel, Oid indexid, int64 value)
{
	static FmgrInfo equal = {.fn_oid = InvalidOid};
	ScanKeyData key;

	if (!OidIsValid(equal.fn_oid))
		fmgr_info_cxt(F_INT8EQ, &equal, TopMemoryContext);
	ScanKeyEntryInitializeWithInfo(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, InvalidOid,
								   &equal, Int64GetDatum(value));
	scan->index = open_index(indexid);
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->slot = table_slot_create(rel, NULL);
	scan->scan = begin_index_scan(rel, scan->index, scan->snapshot, 1);
	index_rescan(scan->scan, &key, 1, NULL, 0);
}

/* The next row, in the order of the index; NULL if there is none. */
static HeapTuple
scan_next(StoreScan *scan)
{
	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return NULL;
	return ExecFetchSlotHeapTuple(scan->slot, false, NULL);
}

static void
scan_end(StoreScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	UnregisterSnapshot(scan->snapshot);
	RelationClose(scan->index);
}

/* Delete rows by the first column of the primary key, and by another if of is not 0. */
static int
delete_rows(StoreTable *table, int64 value, AttrNumber of, int64 owner)
{
	Relation	rel = store_open(table);
	StoreScan	scan;
	HeapTuple	tuple;
	int			n = 0;

	scan_begin(&scan, rel, table->pkey, value);
	while ((tuple = scan_next(&scan)) != NULL)
	{
		bool		isnull;

		if (of != 0 && DatumGetInt64(heap_getattr(tuple, of, RelationGetDescr(rel), &isnull)) != owner)
			continue;
		simple_heap_delete(rel, &tuple->t_self);
		n++;
	}
	scan_end(&scan);
	table_close(rel, NoLock);
	if (n > 0)
		CommandCounterIncrement();
	return n;
}

/*
 * store_delete: delete the rows whose bigint column, the first of the primary
 * key, has a value.  Returns how many there were.
 */
int
store_delete(StoreTable *table, int64 value)
{
	return delete_rows(table, value, 0, 0);
}

/*
 * store_delete_of: the same for those only that have an owner in another
 * bigint column.
 */
int
store_delete_of(StoreTable *table, int64 value, AttrNumber column, int64 owner)
{
	return delete_rows(table, value, column, owner);
}

/*
 * store_scan_each: call a function with each row whose bigint column, the first
 * of the primary key, has a value, in the order of that key.  The tuple is gone
 * when it returns.  Read-only transactions may do so, too.
 */
void
store_scan_each(StoreTable *table, int64 value,
				void (*each) (HeapTuple tuple, TupleDesc desc, void *arg), void *arg)
{
	Relation	rel = store_open_to_read(table);
	StoreScan	scan;
	HeapTuple	tuple;

	scan_begin(&scan, rel, table->pkey, value);
	while ((tuple = scan_next(&scan)) != NULL)
		each(tuple, RelationGetDescr(rel), arg);
	scan_end(&scan);
	table_close(rel, NoLock);
}

static void
keep_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	List	  **rows = (List **) arg;

	*rows = lappend(*rows, row_of_tuple(tuple, desc));
}

/*
 * store_scan: these rows as a List of StoreRow in the current memory context.
 */
List *
store_scan(StoreTable *table, int64 value)
{
	List	   *result = NIL;

	store_scan_each(table, value, keep_row, &result);
	return result;
}

static bool
fetch_row(Relation rel, StoreTable *table, int64 id, StoreRow *row, ItemPointer tid)
{
	StoreScan	scan;
	HeapTuple	tuple;

	row_clear(row);
	scan_begin(&scan, rel, table->pkey, id);
	tuple = scan_next(&scan);
	if (tuple != NULL)
	{
		*tid = tuple->t_self;
		heap_deform_tuple(heap_copytuple(tuple), RelationGetDescr(rel), row->values, row->nulls);
	}
	scan_end(&scan);
	return tuple != NULL;
}

/*
 * store_fetch: the row whose bigint primary key, the first column, has a
 * value, as values and nulls with its place in *tid.  Returns false if there
 * is none.  The values are copies in the current memory context.
 */
bool
store_fetch(StoreTable *table, int64 id, StoreRow *row, ItemPointer tid)
{
	Relation	rel = store_open(table);
	bool		found = fetch_row(rel, table, id, row, tid);

	table_close(rel, NoLock);
	return found;
}

/*
 * store_fetch_again: the same for a row that was at *tid when it was last
 * seen; looked for by its key if it isn't there any more.
 */
bool
store_fetch_again(StoreTable *table, int64 id, StoreRow *row, ItemPointer tid)
{
	Relation	rel = store_open(table);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		found = false;

	row_clear(row);
	if (ItemPointerIsValid(tid) && table_tuple_fetch_row_version(rel, tid, snapshot, slot))
	{
		HeapTuple	copy = ExecCopySlotHeapTuple(slot);

		heap_deform_tuple(copy, RelationGetDescr(rel), row->values, row->nulls);
		found = !row->nulls[0] && DatumGetInt64(row->values[0]) == id;
	}
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	if (!found)
		found = fetch_row(rel, table, id, row, tid);
	table_close(rel, NoLock);
	return found;
}

/*
 * store_lock: as store_fetch(), and lock the row, waiting for whoever has it;
 * what is read is its newest version.  Only for READ COMMITTED: under a
 * transaction snapshot a newer version is a serialization failure, which SQL
 * reports.
 */
bool
store_lock(StoreTable *table, int64 id, StoreRow *row, ItemPointer tid)
{
	Relation	rel;
	TupleTableSlot *slot;
	TM_FailureData failure;
	bool		found;

	Assert(!IsolationUsesXactSnapshot());
	rel = store_open(table);
	if (!fetch_row(rel, table, id, row, tid))
	{
		table_close(rel, NoLock);
		return false;
	}
	slot = table_slot_create(rel, NULL);
	switch (table_tuple_lock(rel, tid, GetActiveSnapshot(), slot, GetCurrentCommandId(false),
							 LockTupleExclusive, LockWaitBlock,
							 TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure))
	{
		case TM_Ok:
			{
				HeapTuple	copy = ExecCopySlotHeapTuple(slot);

				heap_deform_tuple(copy, RelationGetDescr(rel), row->values, row->nulls);
				*tid = slot->tts_tid;
				found = true;
				break;
			}
		case TM_Deleted:
			found = false;
			break;
		default:
			elog(ERROR, "could not lock a row of table \"idflow.%s\"", table->name);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return found;
}
