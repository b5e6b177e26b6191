/*-------------------------------------------------------------------------
 *
 * definition_aspect.c
 *		Checks of a definition by meaning: aspects and their pointcuts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "definition.h"
#include "errcodes.h"

static void check_add_change(Definition *def, DefinitionElement *aspect);
static void check_assert_value(Definition *def, DefinitionElement *aspect);
static void check_function(Definition *def, DefinitionElement *aspect);

/*
 * What an aspect of each kind must have beyond its attributes; NULL: nothing.
 */
static const struct
{
	const char *element;
	void		(*check) (Definition *def, DefinitionElement *aspect);
}			checks[] = {
	{"AddChangeAspect", check_add_change},
	{"AssertValueAspect", check_assert_value},
	{"AssertValueRequiredAspect", NULL},
	{"BuildUniqueValueAspect", definition_check_unique},
	{"InvokeFunctionAspect", check_function},
	{"InvokeScriptAspect", NULL},
	{"InvokeWorkflowAspect", NULL},
	{"NotificationAspect", definition_check_notification},
	{"SeparationAspect", definition_check_separation}
};

/*
 * Is the element an aspect?
 */
bool
is_aspect(const DefinitionElement *element)
{
	for (int i = 0; i < lengthof(checks); i++)
		if (strcmp(checks[i].element, element->name) == 0)
			return true;
	return false;
}

/*
 * The workflow that a pointcut is in, from its Activity, Workflow:Activity;
 * NULL if it isn't written so.
 */
char *
point_cut_workflow(const DefinitionElement *point_cut)
{
	const char *activity = element_value(point_cut, "Activity");
	const char *colon = activity ? strchr(activity, ':') : NULL;

	return colon ? pnstrdup(activity, colon - activity) : NULL;
}

/*
 * The activity that a pointcut is at, without its workflow.
 */
const char *
point_cut_activity(const DefinitionElement *point_cut)
{
	const char *activity = element_value(point_cut, "Activity");
	const char *colon = activity ? strchr(activity, ':') : NULL;

	return colon ? colon + 1 : activity;
}

/*
 * Is a pointcut at the exit from the state, not at the entry?
 */
bool
point_cut_after(const DefinitionElement *point_cut)
{
	const char *mode = element_value(point_cut, "Mode");

	return mode && name_in_list(mode, "After|1");
}

/* A child of an element by its Identifier. */
static DefinitionElement *
child_named(DefinitionElement *parent, const char *kind, const char *identifier)
{
	ListCell   *lc;

	foreach(lc, parent->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);
		const char *value;

		if (strcmp(child->name, kind) != 0)
			continue;
		value = element_value(child, "Identifier");
		if (value && strcmp(value, identifier) == 0)
			return child;
	}
	return NULL;
}

/* The Identifiers of the elements of a kind in another, separated by ", ". */
static char *
identifiers(DefinitionElement *parent, const char *kind)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, element_children_named(parent, kind))
	{
		const char *value = element_value(lfirst(lc), "Identifier");

		if (value)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", value);
	}
	return buf.data;
}

/*
 * Check that a pointcut is at a state that there is.
 */
static void
check_point_cut(Definition *def, DefinitionElement *root, DefinitionElement *point_cut)
{
	const char *state = element_value(point_cut, "ActivityState");
	char	   *name = point_cut_workflow(point_cut);
	DefinitionElement *workflow;
	DefinitionElement *activity;
	const char *template;
	const ActivityTemplate *t;

	if (element_value(point_cut, "Activity") == NULL || state == NULL)
		return;					/* said already */
	if (name == NULL)
	{
		definition_error(def, ERRCODE_WF_DEFINITION, point_cut->line, point_cut->name,
						 "Write Activity=\"Workflow:Activity\".",
						 "attribute Activity does not name a workflow: \"%s\"",
						 element_value(point_cut, "Activity"));
		return;
	}
	workflow = child_named(root, "Workflow", name);
	if (workflow == NULL)
	{
		definition_error(def, ERRCODE_WF_DEFINITION, point_cut->line, point_cut->name,
						 psprintf("A version of a workflow is the <Workflow> with its aspects: put both into one file. "
								  "idflow.export('%s') gives what is deployed.", name),
						 "workflow \"%s\" is not in this file", name);
		return;
	}
	activity = child_named(workflow, "Activity", point_cut_activity(point_cut));
	if (activity == NULL)
	{
		definition_error(def, ERRCODE_WF_DEFINITION, point_cut->line, point_cut->name,
						 psprintf("Its activities are %s.", identifiers(workflow, "Activity")),
						 "workflow \"%s\" has no activity \"%s\"", name,
						 point_cut_activity(point_cut));
		return;
	}
	template = element_value(activity, "Template");
	t = template ? template_lookup(template) : NULL;
	if (t != NULL && template_state(t, state) == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, point_cut->line, point_cut->name,
						 psprintf("The states of %s are %s.", t->name, template_states(t)),
						 "activity \"%s\" has no state \"%s\"",
						 point_cut_activity(point_cut), state);
}

