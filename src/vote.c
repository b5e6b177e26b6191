/*-------------------------------------------------------------------------
 *
 * vote.c
 *	  Votes with a quota: how many approvals end a task, and how many
 *	  declines.
 *
 * An activity has one quota, or each of its Actors has one.  Those who could
 * fill it are found anew at each vote, so that who has lost the right counts no
 * more.  A quota of some per cent, or of all, is of those who were asked when
 * the task opened (task.quota) and still are, and of those who were added.
 *
 * Everybody has one vote.  Whom several Actors ask counts for one of them, and
 * it is looked for the assignment by which most quotas are filled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "access.h"
#include "deputy.h"
#include "heapstore.h"
#include "recount.h"
#include "separation.h"
#include "task.h"
#include "vote.h"

/* Somebody who may vote, and the quotas that he may help to fill, as bits. */
typedef struct Voter
{
	const char *name;
	uint64		now;			/* by the rules as they are now */
	uint64		then;			/* when the task opened */
	int			vote;			/* 1: approves, -1: declines, 0: neither */
	int			quota;			/* that he is assigned to, or -1 */
} Voter;

typedef struct Ballot
{
	Request    *req;
	Activity   *activity;
	int			nquotas;
	const char **approvals;		/* n, n% or all, as written */
	int		   *needed;			/* the same as numbers */
	int			total;			/* sum of needed */
	Voter	   *voters;			/* by name, each once */
	int			nvoters;
} Ballot;

static StorePlan select_votes = {
	"SELECT COALESCE(on_behalf_of, principal), principal, vote, via FROM idflow.vote"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND task OPERATOR(pg_catalog.=) $2 AND NOT superseded"
	" AND " IS_BOUND("principal", "binding") " AND " IS_BOUND("on_behalf_of", "behalf_binding") " ORDER BY seq",
	2, {INT8OID, INT8OID}
};

static StorePlan select_quota = {
	"SELECT g.ord, e.name FROM idflow.task t,"
	" pg_catalog.jsonb_array_elements(t.quota OPERATOR(pg_catalog.->) 'electors') WITH ORDINALITY g (list, ord),"
	" pg_catalog.jsonb_array_elements_text(g.list) WITH ORDINALITY e (name, ord)"
	" WHERE t.id OPERATOR(pg_catalog.=) $1 AND idflow.is_bound(e.name, (t.quota OPERATOR(pg_catalog.->) 'bindings'"
	" OPERATOR(pg_catalog.->) (g.ord OPERATOR(pg_catalog.-) 1)::pg_catalog.int4"
	" OPERATOR(pg_catalog.->>) (e.ord OPERATOR(pg_catalog.-) 1)::pg_catalog.int4)::pg_catalog.int8)",
	1, {INT8OID}
};

static StorePlan select_has_quota = {
	"SELECT FROM idflow.task WHERE id OPERATOR(pg_catalog.=) $1 AND quota IS NOT NULL",
	1, {INT8OID}
};

/* a vote that doesn't end the task lets others claim it */
static StorePlan unclaim_task = {
	"UPDATE idflow.task SET claimed_by = NULL, claimed_at = NULL, claimed_binding = NULL"
	" WHERE id OPERATOR(pg_catalog.=) $1 AND claimed_by IS NOT NULL",
	1, {INT8OID}
};

/* A number of votes that is written as such. */
static bool
is_relative(const char *quota)
{
	return strcmp(quota, "all") == 0 || strchr(quota, '%') != NULL;
}

/* What a quota comes to among so many people; never nothing. */
static int
quota_number(const char *quota, int people)
{
	if (strcmp(quota, "all") == 0)
		return Max(people, 1);
	if (strchr(quota, '%') == NULL)
		return pg_strtoint32(quota);
	/* half of three is two */
	return Max((int) (((int64) people * pg_strtoint32(pnstrdup(quota, strlen(quota) - 1)) + 99) / 100), 1);
}

static bool
is_default(const char *quota)
{
	return quota == NULL || strcmp(quota, "1") == 0;
}

/*
 * activity_has_quota: does it take more than the one vote that tasks take
 * otherwise?
 */
