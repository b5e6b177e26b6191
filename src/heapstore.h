/* heapstore.h: writing idflow's own rows without a statement */
#ifndef IDFLOW_HEAPSTORE_H
#define IDFLOW_HEAPSTORE_H

#include "access/genam.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "storage/itemptr.h"

#include "idflow.h"

/* At most this many columns and indexes has a table of idflow's. */
#define STORE_MAX_COLUMNS 40
#define STORE_MAX_INDEXES 6

typedef struct StoreIndex
{
	Oid			indexid;
	struct IndexInfo *info;
	AttrNumber	not_null;		/* partial: only where this column is not null */
	AttrNumber	null;			/* partial: only where this column is null */
} StoreIndex;

/* A table; static, filled in at first use and again when it changed. */
typedef struct StoreTable
{
	const char *name;
	Oid			relid;
	bool		valid;
	struct StoreTable *next;	/* in the list of those in use */
	MemoryContext context;
	Oid			pkey;
	int			nindexes;
	StoreIndex	indexes[STORE_MAX_INDEXES];
} StoreTable;

/* A row being put together; columns left alone are null. */
typedef struct StoreRow
{
	Datum		values[STORE_MAX_COLUMNS];
	bool		nulls[STORE_MAX_COLUMNS];
} StoreRow;

extern void row_clear(StoreRow *row);
extern void row_set(StoreRow *row, AttrNumber column, Datum value);
extern void row_set_text(StoreRow *row, AttrNumber column, const char *text);
extern void row_set_binding(StoreRow *row, AttrNumber column, int64 binding);

extern void store_insert(StoreTable *table, StoreRow *row);
extern void store_insert_at(StoreTable *table, StoreRow *row, ItemPointer tid);
extern void store_insert_all(StoreTable *table, StoreRow *rows, int n);
extern bool store_key_taken(StoreTable *table, StoreRow *row);
extern void store_update(StoreTable *table, ItemPointer tid, StoreRow *row);
extern bool store_fetch(StoreTable *table, int64 id, StoreRow *row, ItemPointer tid);
extern bool store_fetch_again(StoreTable *table, int64 id, StoreRow *row, ItemPointer tid);
extern bool store_lock(StoreTable *table, int64 id, StoreRow *row, ItemPointer tid);
extern StoreRow *row_of_tuple(HeapTuple tuple, TupleDesc desc);
extern List *store_scan(StoreTable *table, int64 value);
extern void store_scan_each(StoreTable *table, int64 value,
							void (*each) (HeapTuple tuple, TupleDesc desc, void *arg), void *arg);
extern int	store_delete(StoreTable *table, int64 value);
extern int	store_delete_of(StoreTable *table, int64 value, AttrNumber column, int64 owner);

#endif
