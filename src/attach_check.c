/*-------------------------------------------------------------------------
 *
 * attach_check.c
 *		What a workflow may be attached to, and with which arguments.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "attach.h"
#include "idflow.h"

static CmdType operation_from_name(const char *name);
static void check_owner(Oid relid);
static void check_kind(Relation rel);
static void check_family(Relation rel);
static bool index_is_key(Relation rel, Oid indexoid);

/* -------------------------------------------------------------- arguments */

/*
 * The name of an operation as SQL writes it.
 */
const char *
operation_name(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "INSERT";
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		default:
			elog(ERROR, "unexpected operation: %d", (int) operation);
	}
	return NULL;				/* keep the compiler quiet */
}

/*
 * The privilege that an operation takes.
 */
AclMode
operation_privilege(CmdType operation)
{
	return operation == CMD_INSERT ? ACL_INSERT : operation == CMD_UPDATE ? ACL_UPDATE : ACL_DELETE;
}

/*
 * The operation of a name, upper or lower case.  Errors if there is none.
 */
static CmdType
operation_from_name(const char *name)
{
	if (pg_strcasecmp(name, "INSERT") == 0)
		return CMD_INSERT;
	if (pg_strcasecmp(name, "UPDATE") == 0)
		return CMD_UPDATE;
	if (pg_strcasecmp(name, "DELETE") == 0)
		return CMD_DELETE;
	if (pg_strcasecmp(name, "TRUNCATE") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("TRUNCATE cannot be requested"),
				 errdetail("It has no rows to draft; on an attached table it is always refused."),
				 errhint("The operations are INSERT, UPDATE and DELETE.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("operation \"%s\" does not exist", name),
			 errhint("The operations are INSERT, UPDATE and DELETE.")));
	return CMD_UNKNOWN;			/* keep the compiler quiet */
}

/*
 * The operations of a text[] as an integer List of CmdType, in the order
 * INSERT, UPDATE, DELETE.  Errors if one is unknown, NULL or given twice, or
 * if there is none.
 */
List *
attach_operations(Datum array)
{
	static const CmdType order[] = {CMD_INSERT, CMD_UPDATE, CMD_DELETE};
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *given = NIL;
	List	   *result = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no operation is given"),
				 errhint("The operations are INSERT, UPDATE and DELETE.")));

	for (int i = 0; i < n; i++)
	{
		CmdType		operation;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("an operation must not be null"),
					 errhint("The operations are INSERT, UPDATE and DELETE.")));
		operation = operation_from_name(TextDatumGetCString(values[i]));
		if (list_member_int(given, (int) operation))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("operation %s is given twice", operation_name(operation))));
		given = lappend_int(given, (int) operation);
	}

	for (int i = 0; i < lengthof(order); i++)
	{
		if (list_member_int(given, (int) order[i]))
			result = lappend_int(result, (int) order[i]);
	}
	return result;
}

/*
 * The names of a name[] as a List of char *.  Errors if one is NULL or if
 * there is none.
 */
List *
attach_columns(Datum array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *result = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &values, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no column is given"),
				 errhint("Leave columns out, or NULL, to watch all of them.")));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a column must not be null")));
		result = lappend(result, pstrdup(NameStr(*DatumGetName(values[i]))));
	}
	return result;
}

/*
 * Check that the columns to watch are columns of the table, that WHEN can
 * look at them, and that there is an UPDATE to watch them in.
 */
void
attach_check_columns(Relation rel, List *operations, List *columns)
{
	List	   *seen = NIL;
	ListCell   *lc;

	if (columns == NIL)
		return;

	if (!list_member_int(operations, (int) CMD_UPDATE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns are given, but UPDATE is not among the operations"),
				 errdetail("An INSERT or DELETE concerns all columns of its row."),
				 errhint("Add UPDATE to the operations, or write a condition.")));

	foreach(lc, columns)
	{
		const char *name = lfirst(lc);
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);

		if (attnum == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							name, RelationGetRelationName(rel))));
		if (attnum < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("column \"%s\" is a system column", name),
					 errdetail("Nobody changes it, so that it can't be watched.")));
		if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("column \"%s\" is a generated column", name),
					 errdetail("Its value is computed after the gate has decided."),
					 errhint("Name the columns that it is computed from.")));
		if (list_member_int(seen, attnum))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is given twice", name)));
		seen = lappend_int(seen, attnum);
	}
}

/* ----------------------------------------------------------------- target */

/*
 * Error unless the current user owns the relation.
 */
static void
check_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;
	char		relkind;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	relkind = ((Form_pg_class) GETSTRUCT(tuple))->relkind;
	ReleaseSysCache(tuple);

	if (!has_privs_of_role(GetUserId(), owner))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind),
					   get_rel_name(relid));
}

/*
 * Open the table to attach to or detach from under ShareRowExclusiveLock,
 * which waits for whoever is writing to it.  The current user must own it; he
 * is asked before the lock is taken, so that nobody can lock others' tables.
 * The caller closes it and keeps the lock.
 */