bool
activity_has_quota(Activity *activity)
{
	ListCell   *lc;

	if (!is_default(element_value(activity->element, "Approvals")) ||
		!is_default(element_value(activity->element, "Declines")))
		return true;
	foreach(lc, activity->actors)
		if (((ActorRule *) lfirst(lc))->approvals)
			return true;
	return false;
}

static int
compare_voters(const void *a, const void *b)
{
	return strcmp(((const Voter *) a)->name, ((const Voter *) b)->name);
}

/* Somebody among the voters, who are sorted; NULL if he is not. */
static Voter *
find_voter(Ballot *ballot, const char *name)
{
	Voter		key = {name};

	return bsearch(&key, ballot->voters, ballot->nvoters, sizeof(Voter), compare_voters);
}

static void
add_people(Ballot *ballot, int *size, List *people, uint64 now, uint64 then)
{
	ListCell   *lc;

	foreach(lc, people)
	{
		Voter	   *voter;

		if (ballot->nvoters == *size)
		{
			*size *= 2;
			ballot->voters = repalloc_huge(ballot->voters, *size * sizeof(Voter));
		}
		voter = &ballot->voters[ballot->nvoters++];
		memset(voter, 0, sizeof(Voter));
		voter->name = lfirst(lc);
		voter->now = now;
		voter->then = then;
		voter->quota = -1;
	}
}

/*
 * vote_kept_out: those whom four eyes and separation of duties keep from the
 * task at hand.
 */
List *
vote_kept_out(Request *req)
{
	return list_concat(separated_now(req), deputy_barred(req));
}

/* Who was asked when the open task opened, by quota. */
static void
add_electors(Ballot *ballot, int *size)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(ballot->req->task)};
	UserSwitch	save;
	int			n;

	store_begin(&save);
	n = store_exec(&select_quota, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int64		quota = spi_int64(row, 1);
		char	   *name = spi_text(row, 2);
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		if (quota <= ballot->nquotas)
			add_people(ballot, size, list_make1(pstrdup(name)), 0, UINT64CONST(1) << (quota - 1));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
}

/* Sort the voters, make one of those with the same name, leave some out. */
static void
settle_voters(Ballot *ballot, List *out)
{
	int			kept = 0;
	ListCell   *lc;

	qsort(ballot->voters, ballot->nvoters, sizeof(Voter), compare_voters);
	for (int i = 0; i < ballot->nvoters; i++)
	{
		Voter	   *voter = &ballot->voters[i];

		if (kept > 0 && strcmp(ballot->voters[kept - 1].name, voter->name) == 0)
		{
			ballot->voters[kept - 1].now |= voter->now;
			ballot->voters[kept - 1].then |= voter->then;
		}
		else
			ballot->voters[kept++] = *voter;
	}
	ballot->nvoters = kept;
	foreach(lc, out)
	{
		Voter	   *voter = find_voter(ballot, lfirst(lc));

		if (voter)
			voter->now = voter->then = 0;
	}
}

/*
 * Who may vote on the activity at hand, and how many votes it takes.  opening:
 * the task is about to open; else it is open, and those who have voted as
 * admins, where it asks nobody, are among the voters.
 */
