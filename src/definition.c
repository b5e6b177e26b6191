/*-------------------------------------------------------------------------
 *
 * definition.c
 *		XML text -> checked definitions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/guc.h"

#include "definition.h"
#include "errcodes.h"

static int	definition_max_size = 1024;

static void add_message(Definition *def, bool is_error, int sqlstate, int line,
						const char *element, const char *hint, const char *fmt,
						va_list args) pg_attribute_printf(7, 0);
static int	compare_lines(const ListCell *a, const ListCell *b);
static WorkflowDefinition *build_workflow(DefinitionElement *element);
static ActivityDefinition *build_activity(DefinitionElement *element);

/*
 * Declare the module's settings; called by _PG_init.
 */
void
definition_init(void)
{
	DefineCustomIntVariable("idflow.max_definition_size",
							"Sets the size up to which workflow definitions are read.",
							NULL,
							&definition_max_size,
							1024, 1, 64 * 1024,
							PGC_SUSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
}

/*
 * Read and check a definition.  text is in the server's encoding.  The result
 * is in the current memory context, in which this leaves garbage as well: call
 * it in one that is deleted.
 *
 * What is wrong with the definition is never an ereport but a message of the
 * result; if one of them is an error, there are no workflows.
 */
Definition *
definition_read(const char *text, size_t len)
{
	Definition *def = palloc0(sizeof(Definition));
	DefinitionElement *root;
	ListCell   *lc;

	if (len > (size_t) definition_max_size * 1024)
	{
		definition_error(def, ERRCODE_PROGRAM_LIMIT_EXCEEDED, 0, NULL,
						 "Split the definition into smaller files, or have idflow.max_definition_size raised.",
						 "definition of %zu kB exceeds idflow.max_definition_size (%d kB)",
						 (len + 1023) / 1024, definition_max_size);
		return def;
	}

	root = definition_xml_read(def, text, len);
	list_sort(def->messages, compare_lines);

	if (def->nerrors > 0)
		return def;

	if (strcmp(root->name, "Workflow") == 0)
		def->workflows = list_make1(build_workflow(root));
	else
	{
		foreach(lc, root->children)
		{
			DefinitionElement *child = (DefinitionElement *) lfirst(lc);

			if (strcmp(child->name, "Workflow") == 0)
				def->workflows = lappend(def->workflows, build_workflow(child));
		}
	}
	return def;
}

/* --------------------------------------------------------------- messages */

/*
 * Add an error to a definition.  line 0, element NULL and hint NULL mean that
 * there is none.
 */
void
definition_error(Definition *def, int sqlstate, int line, const char *element,
				 const char *hint, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	add_message(def, true, sqlstate, line, element, hint, fmt, args);
	va_end(args);
}

/*
 * Add a warning to a definition.
 */
void
definition_warning(Definition *def, int line, const char *element,
				   const char *hint, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	add_message(def, false, 0, line, element, hint, fmt, args);
	va_end(args);
}

static void
add_message(Definition *def, bool is_error, int sqlstate, int line,
			const char *element, const char *hint, const char *fmt, va_list args)
{
	DefinitionMessage *message;
	StringInfoData text;

	if (is_error)
		def->nerrors++;
	else
		def->nwarnings++;

	/* an error is never crowded out by warnings */
	if ((is_error ? def->nerrors : def->nwarnings) > DEFINITION_MAX_MESSAGES)
		return;

	initStringInfo(&text);
	for (;;)
	{
		va_list		again;
		int			needed;

		va_copy(again, args);
		needed = appendStringInfoVA(&text, fmt, again);
		va_end(again);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}

	message = palloc0(sizeof(DefinitionMessage));
	message->number = def->nerrors + def->nwarnings;
	message->is_error = is_error;
	message->sqlstate = sqlstate;
	message->line = line;
	message->element = element && element[0] ? element : NULL;
	message->message = text.data;

	message->hint = hint;
	def->messages = lappend(def->messages, message);
}

/*
 * list_sort() comparator: by line, then in the order in which they were found.
 */
static int
compare_lines(const ListCell *a, const ListCell *b)
{
	const DefinitionMessage *left = (const DefinitionMessage *) lfirst(a);
	const DefinitionMessage *right = (const DefinitionMessage *) lfirst(b);

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	return left->number - right->number;
}

/* ---------------------------------------------------------------- structs */

/* Return an attribute's value, or NULL if it isn't given. */
static const char *
attribute_value(DefinitionElement *element, const char *name)
{
	ListCell   *lc;

	foreach(lc, element->attributes)
	{
		DefinitionAttribute *attribute = (DefinitionAttribute *) lfirst(lc);

		if (strcmp(attribute->name, name) == 0)
			return attribute->value;
	}
	return NULL;
}

static bool
attribute_boolean(DefinitionElement *element, const char *name, bool if_missing)
{
	const char *value = attribute_value(element, name);

	if (value == NULL)
		return if_missing;
	return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

/*
 * Return the attributes that have no field of their own.
 */
static List *
build_options(DefinitionElement *element, const char *fields)
{
	const ElementRule *rule = element_rule(element->name, element->parent);
	List	   *options = NIL;
	ListCell   *lc;

	foreach(lc, element->attributes)
	{
		DefinitionAttribute *attribute = (DefinitionAttribute *) lfirst(lc);
		DefinitionOption *option;

		if (name_in_list(attribute->name, fields))
			continue;
		option = palloc0(sizeof(DefinitionOption));
		option->name = attribute->name;
		option->value = attribute->value;
		if (attribute_rule(rule, attribute->name)->kind == ATTRIBUTE_BOOLEAN)
		{
			option->is_boolean = true;
			option->value = attribute_boolean(element, attribute->name, false) ?
				"true" : "false";
		}
		options = lappend(options, option);
	}
	return options;
}

/*
 * Turn a Workflow element that passed all checks into a struct.
 */
static WorkflowDefinition *
build_workflow(DefinitionElement *element)
{
	WorkflowDefinition *workflow = palloc0(sizeof(WorkflowDefinition));
	const char *value;
	ListCell   *lc;

	workflow->line = element->line;
	workflow->name = attribute_value(element, "Identifier");
	workflow->display_name = attribute_value(element, "DisplayName_L1");
	workflow->title = attribute_value(element, "Title");
	workflow->subject = attribute_value(element, "Subject");
	value = attribute_value(element, "MaxSteps");
	workflow->max_steps = value ? atoi(value) : DEFINITION_MAX_STEPS;
	workflow->four_eyes = attribute_boolean(element, "FourEyes", true);
	workflow->exact = attribute_boolean(element, "Exact", true);
	value = attribute_value(element, "Nested");
	workflow->nested = value ? value : "Separate";
	workflow->options = build_options(element,
									  "Identifier|DisplayName_L1|Title|Subject|"
									  "MaxSteps|FourEyes|Exact|Nested");
	foreach(lc, element->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);

		if (strcmp(child->name, "Activity") == 0)
			workflow->activities = lappend(workflow->activities,
										   build_activity(child));
	}
	workflow->source = element->source;
	memcpy(workflow->digest, element->digest, DEFINITION_DIGEST_LENGTH);
	return workflow;
}

static ActivityDefinition *
build_activity(DefinitionElement *element)
{
	ActivityDefinition *activity = palloc0(sizeof(ActivityDefinition));
	ListCell   *lc;

	activity->line = element->line;
	activity->name = attribute_value(element, "Identifier");
	activity->display_name = attribute_value(element, "DisplayName_L1");
	activity->template = template_lookup(attribute_value(element, "Template"));
	activity->if_expression = attribute_value(element, "IfExpression");
	activity->options = build_options(element,
									  "Identifier|DisplayName_L1|Template|IfExpression");
	foreach(lc, element->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);
		ActorDefinition *actor;

		if (strcmp(child->name, "Actor") != 0)
			continue;
		actor = palloc0(sizeof(ActorDefinition));
		actor->line = child->line;
		actor->profile = attribute_value(child, "Profile");
		actor->principal = attribute_value(child, "Principal");
		actor->expression = attribute_value(child, "Expression");
		activity->actors = lappend(activity->actors, actor);
	}
	return activity;
}
