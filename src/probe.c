/*-------------------------------------------------------------------------
 *
 * probe.c
 *	  Whether an index holds a key, asked of the index itself.
 *
 * A statement that asks the same costs some five times as much.  Only what is
 * plain is answered here: the key is of the types that the B-tree was made
 * for, and equality is theirs.  For everything else the answer is that it is
 * not known, and the caller asks in the ordinary way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "compat.h"
#include "idflow.h"
#include "probe.h"

/*
 * The equality that an index column was made for, kept by the type cache; NULL
 * if it is another one than the type's default.
 */
static TypeCacheEntry *
column_equality(Relation index, int column)
{
	TypeCacheEntry *type;

	if (IsPolymorphicType(index->rd_opcintype[column]))
		return NULL;
	type = lookup_type_cache(index->rd_opcintype[column],
							 TYPECACHE_BTREE_OPFAMILY | TYPECACHE_EQ_OPR_FINFO);
	if (type->btree_opf != index->rd_opfamily[column] ||
		type->btree_opintype != index->rd_opcintype[column] ||
		!OidIsValid(type->eq_opr_finfo.fn_oid))
		return NULL;
	return type;
}

/*
 * index_probe: whether a row with the key is visible to a snapshot.  values are
 * in the order of the index' columns, of types that its operator classes take
 * as they are, and none is null.  The caller holds a lock on the index, or one
 * on the table that keeps its indexes, and is whom the types' functions are to
 * run as.
 */
ProbeResult
index_probe(Relation rel, Relation index, Snapshot snapshot, Datum *values)
{
	int			nkeys = IndexRelationGetNumberOfKeyAttributes(index);
	ScanKeyData keys[INDEX_MAX_KEYS];
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		found;

	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid)
		return PROBE_UNKNOWN;
	for (int k = 0; k < nkeys; k++)
	{
		TypeCacheEntry *type = column_equality(index, k);

		if (type == NULL)
			return PROBE_UNKNOWN;
		ScanKeyEntryInitializeWithInfo(&keys[k], 0, k + 1, BTEqualStrategyNumber, InvalidOid,
									   index->rd_indcollation[k], &type->eq_opr_finfo, values[k]);
	}
	slot = table_slot_create(rel, NULL);
	scan = begin_index_scan(rel, index, snapshot, nkeys);
	index_rescan(scan, keys, nkeys, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found ? PROBE_FOUND : PROBE_NOT_FOUND;
}

/*
 * reference_probe: whether the row that a foreign key refers to is there, looked
 * up as the owner of its table pk, as referential integrity does.  index is the
 * one that the constraint refers to; types and values are those of the
 * referencing columns.
 */
ProbeResult
reference_probe(Relation pk, Oid indexid, ForeignKeyCacheInfo *fk, Oid *types, Datum *values)
{
	Relation	index;
	Datum		ordered[INDEX_MAX_KEYS];
	ProbeResult result = PROBE_UNKNOWN;
	Snapshot	snapshot;
	UserSwitch	save;

	/* also where the owner has revoked his own right: a statement says it best */
	if (pk->rd_rel->relkind != RELKIND_RELATION ||
		pg_class_aclcheck(RelationGetRelid(pk), pk->rd_rel->relowner, ACL_SELECT) != ACLCHECK_OK)
		return PROBE_UNKNOWN;

	index = index_open(indexid, AccessShareLock);
	if (index->rd_index->indrelid == RelationGetRelid(pk) && !index->rd_index->indcheckxmin &&
		IndexRelationGetNumberOfKeyAttributes(index) == fk->nkeys)
	{
		int			matched = 0;

		for (int k = 0; k < fk->nkeys; k++)
		{
			AttrNumber	attnum = index->rd_index->indkey.values[k];
			TypeCacheEntry *type = column_equality(index, k);

			for (int i = 0; type && attnum > 0 && i < fk->nkeys; i++)
			{
				/* the comparison of the constraint and that of the index must be one */
				if (fk->confkey[i] != attnum || fk->conpfeqop[i] != type->eq_opr ||
					!IsBinaryCoercible(types[i], index->rd_opcintype[k]) ||
					TupleDescAttr(RelationGetDescr(pk), attnum - 1)->attcollation !=
					index->rd_indcollation[k])
					continue;
				ordered[k] = values[i];
				matched++;
				break;
			}
		}
		if (matched == fk->nkeys)
		{
			become(&save, pk->rd_rel->relowner, SECURITY_NOFORCE_RLS | SECURITY_RESTRICTED_OPERATION);
			snapshot = RegisterSnapshot(GetTransactionSnapshot());
			result = index_probe(pk, index, snapshot, ordered);
			UnregisterSnapshot(snapshot);
			restore_user(&save);
		}
	}
	index_close(index, AccessShareLock);
	return result;
}
