/*-------------------------------------------------------------------------
 *
 * separation_review.c
 *	  SeparationAspect with Do="Review": a further review by a profile before
 *	  the request goes on.
 *
 * Each such aspect is an activity of its workflow that nothing leads to, named
 * as the aspect, whose template is Review.  A request is sent there when it
 * leaves an activity.  Its position then says which of these reviews are still
 * to be had, a bit for each, and at which activity the request goes on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"

#include "aspect_separation.h"
#include "separation_review.h"

/*
 * Has the review that an aspect asks for been had, of the same draft and for
 * the same conflicts?
 */
static StorePlan select_reviewed = {
	"SELECT FROM idflow.event e"
	" JOIN idflow.vote v ON v.request OPERATOR(pg_catalog.=) e.request AND v.seq OPERATOR(pg_catalog.>) e.seq"
	" JOIN idflow.task t ON t.id OPERATOR(pg_catalog.=) v.task AND t.activity OPERATOR(pg_catalog.=) $2"
	" WHERE e.request OPERATOR(pg_catalog.=) $1 AND e.transition OPERATOR(pg_catalog.=) 'Separate'"
	" AND e.data OPERATOR(pg_catalog.=) $3 AND v.vote OPERATOR(pg_catalog.=) 'Approve' AND NOT v.superseded"
	" AND v.revision OPERATOR(pg_catalog.=) $4 AND t.state OPERATOR(pg_catalog.=) 'closed'"
	" AND t.outcome OPERATOR(pg_catalog.=) 'Approved' LIMIT 1",
	4, {INT8OID, TEXTOID, JSONBOID, INT4OID}
};

/*
 * separation_reviews: does an aspect want a review, not refuse?
 */
bool
separation_reviews(const DefinitionElement *element)
{
	const char *what = element_value(element, "Do");

	return what && strcmp(what, "Review") == 0;
}

/*
 * further_index: give a workflow that is being loaded the activities of its
 * aspects that want a review.  The current memory context is the one that the
 * workflow lives in.
 */
void
further_index(Workflow *wf)
{
	ListCell   *lc;

	foreach(lc, wf->element->children)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);
		Activity   *activity;
		ActorRule  *rule;

		if (strcmp(element->name, "SeparationAspect") != 0 || !separation_reviews(element))
			continue;
		activity = (Activity *) palloc0(sizeof(Activity));
		activity->name = unconstify(char *, element_value(element, "Identifier"));
		activity->display_name = activity->name;
		activity->template = template_lookup("Review");
		activity->element = (DefinitionElement *) palloc0(sizeof(DefinitionElement));
		activity->element->name = "Activity";
		activity->element->parent = wf->element;
		rule = (ActorRule *) palloc0(sizeof(ActorRule));
		rule->profile = unconstify(char *, element_value(element, "Profile"));
		activity->actors = list_make1(rule);
		wf->further = lappend(wf->further, activity);
	}
}

/*
 * further_activity: the further review at which a position is; NULL if it is
 * none.
 */
Activity *
further_activity(Workflow *wf, int position)
{
	int			reviews = FURTHER_REVIEWS(position);
	int			n = reviews ? pg_rightmost_one_pos32(reviews) : 0;

	return position > 0 && reviews && n < list_length(wf->further) ?
		(Activity *) list_nth(wf->further, n) : NULL;
}

/*
 * separation_want_review: the request gets the aspect's review before it goes
 * on, unless that has been had.
 */
void
separation_want_review(Request *req, Aspect *aspect, Jsonb *conflicts, const char *comment)
{
	Datum		values[4];
	ListCell   *lc;

	values[0] = Int64GetDatum(req->id);
	values[1] = CStringGetTextDatum(aspect->name);
	values[2] = JsonbPGetDatum(conflicts);
	values[3] = Int32GetDatum(req->revision);
	if (store_finds(&select_reviewed, values, false))
		return;
	request_event(req, req->acting, "workflow", "Separate", comment)->data = conflicts;
	foreach(lc, req->workflow->further)
		if (strcmp(((Activity *) lfirst(lc))->name, aspect->name) == 0)
			req->further_reviews |= 1 << foreach_current_index(lc);
}
