/*-------------------------------------------------------------------------
 *
 * deputy.c
 *	  Deputies: who acts for somebody else, in which workflow and when.
 *
 * They are found when they are needed, by going from link to link: a deputy's
 * deputy stands in, too, up to DEPUTY_LINKS away.  Everybody is visited once
 * for each workflow, which ends cycles.  Whom four eyes keeps from a request
 * is no link either: nobody decides his own request through a deputy.
 *
 * A link is bound to the database roles that have the names; see principal.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "decide.h"
#include "deputy.h"
#include "reading.h"
#include "separation.h"
#include "task.h"
#include "tenant.h"
#include "vote.h"

#define DEPUTY_LINKS	10

PG_FUNCTION_INFO_V1(idflow_add_deputy);
PG_FUNCTION_INFO_V1(idflow_drop_deputy);
PG_FUNCTION_INFO_V1(idflow_deputy_places);
PG_FUNCTION_INFO_V1(idflow_stands_in_at);
PG_FUNCTION_INFO_V1(idflow_claim_stands);

#define LINK_COLUMNS(near, far) \
	"SELECT d." near ", d." far ", d.workflow FROM idflow.deputy d" \
	" WHERE d." near " OPERATOR(pg_catalog.=) ANY ($1)" \
	" AND " IS_BOUND("d.principal", "d.principal_binding") " AND " IS_BOUND("d.deputy", "d.deputy_binding") \
	" AND d.valid OPERATOR(pg_catalog.@>) pg_catalog.now() ORDER BY d.id"

static StorePlan links_up = {LINK_COLUMNS("deputy", "principal"), 1, {TEXTARRAYOID}};
static StorePlan links_down = {LINK_COLUMNS("principal", "deputy"), 1, {TEXTARRAYOID}};

/* The workflow of two links in a row: false if they have none in common. */
static bool
both_workflows(const char *one, const char *other, const char **both)
{
	*both = one ? one : other;
	return one == NULL || other == NULL || strcmp(one, other) == 0;
}

static bool
is_visited(List *found, const char *principal, const char *workflow)
{
	ListCell   *lc;

	foreach(lc, found)
	{
		StandIn    *known = (StandIn *) lfirst(lc);

		if (strcmp(known->principal, principal) == 0 &&
			(known->workflow == NULL ||
			 (workflow && strcmp(known->workflow, workflow) == 0)))
			return true;
	}
	return false;
}

/*
 * stand_ins: those for whom a person stands in (up), or who stand in for him,
 * nearest first, in the current memory context.  workflow: only links that
 * count in it; barred: people through whom no link goes.  A decision looks at
 * the latest state, a reader at his own.
 */
List *
stand_ins(const char *name, bool up, const char *workflow, List *barred, bool latest)
{
	MemoryContext cxt = CurrentMemoryContext;
	StandIn    *self = palloc0(sizeof(StandIn));
	List	   *found;
	int			from = 0;

	self->principal = pstrdup(name);
	found = list_make1(self);
	for (int links = 1; links <= DEPUTY_LINKS && from < list_length(found); links++)
	{
		int			to = list_length(found);
		List	   *names = NIL;
		Datum		values[1];
		UserSwitch	save;
		SPITupleTable *table;
		int			n;

		for (int i = from; i < to; i++)
			names = lappend(names, ((StandIn *) list_nth(found, i))->principal);
		store_begin(&save);
		values[0] = text_array_datum(names);
		n = store_exec(up ? &links_up : &links_down, values, NULL, !latest);
		table = SPI_tuptable;
		for (int r = 0; r < n; r++)
		{
			HeapTuple	row = table->vals[r];
			char	   *near;
			char	   *far;
			char	   *link_workflow;
			MemoryContext spicxt;

			SPI_tuptable = table;
			near = spi_text(row, 1);
			far = spi_text(row, 2);
			link_workflow = spi_text(row, 3);
			if ((workflow && link_workflow && strcmp(link_workflow, workflow) != 0) ||
				strings_contain(barred, far))
				continue;
			for (int i = from; i < to; i++)
			{
				StandIn    *here = (StandIn *) list_nth(found, i);
				const char *both;
				StandIn    *next;

				if (strcmp(here->principal, near) != 0 ||
					!both_workflows(here->workflow, link_workflow, &both) ||
					is_visited(found, far, both))
					continue;
				spicxt = MemoryContextSwitchTo(cxt);
				next = palloc(sizeof(StandIn));
				next->principal = pstrdup(far);
				next->workflow = both ? pstrdup(both) : NULL;
				next->links = links;
				found = lappend(found, next);
				MemoryContextSwitchTo(spicxt);
			}
		}
		SPI_tuptable = table;
		store_end(&save);
		from = to;
	}
	return list_delete_first(found);
}