static Ballot *
ballot_make(Request *req, Activity *activity, bool opening, List *admins)
{
	Ballot	   *ballot = palloc0(sizeof(Ballot));
	const char *approvals = element_value(activity->element, "Approvals");
	bool		each = false;
	int			size = 64;
	uint64		everything;
	ListCell   *lc;

	ballot->req = req;
	ballot->activity = activity;
	ballot->voters = palloc(size * sizeof(Voter));
	foreach(lc, activity->actors)
		each |= ((ActorRule *) lfirst(lc))->approvals != NULL;
	ballot->nquotas = each ? list_length(activity->actors) : 1;
	ballot->approvals = palloc(ballot->nquotas * sizeof(char *));
	ballot->needed = palloc0(ballot->nquotas * sizeof(int));
	everything = ballot->nquotas == 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << ballot->nquotas) - 1;
	for (int q = 0; q < ballot->nquotas; q++)
	{
		ActorRule  *rule = each ? list_nth(activity->actors, q) : NULL;

		ballot->approvals[q] = rule ? rule->approvals : approvals ? approvals : "1";
		add_people(ballot, &size, candidate_people(req, candidate_keys(req, activity, rule)),
				   UINT64CONST(1) << q, opening ? UINT64CONST(1) << q : 0);
	}
	if (!opening)
	{
		add_electors(ballot, &size);
		add_people(ballot, &size, candidate_people(req, candidate_added_keys(req)), everything, everything);
		if (activity->has_deadline)
		{
			bool		instead;

			add_people(ballot, &size, candidate_people(req, candidate_escalated_keys(req, &instead)),
					   everything, everything);
		}
		add_people(ballot, &size, admins, everything, everything);
	}
	settle_voters(ballot, vote_kept_out(req));

	for (int q = 0; q < ballot->nquotas; q++)
	{
		uint64		bit = UINT64CONST(1) << q;
		int			people = 0;

		for (int i = 0; i < ballot->nvoters; i++)
		{
			Voter	   *voter = &ballot->voters[i];

			if (is_relative(ballot->approvals[q]) && !(voter->then & bit))
				voter->now &= ~bit;
			if (voter->now & bit)
				people++;
		}
		ballot->needed[q] = quota_number(ballot->approvals[q], people);
		ballot->total += ballot->needed[q];
	}
	return ballot;
}

/*
 * Assign a voter to a quota that is not full, if need be by assigning others
 * anew (an augmenting path; tried are the quotas that were looked at).
 */
static bool
assign(Ballot *ballot, int *filled, Voter *voter, uint64 *tried)
{
	for (int q = 0; q < ballot->nquotas; q++)
	{
		uint64		bit = UINT64CONST(1) << q;

		if (!(voter->now & bit) || (*tried & bit))
			continue;
		*tried |= bit;
		if (filled[q] < ballot->needed[q])
		{
			filled[q]++;
			voter->quota = q;
			return true;
		}
		for (int i = 0; i < ballot->nvoters; i++)
		{
			Voter	   *other = &ballot->voters[i];

			/* who finds another place leaves his to this one */
			if (other->quota == q && assign(ballot, filled, other, tried))
			{
				voter->quota = q;
				return true;
			}
		}
	}
	return false;
}

/*
 * How many of the needed approvals there can be if those vote for it whose vote
 * is at least at_least: 1, who have approved; 0, who have not declined; -1, all.
 */
static int
approvals_by(Ballot *ballot, int at_least)
{
	int		   *filled = palloc0(ballot->nquotas * sizeof(int));
	int			n = 0;

	for (int i = 0; i < ballot->nvoters; i++)
		ballot->voters[i].quota = -1;
	for (int i = 0; i < ballot->nvoters && n < ballot->total; i++)
	{
		uint64		tried = 0;

		if (ballot->voters[i].vote >= at_least && assign(ballot, filled, &ballot->voters[i], &tried))
			n++;
	}
	pfree(filled);
	return n;
}

/*
 * vote_open: what a task that opens keeps of its quota: the approvals that it
 * takes, and who is asked for each; NULL if one vote ends it.
 */
Jsonb *
vote_open(Request *req, Activity *activity)
{
	Ballot	   *ballot;
	JsonbParseState *state = NULL;
	bool		bound = false;

	if (!activity->has_quota || no_actor_escalates(req, activity))
		return NULL;
	ballot = ballot_make(req, activity, true, NIL);
	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "needed");
	json_int64(&state, WJB_VALUE, ballot->total);
	json_key(&state, "electors");
	json_open(&state, WJB_BEGIN_ARRAY);
	for (int q = 0; q < ballot->nquotas; q++)
	{
		json_open(&state, WJB_BEGIN_ARRAY);
		for (int i = 0; i < ballot->nvoters; i++)
			if (ballot->voters[i].now & (UINT64CONST(1) << q))
				json_string(&state, WJB_ELEM, ballot->voters[i].name);
		(void) json_close(&state, WJB_END_ARRAY);
	}
	(void) json_close(&state, WJB_END_ARRAY);
	for (int i = 0; i < ballot->nvoters; i++)
		bound |= request_binding(req, ballot->voters[i].name) != 0;
	if (!bound)
		return JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
	json_key(&state, "bindings");
	json_open(&state, WJB_BEGIN_ARRAY);
	for (int q = 0; q < ballot->nquotas; q++)
	{
		json_open(&state, WJB_BEGIN_ARRAY);
		for (int i = 0; i < ballot->nvoters; i++)
			if (ballot->voters[i].now & (UINT64CONST(1) << q))
				json_binding(&state, WJB_ELEM, request_binding(req, ballot->voters[i].name));
		(void) json_close(&state, WJB_END_ARRAY);
	}
	(void) json_close(&state, WJB_END_ARRAY);
	return JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/*
 * vote_is_open: does the open task take several votes?
 */
