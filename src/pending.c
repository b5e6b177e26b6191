/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Unique keys: those of live rows, and those that open drafts ask for.
 *
 * An open draft holds its keys in idflow.pending_key, whose primary key makes
 * two drafts of one key meet, also in sessions that run at the same time.
 * Keys are kept as hashes, made by the hash functions of the columns' types,
 * so that values which the index holds equal are equal here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "heapstore.h"
#include "idflow.h"
#include "notice.h"

/* A key that a draft asks for. */
typedef struct PendingKey
{
	int			index;			/* which of the table's open indexes */
	bool		generated;		/* no two rows get the same: not held */
	char	   *index_name;
	int64		digest;
	char	   *description;	/* "(login)=(anna)", or NULL if not to be shown */
} PendingKey;

static StorePlan insert_key = {
	"INSERT INTO idflow.pending_key (digest, request, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
	3, {INT8OID, INT8OID, INT4OID}
};

static StorePlan select_key = {
	"SELECT request FROM idflow.pending_key WHERE digest OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan delete_keys = {
	"DELETE FROM idflow.pending_key WHERE request OPERATOR(pg_catalog.=) $1"
	" AND seq OPERATOR(pg_catalog.=) $2",
	2, {INT8OID, INT4OID}
};

/* Columns of idflow.pending_key. */
enum
{
	PK_DIGEST = 1,
	PK_REQUEST,
	PK_SEQ
};

static StoreTable pending_table = {"pending_key"};

/*
 * The hash of a key.  A type without a hash function is hashed as text, which
 * is right wherever equal values print alike.
 */
static int64
key_digest(Oid indexid, int nkeys, Oid *types, Oid *collations, Datum *values, bool *nulls)
{
	/*
	 * The index by its oid: a table made anew is another one.  After a restore
	 * the drafts that came along no longer hold their keys; the apply still
	 * tells.
	 */
	uint64		digest = hash_bytes_uint32_extended(indexid, 0);

	for (int i = 0; i < nkeys; i++)
	{
		TypeCacheEntry *type = lookup_type_cache(types[i], TYPECACHE_HASH_EXTENDED_PROC_FINFO);
		uint64		hash;

		if (nulls && nulls[i])
			hash = 0;
		else if (OidIsValid(type->hash_extended_proc))
			hash = DatumGetUInt64(FunctionCall2Coll(&type->hash_extended_proc_finfo,
													collations[i], values[i], Int64GetDatum(0)));
		else
		{
			Oid			output;
			bool		varlena;
			char	   *text;

			getTypeOutputInfo(types[i], &output, &varlena);
			text = OidOutputFunctionCall(output, values[i]);
			hash = hash_bytes_extended((unsigned char *) text, strlen(text), 0);
		}
		digest = hash_combine64(digest, hash);
	}
	return (int64) digest;
}

/* Whether a change of these columns can change what the index holds. */
static bool
index_is_touched(IndexInfo *info, Bitmapset *touched)
{
	Bitmapset  *used = NULL;
	int			member = -1;

	if (touched == NULL)
		return true;			/* a new row */
	for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
		if (bms_is_member(info->ii_IndexAttrNumbers[i], touched))
			return true;
	pull_varattnos((Node *) info->ii_Expressions, 1, &used);
	pull_varattnos((Node *) info->ii_Predicate, 1, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		/* 0 is the whole row */
		if (attnum == 0 || bms_is_member(attnum, touched))
			return true;
	}
	return false;
}

/*
 * Whether the key comes from an identity sequence, which gives no value
 * twice; then no draft need hold it.
 */
static bool
key_is_generated(Relation rel, IndexInfo *info, Bitmapset *written)
{
	for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
	{
		AttrNumber	attnum = info->ii_IndexAttrNumbers[i];

		if (attnum > 0 && written && !bms_is_member(attnum, written) &&
			TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attidentity != '\0')
			return true;
	}
	return false;
}