/*
 * deputy_place_arrays: the places of those for whom a person stands in, in the
 * tenants that he is of himself, and beside each the only workflow in which he
 * does, or null.  people: these people and he himself.
 */
void
deputy_place_arrays(const char *actor, Datum *keys, Datum *workflows, Datum *people)
{
	List	   *found = stand_ins(actor, true, NULL, NIL, false);
	int			max = 64;
	Datum	   *k = palloc(max * sizeof(Datum));
	Datum	   *w = palloc(max * sizeof(Datum));
	bool	   *nulls = palloc(max * sizeof(bool));
	int			n = 0;
	int			dims[1];
	int			lbs[1] = {1};
	List	   *names = list_make1(unconstify(char *, actor));
	List	   *tenants = found ? tenants_of(actor) : NIL;
	ListCell   *lc;

	foreach(lc, found)
	{
		StandIn    *for_whom = (StandIn *) lfirst(lc);
		ListCell   *lk;

		names = lappend(names, for_whom->principal);

		foreach(lk, actor_places(for_whom->principal, tenants))
		{
			if (n == max)
			{
				max *= 2;
				k = repalloc(k, max * sizeof(Datum));
				w = repalloc(w, max * sizeof(Datum));
				nulls = repalloc(nulls, max * sizeof(bool));
			}
			k[n] = CStringGetTextDatum(lfirst(lk));
			nulls[n] = for_whom->workflow == NULL;
			w[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum(for_whom->workflow);
			n++;
		}
	}
	*people = text_array_datum(names);
	dims[0] = n;
	*keys = n == 0 ? PointerGetDatum(construct_empty_array(TEXTOID)) :
		PointerGetDatum(construct_array(k, n, TEXTOID, -1, false, TYPALIGN_INT));
	*workflows = n == 0 ? PointerGetDatum(construct_empty_array(TEXTOID)) :
		PointerGetDatum(construct_md_array(w, nulls, 1, dims, lbs, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * deputy_barred: those whom four eyes keeps from deciding a request, and so
 * from standing in for who does, or from having somebody do it for them.
 */
List *
deputy_barred(Request *req)
{
	List	   *barred;

	if (!req->four_eyes)
		return NIL;
	barred = lappend(list_copy(req->editors), req->requester);
	return req->subject ? lappend(barred, req->subject) : barred;
}

/*
 * In whose place a person acts first: who has claimed the task, then the
 * nearest, those who have voted on it last.
 */
static List *
in_turn(List *found, const char *claimant, List *voted)
{
	List	   *waiting = NIL;
	List	   *done = NIL;
	ListCell   *lc;

	foreach(lc, found)
	{
		StandIn    *for_whom = (StandIn *) lfirst(lc);

		if (strings_contain(voted, for_whom->principal))
			done = lappend(done, for_whom);
		else if (claimant && strcmp(claimant, for_whom->principal) == 0)
			waiting = lcons(for_whom, waiting);
		else
			waiting = lappend(waiting, for_whom);
	}
	return list_concat(waiting, done);
}

/*
 * deputy_authority: by what right a person may act on the open task now, his
 * own or that of somebody for whom he stands in; NULL if by none.
 */
const char *
deputy_authority(Request *req, const char *actor, const char **on_behalf_of)
{
	const char *via = task_authority(req, actor);
	List	   *barred = NIL;
	List	   *found;
	ListCell   *lc;

	*on_behalf_of = NULL;
	if (via)
		return via;
	if (request_activity(req)->template->is_review)
		barred = deputy_barred(req);
	if (strings_contain(barred, actor) || !tenant_admits(req->tenant, actor))
		return NULL;
	found = stand_ins(actor, true, req->workflow->name, barred, true);
	if (list_length(found) > 1 && req->task)
		found = in_turn(found, task_claimant(req), vote_given(req));
	foreach(lc, found)
	{
		StandIn    *for_whom = (StandIn *) lfirst(lc);

		if (separated_from(req, for_whom->principal))
			continue;
		via = task_authority(req, for_whom->principal);
		if (via && strcmp(via, "idflow_admin") != 0)
		{
			*on_behalf_of = for_whom->principal;
			return psprintf("deputy, %s", via);
		}
	}
	return NULL;
}

static void
require_own_deputies(const char *principal)
{
	const char *actor = actor_name();

	if (strcmp(actor, principal) != 0 && !role_is_admin(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" may not set deputies of \"%s\"", actor, principal),
				 errhint("Everybody sets his own deputies; a member of idflow_admin those of all.")));
}

/*
 * idflow_add_deputy: somebody acts for somebody else for a while.
 */
Datum
idflow_add_deputy(PG_FUNCTION_ARGS)
{
	static StorePlan insert_deputy = {
		"INSERT INTO idflow.deputy (principal, deputy, valid, workflow, principal_binding, deputy_binding, made_by)"
		" VALUES ($1, $2, $3, $4, idflow.binding($1), idflow.binding($2), $5) RETURNING id",
		5, {TEXTOID, TEXTOID, TSTZRANGEOID, TEXTOID, TEXTOID}
	};
	char	   *principal = text_argument(fcinfo, 0);
	char	   *deputy = text_argument(fcinfo, 1);
	char	   *workflow = text_argument(fcinfo, 3);
	Datum		values[5];
	char		nulls[6] = "     ";
	UserSwitch	save;
	int64		id;

	PreventCommandDuringRecovery("idflow.add_deputy()");
	if (principal == NULL || deputy == NULL || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null",
						principal == NULL ? "principal" : deputy == NULL ? "deputy" : "valid")));
	require_own_deputies(principal);
	if (principal[0] == '\0' || deputy[0] == '\0' || strcmp(principal, deputy) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a deputy must be another person than the one he stands in for")));
	if (RangeIsEmpty(PG_GETARG_RANGE_P(2)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be empty", "valid"),
				 errhint("Write for example tstzrange('2027-01-01', '2027-01-15').")));
	if (workflow)
		(void) workflow_current(workflow, false);
	values[0] = CStringGetTextDatum(principal);
	values[1] = CStringGetTextDatum(deputy);
	values[2] = PG_GETARG_DATUM(2);
	values[3] = text_datum(workflow, &nulls[3]);
	values[4] = CStringGetTextDatum(actor_name());
	store_begin(&save);
	store_exec(&insert_deputy, values, nulls, false);
	id = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);
	PG_RETURN_INT64(id);
}

/*
 * idflow_drop_deputy: he doesn't any more.  Whoever set it may, and he
 * himself.
 */
Datum
idflow_drop_deputy(PG_FUNCTION_ARGS)
{
	static StorePlan select_deputy = {
		"SELECT principal, deputy, " IS_BOUND("principal", "principal_binding") ", " IS_BOUND("deputy", "deputy_binding")
		" FROM idflow.deputy WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
		1, {INT8OID}
	};
	static StorePlan delete_deputy = {
		"DELETE FROM idflow.deputy WHERE id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	MemoryContext cxt = CurrentMemoryContext;
	int64		id = int64_argument(fcinfo, 0, "id");
	Datum		values[1] = {Int64GetDatum(id)};
	UserSwitch	save;
	char	   *principal = NULL;
	char	   *deputy = NULL;
	const char *actor = actor_name();
	bool		is_principal = false;
	bool		is_deputy = false;

	PreventCommandDuringRecovery("idflow.drop_deputy()");
	store_begin(&save);
	if (store_exec(&select_deputy, values, NULL, false) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		bool		isnull;

		principal = MemoryContextStrdup(cxt, spi_text(row, 1));
		deputy = MemoryContextStrdup(cxt, spi_text(row, 2));
		is_principal = DatumGetBool(spi_datum(row, 3, &isnull)) && strcmp(actor, principal) == 0;
		is_deputy = DatumGetBool(spi_datum(row, 4, &isnull)) && strcmp(actor, deputy) == 0;
	}
	store_end(&save);
	/* to somebody else the number of one tells nothing */
	if (principal == NULL ||
		(!is_principal && !is_deputy && !role_is_admin(GetUserId())))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("deputy " INT64_FORMAT " does not exist", id),
				 errhint("idflow.deputy shows those that are yours.")));
	store_begin(&save);
	store_exec(&delete_deputy, values, NULL, false);
	store_end(&save);
	PG_RETURN_VOID();
}

