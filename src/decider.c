/*-------------------------------------------------------------------------
 *
 * decider.c
 *	  Who may decide a request, who did, and tasks that wait for nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "deputy.h"
#include "idflow.h"
#include "reading.h"
#include "separation.h"
#include "tenant.h"

PG_FUNCTION_INFO_V1(idflow_decider_rows);
PG_FUNCTION_INFO_V1(idflow_decidable);
PG_FUNCTION_INFO_V1(idflow_state_verbs);

#define DECIDER_COLUMNS 9

/*
 * Candidates of a request's open task.  barred are those whom rule 8, four
 * eyes, keeps from a review: who requested, edited or is the subject; those
 * whom separation of duties keeps out are added to them.  voted
 * are those whose vote stands.
 */
static StorePlan candidates_plan = {
	"SELECT c.task, t.activity, c.key,"
	" CASE WHEN COALESCE(r.four_eyes, w.four_eyes) AND pg_catalog.right(t.activity_state, 14) OPERATOR(pg_catalog.=) '-ReviewPending'"
	" THEN pg_catalog.array_remove(ARRAY[r.requester, r.subject] OPERATOR(pg_catalog.||) r.editors, NULL)"
	" ELSE '{}' END,"
	" ARRAY(SELECT pg_catalog.unnest(ARRAY[v.principal, COALESCE(v.on_behalf_of, v.principal)]) FROM idflow.vote v WHERE v.request OPERATOR(pg_catalog.=) r.id"
	" AND v.task OPERATOR(pg_catalog.=) c.task AND NOT v.superseded"
	" AND " IS_BOUND("v.principal", "v.binding") " AND " IS_BOUND("v.on_behalf_of", "v.behalf_binding") "),"
	" t.workflow_id, t.position, pg_catalog.split_part(t.activity_state, '-', 2), r.workflow, r.tenant"
	" FROM idflow.task t"
	" JOIN idflow.request r ON r.task OPERATOR(pg_catalog.=) t.id"
	" JOIN idflow.workflow w ON w.id OPERATOR(pg_catalog.=) t.workflow_id"
	" JOIN idflow.candidate c ON c.task OPERATOR(pg_catalog.=) t.id"
	" AND c.key OPERATOR(pg_catalog.<>) '" KEY_ADMIN "' AND " KEY_IS_BOUND("c")
	" WHERE r.id OPERATOR(pg_catalog.=) $1 AND t.state OPERATOR(pg_catalog.=) 'open'"
	" ORDER BY c.key COLLATE pg_catalog.\"C\" DESC",
	1, {INT8OID}
};

static StorePlan votes_plan = {
	"SELECT v.task, t.activity, v.principal, v.via, v.vote, v.voted_at, v.on_behalf_of, v.comment, v.superseded"
	" FROM idflow.task t JOIN idflow.vote v ON v.task OPERATOR(pg_catalog.=) t.id"
	" WHERE v.request OPERATOR(pg_catalog.=) $1 ORDER BY v.task, v.seq",
	1, {INT8OID}
};

typedef struct Candidate
{
	int64		task;
	char	   *activity;
	char	   *key;
	List	   *barred;			/* of char * */
	List	   *voted;			/* of char * */
	int64		workflow;
	int			position;
	char	   *state;			/* of the activity, short */
	char	   *workflow_name;
	char	   *tenant;			/* of the request */
} Candidate;

/* The candidates of a request, principals before profiles. */
static List *
candidates_of(int64 request)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		args[1] = {Int64GetDatum(request)};
	UserSwitch	save;
	List	   *candidates = NIL;

	store_begin(&save);
	(void) store_exec(&candidates_plan, args, NULL, true);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		Candidate  *candidate = palloc(sizeof(Candidate));
		bool		isnull;

		candidate->task = spi_int64(row, 1);
		candidate->activity = spi_text(row, 2);
		candidate->key = spi_text(row, 3);
		candidate->barred = text_array_list(spi_datum(row, 4, &isnull));
		candidate->voted = text_array_list(spi_datum(row, 5, &isnull));
		candidate->workflow = spi_int64(row, 6);
		candidate->position = spi_int32(row, 7);
		candidate->state = spi_text(row, 8);
		candidate->workflow_name = spi_text(row, 9);
		candidate->tenant = spi_text(row, 10);
		candidates = lappend(candidates, candidate);
	}
	store_end(&save);

	/* all are of one task */
	if (candidates != NIL)
	{
		Candidate  *first = linitial(candidates);
		Workflow   *wf = workflow_by_id(first->workflow);
		List	   *separated = separated_principals(request, workflow_activity(wf, first->position),
													 first->state);
		ListCell   *lc;

		foreach(lc, separated ? candidates : NIL)
		{
			Candidate  *candidate = lfirst(lc);

			candidate->barred = list_concat(candidate->barred, separated);
		}
	}
	return candidates;
}

/* The principals that a candidate's key stands for, and what via says of it. */
static List *
principals_of(Candidate *candidate, char **via)
{
	const char *name = candidate->key + strlen(KEY_PROFILE);

	if (strncmp(candidate->key, KEY_PROFILE, strlen(KEY_PROFILE)) == 0)
	{
		*via = psprintf("profile %s", name);
		return directory_holders(name, candidate->tenant);
	}
	*via = "principal";
	return tenant_admits(candidate->tenant, name) ? list_make1(unconstify(char *, name)) : NIL;
}