/*
 * Attribute numbers that the requester's INSERT named; NULL if unknown.
 */
static Bitmapset *
written_attributes(Change *change, Relation rel)
{
	Bitmapset  *written = NULL;
	int			position = -1;

	if (change->operation != CMD_INSERT || !change->written_known)
		return NULL;
	while ((position = bms_next_member(change->written, position)) >= 0)
		written = bms_add_member(written, row_attnum(change->layout, rel, position, false));
	/* a set that is never empty, so that it differs from "unknown" */
	return bms_add_member(written, MaxHeapAttributeNumber);
}

/* Error as the table itself would if a live row has the key. */
static void
check_live_key(ResultRelInfo *rri, EState *estate, TupleTableSlot *slot, PendingKey *key,
			   ItemPointer self)
{
	Relation	index = rri->ri_IndexRelationDescs[key->index];
	ItemPointerData conflict;
	ItemPointerData invalid;

	if (!index->rd_index->indimmediate)
		return;
	ItemPointerSetInvalid(&conflict);
	ItemPointerSetInvalid(&invalid);
	if (!check_index_constraints(rri, slot, estate, &conflict, self ? self : &invalid,
								 list_make1_oid(RelationGetRelid(index))) &&
		!(self && ItemPointerEquals(self, &conflict)))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("duplicate key value violates unique constraint \"%s\"",
						RelationGetRelationName(index)),
				 key->description ? errdetail("Key %s already exists.", key->description) : 0,
				 errtableconstraint(rri->ri_RelationDesc, RelationGetRelationName(index))));
}

/*
 * A key that somebody holds, or is about to hold or let go: wait for him.
 */
static void
hold_contended_key(Request *req, Change *change, PendingKey *key)
{
	UserSwitch	save;
	Datum		values[3];

	values[0] = Int64GetDatum(key->digest);
	values[1] = Int64GetDatum(req->id);
	values[2] = Int32GetDatum(change->seq);
	store_begin(&save);
	while (store_exec(&insert_key, values, NULL, false) == 0)
	{
		int64		holder;

		/* he may have let go of it in between: then try again */
		CHECK_FOR_INTERRUPTS();
		if (store_exec(&select_key, values, NULL, false) == 0)
			continue;
		holder = spi_int64(SPI_tuptable->vals[0], 1);
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("duplicate key value violates unique constraint \"%s\"", key->index_name),
				 key->description ?
				 errdetail("Key %s is asked for by open request " INT64_FORMAT ".",
						   key->description, holder) :
				 errdetail("The key is asked for by open request " INT64_FORMAT ".", holder),
				 errhint("Wait for that request's decision or have it withdrawn."),
				 err_generic_string(PG_DIAG_CONSTRAINT_NAME, key->index_name)));
	}
	store_end(&save);
}

/*
 * Hold one key.  Waits for a transaction that is drafting the same key; errors
 * with 23505, naming the request, if an open draft has it.
 */
static void
hold_key(Request *req, Change *change, PendingKey *key)
{
	StoreRow	row;

	row_clear(&row);
	row_set(&row, PK_DIGEST, Int64GetDatum(key->digest));
	row_set(&row, PK_REQUEST, Int64GetDatum(req->id));
	row_set(&row, PK_SEQ, Int32GetDatum(change->seq));

	/*
	 * Somebody may take the key between the look and the insert: then the
	 * primary key speaks, in plainer words.
	 */
	if (!IsolationUsesXactSnapshot() && !store_key_taken(&pending_table, &row))
		store_insert(&pending_table, &row);
	else
		hold_contended_key(req, change, key);
}

/*
 * pending_keys_add: hold the unique keys of the row that a draft makes.  With
 * check_live, error as the table itself would if a live row has one of them.
 * touched: attribute numbers that an UPDATE changes, NULL for a new row; self:
 * the row being updated.
 *
 * The keys are taken first and live rows looked at afterwards.  In the other
 * order another request's row could be written, and its keys let go, between
 * the two: nothing would be in the way of either look.
 */