/* idflow.deputy_places() */
Datum
idflow_deputy_places(PG_FUNCTION_ARGS)
{
	bool		is_explicit;
	const char *actor = actor_lookup(&is_explicit);
	List	   *found = stand_ins(actor, true, NULL, NIL, false);
	List	   *tenants = found ? tenants_of(actor) : NIL;
	List	   *places = NIL;
	ListCell   *lc;

	foreach(lc, found)
		places = list_concat(places, actor_places(((StandIn *) lfirst(lc))->principal, tenants));
	PG_RETURN_DATUM(text_array_datum(places));
}

/* Have two lists of keys, or of places, one in common? */
static bool
have_common(List *these, List *those)
{
	ListCell   *lc;

	foreach(lc, these)
		if (strings_contain(those, lfirst(lc)))
			return true;
	return false;
}

/*
 * idflow.stands_in_at(places, workflow, barred, voted, claimed_by): for whom of
 * a task's candidates the present actor stands in; null for none.  Who has
 * voted is none; who has claimed the task is the first.
 */
Datum
idflow_stands_in_at(PG_FUNCTION_ARGS)
{
	List	   *places = text_array_list(PG_GETARG_DATUM(0));
	char	   *workflow = text_to_cstring(PG_GETARG_TEXT_PP(1));
	List	   *barred = text_array_list(PG_GETARG_DATUM(2));
	List	   *voted = text_array_list(PG_GETARG_DATUM(3));
	char	   *claimant = text_to_cstring(PG_GETARG_TEXT_PP(4));
	bool		is_explicit;
	const char *actor = actor_lookup(&is_explicit);
	List	   *tenants;
	ListCell   *lc;

	if (strings_contain(barred, actor))
		PG_RETURN_NULL();
	tenants = tenants_of(actor);
	foreach(lc, in_turn(stand_ins(actor, true, workflow, barred, false), claimant, voted))
	{
		StandIn    *for_whom = (StandIn *) lfirst(lc);

		if (strings_contain(voted, for_whom->principal))
			break;
		if (have_common(actor_places(for_whom->principal, tenants), places))
			PG_RETURN_TEXT_P(cstring_to_text(for_whom->principal));
	}
	PG_RETURN_NULL();
}

