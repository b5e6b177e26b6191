/*-------------------------------------------------------------------------
 *
 * definition_homonym.c
 *		Checks of a definition by meaning: homonym links, and what the
 *		attributes of their filters mean.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "definition.h"
#include "homonym.h"

/* By number, which may be written as well. */
static const char *const operators[] = {
	"Auto", "NotEqual", "Equal", "Contain", "StartWith", "EndWith", "NotContain",
	"NotStartWith", "NotEndWith", "GreaterThan", "LessThan", "GreaterThanOrEqual",
	"LessThanOrEqual", "FlexibleEqual", "FlexibleContain", "FlexibleStartWith",
	"FlexibleEndWith"
};

/*
 * homonym_attribute: a numbered attribute of a Filter, Property3; NULL if it
 * isn't given.
 */
const char *
homonym_attribute(const DefinitionElement *filter, const char *stem, int number)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "%s%d", stem, number);
	return element_value(filter, name);
}

/*
 * homonym_operator: the operator of a comparison; Equal if none is given.  Its
 * name or number has been checked.
 */
HomonymOperator
homonym_operator(const DefinitionElement *filter, int number)
{
	const char *value = homonym_attribute(filter, "Operator", number);

	if (value == NULL)
		return HOMONYM_EQUAL;
	for (int i = 0; i < lengthof(operators); i++)
		if (strcmp(operators[i], value) == 0)
			return (HomonymOperator) i;
	return (HomonymOperator) atoi(value);
}

const char *
homonym_operator_name(HomonymOperator op)
{
	return operators[op];
}

/*
 * homonym_other_entity: the table that a Filter looks into by
 * ComparisonProperty="Other:Property", in the current memory context; NULL: it
 * is the link's.
 */
char *
homonym_other_entity(const DefinitionElement *filter)
{
	for (int i = 1; i <= HOMONYM_COMPARISONS; i++)
	{
		const char *value = homonym_attribute(filter, "ComparisonProperty", i);
		const char *colon = value ? strrchr(value, ':') : NULL;

		if (colon)
			return pnstrdup(value, colon - value);
	}
	return NULL;
}

/*
 * homonym_compared_property: the property that a comparison compares with,
 * without its table; by default the one that it compares.  NULL: the
 * comparison isn't given.
 */
const char *
homonym_compared_property(const DefinitionElement *filter, int number)
{
	const char *value = homonym_attribute(filter, "ComparisonProperty", number);
	const char *colon = value ? strrchr(value, ':') : NULL;

	if (value == NULL)
		return homonym_attribute(filter, "Property", number);
	return colon ? colon + 1 : value;
}

/* Check one comparison of a Filter; returns whether it is given. */
static bool
check_comparison(Definition *def, DefinitionElement *filter, int i)
{
	const char *property = homonym_attribute(filter, "Property", i);
	const char *compared = homonym_attribute(filter, "ComparisonProperty", i);
	const char *expression = homonym_attribute(filter, "Expression", i);

	if (property && expression)
		definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
						 psprintf("Remove Property%d and name the column to compare with in ComparisonProperty%d, or remove Expression%d.",
								  i, i, i),
						 "only one of Property%d and Expression%d may be given", i, i);
	else if (expression && compared == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
						 psprintf("Name the column that the expression's value is compared with: ComparisonProperty%d=\"...\".", i),
						 "attribute ComparisonProperty%d is missing", i);
	else if (property == NULL && expression == NULL &&
			 (compared || homonym_attribute(filter, "Operator", i)))
		definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
						 psprintf("Say what is compared: Property%d=\"column\" or Expression%d=\"SQL:...\".", i, i),
						 "comparison %d has nothing to compare", i);
	else if ((property && property[0] == '\0') ||
			 (compared && homonym_compared_property(filter, i)[0] == '\0') ||
			 (compared && compared[0] == ':'))
		definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
						 "A property is a column's name; of another table, it is table:column.",
						 "comparison %d does not name a column", i);
	return property || expression || compared || homonym_attribute(filter, "Operator", i);
}

