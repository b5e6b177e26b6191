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
