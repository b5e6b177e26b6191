/*-------------------------------------------------------------------------
 *
 * directory.c
 *	  Who holds which profile.
 *
 * By default a profile is a PostgreSQL role, held by the roles that are its
 * members at whatever distance, or the name of rows in idflow.profile_member.
 * idflow.set_directory() puts a relation of the organisation's own in place
 * of both; see directory_source.c.
 *
 *-------------------------------------------------------------------------
 */
#include "idflow.h"

#include "access/htup_details.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "directory.h"

PG_FUNCTION_INFO_V1(idflow_directory_rows);

/* ------------------------------------------------------- the default: roles */

/*
 * The roles at whatever distance above (up) or below a role, itself excluded.
 * Membership counts whether or not it is inherited.
 */
static List *
related_roles(Oid roleid, bool up)
{
	List	   *found = list_make1_oid(roleid);
	ListCell   *lc;

	/* the list grows while it is walked, which foreach() allows */
	foreach(lc, found)
	{
		CatCList   *members = SearchSysCacheList1(up ? AUTHMEMMEMROLE : AUTHMEMROLEMEM,
												  ObjectIdGetDatum(lfirst_oid(lc)));

		for (int i = 0; i < members->n_members; i++)
		{
			Form_pg_auth_members m =
				(Form_pg_auth_members) GETSTRUCT(&members->members[i]->tuple);

			found = list_append_unique_oid(found, up ? m->roleid : m->member);
		}
		ReleaseSysCacheList(members);
	}
	return list_delete_first(found);
}

/* The names of the roles related to the one of this name; NIL if none is. */
static List *
related_role_names(const char *name, bool up)
{
	Oid			roleid = get_role_oid(name, true);
	List	   *names = NIL;
	ListCell   *lc;

	if (!OidIsValid(roleid))
		return NIL;
	foreach(lc, related_roles(roleid, up))
	{
		char	   *related = GetUserNameFromId(lfirst_oid(lc), true);

		if (related != NULL)
			names = lappend(names, related);
	}
	return names;
}

/* Is a role a member of a role of this name, at whatever distance? */
static bool
role_holds(const char *principal, const char *profile)
{
	Oid			member = get_role_oid(principal, true);
	Oid			role;

	if (!OidIsValid(member))
		return false;
	role = get_role_oid(profile, true);
	return OidIsValid(role) && role != member && is_member_of_role_nosuper(member, role);
}

/* ---------------------------------------------------------------- questions */

typedef struct NameCollector
{
	List	   *names;
	MemoryContext context;
} NameCollector;

static void
collect_name(HeapTuple tuple, TupleDesc desc, void *state)
{
	NameCollector *collector = state;
	char	   *name = SPI_getvalue(tuple, desc, 1);

	if (name != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(collector->context);

		collector->names = lappend(collector->names, pstrdup(name));
		MemoryContextSwitchTo(old);
	}
}

static void
note_row(HeapTuple tuple, TupleDesc desc, void *state)
{
	*(bool *) state = true;
}

/*
 * Add to the list the names that a statement on profile_member gives; latest:
 * as of now, not of the statement's start.
 */
static List *
add_names(List *names, StorePlan *plan, const char *arg, bool latest)
{
	NameCollector collector = {names, CurrentMemoryContext};
	Datum		values[1];
	UserSwitch	save;

	values[0] = CStringGetTextDatum(arg);
	store_begin(&save);
	(void) store_exec(plan, values, NULL, !latest);
	for (uint64 i = 0; i < SPI_processed; i++)
		collect_name(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &collector);
	store_end(&save);
	return collector.names;
}

/*
 * directory_holds: does the principal hold the profile, now?  tenant: within
 * which, NULL: of no tenant.  Where the directory knows no tenants, nobody holds
 * anything within one.
 */
bool
directory_holds(const char *principal, const char *profile, const char *tenant)
{
	static StorePlan plan = {
		"SELECT true FROM idflow.profile_member m"
		" WHERE m.profile OPERATOR(pg_catalog.=) $1 AND m.principal OPERATOR(pg_catalog.=) $2"
		" AND " IS_BOUND("m.principal", "m.binding"),
		2, {TEXTOID, TEXTOID}
	};
	Datum		values[2];
	bool		holds = false;

	if (directory_is_set())
	{
		if (tenant == NULL || directory_has_tenants())
			directory_ask(DIR_HOLDS, principal, profile, tenant, note_row, &holds);
		return holds;
	}
	if (tenant)
		return false;

	if (role_holds(principal, profile))
		return true;
	values[0] = CStringGetTextDatum(profile);
	values[1] = CStringGetTextDatum(principal);
	/* not as of the statement's start: it may have waited for a lock since */
	return store_finds(&plan, values, false);
}

