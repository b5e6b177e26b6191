/*-------------------------------------------------------------------------
 *
 * principal.c
 *	  Whose a name is: principals bound to the database roles behind them.
 *
 * A principal is a name.  Where a database role has that name when it is put on
 * record, the role is noted beside it, as a binding.  The record is then that
 * role's: another one that is made under the name after the first was dropped
 * has no part in it.  A name that was no role's is bound by the name only.
 *
 * Binding gives nothing and takes something away: who has another name than the
 * one on record has no part in it either, though his role be the same.
 *
 * Numbers of roles mean nothing in a database that was restored elsewhere, so a
 * binding has a mark of the database that it was made in.  One with another mark
 * says nothing, and the name decides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "idflow.h"
#include "tenant.h"

PG_FUNCTION_INFO_V1(idflow_binding);
PG_FUNCTION_INFO_V1(idflow_is_bound);
PG_FUNCTION_INFO_V1(idflow_key_bindings);
PG_FUNCTION_INFO_V1(idflow_asks);
PG_FUNCTION_INFO_V1(idflow_bound_keys);

/* What this database marks its bindings with. */
static uint32
database_mark(void)
{
	static uint32 mark = 0;

	if (mark == 0)
	{
		uint64		system = GetSystemIdentifier();

		mark = hash_combine(hash_bytes((const unsigned char *) &system, sizeof(system)),
							hash_bytes_uint32(MyDatabaseId));
		if (mark == 0)
			mark = 1;
	}
	return mark;
}

/* ------------------------------------------------------------ roles by name */

typedef struct RoleName
{
	NameData	name;			/* hash key */
	Oid			role;
} RoleName;

/* Where there are more roles, their names aren't kept. */
#define MAX_ROLE_NAMES	1000

static HTAB *role_names = NULL;
static bool role_names_current = false; /* nothing has changed since they were read */
static bool role_names_whole = false;	/* all of them are there */
static uint64 role_changes = 0;

static void
role_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	role_names_current = false;
	role_changes++;
}

static void
read_role_names(void)
{
	HASHCTL		ctl;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	uint64		changes;
	int			n = 0;

	if (role_names == NULL)
		CacheRegisterSyscacheCallback(AUTHOID, role_callback, (Datum) 0);
	else
		hash_destroy(role_names);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(RoleName);
	role_names = hash_create("idflow roles by name", 32, &ctl, HASH_ELEM | HASH_STRINGS);

	rel = table_open(AuthIdRelationId, AccessShareLock);
	changes = role_changes;
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL && n++ < MAX_ROLE_NAMES)
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);
		RoleName   *entry = hash_search(role_names, NameStr(form->rolname), HASH_ENTER, NULL);

		entry->role = form->oid;
	}
	role_names_whole = tuple == NULL;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	role_names_current = changes == role_changes;
}

/*
 * The role that has a name.  Most principals are none, and there are as many as
 * people: the system catalog's cache looks each up once, in the catalog, and
 * keeps that.  So all roles are read at once, where they are few.
 */
static Oid
role_of_name(const char *name)
{
	RoleName   *entry;

	if (!role_names_current)
		read_role_names();
	if (!role_names_current || !role_names_whole)
		return get_role_oid(name, true);
	if (strlen(name) >= NAMEDATALEN)
		return InvalidOid;
	entry = hash_search(role_names, name, HASH_FIND, NULL);
	return entry ? entry->role : InvalidOid;
}

/* ------------------------------------------------------------------ bindings */

/*
 * principal_binding: the role that has a name now, as it is put on record: the
 * mark above, the role's number below.  0: no role has it.
 */
int64
principal_binding(const char *name)
{
	Oid			role = role_of_name(name);

	return OidIsValid(role) ? (int64) ((uint64) database_mark() << 32 | role) : 0;
}

/*
 * principal_is_bound: is a name still whose it was when it was put on record?
 */
bool
principal_is_bound(const char *name, int64 binding)
{
	return binding == 0 || (uint64) binding >> 32 != database_mark() ||
		role_of_name(name) == (Oid) ((uint64) binding & PG_UINT32_MAX);
}

/*
 * key_is_bound: the same for a candidate key.  A profile's is bound by those
 * who hold it.
 */
bool
key_is_bound(const char *key, int64 binding)
{
	return strncmp(key, KEY_PRINCIPAL, strlen(KEY_PRINCIPAL)) != 0 ||
		principal_is_bound(key + strlen(KEY_PRINCIPAL), binding);
}

