/*-------------------------------------------------------------------------
 *
 * template.c
 *		Activity templates: fixed state machines, as data.
 *
 * The table below is the whole of it.  A state's full name is
 * Template-State, a transition's Template-State-Verb; both are derived.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "template.h"

const char	STATE_ACTION_PENDING[] = "ActionPending";
const char	STATE_REFINE_PENDING[] = "RefinePending";
const char	STATE_REVIEW_PENDING[] = "ReviewPending";
const char	STATE_EXECUTED[] = "Executed";
const char	STATE_APPROVED[] = "Approved";
const char	STATE_INVOKED[] = "Invoked";
const char	STATE_DECLINED[] = "Declined";
const char	STATE_ABORTED[] = "Aborted";
const char	STATE_PURGED[] = "Purged";

static const TemplateTransition action_transitions[] = {
	{STATE_ACTION_PENDING, "Save", STATE_ACTION_PENDING},
	{STATE_ACTION_PENDING, "Execute", STATE_EXECUTED},
	{STATE_ACTION_PENDING, "Abort", STATE_ABORTED},
	{STATE_ABORTED, "Purge", STATE_PURGED}
};

static const TemplateTransition action_with_refine_transitions[] = {
	{STATE_ACTION_PENDING, "Save", STATE_ACTION_PENDING},
	{STATE_ACTION_PENDING, "Execute", STATE_EXECUTED},
	{STATE_ACTION_PENDING, "Delegate", STATE_REFINE_PENDING},
	{STATE_ACTION_PENDING, "Abort", STATE_ABORTED},
	{STATE_REFINE_PENDING, "Save", STATE_REFINE_PENDING},
	{STATE_REFINE_PENDING, "Delegate", STATE_REFINE_PENDING},
	{STATE_REFINE_PENDING, "Execute", STATE_EXECUTED},
	{STATE_REFINE_PENDING, "Abort", STATE_ABORTED},
	{STATE_ABORTED, "Purge", STATE_PURGED}
};

static const TemplateTransition review_transitions[] = {
	{STATE_REVIEW_PENDING, "Save", STATE_REVIEW_PENDING},
	{STATE_REVIEW_PENDING, "Approve", STATE_APPROVED},
	{STATE_REVIEW_PENDING, "Decline", STATE_DECLINED},
	{STATE_REVIEW_PENDING, "Abort", STATE_ABORTED},
	{STATE_ABORTED, "Purge", STATE_PURGED}
};

static const TemplateTransition review_with_feedback_transitions[] = {
	{STATE_REVIEW_PENDING, "Save", STATE_REVIEW_PENDING},
	{STATE_REVIEW_PENDING, "Approve", STATE_APPROVED},
	{STATE_REVIEW_PENDING, "Decline", STATE_DECLINED},
	{STATE_REVIEW_PENDING, "Refine", STATE_REFINE_PENDING},
	{STATE_REVIEW_PENDING, "Abort", STATE_ABORTED},
	{STATE_REFINE_PENDING, "Save", STATE_REFINE_PENDING},
	{STATE_REFINE_PENDING, "Delegate", STATE_REFINE_PENDING},
	{STATE_REFINE_PENDING, "Execute", STATE_REVIEW_PENDING},
	{STATE_ABORTED, "Purge", STATE_PURGED}
};

static const TemplateTransition invoke_transitions[] = {
	{STATE_INVOKED, "Invoke", STATE_INVOKED}
};

static const ActivityTemplate templates[] = {
	{"Action", STATE_ACTION_PENDING, true, false,
	lengthof(action_transitions), action_transitions},
	{"ActionWithRefine", STATE_ACTION_PENDING, true, false,
	lengthof(action_with_refine_transitions), action_with_refine_transitions},
	{"Review", STATE_REVIEW_PENDING, true, true,
	lengthof(review_transitions), review_transitions},
	{"ReviewWithFeedback", STATE_REVIEW_PENDING, true, true,
	lengthof(review_with_feedback_transitions), review_with_feedback_transitions},
	{"ContinueWith", STATE_INVOKED, false, false,
	lengthof(invoke_transitions), invoke_transitions},
	{"Persist", STATE_INVOKED, false, false,
	lengthof(invoke_transitions), invoke_transitions},
	{"PersistOnlyResources", STATE_INVOKED, false, false,
	lengthof(invoke_transitions), invoke_transitions}
};

PG_FUNCTION_INFO_V1(idflow_activity_templates);

/*
 * Return the template of that name, or NULL.  Names are case sensitive.
 */
