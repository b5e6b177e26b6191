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
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "compat.h"
#include "heapstore.h"
#include "idflow.h"
#include "notice.h"
#include "pending.h"

StorePlan	pending_insert = {
	"INSERT INTO idflow.pending_key (digest, request, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
	3, {INT8OID, INT8OID, INT4OID}
};

StorePlan	pending_holder = {
	"SELECT request, seq FROM idflow.pending_key WHERE digest OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

/* the open request that drafts a new row with a key, other than one's own */
static StorePlan select_draft = {
	"SELECT d.request FROM ONLY idflow.change_data d"
	" JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) d.request"
	" WHERE d.key_hash OPERATOR(pg_catalog.=) $1 AND d.key OPERATOR(pg_catalog.=) $2"
	" AND d.target OPERATOR(pg_catalog.=) $3 AND d.operation OPERATOR(pg_catalog.=) 'INSERT'"
	" AND d.superseded IS NULL AND r.closed_at IS NULL AND r.id OPERATOR(pg_catalog.<>) $4"
	" ORDER BY 1 LIMIT 1",
	4, {INT8OID, TEXTARRAYOID, REGCLASSOID, INT8OID}
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

/* index_is_touched: whether a change of these columns can change what it holds. */
bool
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
 * Whether a key has an identity column.  If the sequence gave its value, no
 * other row gets the same, and no draft need hold the key; *chosen tells that
 * the statement, as far as is known, gave one itself.
 */
static bool
key_is_generated(Relation rel, IndexInfo *info, Bitmapset *written, bool *chosen)
{
	*chosen = false;
	for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
	{
		AttrNumber	attnum = info->ii_IndexAttrNumbers[i];

		if (attnum <= 0 || TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attidentity == '\0')
			continue;
		if (written && !bms_is_member(attnum, written))
			return true;
		*chosen = true;
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

/*
 * key_description: "(login)=(anna)", or NULL if the current role may not see it.
 */
char *
key_description(PendingKey *key)
{
	return BuildIndexValueDescription(key->index, key->values, key->nulls);
}

/* pending_held: note that a change holds a key. */
void
pending_held(Change *change, int64 digest)
{
	int64	   *held = (int64 *) palloc((change->nheld + 1) * sizeof(int64));

	for (int i = 0; i < change->nheld; i++)
	{
		if (change->held[i] == digest)
			return;
		held[i] = change->held[i];
	}
	held[change->nheld++] = digest;
	change->held = held;
}

/* Error: an open request asks for the key.  By the rights of whoever drafts. */
static void
refuse_key(PendingKey *key, int64 holder)
{
	char	   *description = key_description(key);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"",
					RelationGetRelationName(key->index)),
			 description ?
			 errdetail("Key %s is asked for by open request " INT64_FORMAT ".", description, holder) :
			 errdetail("The key is asked for by open request " INT64_FORMAT ".", holder),
			 errhint("Wait for that request's decision or have it withdrawn."),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, RelationGetRelationName(key->index))));
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
	while (store_exec(&pending_insert, values, NULL, false) == 0)
	{
		int64		holder;

		/* he may have let go of it in between: then try again */
		CHECK_FOR_INTERRUPTS();
		if (store_exec(&pending_holder, values, NULL, false) == 0)
			continue;
		holder = spi_int64(SPI_tuptable->vals[0], 1);
		store_end(&save);
		refuse_key(key, holder);
	}
	store_end(&save);
}

static void
fill_row(StoreRow *row, Request *req, Change *change, PendingKey *key)
{
	row_clear(row);
	row_set(row, PK_DIGEST, Int64GetDatum(key->digest));
	row_set(row, PK_REQUEST, Int64GetDatum(req->id));
	row_set(row, PK_SEQ, Int32GetDatum(change->seq));
}

/*
 * A draft whose key a sequence gave doesn't hold it.  Whoever gives such a value
 * himself may have it from there, like a mapper that takes a row which its
 * UPDATE doesn't find for a new one: look for the draft.
 */
