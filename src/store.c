/*-------------------------------------------------------------------------
 *
 * store.c
 *	  Access to idflow's own tables: who owns them, acting as that owner, and
 *	  saved SPI plans.
 *
 * The plans are kept for the session.  The plan cache sees to their validity,
 * also when the extension is dropped and created again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "idflow.h"

/* oid of idflow.request, checked at each use: its owner owns everything */
static Oid	request_relid = InvalidOid;

/*
 * extension_schema: the oid of schema idflow.  Errors if there is none, which
 * happens only where somebody calls the library without the extension.
 */
Oid
extension_schema(void)
{
	Oid			nsp = get_namespace_oid("idflow", true);

	if (!OidIsValid(nsp))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"idflow\" does not exist"),
				 errhint("Run CREATE EXTENSION idflow in this database.")));
	return nsp;
}

/*
 * extension_relid: the oid of one of idflow's tables.
 */
Oid
extension_relid(const char *relname)
{
	Oid			relid = get_relname_relid(relname, extension_schema());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"idflow.%s\" does not exist", relname),
				 errhint("Run CREATE EXTENSION idflow, or ALTER EXTENSION idflow UPDATE, in this database.")));
	return relid;
}

/*
 * extension_owner: the role that owns idflow's tables.
 */
static Oid
extension_owner(void)
{
	for (int attempt = 0; attempt < 2; attempt++)
	{
		HeapTuple	tuple;

		if (OidIsValid(request_relid))
		{
			tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(request_relid));
			if (HeapTupleIsValid(tuple))
			{
				Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

				ReleaseSysCache(tuple);
				return owner;
			}
		}
		request_relid = extension_relid("request");
	}
	elog(ERROR, "owner of idflow not found");
	return InvalidOid;			/* keep the compiler quiet */
}

/*
 * become: act as another role until restore_user(); an error restores by way
 * of the (sub)transaction's abort.
 */
void
become(UserSwitch *save, Oid userid, int extra_flags)
{
	GetUserIdAndSecContext(&save->userid, &save->sec_context);
	SetUserIdAndSecContext(userid,
						   save->sec_context | SECURITY_LOCAL_USERID_CHANGE | extra_flags);
}

static void
become_owner(UserSwitch *save)
{
	become(save, extension_owner(), 0);
}

void
restore_user(const UserSwitch *save)
{
	SetUserIdAndSecContext(save->userid, save->sec_context);
}

/*
 * become_pinned: become another role to run code of other people's, in which
 * names are to mean what core means by them: search_path is pinned.  Returns
 * the nest level of settings, which restore_pinned() ends together with
 * whatever that code has set.
 */
int
become_pinned(UserSwitch *save, Oid userid, int extra_flags)
{
	int			nest;

	become(save, userid, extra_flags);
	nest = NewGUCNestLevel();
	set_if_different("search_path", "pg_catalog, pg_temp");
	return nest;
}

void
restore_pinned(const UserSwitch *save, int nest)
{
	AtEOXact_GUC(false, nest);
	restore_user(save);
}

void
store_begin(UserSwitch *save)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	become_owner(save);
}

void
store_end(const UserSwitch *save)
{
	restore_user(save);
	SPI_finish();
}

static void
prepare(StorePlan *plan)
{
	SPIPlanPtr	prepared;

	if (plan->plan != NULL)
		return;
	prepared = SPI_prepare(plan->sql, plan->nargs, plan->argtypes);
	if (prepared == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", plan->sql,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(prepared);
	plan->plan = prepared;
}

/*
 * store_exec: run a statement of idflow's own between store_begin() and
 * store_end().  Returns the number of rows; they are in SPI_tuptable.
 * nulls as SPI_execute_plan() takes it, NULL when no argument is null.
 */
int
store_exec(StorePlan *plan, Datum *values, const char *nulls, bool read_only)
{
	int			rc;

	prepare(plan);
	rc = SPI_execute_plan(plan->plan, values, nulls, read_only, 0);
	if (rc < 0)
		elog(ERROR, "could not execute \"%s\": %s", plan->sql,
			 SPI_result_code_string(rc));
	return (int) SPI_processed;
}

/*
 * store_finds: run a statement of idflow's own that is asked only whether it
 * finds a row, or writes one.
 */
bool
store_finds(StorePlan *plan, Datum *values, bool read_only)
{
	UserSwitch	save;
	bool		found;

	store_begin(&save);
	found = store_exec(plan, values, NULL, read_only) > 0;
	store_end(&save);
	return found;
}

/*
 * store_exec_latest: as store_exec(), for a SELECT that must see all that is
 * committed by now, also in a transaction that has one snapshot.
 */
int
store_exec_latest(StorePlan *plan, Datum *values)
{
	Snapshot	snapshot;
	int			rc;

	prepare(plan);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	rc = SPI_execute_snapshot(plan->plan, values, NULL, snapshot, InvalidSnapshot,
							  true, false, 0);
	UnregisterSnapshot(snapshot);
	if (rc < 0)
		elog(ERROR, "could not execute \"%s\": %s", plan->sql,
			 SPI_result_code_string(rc));
	return (int) SPI_processed;
}

Datum
spi_datum(HeapTuple tuple, int column, bool *isnull)
{
	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, column, isnull);
}

