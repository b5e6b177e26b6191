/*-------------------------------------------------------------------------
 *
 * live.c
 *	  The row that a draft is about, as it stands in its table now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "idflow.h"
#include "reading.h"

/* A WHERE clause that finds a row by its key. */
typedef struct KeyClause
{
	StringInfoData sql;
	int			n;
	Oid		   *types;
	Datum	   *values;
} KeyClause;

/* append_operator: append OPERATOR(schema.name) for an operator. */
void
append_operator(StringInfo sql, Oid opno)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opno));
	Form_pg_operator op;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opno);
	op = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(sql, "OPERATOR(%s.%s)",
					 quote_identifier(get_namespace_name(op->oprnamespace)), NameStr(op->oprname));
	ReleaseSysCache(tuple);
}

/*
 * Build the clause for a change's key.  False if the change has none, or the
 * table's columns are not those of the key any more or take its values no more.
 * Calls the input functions of the columns' types: the caller is who may run
 * them, and holds transmission modes.
 */
static bool
key_clause(Change *change, KeyClause *clause)
{
	Layout	   *layout = change->layout;
	Image	   *key = change->key;

	if (key == NULL || key->n == 0)
		return false;

	initStringInfo(&clause->sql);
	clause->n = key->n;
	clause->types = palloc(key->n * sizeof(Oid));
	clause->values = palloc(key->n * sizeof(Datum));
	for (int i = 0; i < key->n; i++)
	{
		int			p = image_position(key, i);
		AttrNumber	attnum = layout_attribute(layout, change->target, p);
		Oid			typid;
		int32		typmod;
		Oid			collation;
		TypeCacheEntry *entry;

		if (attnum == InvalidAttrNumber || key->values[i] == NULL)
			return false;
		get_atttypetypmodcoll(change->target, attnum, &typid, &typmod, &collation);
		if (strcmp(format_type_extended(typid, typmod,
										FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
				   layout->types[p - 1]) != 0)
			return false;

		typid = getBaseType(typid);
		entry = lookup_type_cache(typid, TYPECACHE_EQ_OPR);
		if (!OidIsValid(entry->eq_opr))
			return false;
		clause->types[i] = typid;
		if (value_read(typid, -1, key->values[i], &clause->values[i]) != NULL)
			return false;

		appendStringInfo(&clause->sql, "%s t.%s ", i == 0 ? " WHERE" : " AND",
						 quote_identifier(layout->names[p - 1]));
		append_operator(&clause->sql, entry->eq_opr);
		appendStringInfo(&clause->sql, " $%d", i + 1);
	}
	return true;
}

/* The target's name as SQL takes it; NULL if it is gone. */
static char *
target_sql_name(Oid relid)
{
	char	   *relname = get_rel_name(relid);
	char	   *nspname = relname ? get_namespace_name(get_rel_namespace(relid)) : NULL;

	return nspname ? quote_qualified_identifier(nspname, relname) : NULL;
}

/* table_owner: the role that owns a relation. */
Oid
table_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * live_values: the row with the change's key as it is now: output text by
 * position of the layout minus 1, in the current memory context; *exists says
 * whether there is one.  Read as the table's owner, past row-level security,
 * as referential integrity is: the caller decides what of it may be shown.
 */
char **
live_values(Change *change, bool *exists)
{
	Layout	   *layout = change->layout;
	MemoryContext caller = CurrentMemoryContext;
	char	  **values = palloc0(Max(layout->ncolumns, 1) * sizeof(char *));
	int		   *positions = palloc(Max(layout->ncolumns, 1) * sizeof(int));
	int			n = 0;
	char	   *target = target_sql_name(change->target);
	KeyClause	clause;
	UserSwitch	save;
	int			nestlevel;

	*exists = false;
	if (target == NULL || change->key == NULL)
		return values;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	become(&save, table_owner(change->target),
		   SECURITY_NOFORCE_RLS | SECURITY_RESTRICTED_OPERATION);
	nestlevel = transmission_modes_begin();

	if (key_clause(change, &clause))
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfoString(&sql, "SELECT true");
		for (int p = 1; p <= layout->ncolumns; p++)
		{
			if (layout_attribute(layout, change->target, p) == InvalidAttrNumber)
				continue;
			appendStringInfo(&sql, ", t.%s", quote_identifier(layout->names[p - 1]));
			positions[n++] = p;
		}
		appendStringInfo(&sql, " FROM %s t%s", target, clause.sql.data);

		if (SPI_execute_with_args(sql.data, clause.n, clause.types, clause.values, NULL,
								  true, 1) == SPI_OK_SELECT && SPI_processed == 1)
		{
			*exists = true;
			for (int i = 0; i < n; i++)
			{
				char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 2);

				if (value != NULL)
					values[positions[i] - 1] = MemoryContextStrdup(caller, value);
			}
		}
	}

	transmission_modes_end(nestlevel);
	restore_user(&save);
	SPI_finish();
	return values;
}

/*
 * live_row_visible: does row-level security show the current role the row
 * with the change's key?  False too if the row is gone or the role may not
 * SELECT the key's columns.
 */
bool
live_row_visible(Change *change)
{
	char	   *target = target_sql_name(change->target);
	KeyClause	clause;
	bool		visible = false;
	int			nestlevel;

	if (target == NULL || change->key == NULL)
		return false;
	if (check_enable_rls(change->target, InvalidOid, true) != RLS_ENABLED)
		return true;
	if (pg_class_aclcheck(change->target, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
	{
		for (int i = 0; i < change->key->n; i++)
		{
			int			p = image_position(change->key, i);
			AttrNumber	attnum = layout_attribute(change->layout, change->target, p);

			if (attnum == InvalidAttrNumber ||
				pg_attribute_aclcheck(change->target, attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
				return false;
		}
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nestlevel = transmission_modes_begin();
	set_if_different("row_security", "on");
	if (key_clause(change, &clause))
	{
		char	   *sql = psprintf("SELECT true FROM %s t%s", target, clause.sql.data);

		if (SPI_execute_with_args(sql, clause.n, clause.types, clause.values, NULL,
								  true, 1) == SPI_OK_SELECT)
			visible = SPI_processed > 0;
	}
	transmission_modes_end(nestlevel);
	SPI_finish();
	return visible;
}