static void
check_chosen_key(Request *req, Change *change, PendingKey *key)
{
	Datum		values[4];
	Datum		columns;
	char		nulls[2];
	UserSwitch	save;
	int64		holder = 0;

	/* drafts are known by the key of their row, which is the primary one */
	if (change->key == NULL || !key->index->rd_index->indisprimary)
		return;
	image_to_datums(change->key, &columns, &nulls[0], &values[1], &nulls[1]);
	values[0] = Int64GetDatum(text_array_hash(values[1]));
	values[2] = ObjectIdGetDatum(change->target);
	values[3] = Int64GetDatum(req->id);
	store_begin(&save);
	if (store_exec(&select_draft, values, NULL, false) > 0)
		holder = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);
	if (holder)
		refuse_key(key, holder);
}

/*
 * Hold one key.  Waits for a transaction that is drafting the same key; errors
 * with 23505, naming the request, if an open draft has it.
 */
static void
hold_key(Request *req, Change *change, PendingKey *key)
{
	StoreRow	row;

	fill_row(&row, req, change, key);

	/*
	 * Somebody may take the key between the look and the insert: then the
	 * primary key speaks, in plainer words.
	 */
	if (!IsolationUsesXactSnapshot() && !store_key_taken(&pending_table, &row))
		store_insert(&pending_table, &row);
	else
		hold_contended_key(req, change, key);
}

static bool
key_is_taken(Request *req, Change *change, PendingKey *key)
{
	StoreRow	row;

	fill_row(&row, req, change, key);
	return store_key_taken(&pending_table, &row);
}

/* Hold one key, if no draft has it in any way, and say so in the change. */
static void
take_key(Request *req, Change *change, PendingKey *key)
{
	hold_key(req, change, key);
	if (key->chosen)
		check_chosen_key(req, change, key);
	pending_held(change, key->digest);
}

/*
 * pending_key_raced: whether a unique violation is that of two drafts that
 * took a key at the same moment, without telling which key.
 */
bool
pending_key_raced(ErrorData *error)
{
	return error->schema_name && strcmp(error->schema_name, "idflow") == 0 &&
		error->table_name && strcmp(error->table_name, "pending_key") == 0;
}

/*
 * pending_row_add: hold the row of a draft where one request on a row is all
 * that a workflow allows, and none of its unique keys.
 */
void
pending_row_add(Request *req, Change *change, Relation rel)
{
	change->held = NULL;
	change->nheld = 0;
	pending_row_take(req, change, rel);
	if (change->nheld > 0)
		change_store_held(req, change);
}

/*
 * pending_keys_add: hold the unique keys of the row that a draft makes.  With
 * check_live, error as the table itself would if a live row has one of them.
 * touched: attribute numbers that an UPDATE changes, NULL for a new row; self:
 * the row being updated.  first: indexes by which ON CONFLICT arbitrates; if
 * one of their keys is asked for, that is the answer, and no other key's.
 *
 * The keys are taken first and live rows looked at afterwards.  In the other
 * order another request's row could be written, and its keys let go, between
 * the two: nothing would be in the way of either look.
 */