void
pending_keys_add(Request *req, Change *change, Relation rel, TupleTableSlot *slot,
				 Bitmapset *touched, ItemPointer self, bool check_live)
{
	Bitmapset  *written;
	List	   *keys = NIL;
	EState	   *estate;
	ResultRelInfo *rri;
	ListCell   *lc;

	if (change->operation == CMD_DELETE || statement_rows() >= setting_check_limit ||
		RelationGetIndexList(rel) == NIL)
		return;

	written = written_attributes(change, rel);
	estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 0, NULL, 0);
	ExecOpenIndices(rri, true);
	GetPerTupleExprContext(estate)->ecxt_scantuple = slot;

	for (int i = 0; i < rri->ri_NumIndices; i++)
	{
		Relation	index = rri->ri_IndexRelationDescs[i];
		IndexInfo  *info = rri->ri_IndexRelationInfo[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];
		Oid			types[INDEX_MAX_KEYS];
		bool		has_null = false;
		PendingKey *key;

		if (!info->ii_Unique || info->ii_ExclusionOps || !info->ii_ReadyForInserts ||
			!index_is_touched(info, touched))
			continue;
		if (info->ii_Predicate != NIL)
		{
			ExprState  *predicate = ExecPrepareQual(info->ii_Predicate, estate);

			if (!ExecQual(predicate, GetPerTupleExprContext(estate)))
				continue;
		}
		FormIndexDatum(info, slot, estate, values, nulls);
		for (int k = 0; k < info->ii_NumIndexKeyAttrs; k++)
		{
			has_null |= nulls[k];
			types[k] = TupleDescAttr(RelationGetDescr(index), k)->atttypid;
		}
		if (has_null && !info->ii_NullsNotDistinct)
			continue;

		key = palloc(sizeof(PendingKey));
		key->index = i;
		key->index_name = RelationGetRelationName(index);
		key->digest = key_digest(RelationGetRelid(index), info->ii_NumIndexKeyAttrs, types,
								 index->rd_indcollation, values, nulls);
		key->description = BuildIndexValueDescription(index, values, nulls);
		key->generated = touched == NULL && key_is_generated(rel, info, written);
		keys = lappend(keys, key);
	}

	foreach(lc, keys)
		if (!((PendingKey *) lfirst(lc))->generated)
			hold_key(req, change, lfirst(lc));
	foreach(lc, check_live ? keys : NIL)
		check_live_key(rri, estate, slot, lfirst(lc), self);

	ExecCloseIndices(rri);
	FreeExecutorState(estate);
}

/*
 * pending_keys_drop: let go of the keys of one change, or, seq being 0, of all
 * of a request.
 */
void
pending_keys_drop(Request *req, int seq)
{
	UserSwitch	save;
	Datum		values[2] = {Int64GetDatum(req->id), Int32GetDatum(seq)};

	if (seq == 0)
	{
		store_delete(&pending_table, PK_REQUEST, req->id);
		return;
	}
	store_begin(&save);
	store_exec(&delete_keys, values, NULL, false);
	store_end(&save);
}

/*
 * pending_key_of_request: whether a request itself drafts a row with this
 * key, so that another of its drafts may refer to it.  The key is held by the
 * index of the partition that the row belongs to.
 */
bool
pending_key_of_request(int64 request, Oid indexid, int nkeys,
					   Oid *types, Oid *collations, Datum *values)
{
	UserSwitch	save;
	Datum		args[1];
	bool		found = false;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(indexid, NoLock, NULL))
	{
		args[0] = Int64GetDatum(key_digest(lfirst_oid(lc), nkeys, types, collations, values, NULL));
		store_begin(&save);
		found = store_exec(&select_key, args, NULL, false) > 0 &&
			spi_int64(SPI_tuptable->vals[0], 1) == request;
		store_end(&save);
		if (found)
			break;
	}
	return found;
}
