/*-------------------------------------------------------------------------
 *
 * tenant.c
 *	  Tenants: people of one are kept out of another's requests.
 *
 * Where the directory's relation has a column tenant, each of its rows gives a
 * profile within a tenant, and people are of the tenants that their rows name.
 * A row without one gives a profile of the installation's own; who has no row is
 * of no tenant.
 *
 * A request is of its requester's tenant, as it was when the request was made.
 * Only people of that tenant have a part in it, and in one of no tenant only
 * people of none, so that nothing goes from one to another in either direction.
 * Its requester keeps sight of it, and the rights of the database roles
 * idflow_admin and idflow_auditor are above tenants.
 *
 * The inbox is read by places: a candidate's key with the tenant of the request
 * before it.  A request of no tenant has plain keys, and so has everybody where
 * the directory knows no tenants: that costs nothing, and opens nothing of those
 * who had one before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "directory.h"
#include "reading.h"
#include "tenant.h"

PG_FUNCTION_INFO_V1(idflow_my_places);
PG_FUNCTION_INFO_V1(idflow_place);
PG_FUNCTION_INFO_V1(idflow_places);
PG_FUNCTION_INFO_V1(idflow_tenant_admits);
PG_FUNCTION_INFO_V1(idflow_place_is_bound);

/* a profile within a tenant, "": none */
typedef struct Membership
{
	char	   *profile;
	char	   *tenant;
} Membership;

typedef struct Memberships
{
	MemoryContext context;
	List	   *list;			/* of Membership */
	List	   *tenants;		/* each once */
} Memberships;

static void
collect_membership(HeapTuple tuple, TupleDesc desc, void *state)
{
	Memberships *memberships = (Memberships *) state;
	MemoryContext old = MemoryContextSwitchTo(memberships->context);
	Membership *membership = palloc(sizeof(Membership));
	char	   *tenant = SPI_getvalue(tuple, desc, 2);

	membership->profile = SPI_getvalue(tuple, desc, 1);
	membership->tenant = tenant ? tenant : "";
	memberships->list = lappend(memberships->list, membership);
	if (!strings_contain(memberships->tenants, membership->tenant))
		memberships->tenants = lappend(memberships->tenants, membership->tenant);
	MemoryContextSwitchTo(old);
}

/* What the directory's rows give a principal; who has none is of no tenant. */
static Memberships
memberships_of(const char *principal)
{
	Memberships memberships = {CurrentMemoryContext, NIL, NIL};

	directory_ask(DIR_MEMBERSHIPS, principal, NULL, NULL, collect_membership, &memberships);
	if (memberships.tenants == NIL)
		memberships.tenants = list_make1("");
	return memberships;
}

/*
 * tenants_of: the tenants that a person is of, "" for none; NIL where the
 * directory knows no tenants.
 */
List *
tenants_of(const char *principal)
{
	return directory_has_tenants() ? memberships_of(principal).tenants : NIL;
}

/*
 * tenant_admits: may a person have a part in what is of a tenant, or of none?
 */
bool
tenant_admits(const char *tenant, const char *principal)
{
	if (!directory_has_tenants())
		return tenant == NULL;
	return strings_contain(tenants_of(principal), tenant ? tenant : "");
}

/*
 * require_tenant: somebody is to be asked about a request; errors if he must
 * not be.
 */
void
require_tenant(Request *req, const char *principal)
{
	if (!tenant_admits(req->tenant, principal))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" is not of the tenant of request " INT64_FORMAT, principal, req->id),
				 errhint("idflow.directory says who is of which tenant.")));
}

/*
 * tenant_of_requester: the tenant of a request that somebody makes; NULL: of
 * none.  Errors if he is of several.
 */
char *
tenant_of_requester(const char *principal)
{
	List	   *tenants = tenants_of(principal);
	char	   *tenant = NULL;
	ListCell   *lc;

	foreach(lc, tenants)
	{
		char	   *other = (char *) lfirst(lc);

		if (other[0] == '\0')
			continue;
		if (tenant)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("\"%s\" is of several tenants", principal),
					 errdetail("A request is of one tenant, and it can't be told which this one would be of."),
					 errhint("Use a name of its own for each tenant.")));
		tenant = other;
	}
	return tenant;
}

/*
 * place_of: the place of a candidate key in requests of a tenant.  The length
 * keeps names with colons apart.
 */
char *
place_of(const char *key, const char *tenant)
{
	if (tenant == NULL || tenant[0] == '\0' || strcmp(key, KEY_ADMIN) == 0)
		return pstrdup(key);
	return psprintf("t:%zu:%s:%s", strlen(tenant), tenant, key);
}

/*
 * actor_places: the places of a principal, as actor_keys() gives his keys;
 * within: in these tenants only, if that is not NIL.
 */
List *
actor_places(const char *principal, List *within)
{
	Memberships memberships;
	List	   *places = NIL;
	ListCell   *lc;

	if (!directory_has_tenants())
		return actor_keys(principal);
	memberships = memberships_of(principal);
	foreach(lc, memberships.tenants)
		if (within == NIL || strings_contain(within, lfirst(lc)))
			places = lappend(places, place_of(psprintf(KEY_PRINCIPAL "%s", principal), lfirst(lc)));
	foreach(lc, memberships.list)
	{
		Membership *membership = (Membership *) lfirst(lc);

		if (membership->profile && (within == NIL || strings_contain(within, membership->tenant)))
			places = lappend(places, place_of(psprintf(KEY_PROFILE "%s", membership->profile),
											  membership->tenant));
	}
	return places;
}

/*
 * place_key: the candidate key in a place.
 */
const char *
place_key(const char *place)
{
	char	   *rest;
	unsigned long length;

	if (strncmp(place, "t:", 2) != 0)
		return place;
	length = strtoul(place + 2, &rest, 10);
	/* past the tenant and the colons around it */
	return length + 2 <= strlen(rest) ? rest + length + 2 : place;
}

/* idflow.place_is_bound(place, binding) */
Datum
idflow_place_is_bound(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(key_is_bound(place_key(text_to_cstring(PG_GETARG_TEXT_PP(0))), PG_GETARG_INT64(1)));
}

/* idflow.my_places() */
Datum
idflow_my_places(PG_FUNCTION_ARGS)
{
	bool		is_explicit;
	List	   *places = actor_places(actor_lookup(&is_explicit), NIL);

	if (role_is_admin(GetUserId()))
		places = lappend(places, KEY_ADMIN);
	PG_RETURN_DATUM(text_array_datum(places));
}

/* idflow.place(key, tenant) */
Datum
idflow_place(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(place_of(text_to_cstring(PG_GETARG_TEXT_PP(0)),
											  PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)))));
}

/* idflow.places(keys, tenant) */
Datum
idflow_places(PG_FUNCTION_ARGS)
{
	char	   *tenant = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	List	   *places = NIL;
	ListCell   *lc;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (tenant == NULL || tenant[0] == '\0')
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	foreach(lc, text_array_list(PG_GETARG_DATUM(0)))
		places = lappend(places, lfirst(lc) ? place_of(lfirst(lc), tenant) : NULL);
	PG_RETURN_DATUM(text_array_datum(places));
}

/* idflow.tenant_admits(tenant, principal) */
Datum
idflow_tenant_admits(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(tenant_admits(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 text_to_cstring(PG_GETARG_TEXT_PP(1))));
}