static void
check_filter(Definition *def, DefinitionElement *filter)
{
	char	   *other = homonym_other_entity(filter);
	bool		any = false;

	for (int i = 1; i <= HOMONYM_COMPARISONS; i++)
	{
		const char *compared = homonym_attribute(filter, "ComparisonProperty", i);
		const char *colon = compared ? strrchr(compared, ':') : NULL;

		any |= check_comparison(def, filter, i);
		if (colon && (strlen(other) != colon - compared ||
					  strncmp(other, compared, colon - compared) != 0))
			definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
							 "A Filter looks into one table. Put the comparisons with another one into a <Filter> of their own.",
							 "filter compares with two tables, \"%s\" and \"%s\"", other,
							 pnstrdup(compared, colon - compared));
	}
	if (!any)
		definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
						 "Name a column to compare, Property1=\"...\", or remove the element.",
						 "filter has no comparison, so every row would be found");
}

/* Check what an activity says about homonyms. */
static void
check_activity(Definition *def, List *links, DefinitionElement *activity)
{
	DefinitionAttribute *link = definition_attribute(activity, "HomonymEntityLink");
	DefinitionAttribute *mode = definition_attribute(activity, "Homonyms");
	StringInfoData names;
	ListCell   *lc;

	if (link == NULL)
	{
		if (mode)
			definition_error(def, ERRCODE_WF_DEFINITION, mode->line, activity->name,
							 "Name the link to look with: HomonymEntityLink=\"...\".",
							 "attribute Homonyms has no meaning without HomonymEntityLink");
		return;
	}
	initStringInfo(&names);
	foreach(lc, links)
	{
		const char *name = element_value(lfirst(lc), "Identifier");

		if (name && strcmp(name, link->value) == 0)
			return;
		appendStringInfo(&names, "%s%s", names.len ? ", " : "", name ? name : "");
	}
	definition_error(def, ERRCODE_WF_DEFINITION, link->line, activity->name,
					 links == NIL ?
					 "Put a <HomonymEntityLink> beside the <Workflow>, both into one <ConfigurationFile>." :
					 psprintf("The links of this file are %s.", names.data),
					 "homonym link \"%s\" is not in this file", link->value);
}

static bool
is_named(DefinitionElement *root, const char *link)
{
	ListCell   *lc;
	ListCell   *la;

	foreach(lc, element_children_named(root, "Workflow"))
		foreach(la, element_children_named(lfirst(lc), "Activity"))
	{
		const char *name = element_value(lfirst(la), "HomonymEntityLink");

		if (name && strcmp(name, link) == 0)
			return true;
	}
	return false;
}

/*
 * Check all homonym links of a document, and who names them.
 */
void
definition_check_homonyms(Definition *def, DefinitionElement *root)
{
	bool		alone = strcmp(root->name, "Workflow") == 0;
	List	   *links = element_children_named(root, "HomonymEntityLink");
	List	   *seen = NIL;
	ListCell   *lc;
	ListCell   *lo;

	foreach(lc, links)
	{
		DefinitionElement *link = (DefinitionElement *) lfirst(lc);
		DefinitionAttribute *identifier = definition_attribute(link, "Identifier");
		List	   *filters = element_children_named(link, "Filter");

		if (def->nerrors > DEFINITION_MAX_MESSAGES)
			return;
		foreach(lo, identifier ? seen : NIL)
		{
			DefinitionAttribute *other = (DefinitionAttribute *) lfirst(lo);

			if (strcmp(other->value, identifier->value) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, identifier->line, link->name,
								 psprintf("The first one is in line %d; give one of them another Identifier.",
										  other->line),
								 "homonym link \"%s\" is defined twice", identifier->value);
				break;
			}
		}
		if (identifier)
			seen = lappend(seen, identifier);
		if (filters == NIL)
			definition_error(def, ERRCODE_WF_DEFINITION, link->line, link->name,
							 "Put a <Filter Property1=\"...\"/> into it for each way in which rows can be alike.",
							 "homonym link has no filter, so it would never find anything");
		foreach(lo, filters)
			check_filter(def, (DefinitionElement *) lfirst(lo));
		if (identifier && !is_named(root, identifier->value))
			definition_warning(def, link->line, link->name,
							   "Name it in the activity where it is to be used: HomonymEntityLink=\"...\".",
							   "no activity uses homonym link \"%s\"", identifier->value);
	}

	foreach(lc, alone ? list_make1(root) : element_children_named(root, "Workflow"))
		foreach(lo, element_children_named(lfirst(lc), "Activity"))
		check_activity(def, links, (DefinitionElement *) lfirst(lo));
}