static void
need_attribute(Definition *def, DefinitionElement *aspect, const char *name, const char *example)
{
	if (element_value(aspect, name) == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 psprintf("Write %s=\"%s\".", name, example),
						 "attribute %s is missing", name);
}

/*
 * An ExpressionBinding is the object that the expression sees: the row, so the
 * Binding without its last part.
 */
static void
check_expression_binding(Definition *def, DefinitionElement *aspect)
{
	const char *binding = element_value(aspect, "Binding");
	DefinitionAttribute *object = definition_attribute(aspect, "ExpressionBinding");
	size_t		len = object ? strlen(object->value) : 0;

	if (binding == NULL || object == NULL ||
		(strncmp(binding, object->value, len) == 0 &&
		 (binding[len] == '.' || binding[len] == ':') &&
		 strpbrk(binding + len + 1, ".:") == NULL))
		return;
	definition_error(def, ERRCODE_WF_DEFINITION, object->line, aspect->name,
					 "An expression sees the row: write the Binding without its last part, or remove the attribute.",
					 "ExpressionBinding=\"%s\" is not the object that Binding=\"%s\" is a column of",
					 object->value, binding);
}

static void
check_add_change(Definition *def, DefinitionElement *aspect)
{
	need_attribute(def, aspect, "Expression", "SQL:lower(new.login)");
}

static void
check_assert_value(Definition *def, DefinitionElement *aspect)
{
	need_attribute(def, aspect, "Expression", "SQL:new.salary > 0");
}

static void
check_function(Definition *def, DefinitionElement *aspect)
{
	DefinitionAttribute *function = definition_attribute(aspect, "Function");
	const char *dot = function ? strchr(function->value, '.') : NULL;

	if (function && (dot == NULL || strpbrk(function->value, "()")))
		definition_error(def, ERRCODE_WF_DEFINITION, function->line, aspect->name,
						 "Write the schema and the name, without arguments: Function=\"hr.provision\".",
						 "attribute Function must be a qualified name, not \"%s\"",
						 function->value);
}

/*
 * Check all aspects of a document.
 */
void
definition_check_aspects(Definition *def, DefinitionElement *root)
{
	List	   *seen = NIL;
	ListCell   *lc;

	foreach(lc, root->children)
	{
		DefinitionElement *aspect = (DefinitionElement *) lfirst(lc);
		DefinitionAttribute *identifier;
		List	   *point_cuts;
		ListCell   *lo;

		if (!is_aspect(aspect))
			continue;
		if (def->nerrors > DEFINITION_MAX_MESSAGES)
			return;

		/* pointcuts, not elements, are run: names must tell them apart */
		identifier = definition_attribute(aspect, "Identifier");
		foreach(lo, identifier ? seen : NIL)
		{
			DefinitionAttribute *other = (DefinitionAttribute *) lfirst(lo);

			if (strcmp(other->value, identifier->value) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, identifier->line, aspect->name,
								 psprintf("The first one is in line %d; give one of them another Identifier.",
										  other->line),
								 "aspect \"%s\" is defined twice", identifier->value);
				break;
			}
		}
		if (identifier)
			seen = lappend(seen, identifier);

		point_cuts = element_children_named(aspect, "PointCut");
		if (point_cuts == NIL)
			definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
							 "Put a <PointCut Activity=\"Workflow:Activity\" ActivityState=\"Template-State\" Mode=\"Before\"/> into it.",
							 "aspect has no pointcut, so it would never run");
		foreach(lo, point_cuts)
			check_point_cut(def, root, (DefinitionElement *) lfirst(lo));

		check_expression_binding(def, aspect);
		for (int i = 0; i < lengthof(checks); i++)
			if (checks[i].check && strcmp(checks[i].element, aspect->name) == 0)
				checks[i].check(def, aspect);
	}
}