bool
vote_is_open(Request *req)
{
	Datum		values[1] = {Int64GetDatum(req->task)};

	return store_finds(&select_has_quota, values, false);
}

/* Is there nobody who could bring a task to its end, or are they too few? */
static bool
nobody(Request *req, Activity *activity)
{
	Ballot	   *ballot;

	/* an activity that names nobody is the admins' */
	if (activity->actors == NIL && !access_restricts(req))
		return false;
	ballot = ballot_make(req, activity, true, NIL);
	return approvals_by(ballot, -1) < ballot->total;
}

/*
 * no_actor_escalates: does a task of the activity ask the profile of its
 * EscalateTo, because the others can't decide it?  One vote of that profile
 * does.
 */
bool
no_actor_escalates(Request *req, Activity *activity)
{
	const char *no_actor = element_value(activity->element, "NoActor");

	return no_actor && strcmp(no_actor, "Escalate") == 0 && nobody(req, activity);
}

/*
 * no_actor_skips: is the activity at hand passed over, because nobody can
 * decide it and the workflow says so?  Then an event tells.  Errors if the
 * workflow refuses the request in that case.
 */
bool
no_actor_skips(Request *req, Activity *activity)
{
	const char *no_actor = element_value(activity->element, "NoActor");

	if (no_actor == NULL || strcmp(no_actor, "Escalate") == 0 || !nobody(req, activity))
		return false;
	if (strcmp(no_actor, "Refuse") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_NO_ACTOR),
				 errmsg("there is nobody who could decide activity \"%s\" of workflow \"%s\"",
						activity->name, req->workflow->name),
				 errdetail("Of those whom it asks, too few are left without the ones whom four eyes or separation of duties keep out."),
				 errhint("Somebody must be given the profile first.")));
	request_event(req, req->acting, req->acting_via, "Skip", "there is nobody to decide it");
	return true;
}

/* Keep how many approvals a task takes by now. */
static void
store_needed(Request *req, int needed)
{
	static StorePlan plan = {
		"UPDATE idflow.task SET quota = pg_catalog.jsonb_set(quota, '{needed}', pg_catalog.to_jsonb($2))"
		" WHERE id OPERATOR(pg_catalog.=) $1"
		" AND (quota OPERATOR(pg_catalog.->>) 'needed')::pg_catalog.int4 OPERATOR(pg_catalog.<>) $2",
		2, {INT8OID, INT4OID}
	};
	Datum		values[2] = {Int64GetDatum(req->task), Int32GetDatum(needed)};

	(void) store_finds(&plan, values, false);
}

/* Write down who votes what. */
static void
store_vote(Request *req, Vote *vote)
{
	Datum		values[1] = {Int64GetDatum(req->task)};
	UserSwitch	save;

	task_store_vote(req, vote);
	store_begin(&save);
	store_exec(&unclaim_task, values, NULL, false);
	store_end(&save);
	recount_set(req);
}

/*
 * The votes that there are on the open task: whose they are, the verbs, and
 * those who voted as admins.  who, if given, is about to vote in the place of
 * whose: an error if one of the two has.
 */
static void
read_votes(Request *req, const char *who, const char *whose,
		   List **names, List **verbs, List **admins)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(req->id), Int64GetDatum(req->task)};
	UserSwitch	save;
	int			n;

	*names = *verbs = *admins = NIL;
	store_begin(&save);
	n = store_exec(&select_votes, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		char	   *name = spi_text(row, 1);
		char	   *principal = spi_text(row, 2);
		char	   *verb = spi_text(row, 3);
		char	   *via = spi_text(row, 4);
		MemoryContext spicxt;

		if (who && (strcmp(name, whose) == 0 || strcmp(principal, who) == 0))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("\"%s\" has voted on task " INT64_FORMAT " already",
							strcmp(name, whose) == 0 ? whose : who, req->task),
					 errhint("A vote stands until the draft is edited.")));
		spicxt = MemoryContextSwitchTo(cxt);
		*names = lappend(*names, pstrdup(name));
		*verbs = lappend(*verbs, pstrdup(verb));
		if (strcmp(via, "idflow_admin") == 0)
			*admins = lappend(*admins, pstrdup(name));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
}

