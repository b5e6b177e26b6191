/*-------------------------------------------------------------------------
 *
 * definition_sound.c
 *		Checks of a definition by meaning: where activities lead.
 *
 * A workflow is sound if every activity can be reached from the first, the end
 * can be reached from every activity, and no way leads in a circle on which
 * nobody is asked.  Conditions are not looked into: what may be true is taken
 * to be possible.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "definition.h"
#include "errcodes.h"

typedef struct Flow
{
	int			n;
	DefinitionElement **activities; /* 0 .. n - 1; n stands for the end */
	const ActivityTemplate **templates;
	List	  **next;			/* of int: where an activity leads */
	List	  **unasked;		/* of int: where it leads without anybody's doing */
} Flow;

static int
activity_index(Flow *flow, const char *name)
{
	for (int i = 0; i < flow->n; i++)
	{
		const char *identifier = element_value(flow->activities[i], "Identifier");

		if (identifier && strcmp(identifier, name) == 0)
			return i;
	}
	return -1;
}

static const char *
activity_name(Flow *flow, int i)
{
	return i == flow->n ? "the end" : element_value(flow->activities[i], "Identifier");
}

/* The states in which an activity may end, by their short names. */
static char *
final_states(const ActivityTemplate *t)
{
	return t->is_review ? "Approved, Declined, Aborted" :
		t->is_interactive ? "Executed, Aborted" : "Invoked";
}

/*
 * Check an activity's transitions, and put where it leads into the flow.
 * Returns false if they can't be followed.
 */
static bool
follow(Definition *def, Flow *flow, int i)
{
	DefinitionElement *activity = flow->activities[i];
	const ActivityTemplate *t = flow->templates[i];
	bool		skipped = element_value(activity, "IfExpression") != NULL;
	List	   *decided = NIL;	/* states that a transition without condition
								 * has */
	bool		proceeds = true;
	bool		ok = true;
	ListCell   *lc;

	foreach(lc, element_children_named(activity, "Transition"))
	{
		DefinitionElement *transition = (DefinitionElement *) lfirst(lc);
		const char *on = element_value(transition, "On");
		const char *to = element_value(transition, "To");
		ListCell   *ld;
		int			target;

		CHECK_FOR_INTERRUPTS();
		if (on == NULL || to == NULL)
			return false;
		target = activity_index(flow, to);
		if (target < 0)
		{
			definition_error(def, ERRCODE_WF_DEFINITION, transition->line, transition->name,
							 "To is the Identifier of an activity of the same workflow; ContinueWith leads into others.",
							 "workflow has no activity \"%s\"", to);
			ok = false;
			continue;
		}
		if (strcmp(on, STATE_PURGED) == 0 || template_state(t, on) == NULL ||
			strcmp(t->name, "ContinueWith") == 0)
		{
			definition_error(def, ERRCODE_WF_DEFINITION, transition->line, transition->name,
							 strcmp(t->name, "ContinueWith") == 0 ?
							 "The called workflow goes on; remove the transition." :
							 psprintf("%s ends as %s.", t->name, final_states(t)),
							 "an activity whose template is %s does not go on from %s", t->name, on);
			ok = false;
			continue;
		}
		foreach(ld, decided)
			if (strcmp(lfirst(ld), on) == 0)
				break;
		if (ld != NULL)
		{
			definition_error(def, ERRCODE_WF_DEFINITION, transition->line, transition->name,
							 "Put the transition without IfExpression last.",
							 "transition to \"%s\" is never taken: the one before it has no condition", to);
			ok = false;
		}
		if (element_value(transition, "IfExpression") == NULL)
		{
			decided = lappend(decided, unconstify(char *, on));
			if (template_state_kind(on) == TEMPLATE_STATE_PROCEED)
				proceeds = false;
		}
		flow->next[i] = lappend_int(flow->next[i], target);
		if (!t->is_interactive)
			flow->unasked[i] = lappend_int(flow->unasked[i], target);
	}

	if (strcmp(t->name, "ContinueWith") == 0)
	{
		flow->next[i] = lappend_int(flow->next[i], flow->n);
		proceeds = false;
	}
	if (proceeds || skipped)
		flow->next[i] = lappend_int(flow->next[i], i + 1);
	if (skipped || (proceeds && !t->is_interactive))
		flow->unasked[i] = lappend_int(flow->unasked[i], i + 1);
	return ok;
}

/* Mark what can be reached from an activity. */
static void
mark_reachable(Flow *flow, int from, bool *reached)
{
	List	   *todo = list_make1_int(from);

	reached[from] = true;
	while (todo != NIL)
	{
		int			i = llast_int(todo);
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		todo = list_delete_last(todo);
		if (i == flow->n)
			continue;
		foreach(lc, flow->next[i])
		{
			if (reached[lfirst_int(lc)])
				continue;
			reached[lfirst_int(lc)] = true;
			todo = lappend_int(todo, lfirst_int(lc));
		}
	}
}