/*
 * spi_text: a text or name column as C string in the current context, NULL
 * for SQL null.
 */
char *
spi_text(HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = spi_datum(tuple, column, &isnull);

	if (isnull)
		return NULL;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) == NAMEOID)
		return pstrdup(NameStr(*DatumGetName(value)));
	return TextDatumGetCString(value);
}

int64
spi_int64(HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = spi_datum(tuple, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int
spi_int32(HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = spi_datum(tuple, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/*
 * text_datum: a text argument; sets the null flag for NULL.
 */
Datum
text_datum(const char *s, char *isnull)
{
	*isnull = (s == NULL) ? 'n' : ' ';
	return s == NULL ? (Datum) 0 : CStringGetTextDatum(s);
}

/*
 * text_array_datum: a text[] of a List of char *, whose members may be NULL.
 */
Datum
text_array_datum(List *strings)
{
	int			n = list_length(strings);
	Datum	   *values;
	bool	   *nulls;
	int			i = 0;
	int			dims[1];
	int			lbs[1] = {1};
	ListCell   *lc;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));

	values = palloc(n * sizeof(Datum));
	nulls = palloc(n * sizeof(bool));
	foreach(lc, strings)
	{
		const char *s = lfirst(lc);

		nulls[i] = (s == NULL);
		values[i] = s == NULL ? (Datum) 0 : CStringGetTextDatum(s);
		i++;
	}
	dims[0] = n;
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lbs,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * text_array_list: the elements of a text[] as a List of char * in the
 * current context; SQL null becomes NULL.
 */
List *
text_array_list(Datum array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *result = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		result = lappend(result, nulls[i] ? NULL : TextDatumGetCString(values[i]));
	return result;
}

/*
 * text_array_hash: the hash by which changes are found by their key.  A key that
 * is one number is its own, so that rows numbered one after the other are
 * neighbours in the index; a hash would put each into another page.
 */
int64
text_array_hash(Datum array)
{
	ArrayType  *key = DatumGetArrayTypeP(array);

	if (ARR_NDIM(key) == 1 && ARR_DIMS(key)[0] == 1 && !ARR_HASNULL(key))
	{
		char	   *value = TextDatumGetCString(PointerGetDatum(ARR_DATA_PTR(key)));
		size_t		digits = strspn(value, "0123456789");

		/* what has more digits may not fit */
		if (digits > 0 && digits <= 18 && value[digits] == '\0')
			return strtoi64(value, NULL, 10);
	}
	return DatumGetInt64(OidFunctionCall2Coll(F_HASH_ARRAY_EXTENDED, DEFAULT_COLLATION_OID,
											  array, Int64GetDatum(0)));
}

/* Whether a list of strings, some maybe NULL, has one like s. */
bool
strings_contain(List *strings, const char *s)
{
	ListCell   *lc;

	foreach(lc, strings)
		if (lfirst(lc) != NULL && strcmp(lfirst(lc), s) == 0)
			return true;
	return false;
}

/* A smallint[]; in the current context. */
Datum
int2_array_datum(int16 *values, int n)
{
	Datum	   *datums = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		datums[i] = Int16GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, INT2OID, 2, true, TYPALIGN_SHORT));
}

/* The elements of a smallint[] without nulls, and how many; in the current context. */
int16 *
int2_array_values(Datum array, int *n)
{
	ArrayType  *a = DatumGetArrayTypeP(array);
	Datum	   *values;
	bool	   *nulls;
	int16	   *result;

	deconstruct_array(a, INT2OID, 2, true, TYPALIGN_SHORT, &values, &nulls, n);
	result = palloc(Max(*n, 1) * sizeof(int16));
	for (int i = 0; i < *n; i++)
		result[i] = DatumGetInt16(values[i]);
	return result;
}

/* A list of the very strings; in the current context. */
List *
string_list(char **strings, int n)
{
	List	   *result = NIL;

	for (int i = 0; i < n; i++)
		result = lappend(result, strings[i]);
	return result;
}