/*
 * vote_given: those who have voted on the open task, themselves or by a deputy,
 * where it takes several votes; NIL where it doesn't.
 */
List *
vote_given(Request *req)
{
	List	   *names = NIL;
	List	   *verbs;
	List	   *admins;

	if (request_activity(req)->has_quota)
		read_votes(req, NULL, NULL, &names, &verbs, &admins);
	return names;
}

/* What votes come to: the verb by which the task ends, NULL if it goes on. */
static const char *
outcome(Ballot *ballot, List *names, List *verbs)
{
	const char *declines = element_value(ballot->activity->element, "Declines");
	int			people = 0;
	int			against = 0;
	ListCell   *lc;
	ListCell   *lv;

	forboth(lc, names, lv, verbs)
	{
		Voter	   *voter = find_voter(ballot, lfirst(lc));

		if (voter)
			voter->vote = strcmp(lfirst(lv), "Decline") == 0 ? -1 : 1;
	}
	for (int i = 0; i < ballot->nvoters; i++)
	{
		if (ballot->voters[i].now == 0)
			continue;
		people++;
		if (ballot->voters[i].vote < 0)
			against++;
	}

	if (approvals_by(ballot, 1) == ballot->total)
		return "Approve";

	/*
	 * Where there were too few from the beginning it is not the declines that
	 * keep it from being approved, and it waits for somebody to be added.
	 */
	if (against >= quota_number(declines ? declines : "1", people) ||
		(approvals_by(ballot, 0) < ballot->total && approvals_by(ballot, -1) == ballot->total))
		return "Decline";
	return NULL;
}

/*
 * vote_cast: somebody who may decide the open task votes.  Returns the verb by
 * which the task ends, Approve or Decline, with the vote for task_close() to
 * store; NULL if it goes on, with the vote stored.  Errors if he or the one in
 * whose place he votes has voted, or is not among those whose vote counts.
 */
const char *
vote_cast(Request *req, Vote *vote)
{
	const char *whose = vote->on_behalf_of ? vote->on_behalf_of : vote->principal;
	List	   *names;
	List	   *verbs;
	List	   *admins;
	Ballot	   *ballot;
	Voter	   *voter;
	const char *verb;

	read_votes(req, vote->principal, whose, &names, &verbs, &admins);
	if (strcmp(vote->via, "idflow_admin") == 0)
		admins = lappend(admins, unconstify(char *, whose));

	ballot = ballot_make(req, request_activity(req), false, admins);
	voter = find_voter(ballot, whose);
	if (voter == NULL || voter->now == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the vote of \"%s\" does not count for task " INT64_FORMAT, whose, req->task),
				 errdetail("It counts those who were asked when it opened, without the ones whom four eyes or separation of duties keep out."),
				 errhint("idflow.add_candidate() adds somebody.")));
	verb = outcome(ballot, lappend(names, unconstify(char *, whose)),
				   lappend(verbs, unconstify(char *, vote->vote)));
	if (verb == NULL)
	{
		store_vote(req, vote);
		store_needed(req, ballot->total);
	}
	return verb;
}

/*
 * vote_count: what the votes that there are come to by now, since people may
 * have lost the right to vote: the verb by which the open task ends, or NULL.
 */
const char *
vote_count(Request *req)
{
	List	   *names;
	List	   *verbs;
	List	   *admins;
	Ballot	   *ballot;
	const char *verb;

	read_votes(req, NULL, NULL, &names, &verbs, &admins);
	/* nothing is decided without anybody's vote */
	if (names == NIL)
		return NULL;
	ballot = ballot_make(req, request_activity(req), false, admins);
	verb = outcome(ballot, names, verbs);
	if (verb == NULL)
		store_needed(req, ballot->total);
	return verb;
}
