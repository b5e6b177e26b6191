/*-------------------------------------------------------------------------
 *
 * definition.c
 *		XML text -> checked definitions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
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
static void add_parts(WorkflowDefinition *workflow, DefinitionElement *element);

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
	foreach(lc, root->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);

		if (strcmp(child->name, "Workflow") == 0)
			def->workflows = lappend(def->workflows, build_workflow(child));
		else if (name_in_list(child->name, "Profile|AccessControlRule"))
			def->authority = lappend(def->authority, child);
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
			option->value = element_boolean(element, attribute->name, false) ?
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
	workflow->name = element_value(element, "Identifier");
	workflow->display_name = element_value(element, "DisplayName_L1");
	workflow->title = element_value(element, "Title");
	workflow->subject = element_value(element, "Subject");
	value = element_value(element, "MaxSteps");
	workflow->max_steps = value ? atoi(value) : DEFINITION_MAX_STEPS;
	workflow->four_eyes = element_boolean(element, "FourEyes", true);
	workflow->exact = element_boolean(element, "Exact", true);
	value = element_value(element, "Nested");
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
		else
			workflow->elements = lappend(workflow->elements, child);
	}
	add_parts(workflow, element);
	return workflow;
}

/* Does an activity of the workflow name the homonym link? */
static bool
names_link(WorkflowDefinition *workflow, DefinitionElement *link)
{
	const char *name = element_value(link, "Identifier");
	ListCell   *lc;

	foreach(lc, workflow->activities)
	{
		ListCell   *lo;

		foreach(lo, ((ActivityDefinition *) lfirst(lc))->options)
		{
			DefinitionOption *option = (DefinitionOption *) lfirst(lo);

			if (strcmp(option->name, "HomonymEntityLink") == 0 &&
				strcmp(option->value, name) == 0)
				return true;
		}
	}
	return false;
}

/*
 * What of an element beside a workflow belongs to it; NULL if nothing does.
 */
static DefinitionPart *
part_of(WorkflowDefinition *workflow, DefinitionElement *element)
{
	ListCell   *lc;

	foreach(lc, element->parts)
	{
		DefinitionPart *part = (DefinitionPart *) lfirst(lc);

		if (is_aspect(element) ? strcmp(part->workflow, workflow->name) == 0 :
			strcmp(element->name, "HomonymEntityLink") == 0 && names_link(workflow, element))
			return part;
	}
	return NULL;
}

/* A copy of an aspect with those of its pointcuts that are in the workflow. */
static DefinitionElement *
with_own_point_cuts(WorkflowDefinition *workflow, DefinitionElement *element)
{
	DefinitionElement *copy = palloc(sizeof(DefinitionElement));
	ListCell   *lc;

	*copy = *element;
	copy->children = NIL;
	foreach(lc, element->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);

		if (strcmp(child->name, "PointCut") != 0 ||
			strcmp(point_cut_workflow(child), workflow->name) == 0)
			copy->children = lappend(copy->children, child);
	}
	return copy;
}

/* list_sort() comparator: by digest. */
static int
compare_digests(const ListCell *a, const ListCell *b)
{
	return memcmp(((const DefinitionPart *) lfirst(a))->digest,
				  ((const DefinitionPart *) lfirst(b))->digest, DEFINITION_DIGEST_LENGTH);
}

/*
 * Put what stands beside the Workflow element and belongs to it into the
 * workflow, and make its source and its digest.  In which order it stands
 * there makes no difference.
 */
static void
add_parts(WorkflowDefinition *workflow, DefinitionElement *element)
{
	DefinitionPart *own = (DefinitionPart *) linitial(element->parts);
	List	   *parts = NIL;
	StringInfoData source;
	bytea	   *digests;
	bytea	   *digest;
	int			length;
	ListCell   *lc;

	workflow->source = own->source;
	memcpy(workflow->digest, own->digest, DEFINITION_DIGEST_LENGTH);

	initStringInfo(&source);
	appendStringInfo(&source, "<ConfigurationFile>\n%s\n", own->source);
	foreach(lc, element->parent ? element->parent->children : NIL)
	{
		DefinitionElement *beside = (DefinitionElement *) lfirst(lc);
		DefinitionPart *part = part_of(workflow, beside);

		if (part == NULL)
			continue;
		parts = lappend(parts, part);
		appendStringInfo(&source, "%s\n", part->source);
		workflow->elements = lappend(workflow->elements,
									 is_aspect(beside) ? with_own_point_cuts(workflow, beside) : beside);
	}
	if (parts == NIL)
		return;
	appendStringInfoString(&source, "</ConfigurationFile>");
	workflow->source = source.data;

	list_sort(parts, compare_digests);
	parts = lcons(own, parts);
	length = VARHDRSZ + list_length(parts) * DEFINITION_DIGEST_LENGTH;
	digests = palloc(length);
	SET_VARSIZE(digests, length);
	foreach(lc, parts)
		memcpy(VARDATA(digests) + foreach_current_index(lc) * DEFINITION_DIGEST_LENGTH,
			   ((DefinitionPart *) lfirst(lc))->digest, DEFINITION_DIGEST_LENGTH);
	digest = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(digests)));
	memcpy(workflow->digest, VARDATA_ANY(digest), DEFINITION_DIGEST_LENGTH);
}

static ActivityDefinition *
build_activity(DefinitionElement *element)
{
	ActivityDefinition *activity = palloc0(sizeof(ActivityDefinition));
	ListCell   *lc;

	activity->line = element->line;
	activity->name = element_value(element, "Identifier");
	activity->display_name = element_value(element, "DisplayName_L1");
	activity->template = template_lookup(element_value(element, "Template"));
	activity->if_expression = element_value(element, "IfExpression");
	activity->options = build_options(element,
									  "Identifier|DisplayName_L1|Template|IfExpression");
	foreach(lc, element->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);
		ActorDefinition *actor;

		if (strcmp(child->name, "Actor") != 0)
		{
			activity->elements = lappend(activity->elements, child);
			continue;
		}
		actor = palloc0(sizeof(ActorDefinition));
		actor->line = child->line;
		actor->profile = element_value(child, "Profile");
		actor->principal = element_value(child, "Principal");
		actor->expression = element_value(child, "Expression");
		actor->approvals = element_value(child, "Approvals");
		activity->actors = lappend(activity->actors, actor);
	}
	return activity;
}