/*
 * request_is_of: did a person make a request?  The name alone doesn't say so.
 */
bool
request_is_of(Request *req, const char *principal)
{
	return strcmp(principal, req->requester) == 0 &&
		principal_is_bound(principal, req->requester_binding);
}

/*
 * request_binding: whose a name is that is put on record with a request.  That
 * of its requester or subject means the one it meant when it was made.
 */
int64
request_binding(Request *req, const char *name)
{
	if (strcmp(name, req->requester) == 0)
		return req->requester_binding;
	if (req->subject && req->subject_binding && strcmp(name, req->subject) == 0)
		return req->subject_binding;
	return principal_binding(name);
}

/*
 * binding_datum: a binding as an argument; sets the null flag for none.
 */
Datum
binding_datum(int64 binding, char *isnull)
{
	*isnull = binding == 0 ? 'n' : ' ';
	return Int64GetDatum(binding);
}

/* idflow.binding(name) */
Datum
idflow_binding(PG_FUNCTION_ARGS)
{
	int64		binding = principal_binding(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (binding == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(binding);
}

/* idflow.is_bound(name, binding) */
Datum
idflow_is_bound(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_BOOL(true);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(principal_is_bound(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1)));
}

/*
 * ------------------------------------------------------------ several at once
 *
 * An item of an access review has its reviewers in arrays: keys, or places, and
 * beside them a bigint[] of as many bindings, null where none has one.
 */

/* The bindings of n keys, 0 for none. */
static int64 *
read_bindings(FunctionCallInfo fcinfo, int arg, int n)
{
	int64	   *bindings = (int64 *) palloc0(Max(n, 1) * sizeof(int64));
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(arg))
		return bindings;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &count);
	for (int i = 0; i < Min(n, count); i++)
		if (!nulls[i])
			bindings[i] = DatumGetInt64(values[i]);
	return bindings;
}

/* idflow.key_bindings(keys) */
Datum
idflow_key_bindings(PG_FUNCTION_ARGS)
{
	List	   *keys = text_array_list(PG_GETARG_DATUM(0));
	int			n = list_length(keys);
	Datum	   *values = (Datum *) palloc(Max(n, 1) * sizeof(Datum));
	bool	   *nulls = (bool *) palloc(Max(n, 1) * sizeof(bool));
	int			dims[1] = {n};
	int			lbs[1] = {1};
	bool		any = false;

	for (int i = 0; i < n; i++)
	{
		const char *key = list_nth(keys, i);
		int64		binding = 0;

		if (key && strncmp(key, KEY_PRINCIPAL, strlen(KEY_PRINCIPAL)) == 0)
			binding = principal_binding(key + strlen(KEY_PRINCIPAL));
		values[i] = Int64GetDatum(binding);
		nulls[i] = binding == 0;
		any |= binding != 0;
	}
	if (!any)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(construct_md_array(values, nulls, 1, dims, lbs, INT8OID, 8,
											 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* idflow.asks(places, bindings, mine) */
Datum
idflow_asks(PG_FUNCTION_ARGS)
{
	List	   *places;
	List	   *mine;
	int64	   *bindings;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	places = text_array_list(PG_GETARG_DATUM(0));
	mine = text_array_list(PG_GETARG_DATUM(2));
	bindings = read_bindings(fcinfo, 1, list_length(places));
	for (int i = 0; i < list_length(places); i++)
	{
		const char *place = list_nth(places, i);

		if (place && strings_contain(mine, place) && key_is_bound(place_key(place), bindings[i]))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/* idflow.bound_keys(keys, asked, bindings) */
Datum
idflow_bound_keys(PG_FUNCTION_ARGS)
{
	List	   *asked;
	List	   *result = NIL;
	int64	   *bindings;
	ListCell   *lc;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(2))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	asked = text_array_list(PG_GETARG_DATUM(1));
	bindings = read_bindings(fcinfo, 2, list_length(asked));
	foreach(lc, text_array_list(PG_GETARG_DATUM(0)))
	{
		const char *key = lfirst(lc);

		for (int i = 0; key && i < list_length(asked); i++)
		{
			const char *other = list_nth(asked, i);

			if (other && strcmp(key, other) == 0 && key_is_bound(key, bindings[i]))
			{
				result = lappend(result, unconstify(char *, key));
				break;
			}
		}
	}
	PG_RETURN_DATUM(text_array_datum(result));
}