Relation
attach_open_target(Oid relid)
{
	Relation	rel;

	check_owner(relid);
	rel = try_relation_open(relid, ShareRowExclusiveLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	check_owner(relid);
	return rel;
}

/*
 * Error unless it is a kind of relation whose changes can be gated.
 */
static void
check_kind(Relation rel)
{
	const char *name = RelationGetRelationName(rel);

	if (IsSystemRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", name)));

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot attach a workflow to view \"%s\"", name),
					 errdetail("A view holds no rows."),
					 errhint("Attach it to the tables that the view writes to.")));
			break;
		case RELKIND_MATVIEW:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot attach a workflow to materialized view \"%s\"", name),
					 errdetail("Only REFRESH MATERIALIZED VIEW changes it.")));
			break;
		case RELKIND_FOREIGN_TABLE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach a workflow to foreign table \"%s\"", name),
					 errdetail("An approved change could not be written to it in the transaction of its approval with certainty."),
					 errhint("Attach the workflow to the table itself, in the database where that is; writing to the foreign table then makes requests there.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot attach a workflow to \"%s\"", name),
					 errdetail_relkind_not_supported(rel->rd_rel->relkind)));
	}

	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot attach a workflow to temporary table \"%s\"", name),
				 errdetail("Nobody but its session sees it, so that nobody else could approve.")));

	if (RelationGetNamespace(rel) == extension_schema())
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot attach a workflow to idflow's own table \"%s\"", name)));
}

/*
 * Error if the table's place among partitions or inheritance children would
 * leave a way around the gate, or rules would.
 */
static void
check_family(Relation rel)
{
	const char *name = RelationGetRelationName(rel);
	Oid			relid = RelationGetRelid(rel);
	ListCell   *lc;

	if (rel->rd_rel->relispartition)
	{
		Oid			root = llast_oid(get_partition_ancestors(relid));

		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot attach a workflow to partition \"%s\"", name),
				 errdetail("Rows would move in and out of it by way of the other partitions."),
				 errhint("Attach it to the partitioned table \"%s\"; a condition can single out the partition's rows.",
						 get_rel_name(root))));
	}

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		foreach(lc, find_all_inheritors(relid, ShareRowExclusiveLock, NULL))
		{
			if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot attach a workflow to table \"%s\"", name),
						 errdetail("Its partition \"%s\" is a foreign table.",
								   get_rel_name(lfirst_oid(lc)))));
		}
	}
	else
	{
		List	   *children = find_inheritance_children(relid, NoLock);

		if (children != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach a workflow to table \"%s\"", name),
					 errdetail("Table \"%s\" inherits from it, and statements on the one also change the other.",
							   get_rel_name(linitial_oid(children)))));
		if (has_superclass(relid))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach a workflow to table \"%s\"", name),
					 errdetail("It inherits from another table, and statements on the one also change the other.")));
	}

	foreach(lc, find_all_inheritors(relid, ShareRowExclusiveLock, NULL))
	{
		Relation	member = table_open(lfirst_oid(lc), NoLock);

		if (member->rd_rules != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach a workflow to table \"%s\"", name),
					 errdetail("The %s could rewrite a statement before the gate sees it.",
							   getObjectDescriptionOids(RewriteRelationId,
														member->rd_rules->rules[0]->ruleId)),
					 errhint("Replace the rule by a trigger.")));
		table_close(member, NoLock);
	}
}

/*
 * Can a row be found by the columns of this index, for good?
 */
static bool
index_is_key(Relation rel, Oid indexoid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexoid));
	Form_pg_index index;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexoid);
	index = (Form_pg_index) GETSTRUCT(tuple);

	result = index->indisunique && index->indimmediate && index->indisvalid &&
		index->indislive && !index->indisexclusion &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);

	for (int i = 0; result && i < index->indnkeyatts; i++)
	{
		AttrNumber	attnum = index->indkey.values[i];

		result = attnum > 0 &&
			TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attnotnull;
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The index by which a row of the table is known: the primary key, else the
 * first other unique, immediate, complete index over NOT NULL columns.
 * InvalidOid if there is none.
 */
static Oid
table_key_index(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			result = InvalidOid;
	ListCell   *lc;

	if (OidIsValid(rel->rd_pkindex) && index_is_key(rel, rel->rd_pkindex))
		result = rel->rd_pkindex;
	else
	{
		foreach(lc, indexes)
		{
			if (index_is_key(rel, lfirst_oid(lc)))
			{
				result = lfirst_oid(lc);
				break;
			}
		}
	}
	list_free(indexes);
	return result;
}

/*
 * Error unless a workflow can be attached to the table for the operations.
 */
void
attach_check_target(Relation rel, List *operations)
{
	check_kind(rel);
	check_family(rel);

	if ((list_member_int(operations, (int) CMD_UPDATE) ||
		 list_member_int(operations, (int) CMD_DELETE)) &&
		!OidIsValid(table_key_index(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no key", RelationGetRelationName(rel)),
				 errdetail("The row that an approved UPDATE or DELETE is for is found by a primary key, or by a unique index that is neither deferrable nor partial and whose columns are NOT NULL."),
				 errhint("Add a primary key, or attach to INSERT only.")));
}

/*
 * Warn of triggers that run before a gate: what they do is done before
 * anybody has approved anything.
 */
void
attach_warn_early_triggers(List *relids, CmdType operation, const char *gate_name)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		int			n = rel->trigdesc ? rel->trigdesc->numtriggers : 0;

		for (int i = 0; i < n; i++)
		{
			Trigger    *trigger = &rel->trigdesc->triggers[i];

			if (!TRIGGER_FOR_ROW(trigger->tgtype) ||
				!TRIGGER_FOR_BEFORE(trigger->tgtype) ||
				!(trigger->tgtype & operation_trigger_event(operation)) ||
				trigger->tgisclone || trigger_is_gate(trigger) ||
				strcmp(trigger->tgname, gate_name) >= 0)
				continue;

			ereport(WARNING,
					(errmsg("trigger \"%s\" on table \"%s\" runs before the gate",
							trigger->tgname, RelationGetRelationName(rel)),
					 errdetail("It runs for every %s, before anybody has approved it.",
							   operation_name(operation)),
					 errhint("Rename it so that it sorts after \"%s\".", gate_name)));
		}
		table_close(rel, NoLock);
	}
}