void
pending_keys_add(Request *req, Change *change, Relation rel, TupleTableSlot *slot,
				 Bitmapset *touched, ItemPointer self, List *first, bool check_live)
{
	Bitmapset  *written;
	List	   *indexes;
	List	   *keys = NIL;
	KeyExecution execution = {rel, slot, NULL, NULL};
	ListCell   *lc;

	change->held = NULL;
	change->nheld = 0;
	pending_row_take(req, change, rel);
	if (change->operation == CMD_DELETE || statement_rows() >= setting_check_limit)
	{
		if (change->nheld > 0)
			change_store_held(req, change);
		return;
	}
	indexes = RelationGetIndexList(rel);
	if (indexes == NIL)
	{
		if (change->nheld > 0)
			change_store_held(req, change);
		return;
	}

	written = written_attributes(change, rel);
	foreach(lc, indexes)
	{
		/* as the executor does; of a statement's own table it has done so */
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		PendingKey *key;
		IndexInfo  *info;
		Oid			types[INDEX_MAX_KEYS];

		if (!index->rd_index->indisunique)
		{
			index_close(index, NoLock);
			continue;
		}
		info = BuildIndexInfo(index);
		if (info->ii_ExclusionOps || !info->ii_ReadyForInserts || !index_is_touched(info, touched) ||
			(change->stand_ins && index_is_touched(info, change->stand_ins)))
		{
			index_close(index, NoLock);
			continue;
		}
		if (info->ii_Predicate != NIL)
		{
			EState	   *estate = execution_estate(&execution);
			ExprState  *predicate = ExecPrepareQual(info->ii_Predicate, estate);

			if (!ExecQual(predicate, GetPerTupleExprContext(estate)))
			{
				index_close(index, NoLock);
				continue;
			}
		}

		key = palloc(sizeof(PendingKey));
		key->index = index;
		key->has_null = false;
		FormIndexDatum(info, slot,
					   info->ii_Expressions ? execution_estate(&execution) : NULL,
					   key->values, key->nulls);
		for (int k = 0; k < info->ii_NumIndexKeyAttrs; k++)
		{
			key->has_null |= key->nulls[k];
			types[k] = TupleDescAttr(RelationGetDescr(index), k)->atttypid;
		}
		if (key->has_null && !info->ii_NullsNotDistinct)
		{
			index_close(index, NoLock);
			continue;
		}
		key->digest = key_digest(RelationGetRelid(index), info->ii_NumIndexKeyAttrs, types,
								 index->rd_indcollation, key->values, key->nulls);
		/* a request that collects changes may refer to it by the next */
		key->generated = key_is_generated(rel, info, written, &key->chosen) &&
			touched == NULL && req->stands_alone;
		key->chosen &= touched == NULL;
		keys = lappend(keys, key);
	}

	foreach(lc, keys)
	{
		PendingKey *key = lfirst(lc);

		key->decides = !key->generated &&
			list_member_oid(first, RelationGetRelid(key->index)) &&
			key_is_taken(req, change, key);
		if (key->decides)
			take_key(req, change, key);
	}
	foreach(lc, keys)
	{
		PendingKey *key = lfirst(lc);

		if (!key->generated && !key->decides)
			take_key(req, change, key);
	}
	change_store_held(req, change);
	foreach(lc, check_live ? keys : NIL)
		check_live_key(req, &execution, lfirst(lc), self);

	foreach(lc, keys)
		index_close(((PendingKey *) lfirst(lc))->index, NoLock);
	execution_end(&execution);
}

/* Does another change of the list hold the key? */
static bool
held_by_another(List *changes, int seq, int64 digest)
{
	ListCell   *lc;

	foreach(lc, changes)
	{
		Change	   *change = lfirst(lc);

		for (int i = 0; change->seq != seq && i < change->nheld; i++)
			if (change->held[i] == digest)
				return true;
	}
	return false;
}

/*
 * pending_keys_drop: let go of the keys of one change, or, seq being 0, of all
 * of a request.  Changes of one row hold that together.
 */
void
pending_keys_drop(Request *req, int seq)
{
	List	   *changes = changes_held(req, 0);
	ListCell   *lc;

	foreach(lc, changes)
	{
		Change	   *change = lfirst(lc);

		if (seq != 0 && change->seq != seq)
			continue;
		/* one that came out of another database may be somebody else's here */
		for (int i = 0; i < change->nheld; i++)
			if (seq == 0 || !held_by_another(changes, seq, change->held[i]))
				store_delete_of(&pending_table, change->held[i], PK_REQUEST, req->id);
		change->nheld = 0;
	}
}

/*
 * pending_key_of_request: the number of the change by which a request itself
 * drafts a row with this key, so that a later one may refer to it; 0 if none.  The key is held by the
 * index of the partition that the row belongs to.
 */
int
pending_key_of_request(int64 request, Oid indexid, int nkeys,
					   Oid *types, Oid *collations, Datum *values)
{
	UserSwitch	save;
	Datum		args[1];
	int			seq = 0;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(indexid, NoLock, NULL))
	{
		args[0] = Int64GetDatum(key_digest(lfirst_oid(lc), nkeys, types, collations, values, NULL));
		store_begin(&save);
		if (store_exec(&pending_holder, args, NULL, false) > 0 &&
			spi_int64(SPI_tuptable->vals[0], 1) == request)
			seq = spi_int32(SPI_tuptable->vals[0], 2);
		store_end(&save);
		if (seq)
			break;
	}
	return seq;
}

