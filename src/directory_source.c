/*-------------------------------------------------------------------------
 *
 * directory_source.c
 *	  A relation of the organisation's own as the directory.
 *
 * It is read as the role that set it, never as the extension's owner, because
 * a view may call any function.
 *
 *-------------------------------------------------------------------------
 */
#include "idflow.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "directory.h"
#include "trust.h"

PG_FUNCTION_INFO_V1(idflow_set_directory);

static const char *const directory_columns[DIR_NCOLUMNS] = {
	"principal", "profile", "display_name", "email", "language", "active", "manager",
	"tenant"
};

/*
 * The relation that is set, as this session holds it.  valid is cleared by
 * the relcache callback, and nothing else is done there.
 */
typedef struct DirectorySource
{
	bool		valid;
	Oid			source_relid;	/* of idflow.directory_source */
	Oid			relid;			/* InvalidOid: the default directory */
	char		set_by[NAMEDATALEN];
	char		name[4 * NAMEDATALEN + 8];	/* quoted, for SQL and messages */
	AttrNumber	attnums[DIR_NCOLUMNS];	/* 0: no such column */
	SPIPlanPtr	plans[DIR_NQUERIES];
} DirectorySource;

static DirectorySource source;
static bool callback_registered = false;
static bool source_is_read = false;

static void
directory_relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == source.source_relid || relid == source.relid)
		source.valid = false;
}

/*
 * Find the directory's columns in a relation.  Errors if principal or profile
 * is missing or active is no boolean.
 */
static void
find_columns(Oid relid, const char *name, AttrNumber attnums[DIR_NCOLUMNS])
{
	for (int i = 0; i < DIR_NCOLUMNS; i++)
		attnums[i] = get_attnum(relid, directory_columns[i]);

	for (int i = 0; i < DIR_NCOLUMNS; i++)
	{
		if (attnums[i] == InvalidAttrNumber && (i == DIR_PRINCIPAL || i == DIR_PROFILE))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("directory relation %s has no column \"%s\"",
							name, directory_columns[i]),
					 errhint("A directory has the columns principal and profile, a row for each profile that a principal holds; display_name, email, language, active, manager and tenant are optional.")));
	}

	if (attnums[DIR_ACTIVE] != InvalidAttrNumber &&
		getBaseType(get_atttype(relid, attnums[DIR_ACTIVE])) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"active\" of directory relation %s is of type %s",
						name, format_type_be(get_atttype(relid, attnums[DIR_ACTIVE]))),
				 errhint("The column must be of type boolean.")));
}

/* Errors unless the role may SELECT the directory's columns of the relation. */
static void
check_select(Oid relid, const char *name, Oid roleid, const AttrNumber attnums[DIR_NCOLUMNS])
{
	if (pg_class_aclcheck(relid, roleid, ACL_SELECT) == ACLCHECK_OK)
		return;

	for (int i = 0; i < DIR_NCOLUMNS; i++)
	{
		if (attnums[i] != InvalidAttrNumber &&
			pg_attribute_aclcheck(relid, attnums[i], roleid, ACL_SELECT) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("role \"%s\" may not read directory relation %s",
							GetUserNameFromId(roleid, false), name),
					 errdetail("The relation is read with the rights of the role that called idflow.set_directory()."),
					 errhint("Grant the role SELECT on the relation, or call idflow.set_directory() as a role that has it.")));
	}
}

/* The relation's name as SQL takes it; NULL if it is gone.  Palloc'd. */
static char *
relation_sql_name(Oid relid)
{
	char	   *relname = get_rel_name(relid);
	char	   *nspname = relname ? get_namespace_name(get_rel_namespace(relid)) : NULL;

	return nspname ? quote_qualified_identifier(nspname, relname) : NULL;
}

/*
 * Read idflow.directory_source into source, whose relid stays InvalidOid if
 * there is no row.  Errors if the relation is gone or lacks columns.
 *
 * The table is read under a catalog snapshot and not under the transaction's:
 * what is found here outlives the transaction, and one that began before the
 * directory was changed must not leave the old one behind.
 */
static void
read_source(void)
{
	Relation	rel = table_open(source.source_relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple = systable_getnext(scan);
	char	   *name = NULL;

	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		int			relation = get_attnum(source.source_relid, "relation");
		int			relation_name = get_attnum(source.source_relid, "relation_name");
		int			set_by = get_attnum(source.source_relid, "set_by");

		source.relid = DatumGetObjectId(heap_getattr(tuple, relation, desc, &isnull));
		name = TextDatumGetCString(heap_getattr(tuple, relation_name, desc, &isnull));
		strlcpy(source.set_by,
				NameStr(*DatumGetName(heap_getattr(tuple, set_by, desc, &isnull))),
				NAMEDATALEN);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (OidIsValid(source.relid))
	{
		char	   *sql_name = relation_sql_name(source.relid);

		if (sql_name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("directory relation %s does not exist any more", name),
					 errhint("Call idflow.set_directory() with another relation, or with NULL to return to PostgreSQL roles and idflow.profile_member.")));
		strlcpy(source.name, sql_name, sizeof(source.name));
		find_columns(source.relid, source.name, source.attnums);
	}
}

