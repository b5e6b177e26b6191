/* pending.h: the keys that open drafts hold; what the files behind it share */
#ifndef IDFLOW_PENDING_H
#define IDFLOW_PENDING_H

#include "executor/executor.h"
#include "heapstore.h"
#include "idflow.h"

/* A key that a draft asks for. */
typedef struct PendingKey
{
	Relation	index;
	bool		generated;		/* no two rows get the same: not held */
	bool		chosen;			/* a value that is usually generated so */
	bool		has_null;
	bool		decides;		/* others hold it, and are asked before the rest */
	int64		digest;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
} PendingKey;

/* What evaluating expressions and waiting for others' rows takes. */
typedef struct KeyExecution
{
	Relation	rel;
	TupleTableSlot *slot;
	EState	   *estate;			/* NULL until needed */
	ResultRelInfo *rri;			/* NULL until needed */
} KeyExecution;

/* pending.c */
extern StorePlan pending_insert;
extern StorePlan pending_holder;
extern void pending_held(Change *change, int64 digest);
extern char *key_description(PendingKey *key);
extern bool index_is_touched(IndexInfo *info, Bitmapset *touched);

/* pending_live.c */
extern EState *execution_estate(KeyExecution *execution);
extern void execution_end(KeyExecution *execution);
extern void check_live_key(Request *req, KeyExecution *execution, PendingKey *key, ItemPointer self);

/* pending_row.c */
extern void pending_row_take(Request *req, Change *change, Relation rel);

#endif							/* IDFLOW_PENDING_H */
