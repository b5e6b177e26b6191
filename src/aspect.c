/*-------------------------------------------------------------------------
 *
 * aspect.c
 *	  Aspects: what runs when an activity enters a state or leaves it.
 *
 * They run in the transaction of the transition, in the order of their
 * priority, the highest first, and of their names; one that fails fails the
 * transition.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "aspect.h"
#include "definition.h"

/* run is NULL where deploy refuses the element */
static const AspectKind kinds[] = {
	{"AddChangeAspect", true, add_change_run, aspect_settable_fits},
	{"AssertValueAspect", true, assert_value_run},
	{"AssertValueRequiredAspect", true, assert_value_required_run},
	{"BuildUniqueValueAspect", true, build_unique_value_run, build_unique_value_fits},
	{"InvokeFunctionAspect", true, invoke_function_run, invoke_function_fits},
	{"InvokeScriptAspect", false, invoke_script_run},
	{"InvokeWorkflowAspect", false, invoke_workflow_run},
	{"NotificationAspect", false, notification_run},
	{"SeparationAspect", true, separation_run, separation_fits}
};

/*
 * aspect_kind: what kind of aspect an element is; NULL if it is none.
 */
const AspectKind *
aspect_kind(const DefinitionElement *element)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].element, element->name) == 0)
			return &kinds[i];
	return NULL;
}

/* list_sort() comparator: the order in which aspects run. */
static int
compare_aspects(const ListCell *a, const ListCell *b)
{
	const Aspect *left = (const Aspect *) lfirst(a);
	const Aspect *right = (const Aspect *) lfirst(b);

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	return strcmp(left->name, right->name);
}

/*
 * aspects_index: give each activity of a workflow that is being loaded the
 * aspects at its states, in the order in which they run.  The current memory
 * context is the one that the workflow lives in.
 */
void
aspects_index(Workflow *wf)
{
	ListCell   *lc;

	foreach(lc, wf->element->children)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);
		const AspectKind *kind = aspect_kind(element);
		ListCell   *lp;

		if (kind == NULL)
			continue;
		foreach(lp, element->children)
		{
			DefinitionElement *point_cut = (DefinitionElement *) lfirst(lp);
			Activity   *activity;
			Aspect	   *aspect;

			if (strcmp(point_cut->name, "PointCut") != 0)
				continue;
			activity = workflow_activity_named(wf, point_cut_activity(point_cut));
			if (activity == NULL)
				elog(ERROR, "aspect of workflow \"%s\" points at an unknown activity", wf->name);
			aspect = (Aspect *) palloc0(sizeof(Aspect));
			aspect->kind = kind;
			aspect->element = element;
			aspect->name = element_value(element, "Identifier");
			aspect->state = template_state(activity->template,
										   element_value(point_cut, "ActivityState"));
			aspect->after = point_cut_after(point_cut);
			aspect->priority = element_integer(element, "Priority", 0);
			activity->aspects = lappend(activity->aspects, aspect);
		}
	}
	for (int i = 0; i < wf->nactivities; i++)
		list_sort(wf->activities[i].aspects, compare_aspects);
}

typedef struct AspectPlace
{
	Request    *req;
	Aspect	   *aspect;
} AspectPlace;

static void
aspect_error_context(void *arg)
{
	AspectPlace *place = (AspectPlace *) arg;

	errcontext("%s \"%s\" of workflow \"%s\", %s state %s of request " INT64_FORMAT,
			   place->aspect->element->name, place->aspect->name,
			   place->req->workflow->name, place->aspect->after ? "after" : "before",
			   place->aspect->state, place->req->id);
}

static bool
aspect_applies(Request *req, Aspect *aspect, Change *change)
{
	const char *condition = element_value(aspect->element, "IfExpression");

	return condition == NULL ||
		expression_bool(condition, req->workflow, req, change,
						psprintf("IfExpression of aspect \"%s\"", aspect->name));
}

static void
aspect_run(Request *req, Aspect *aspect)
{
	AspectPlace place = {req, aspect};
	ErrorContextCallback callback;
	ListCell   *lc;

	callback.callback = aspect_error_context;
	callback.arg = &place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	if (aspect->kind->run == NULL)
		elog(ERROR, "no behaviour for <%s>", aspect->kind->element);
	foreach(lc, governed_changes(req))
	{
		Change	   *change = (Change *) lfirst(lc);

		if (!aspect_applies(req, aspect, change))
			continue;
		aspect->kind->run(req, aspect, change);
		if (!aspect->kind->each_change)
			break;
	}

	error_context_stack = callback.previous;
}

/*
 * aspects_run: run the aspects at a state of the activity at hand, on entry or
 * on exit (after).
 */
void
aspects_run(Request *req, const char *state, bool after)
{
	Activity   *activity = request_activity(req);
	ListCell   *lc;

	if (activity == NULL || activity->aspects == NIL || state == NULL)
		return;
	foreach(lc, activity->aspects)
	{
		Aspect	   *aspect = (Aspect *) lfirst(lc);

		if (aspect->after == after && strcmp(aspect->state, state) == 0)
			aspect_run(req, aspect);
	}
}