/* The profiles that the principal holds, in the current memory context. */
List *
directory_profiles(const char *principal)
{
	static StorePlan plan = {
		"SELECT m.profile FROM idflow.profile_member m"
		" WHERE m.principal OPERATOR(pg_catalog.=) $1 AND " IS_BOUND("m.principal", "m.binding"),
		1, {TEXTOID}
	};

	if (directory_is_set())
	{
		NameCollector collector = {NIL, CurrentMemoryContext};

		directory_ask(DIR_PROFILES, principal, NULL, NULL, collect_name, &collector);
		return collector.names;
	}
	return add_names(related_role_names(principal, true), &plan, principal, false);
}

/*
 * directory_holders: the principals that hold the profile, in the current memory
 * context, tenant as above.  One that is both a role and in
 * idflow.profile_member is named twice.
 */
List *
directory_holders(const char *profile, const char *tenant)
{
	static StorePlan plan = {
		"SELECT m.principal FROM idflow.profile_member m"
		" WHERE m.profile OPERATOR(pg_catalog.=) $1 AND " IS_BOUND("m.principal", "m.binding"),
		1, {TEXTOID}
	};

	if (directory_is_set())
	{
		NameCollector collector = {NIL, CurrentMemoryContext};

		if (tenant == NULL || directory_has_tenants())
			directory_ask(DIR_HOLDERS, profile, NULL, tenant, collect_name, &collector);
		return collector.names;
	}
	if (tenant)
		return NIL;
	/* votes may be counted after a lock was waited for */
	return add_names(related_role_names(profile, false), &plan, profile, true);
}

typedef struct RowCollector
{
	Tuplestorestate *store;
	TupleDesc	desc;
} RowCollector;

static void
collect_row(HeapTuple tuple, TupleDesc desc, void *state)
{
	RowCollector *collector = state;
	Datum		values[DIR_NCOLUMNS];
	bool		nulls[DIR_NCOLUMNS];

	heap_deform_tuple(tuple, desc, values, nulls);
	tuplestore_putvalues(collector->store, collector->desc, values, nulls);
}

/*
 * idflow.directory_rows(): the rows of idflow.directory.  Of roles, those that
 * PostgreSQL itself brings are left out.
 */
Datum
idflow_directory_rows(PG_FUNCTION_ARGS)
{
	static StorePlan plan = {
		"WITH RECURSIVE held(member, role) AS ("
		" SELECT m.member, m.roleid FROM pg_catalog.pg_auth_members m"
		" UNION SELECT h.member, m.roleid FROM held h"
		" JOIN pg_catalog.pg_auth_members m ON m.member OPERATOR(pg_catalog.=) h.role)"
		" SELECT m.rolname::pg_catalog.text, r.rolname::pg_catalog.text,"
		" NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.text, true, NULL::pg_catalog.text, NULL::pg_catalog.text"
		" FROM held h JOIN pg_catalog.pg_roles m ON m.oid OPERATOR(pg_catalog.=) h.member"
		" JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) h.role"
		" WHERE m.rolname OPERATOR(pg_catalog.!~) '^pg_' AND r.rolname OPERATOR(pg_catalog.!~) '^pg_'"
		" UNION SELECT p.principal, p.profile, NULL, NULL, NULL, true, NULL, NULL FROM idflow.profile_member p"
		" WHERE " IS_BOUND("p.principal", "p.binding") " ORDER BY 1, 2",
		0, {0}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	RowCollector collector;

	InitMaterializedSRF(fcinfo, 0);
	collector.store = rsinfo->setResult;
	collector.desc = rsinfo->setDesc;

	if (directory_is_set())
		directory_ask(DIR_ROWS, NULL, NULL, NULL, collect_row, &collector);
	else
	{
		UserSwitch	save;

		store_begin(&save);
		(void) store_exec(&plan, NULL, NULL, true);
		for (uint64 i = 0; i < SPI_processed; i++)
			collect_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &collector);
		store_end(&save);
	}
	return (Datum) 0;
}

typedef struct Person
{
	MemoryContext context;
	char	  **email;
	char	  **language;
} Person;

static void
collect_person(HeapTuple tuple, TupleDesc desc, void *state)
{
	Person	   *person = (Person *) state;
	char	   *email = SPI_getvalue(tuple, desc, 1);
	char	   *language = SPI_getvalue(tuple, desc, 2);

	if (email && *person->email == NULL)
		*person->email = MemoryContextStrdup(person->context, email);
	if (language && *person->language == NULL)
		*person->language = MemoryContextStrdup(person->context, language);
}

/*
 * directory_person: a principal's e-mail address and language, in the current
 * memory context; NULL where the directory has none.
 */
void
directory_person(const char *principal, char **email, char **language)
{
	Person		person = {CurrentMemoryContext, email, language};

	*email = *language = NULL;
	if (directory_is_set())
		directory_ask(DIR_PERSON, principal, NULL, NULL, collect_person, &person);
}