/*
 * idflow.claim_stands(task): may whoever has claimed an open task still act on
 * it, himself or for somebody?
 */
Datum
idflow_claim_stands(PG_FUNCTION_ARGS)
{
	static StorePlan plan = {
		"SELECT r.id, t.claimed_by, r.workflow,"
		" ARRAY(SELECT c.place FROM idflow.candidate c WHERE c.task OPERATOR(pg_catalog.=) t.id AND " KEY_IS_BOUND("c") ")"
		" FROM idflow.task t, idflow.request r WHERE t.id OPERATOR(pg_catalog.=) $1"
		" AND r.id OPERATOR(pg_catalog.=) t.request AND t.claimed_by IS NOT NULL"
		" AND " IS_BOUND("t.claimed_by", "t.claimed_binding"),
		1, {INT8OID}
	};
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {PG_GETARG_DATUM(0)};
	UserSwitch	save;
	int64		request = 0;
	char	   *claimant = NULL;
	char	   *workflow = NULL;
	List	   *places = NIL;
	List	   *tenants;
	ListCell   *lc;

	store_begin(&save);
	if (store_exec(&plan, values, NULL, true) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		bool		isnull;

		request = spi_int64(row, 1);
		claimant = spi_text(row, 2);
		workflow = spi_text(row, 3);
		places = text_array_list(spi_datum(row, 4, &isnull));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	/* the number of somebody else's task tells nothing */
	if (claimant == NULL || viewer_of(request) == VIEWER_NONE)
		PG_RETURN_BOOL(false);

	/* a member of idflow_admin is not known by his name */
	if (strings_contain(places, KEY_ADMIN) || have_common(actor_places(claimant, NIL), places))
		PG_RETURN_BOOL(true);
	tenants = tenants_of(claimant);
	foreach(lc, stand_ins(claimant, true, workflow, NIL, false))
		if (have_common(actor_places(((StandIn *) lfirst(lc))->principal, tenants), places))
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}
