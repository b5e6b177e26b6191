/*-------------------------------------------------------------------------
 *
 * definition_separation.c
 *		Checks of a definition by meaning: separation of duties.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "definition.h"
#include "errcodes.h"
#include "separation_review.h"

/* Does anybody act in an activity?  Unknown templates are complained of elsewhere. */
static bool
people_act(DefinitionElement *activity)
{
	const char *template = element_value(activity, "Template");
	const ActivityTemplate *t = template ? template_lookup(template) : NULL;

	return t == NULL || t->is_interactive;
}

/*
 * definition_check_separate_from: SeparateFrom names other activities of the
 * workflow, in which people act.
 */
void
definition_check_separate_from(Definition *def, DefinitionElement *workflow)
{
	List	   *activities = element_children_named(workflow, "Activity");
	StringInfoData others;
	ListCell   *lc;
	ListCell   *lo;

	initStringInfo(&others);
	foreach(lc, activities)
	{
		const char *name = element_value((DefinitionElement *) lfirst(lc), "Identifier");

		if (name && people_act((DefinitionElement *) lfirst(lc)))
			appendStringInfo(&others, "%s%s", others.len > 0 ? ", " : "", name);
	}
	foreach(lc, activities)
	{
		DefinitionElement *activity = (DefinitionElement *) lfirst(lc);
		DefinitionAttribute *attribute = definition_attribute(activity, "SeparateFrom");
		const char *own = element_value(activity, "Identifier");
		char	   *names = attribute ? definition_list(attribute->value) : NULL;

		if (names && names[0] == '\0')
			definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, activity->name,
							 psprintf("Name activities in which people act, separated by commas; they are %s.", others.data),
							 "attribute SeparateFrom names no activity");
		for (char *p = names; p && *p; p += strcspn(p, "|"), p += *p == '|')
		{
			char	   *name = pnstrdup(p, strcspn(p, "|"));
			DefinitionElement *other = NULL;

			foreach(lo, activities)
			{
				const char *value = element_value((DefinitionElement *) lfirst(lo), "Identifier");

				if (value && strcmp(value, name) == 0)
					other = (DefinitionElement *) lfirst(lo);
			}
			if (own && strcmp(own, name) == 0)
				definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, activity->name,
								 "Name another activity: whoever acted in that one may then not act in this one.",
								 "activity \"%s\" cannot be separated from itself", name);
			else if (other == NULL)
				definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, activity->name,
								 psprintf("SeparateFrom lists activities of the workflow in which people act, separated by commas; they are %s.",
										  others.data),
								 "workflow has no activity \"%s\"", name);
			else if (!people_act(other))
				definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, activity->name,
								 psprintf("SeparateFrom lists activities in which people act; they are %s.", others.data),
								 "nobody acts in activity \"%s\", whose template is %s", name,
								 element_value(other, "Template"));
		}
	}
}

/* A further review comes when an activity is left: is a pointcut there? */
static bool
leaves_activity(DefinitionElement *point_cut)
{
	const char *state = element_value(point_cut, "ActivityState");
	const char *dash = state ? strrchr(state, '-') : NULL;

	return state == NULL || name_in_list(dash ? dash + 1 : state, "Executed|Approved");
}

/* What a further review needs: whom it asks, a place, and a name of its own. */
static void
check_further_review(Definition *def, DefinitionElement *aspect)
{
	DefinitionAttribute *identifier = definition_attribute(aspect, "Identifier");
	int			reviews = 0;
	ListCell   *lc;
	ListCell   *la;

	if (element_value(aspect, "Profile") == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 "Say who looks at it: Profile=\"...\".",
						 "attribute Profile is missing");
	foreach(lc, element_children_named(aspect, "PointCut"))
	{
		DefinitionElement *point_cut = (DefinitionElement *) lfirst(lc);

		if (!leaves_activity(point_cut))
			definition_error(def, ERRCODE_WF_DEFINITION, point_cut->line, point_cut->name,
							 "The further review comes when an activity is done: write ActivityState=\"Executed\" or \"Approved\".",
							 "Do=\"Review\" is not possible at state \"%s\"",
							 element_value(point_cut, "ActivityState"));
	}
	foreach(lc, aspect->parent ? aspect->parent->children : NIL)
	{
		DefinitionElement *other = (DefinitionElement *) lfirst(lc);

		if (strcmp(other->name, aspect->name) == 0)
		{
			const char *what = element_value(other, "Do");

			if (what && strcmp(what, "Review") == 0 && ++reviews > FURTHER_LIMIT && other == aspect)
				definition_error(def, ERRCODE_PROGRAM_LIMIT_EXCEEDED, aspect->line, aspect->name,
								 "Let one aspect look at the conflicts of several, by a view.",
								 "more than %d aspects ask for a review", FURTHER_LIMIT);
		}
		if (strcmp(other->name, "Workflow") != 0 || identifier == NULL)
			continue;
		foreach(la, element_children_named(other, "Activity"))
		{
			const char *name = element_value((DefinitionElement *) lfirst(la), "Identifier");

			if (name && strcmp(name, identifier->value) == 0)
				definition_error(def, ERRCODE_WF_DEFINITION, identifier->line, aspect->name,
								 "The further review is shown as an activity of the aspect's name: give it another Identifier.",
								 "\"%s\" is the name of an activity", name);
		}
	}
}

/*
 * definition_check_separation: a SeparationAspect says what it compares, and
 * who looks at what it finds.
 */
void
definition_check_separation(Definition *def, DefinitionElement *aspect)
{
	static const char *const sql_only[] = {"Expression", "IfExpression"};
	DefinitionAttribute *conflicts = definition_attribute(aspect, "Conflicts");
	DefinitionAttribute *profile = definition_attribute(aspect, "Profile");
	const char *what = element_value(aspect, "Do");

	for (int i = 0; i < lengthof(sql_only); i++)
	{
		DefinitionAttribute *expression = definition_attribute(aspect, sql_only[i]);

		if (expression && strncmp(expression->value, "SQL:", strlen("SQL:")) != 0)
			definition_error(def, ERRCODE_WF_DEFINITION, expression->line, aspect->name,
							 "Write SQL: it is asked for one draft and for all rows of the table, by idflow.separation_violation.",
							 "attribute %s must be an SQL expression", expression->name);
	}
	if (conflicts && (strchr(conflicts->value, '.') == NULL || strpbrk(conflicts->value, "()")))
		definition_error(def, ERRCODE_WF_DEFINITION, conflicts->line, aspect->name,
						 "Write the schema and the name of a table or view: Conflicts=\"hr.conflict\".",
						 "attribute Conflicts must be a qualified name, not \"%s\"",
						 conflicts->value);
	if (what && strcmp(what, "Review") == 0)
		check_further_review(def, aspect);
	else if (profile)
		definition_error(def, ERRCODE_WF_DEFINITION, profile->line, aspect->name,
						 "Write Do=\"Review\", or remove the attribute.",
						 "attribute Profile has no meaning without Do=\"Review\"");
}