/* Mark the activities from which the end can be reached. */
static void
mark_ending(Flow *flow, bool *ends)
{
	List	  **before = (List **) palloc0((flow->n + 1) * sizeof(List *));
	List	   *todo = list_make1_int(flow->n);
	ListCell   *lc;

	for (int i = 0; i < flow->n; i++)
		foreach(lc, flow->next[i])
			before[lfirst_int(lc)] = lappend_int(before[lfirst_int(lc)], i);
	ends[flow->n] = true;
	while (todo != NIL)
	{
		int			i = llast_int(todo);

		CHECK_FOR_INTERRUPTS();
		todo = list_delete_last(todo);
		foreach(lc, before[i])
		{
			if (ends[lfirst_int(lc)])
				continue;
			ends[lfirst_int(lc)] = true;
			todo = lappend_int(todo, lfirst_int(lc));
		}
	}
}

/* Names of activities in their order, as "A -> B -> C". */
static char *
format_path(Flow *flow, List *path)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, path)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " -> " : "", activity_name(flow, lfirst_int(lc)));
	return buf.data;
}

/* The activities that were reached, for a message. */
static char *
format_reached(Flow *flow, bool *reached)
{
	List	   *path = NIL;

	for (int i = 0; i <= flow->n; i++)
		if (reached[i])
			path = lappend_int(path, i);
	return format_path(flow, path);
}

/*
 * Find a circle on which nobody is asked, from an activity that is not on a
 * finished way (done) yet; tried and on_path are for all calls.  Returns it with
 * its first activity at both ends, or NIL.  Without recursion: the chain may be as long as the workflow.
 */
static List *
find_circle(Flow *flow, int start, bool *done, int *tried, bool *on_path)
{
	List	   *path = list_make1_int(start);

	on_path[start] = true;
	while (path != NIL)
	{
		int			i = llast_int(path);
		int			next;

		CHECK_FOR_INTERRUPTS();
		if (i == flow->n || tried[i] == list_length(flow->unasked[i]))
		{
			done[i] = true;
			on_path[i] = false;
			path = list_delete_last(path);
			continue;
		}
		next = list_nth_int(flow->unasked[i], tried[i]++);
		if (on_path[next])
		{
			while (linitial_int(path) != next)
				path = list_delete_first(path);
			return lappend_int(path, next);
		}
		if (!done[next])
		{
			on_path[next] = true;
			path = lappend_int(path, next);
		}
	}
	return NIL;
}

static void
check_flow(Definition *def, Flow *flow)
{
	bool	   *reached = (bool *) palloc0((flow->n + 1) * sizeof(bool));
	bool	   *ends = (bool *) palloc0((flow->n + 1) * sizeof(bool));
	bool	   *done = (bool *) palloc0((flow->n + 1) * sizeof(bool));
	bool	   *on_path = (bool *) palloc0((flow->n + 1) * sizeof(bool));
	int		   *tried = (int *) palloc0((flow->n + 1) * sizeof(int));

	mark_reachable(flow, 0, reached);
	mark_ending(flow, ends);
	for (int i = 0; i < flow->n; i++)
		if (!reached[i])
			definition_error(def, ERRCODE_WF_DEFINITION, flow->activities[i]->line,
							 flow->activities[i]->name,
							 "Lead a <Transition> to it, give the one before a condition, or remove the activity.",
							 "activity \"%s\" can't be reached: from the start one comes to %s",
							 activity_name(flow, i), format_reached(flow, reached));

	for (int i = 0; i < flow->n; i++)
	{
		bool	   *from;

		if (!reached[i] || ends[i])
			continue;
		from = (bool *) palloc0((flow->n + 1) * sizeof(bool));
		mark_reachable(flow, i, from);
		definition_error(def, ERRCODE_WF_DEFINITION, flow->activities[i]->line,
						 flow->activities[i]->name,
						 "Give one of the transitions on the way an IfExpression, so that the request can go on.",
						 "the end can't be reached from activity \"%s\": one comes to %s only",
						 activity_name(flow, i), format_reached(flow, from));
		break;
	}

	for (int i = 0; i < flow->n; i++)
	{
		List	   *circle = done[i] ? NIL : find_circle(flow, i, done, tried, on_path);

		if (circle == NIL)
			continue;
		definition_error(def, ERRCODE_WF_DEFINITION, flow->activities[i]->line,
						 flow->activities[i]->name,
						 "Put an activity in which somebody acts on the way, one without IfExpression.",
						 "nobody is asked in the loop %s", format_path(flow, circle));
		break;
	}
}

/*
 * definition_check_flow: check where the activities of a workflow lead.  All of
 * them have templates that are known.
 */
void
definition_check_flow(Definition *def, DefinitionElement *workflow)
{
	List	   *activities = element_children_named(workflow, "Activity");
	Flow		flow;
	bool		ok = true;

	flow.n = list_length(activities);
	if (flow.n == 0)
		return;
	flow.activities = (DefinitionElement **) palloc(flow.n * sizeof(DefinitionElement *));
	flow.templates = (const ActivityTemplate **) palloc(flow.n * sizeof(ActivityTemplate *));
	flow.next = (List **) palloc0(flow.n * sizeof(List *));
	flow.unasked = (List **) palloc0(flow.n * sizeof(List *));
	for (int i = 0; i < flow.n; i++)
	{
		flow.activities[i] = (DefinitionElement *) list_nth(activities, i);
		flow.templates[i] = template_lookup(element_value(flow.activities[i], "Template"));
		if (element_value(flow.activities[i], "Identifier") == NULL)
			return;
	}
	for (int i = 0; i < flow.n; i++)
		ok &= follow(def, &flow, i);
	if (ok)
		check_flow(def, &flow);
}