const ActivityTemplate *
template_lookup(const char *name)
{
	for (int i = 0; i < lengthof(templates); i++)
	{
		if (strcmp(templates[i].name, name) == 0)
			return &templates[i];
	}
	return NULL;
}

/*
 * Return the template's state of that name as an interned constant, or NULL
 * if the template has no such state.  The name may be short (ReviewPending)
 * or full (Review-ReviewPending).
 */
const char *
template_state(const ActivityTemplate *t, const char *state)
{
	size_t		len = strlen(t->name);

	if (strncmp(state, t->name, len) == 0 && state[len] == '-')
		state += len + 1;

	for (int i = 0; i < t->ntransitions; i++)
	{
		if (strcmp(t->transitions[i].from, state) == 0)
			return t->transitions[i].from;
		if (strcmp(t->transitions[i].to, state) == 0)
			return t->transitions[i].to;
	}
	return NULL;
}

/*
 * Return the state that the verb leads to from the given state (short or full
 * name), or NULL if the template has no such transition.
 */
const char *
template_transition(const ActivityTemplate *t, const char *state,
					const char *verb)
{
	const char *from = template_state(t, state);

	if (from == NULL)
		return NULL;

	for (int i = 0; i < t->ntransitions; i++)
	{
		if (t->transitions[i].from == from &&
			strcmp(t->transitions[i].verb, verb) == 0)
			return t->transitions[i].to;
	}
	return NULL;
}

/*
 * Say what a state means for the request.  The state is a short name; it need
 * not be interned.
 */
TemplateStateKind
template_state_kind(const char *state)
{
	if (strcmp(state, STATE_EXECUTED) == 0 ||
		strcmp(state, STATE_APPROVED) == 0 ||
		strcmp(state, STATE_INVOKED) == 0)
		return TEMPLATE_STATE_PROCEED;
	if (strcmp(state, STATE_DECLINED) == 0 ||
		strcmp(state, STATE_ABORTED) == 0 ||
		strcmp(state, STATE_PURGED) == 0)
		return TEMPLATE_STATE_CLOSE;
	return TEMPLATE_STATE_PENDING;
}

/*
 * Return the template's states by their short names, separated by ", ", in
 * the current memory context.
 */
char *
template_states(const ActivityTemplate *t)
{
	const char *seen[8];
	int			nseen = 0;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < t->ntransitions; i++)
	{
		const char *ends[] = {t->transitions[i].from, t->transitions[i].to};

		for (int j = 0; j < lengthof(ends); j++)
		{
			int			k = 0;

			while (k < nseen && seen[k] != ends[j])
				k++;
			if (k < nseen)
				continue;
			seen[nseen++] = ends[j];
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", ends[j]);
		}
	}
	return buf.data;
}

/*
 * Return the verbs that a state (short or full name) allows, separated by
 * ", ", in the current memory context; an empty string if there are none.
 */
char *
template_verbs(const ActivityTemplate *t, const char *state)
{
	const char *from = template_state(t, state);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; from != NULL && i < t->ntransitions; i++)
	{
		if (t->transitions[i].from != from)
			continue;
		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		appendStringInfoString(&buf, t->transitions[i].verb);
	}
	return buf.data;
}

/*
 * Return a state's full name, Template-State, in the current memory context.
 */
char *
template_state_name(const ActivityTemplate *t, const char *state)
{
	return psprintf("%s-%s", t->name, state);
}

/*
 * Return a transition's full name, Template-State-Verb, in the current memory
 * context.
 */
char *
template_transition_name(const ActivityTemplate *t, const char *state,
						 const char *verb)
{
	return psprintf("%s-%s-%s", t->name, state, verb);
}

/*
 * Return the names of all templates, separated by ", ", in the current memory
 * context.
 */
char *
template_names(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(templates); i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", templates[i].name);
	return buf.data;
}

/*
 * idflow.activity_templates() RETURNS TABLE (template, state, verb, to_state,
 * transition): a row for each transition.
 */
Datum
idflow_activity_templates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);

	for (int i = 0; i < lengthof(templates); i++)
	{
		const ActivityTemplate *t = &templates[i];

		for (int j = 0; j < t->ntransitions; j++)
		{
			const TemplateTransition *tr = &t->transitions[j];
			Datum		values[5];
			bool		nulls[5] = {0};

			values[0] = CStringGetTextDatum(t->name);
			values[1] = CStringGetTextDatum(tr->from);
			values[2] = CStringGetTextDatum(tr->verb);
			values[3] = CStringGetTextDatum(tr->to);
			values[4] = CStringGetTextDatum(template_transition_name(t, tr->from, tr->verb));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}