/*
 * Make source say what idflow.directory_source says.  Cheap while nothing has
 * changed.
 */
static void
load_source(void)
{
	/* a question from within the relation would free the plan that asks it */
	if (source_is_read)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("directory relation %s reads the directory that it is to give", source.name),
				 errhint("It must not use idflow.directory or functions that ask who holds a profile.")));

	/* authority is what it is now, also in the midst of a transaction */
	AcceptInvalidationMessages();
	if (source.valid)
		return;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(directory_relcache_callback, (Datum) 0);
		callback_registered = true;
	}

	for (int i = 0; i < DIR_NQUERIES; i++)
	{
		SPIPlanPtr	plan = source.plans[i];

		source.plans[i] = NULL;
		if (plan != NULL)
			SPI_freeplan(plan);
	}

	source.source_relid = extension_relid("directory_source");
	source.relid = InvalidOid;
	source.valid = true;		/* an invalidation from here on clears it */

	PG_TRY();
	{
		read_source();
	}
	PG_CATCH();
	{
		source.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * A question to the relation as SQL.  A member whose active is not true is no
 * member; a relation without that column has only active ones.
 */
static char *
query_sql(DirectoryQuery query)
{
	StringInfoData sql;
	const char *where = " WHERE ";

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	switch (query)
	{
		case DIR_HOLDS:
			appendStringInfoString(&sql, "true");
			break;
		case DIR_PROFILES:
			appendStringInfoString(&sql, "DISTINCT d.profile::pg_catalog.text");
			break;
		case DIR_HOLDERS:
			appendStringInfoString(&sql, "DISTINCT d.principal::pg_catalog.text");
			break;
		case DIR_PERSON:
			appendStringInfo(&sql, "%s::pg_catalog.text, %s::pg_catalog.text",
							 source.attnums[DIR_EMAIL] != InvalidAttrNumber ? "d.email" : "NULL",
							 source.attnums[DIR_LANGUAGE] != InvalidAttrNumber ? "d.language" : "NULL");
			break;
		case DIR_MEMBERSHIPS:
			appendStringInfoString(&sql, "DISTINCT d.profile::pg_catalog.text, d.tenant::pg_catalog.text");
			break;
		case DIR_ROWS:
			for (int i = 0; i < DIR_NCOLUMNS; i++)
			{
				const char *type = i == DIR_ACTIVE ? "bool" : "text";

				if (i > 0)
					appendStringInfoString(&sql, ", ");
				if (source.attnums[i] != InvalidAttrNumber)
					appendStringInfo(&sql, "d.%s::pg_catalog.%s", directory_columns[i], type);
				else
					appendStringInfo(&sql, "%s::pg_catalog.%s",
									 i == DIR_ACTIVE ? "true" : "NULL", type);
			}
			break;
		case DIR_NQUERIES:
			break;
	}

	appendStringInfo(&sql, " FROM %s d", source.name);
	if (query == DIR_HOLDS || query == DIR_PROFILES || query == DIR_PERSON || query == DIR_MEMBERSHIPS)
	{
		appendStringInfo(&sql, "%sd.principal::pg_catalog.text OPERATOR(pg_catalog.=) $1", where);
		where = " AND ";
	}
	if (query == DIR_HOLDS || query == DIR_HOLDERS)
	{
		appendStringInfo(&sql, "%sd.profile::pg_catalog.text OPERATOR(pg_catalog.=) %s",
						 where, query == DIR_HOLDS ? "$2" : "$1");
		where = " AND ";
		if (source.attnums[DIR_TENANT] != InvalidAttrNumber)
			appendStringInfo(&sql, " AND coalesce(d.tenant::pg_catalog.text, '') OPERATOR(pg_catalog.=) %s",
							 query == DIR_HOLDS ? "$3" : "$2");
	}
	if (query != DIR_ROWS && source.attnums[DIR_ACTIVE] != InvalidAttrNumber)
		appendStringInfo(&sql, "%sd.active", where);
	return sql.data;
}

static void
source_context(void *arg)
{
	errcontext("directory relation %s, read as role \"%s\"", source.name, source.set_by);
}

/*
 * directory_is_set: is there a relation to ask instead of the default?
 */
bool
directory_is_set(void)
{
	load_source();
	return OidIsValid(source.relid);
}

/*
 * directory_has_tenants: does it say of which tenant people are?
 */
bool
directory_has_tenants(void)
{
	return directory_is_set() && source.attnums[DIR_TENANT] != InvalidAttrNumber;
}

/*
 * directory_ask: ask the relation.  tenant: within which somebody holds a
 * profile, where it knows tenants; NULL: none.  each() sees every row that the query gives; it must copy
 * what it keeps.  Errors if the role that set the relation is gone or may not
 * read it, and with whatever the relation's own functions raise.
 */
void
directory_ask(DirectoryQuery query, const char *arg1, const char *arg2, const char *tenant,
			  void (*each) (HeapTuple tuple, TupleDesc desc, void *state), void *state)
{
	Datum		values[3];
	int			nargs = (arg1 != NULL) + (arg2 != NULL);
	Oid			argtypes[3] = {TEXTOID, TEXTOID, TEXTOID};
	Oid			roleid = get_role_oid(source.set_by, true);
	ErrorContextCallback errcallback;
	UserSwitch	save;
	int			nestlevel;

	if (!OidIsValid(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", which set the directory relation %s, does not exist any more",
						source.set_by, source.name),
				 errhint("Call idflow.set_directory() again as a role that may read the relation.")));
	check_select(source.relid, source.name, roleid, source.attnums);

	if (arg1 != NULL)
		values[0] = CStringGetTextDatum(arg1);
	if (arg2 != NULL)
		values[1] = CStringGetTextDatum(arg2);
	if ((query == DIR_HOLDS || query == DIR_HOLDERS) && source.attnums[DIR_TENANT] != InvalidAttrNumber)
		values[nargs++] = CStringGetTextDatum(tenant ? tenant : "");

	source_is_read = true;
	errcallback.callback = source_context;
	errcallback.arg = NULL;
	errcallback.previous = error_context_stack;
	error_context_stack = &errcallback;
	PG_TRY();
	{
		SPIPlanPtr	plan;

		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		nestlevel = become_pinned(&save, roleid, SECURITY_RESTRICTED_OPERATION);

		plan = source.plans[query];
		if (plan == NULL)
		{
			char	   *sql = query_sql(query);

			plan = SPI_prepare(sql, nargs, argtypes);
			if (plan == NULL)
				elog(ERROR, "could not prepare \"%s\": %s", sql,
					 SPI_result_code_string(SPI_result));
			SPI_keepplan(plan);
			source.plans[query] = plan;
		}
		trust_check_plan(plan, roleid, "directory relation");

		/*
		 * Whether somebody may act is asked as of now, not of the statement's
		 * start: it may have waited for a lock since.
		 */
		PushActiveSnapshot(query == DIR_HOLDS || query == DIR_HOLDERS || query == DIR_MEMBERSHIPS ?
						   GetTransactionSnapshot() : GetActiveSnapshot());
		if (SPI_execute_plan(plan, values, NULL, true, query == DIR_HOLDS ? 1 : 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read directory relation %s", source.name);
		PopActiveSnapshot();
		for (uint64 i = 0; i < SPI_processed; i++)
			each(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, state);

		restore_pinned(&save, nestlevel);
		SPI_finish();
	}
	PG_FINALLY();
	{
		source_is_read = false;
	}
	PG_END_TRY();
	error_context_stack = errcallback.previous;
}

/*
 * idflow.set_directory(relation regclass): put a relation in place of roles
 * and idflow.profile_member; NULL returns to them.
 */
Datum
idflow_set_directory(PG_FUNCTION_ARGS)
{
	static StorePlan set_plan = {
		"INSERT INTO idflow.directory_source (relation, relation_name, set_by) VALUES ($1, $2, $3)"
		" ON CONFLICT (only_row) DO UPDATE SET relation = EXCLUDED.relation,"
		" relation_name = EXCLUDED.relation_name, set_by = EXCLUDED.set_by",
		3, {REGCLASSOID, TEXTOID, NAMEOID}
	};
	static StorePlan unset_plan = {"DELETE FROM idflow.directory_source", 0, {0}};
	Oid			roleid = GetUserId();
	UserSwitch	save;

	if (!role_is_admin(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set the directory"),
				 errhint("The role must be a member of idflow_admin.")));

	if (PG_ARGISNULL(0))
	{
		store_begin(&save);
		(void) store_exec(&unset_plan, NULL, NULL, false);
		store_end(&save);
	}
	else
	{
		Oid			relid = PG_GETARG_OID(0);
		char	   *name = relation_sql_name(relid);
		char		relkind = get_rel_relkind(relid);
		AttrNumber	attnums[DIR_NCOLUMNS];
		NameData	rolename;
		Datum		values[3];

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));
		if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
			relkind != RELKIND_VIEW && relkind != RELKIND_MATVIEW &&
			relkind != RELKIND_FOREIGN_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("%s is not a table or view", name),
					 errhint("A directory is a table, view, materialized view or foreign table.")));
		if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("directory relation %s is temporary", name),
					 errhint("Other sessions cannot read it. Use a permanent relation.")));
		if (relid == extension_relid("directory"))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("idflow.directory cannot be its own source"),
					 errhint("Pass NULL to return to PostgreSQL roles and idflow.profile_member.")));
		find_columns(relid, name, attnums);
		check_select(relid, name, roleid, attnums);

		namestrcpy(&rolename, GetUserNameFromId(roleid, false));
		values[0] = ObjectIdGetDatum(relid);
		values[1] = CStringGetTextDatum(name);
		values[2] = NameGetDatum(&rolename);
		store_begin(&save);
		(void) store_exec(&set_plan, values, NULL, false);
		store_end(&save);
	}
	PG_RETURN_VOID();
}