/*
 * idflow.decider_rows(request): who may decide now, who has voted.  Whoever
 * both is a candidate himself and holds a candidate profile is given once.
 * No rows if the one who asks may not see the request.
 */
Datum
idflow_decider_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		request = PG_GETARG_INT64(0);
	Datum		args[1] = {Int64GetDatum(request)};
	UserSwitch	save;
	HTAB	   *seen;
	HASHCTL		ctl = {0};
	List	   *candidates;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (viewer_of(request) == VIEWER_NONE)
		return (Datum) 0;

	store_begin(&save);
	(void) store_exec(&votes_plan, args, NULL, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		values[DECIDER_COLUMNS];
		bool		nulls[DECIDER_COLUMNS];

		for (int c = 0; c < DECIDER_COLUMNS; c++)
			values[c] = spi_datum(SPI_tuptable->vals[i], c + 1, &nulls[c]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	store_end(&save);

	/* names longer than this count as one, which only leaves a row out */
	ctl.keysize = 256;
	ctl.entrysize = 256;
	ctl.hcxt = CurrentMemoryContext;
	seen = hash_create("idflow deciders", 64, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	candidates = candidates_of(request);
	foreach(lc, candidates)
	{
		Candidate  *candidate = lfirst(lc);
		char	   *via;
		ListCell   *lp;

		foreach(lp, principals_of(candidate, &via))
		{
			const char *principal = lfirst(lp);
			Datum		values[DECIDER_COLUMNS] = {0};
			bool		nulls[DECIDER_COLUMNS];
			bool		found;

			if (strings_contain(candidate->barred, principal) || strings_contain(candidate->voted, principal))
				continue;
			(void) hash_search(seen, principal, HASH_ENTER, &found);
			if (found)
				continue;
			memset(nulls, true, sizeof(nulls));
			values[0] = Int64GetDatum(candidate->task);
			values[1] = CStringGetTextDatum(candidate->activity);
			values[2] = CStringGetTextDatum(principal);
			values[3] = CStringGetTextDatum(via);
			values[8] = BoolGetDatum(false);
			nulls[0] = nulls[1] = nulls[2] = nulls[3] = nulls[8] = false;
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}

	/* after all who may themselves, those who stand in for them */
	foreach(lc, candidates)
	{
		Candidate  *candidate = lfirst(lc);
		char	   *via;
		ListCell   *lp;

		foreach(lp, principals_of(candidate, &via))
		{
			const char *principal = lfirst(lp);
			ListCell   *ld;

			if (strings_contain(candidate->barred, principal) || strings_contain(candidate->voted, principal))
				continue;
			foreach(ld, stand_ins(principal, false, candidate->workflow_name, candidate->barred, false))
			{
				const char *deputy = ((StandIn *) lfirst(ld))->principal;
				Datum		values[DECIDER_COLUMNS] = {0};
				bool		nulls[DECIDER_COLUMNS];
				bool		found;

				if (!tenant_admits(candidate->tenant, deputy))
					continue;
				(void) hash_search(seen, deputy, HASH_ENTER, &found);
				if (found || strings_contain(candidate->voted, deputy))
					continue;
				memset(nulls, true, sizeof(nulls));
				values[0] = Int64GetDatum(candidate->task);
				values[1] = CStringGetTextDatum(candidate->activity);
				values[2] = CStringGetTextDatum(deputy);
				values[3] = CStringGetTextDatum(psprintf("deputy, %s", via));
				values[6] = CStringGetTextDatum(principal);
				values[8] = BoolGetDatum(false);
				nulls[0] = nulls[1] = nulls[2] = nulls[3] = nulls[6] = nulls[8] = false;
				tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
			}
		}
	}
	hash_destroy(seen);
	return (Datum) 0;
}

/*
 * idflow.decidable(request): is there anybody who may act on the request's
 * open task?  Null if the one who asks may not see the request.
 */
Datum
idflow_decidable(PG_FUNCTION_ARGS)
{
	int64		request = PG_GETARG_INT64(0);
	ListCell   *lc;

	if (viewer_of(request) == VIEWER_NONE)
		PG_RETURN_NULL();

	foreach(lc, candidates_of(request))
	{
		Candidate  *candidate = lfirst(lc);
		char	   *via;
		ListCell   *lp;

		foreach(lp, principals_of(candidate, &via))
		{
			if (!strings_contain(candidate->barred, lfirst(lp)) && !strings_contain(candidate->voted, lfirst(lp)))
				PG_RETURN_BOOL(true);
		}
	}
	PG_RETURN_BOOL(false);
}

/*
 * idflow.state_verbs(state): the verbs that lead on from an activity's state,
 * given by its full name; null for none such.
 */
Datum
idflow_state_verbs(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *dash = strchr(name, '-');
	const ActivityTemplate *template;
	const char *state;
	Datum	   *verbs;
	int			n = 0;

	if (dash == NULL)
		PG_RETURN_NULL();
	*dash = '\0';
	template = template_lookup(name);
	state = template ? template_state(template, dash + 1) : NULL;
	if (state == NULL)
		PG_RETURN_NULL();

	verbs = palloc(Max(template->ntransitions, 1) * sizeof(Datum));
	for (int i = 0; i < template->ntransitions; i++)
	{
		if (template->transitions[i].from == state)
			verbs[n++] = CStringGetTextDatum(template->transitions[i].verb);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(verbs, n, TEXTOID, -1, false, TYPALIGN_INT));
}
