/*-------------------------------------------------------------------------
 *
 * definition_check.c
 *		Checks of a definition by the tables of definition_rules.c.
 *
 * A message says what is wrong, and its hint what would be right.  All of
 * them are collected: who writes a definition sees every mistake at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "definition.h"
#include "errcodes.h"
#include "expression_parse.h"
#include "xpath.h"

#define MAX_IDENTIFIER	(NAMEDATALEN - 1)
#define MAX_SHOWN		200		/* bytes of a value in a message */

static void check_element(Definition *def, DefinitionElement *element,
						  const ElementRule *rule);
static void check_attributes(Definition *def, DefinitionElement *element,
							 const ElementRule *rule);
static void check_child(Definition *def, DefinitionElement *element,
						const ElementRule *rule, DefinitionElement *child);
static void check_value(Definition *def, DefinitionElement *element,
						const AttributeRule *rule, DefinitionAttribute *attribute);
static void check_expression(Definition *def, DefinitionElement *element,
							 DefinitionAttribute *attribute, bool is_condition);

/*
 * Return an element's attribute of that name, or NULL.
 */
DefinitionAttribute *
definition_attribute(DefinitionElement *element, const char *name)
{
	ListCell   *lc;

	foreach(lc, element->attributes)
	{
		DefinitionAttribute *attribute = (DefinitionAttribute *) lfirst(lc);

		if (strcmp(attribute->name, name) == 0)
			return attribute;
	}
	return NULL;
}

/*
 * Return so much of a string as fits into a message.
 */
static const char *
clip(const char *value, int limit)
{
	int			len = strlen(value);

	if (len <= limit)
		return value;
	return psprintf("%.*s...", pg_mbcliplen(value, len, limit), value);
}

/*
 * Check a document, adding messages to def.
 */
void
definition_check(Definition *def, DefinitionElement *root)
{
	if (strcmp(root->name, "Workflow") != 0 &&
		strcmp(root->name, "ConfigurationFile") != 0)
	{
		definition_error(def, ERRCODE_WF_DEFINITION, root->line, root->name,
						 "The root of a definition is <Workflow> or <ConfigurationFile>.",
						 "element cannot be the root");
		return;
	}

	check_element(def, root, element_rule(root->name, NULL));
	definition_check_meaning(def, root);
}

/*
 * Check an element and all that stands in it against the tables.
 */
static void
check_element(Definition *def, DefinitionElement *element,
			  const ElementRule *rule)
{
	ListCell   *lc;

	check_attributes(def, element, rule);

	if (element->has_text)
		definition_error(def, ERRCODE_WF_DEFINITION, element->line, element->name,
						 "Everything is written in attributes; comments are written <!-- like this -->.",
						 "element must not contain text");

	foreach(lc, element->children)
	{
		if (def->nerrors > DEFINITION_MAX_MESSAGES)
			break;
		check_child(def, element, rule, (DefinitionElement *) lfirst(lc));
	}
}

static void
check_child(Definition *def, DefinitionElement *element,
			const ElementRule *rule, DefinitionElement *child)
{
	const ElementRule *child_rule = element_rule(child->name, element);
	char	   *allowed = element_children(rule);

	if (name_in_list(child->name, rule->children))
		check_element(def, child, child_rule);
	else if (child_rule != NULL)
	{
		char	   *parents = element_parents(child->name);

		definition_error(def, ERRCODE_WF_DEFINITION, child->line, child->name,
						 parents ? psprintf("<%s> stands in %s.", child->name, parents) :
						 psprintf("<%s> can only be the root.", child->name),
						 "element <%s> must not stand in <%s>",
						 child->name, element->name);
	}
	else
	{
		const char *nearest = nearest_name(child->name, rule->children);
		StringInfoData hint;

		initStringInfo(&hint);
		if (nearest)
			appendStringInfo(&hint, "Did you mean <%s>? ", nearest);
		if (allowed)
			appendStringInfo(&hint, "In <%s> may stand: %s.", element->name, allowed);
		else
			appendStringInfo(&hint, "Nothing may stand in <%s>.", element->name);
		definition_error(def, ERRCODE_WF_DEFINITION, child->line, child->name,
						 hint.data, "unknown element <%s>", clip(child->name, MAX_SHOWN));
	}
}

static void
check_attributes(Definition *def, DefinitionElement *element,
				 const ElementRule *rule)
{
	ListCell   *lc;

	if (rule->attributes == NULL)
		return;

	foreach(lc, element->attributes)
	{
		DefinitionAttribute *attribute = (DefinitionAttribute *) lfirst(lc);
		const AttributeRule *attr_rule = attribute_rule(rule, attribute->name);

		CHECK_FOR_INTERRUPTS();
		if (def->nerrors > DEFINITION_MAX_MESSAGES)
			break;

		if (attr_rule == NULL)
		{
			const char *nearest = nearest_attribute(rule, attribute->name);
			StringInfoData hint;

			initStringInfo(&hint);
			if (nearest)
				appendStringInfo(&hint, "Did you mean %s? ", nearest);
			if (rule->attributes->name)
				appendStringInfo(&hint, "<%s> has the attributes %s.",
								 element->name, element_attributes(rule));
			else
				appendStringInfo(&hint, "<%s> has no attributes.", element->name);
			definition_error(def, ERRCODE_WF_DEFINITION, attribute->line,
							 element->name, hint.data,
							 "unknown attribute %s", clip(attribute->name, MAX_SHOWN));
			continue;
		}
		check_value(def, element, attr_rule, attribute);
	}

	for (const AttributeRule *r = rule->attributes; r->name; r++)
	{
		const char *name = r->last ? psprintf("%s%s1", r->name, r->suffix) : r->name;

		if (!(r->flags & RULE_REQUIRED) || definition_attribute(element, name))
			continue;
		definition_error(def, ERRCODE_WF_DEFINITION, element->line, element->name,
						 r->kind == ATTRIBUTE_TEMPLATE ?
						 psprintf("The templates are %s.", template_names()) :
						 r->kind == ATTRIBUTE_CHOICE ?
						 psprintf("%s is one of %s.", name, format_list(r->values)) :
						 psprintf("Write <%s ... %s=\"...\">.", element->name, name),
						 "attribute %s is missing", name);
	}
}

/*
 * Return the first control character's position, or NULL.
 */
static const char *
find_control(const char *value)
{
	for (const char *p = value; *p; p++)
	{
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			return p;
	}
	return NULL;
}

static bool
is_digits(const char *value)
{
	return value[0] != '\0' && strspn(value, "0123456789") == strlen(value);
}

/*
 * Check one attribute's value against its kind.
 */
static void
check_value(Definition *def, DefinitionElement *element,
			const AttributeRule *rule, DefinitionAttribute *attribute)
{
	const char *name = attribute->name;
	const char *value = attribute->value;

#define VALUE_ERROR(hint, ...) \
	definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, \
					 element->name, hint, __VA_ARGS__)

	switch (rule->kind)
	{
		case ATTRIBUTE_TEXT:
			break;

		case ATTRIBUTE_IDENTIFIER:
		case ATTRIBUTE_NAME:
		case ATTRIBUTE_LABEL:
			if (value[strspn(value, " ")] == '\0')
				VALUE_ERROR(psprintf("Write a name between the quotes of %s.", name),
							"attribute %s must not be empty", name);
			else if (find_control(value))
				VALUE_ERROR("Use printable characters only.",
							"attribute %s must not contain control characters", name);
			else if (rule->kind == ATTRIBUTE_LABEL)
				break;
			else if (value[0] == ' ' || value[strlen(value) - 1] == ' ')
				VALUE_ERROR(psprintf("Remove the spaces around \"%s\".", clip(value, MAX_SHOWN)),
							"attribute %s must not begin or end with a space", name);
			else if (rule->kind == ATTRIBUTE_NAME)
				break;
			else if (strlen(value) > MAX_IDENTIFIER)
				VALUE_ERROR(psprintf("A name has at most %d bytes.", MAX_IDENTIFIER),
							"attribute %s is too long (%zu bytes)", name, strlen(value));
			else if (strpbrk(value, "/:"))
				VALUE_ERROR("Slash and colon separate names in permissions and pointcuts; write an underscore instead.",
							"attribute %s must not contain \"/\" or \":\": \"%s\"", name, clip(value, MAX_SHOWN));
			break;

		case ATTRIBUTE_BOOLEAN:
			if (!name_in_list(value, "true|false|1|0"))
				VALUE_ERROR("Write true or false.",
							"attribute %s must be true or false, not \"%s\"", name, clip(value, MAX_SHOWN));
			break;

		case ATTRIBUTE_INTEGER:
		case ATTRIBUTE_COUNT:
			{
				const char *digits = value;

				if (rule->kind == ATTRIBUTE_INTEGER && *digits == '-')
					digits++;
				if (!is_digits(digits) || strlen(digits) > 10 ||
					strtoll(digits, NULL, 10) > INT_MAX ||
					(rule->kind == ATTRIBUTE_COUNT && strtoll(digits, NULL, 10) < 1))
					VALUE_ERROR(rule->kind == ATTRIBUTE_COUNT ?
								psprintf("Write a whole number from 1 to %d.", INT_MAX) :
								"Write a whole number.",
								rule->kind == ATTRIBUTE_COUNT ?
								"attribute %s must be a positive whole number, not \"%s\"" :
								"attribute %s must be a whole number, not \"%s\"",
								name, clip(value, MAX_SHOWN));
			}
			break;

		case ATTRIBUTE_QUOTA:
			{
				size_t		len = strlen(value);
				bool		percent = len > 0 && value[len - 1] == '%';
				char	   *digits = pnstrdup(value, percent ? len - 1 : len);

				if (strcmp(value, "all") != 0 &&
					(!is_digits(digits) || strlen(digits) > 9 || atoi(digits) < 1 ||
					 (percent && atoi(digits) > 100)))
					VALUE_ERROR("Write a number such as 2, a share such as 50%, or all.",
								"attribute %s must be a number, a percentage or \"all\", not \"%s\"",
								name, clip(value, MAX_SHOWN));
			}
			break;

		case ATTRIBUTE_CHOICE:
			if (!name_in_list(value, rule->values))
			{
				const char *nearest = nearest_name(value, rule->values);

				VALUE_ERROR(psprintf("%s%s%s%s is one of %s.",
									 nearest ? "Did you mean " : "",
									 nearest ? nearest : "",
									 nearest ? "? " : "",
									 name, format_list(rule->values)),
							"attribute %s cannot be \"%s\"", name, clip(value, MAX_SHOWN));
			}
			break;

		case ATTRIBUTE_TEMPLATE:
			if (template_lookup(value) == NULL)
			{
				const char *nearest =
					nearest_name(value, "Action|ActionWithRefine|Review|"
								 "ReviewWithFeedback|ContinueWith|Persist|"
								 "PersistOnlyResources");

				VALUE_ERROR(psprintf("%s%s%sThe templates are %s.",
									 nearest ? "Did you mean " : "",
									 nearest ? nearest : "",
									 nearest ? "? " : "",
									 template_names()),
							"unknown activity template \"%s\"", clip(value, MAX_SHOWN));
			}
			break;

		case ATTRIBUTE_EXPRESSION:
		case ATTRIBUTE_CONDITION:
			check_expression(def, element, attribute,
							 rule->kind == ATTRIBUTE_CONDITION);
			break;
	}
#undef VALUE_ERROR
}

/*
 * Check an expression: its prefix, and its syntax.  Whether it fits a table is
 * found out at attach.
 */
static void
check_expression(Definition *def, DefinitionElement *element,
				 DefinitionAttribute *attribute, bool is_condition)
{
	const char *name = attribute->name;
	const char *value = attribute->value;
	const char *body;
	const char *xpath_error;
	bool		truth;

	switch (expression_language(value, &body))
	{
		case EXPRESSION_SQL:
			definition_check_sql(def, element, attribute, body);
			break;

		case EXPRESSION_LITERAL:
			if (is_condition && !parse_bool(body, &truth))
				definition_error(def, ERRCODE_WF_DEFINITION, attribute->line,
								 element->name,
								 "Write Literal:true, Literal:false, or a condition such as SQL:new.salary > 1000.",
								 "attribute %s must yield true or false, not \"%s\"",
								 name, body);
			break;

		case EXPRESSION_XPATH:
			xpath_error = xpath_syntax_error(body);
			if (xpath_error)
				definition_error(def, ERRCODE_WF_DEFINITION, attribute->line,
								 element->name,
								 "Write XPath 1.0 over the document of the request, such as XPath://p:parameter[@name='login'].",
								 "attribute %s: %s in \"%s\"", name, xpath_error,
								 clip(body, MAX_SHOWN));
			break;

		case EXPRESSION_CSHARP:
			definition_error(def, ERRCODE_WF_DEFINITION, attribute->line,
							 element->name,
							 "Write the expression in SQL, over new, old and request: SQL:...",
							 "C# expression in attribute %s cannot be used", name);
			break;

		case EXPRESSION_UNKNOWN:
			{
				const char *hint = "An expression begins with SQL: or XPath: or, if it is fixed text, with Literal:.";

				if (pg_strncasecmp(value, "sql:", 4) == 0)
					hint = "Write the prefix in capitals, SQL:.";
				else if (pg_strncasecmp(value, "literal:", 8) == 0)
					hint = "Write the prefix with one capital, Literal:.";
				definition_error(def, ERRCODE_WF_DEFINITION, attribute->line,
								 element->name, hint,
								 "expression in attribute %s has no known prefix: \"%s\"",
								 name,
								 clip(value, MAX_SHOWN));
			}
			break;
	}
}

/*
 * Check the syntax of an SQL expression.
 *
 * The parser reports by ereport, which is caught here.  No subtransaction is
 * needed to go on after that: raw parsing looks at no table, takes no lock
 * and holds nothing but memory.  Errors that are not about the expression
 * (no memory, a cancelled statement) are passed on.
 */
void
definition_check_sql(Definition *def, DefinitionElement *element,
					 DefinitionAttribute *attribute, const char *body)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ErrorContextCallback *context_stack = error_context_stack;
	ErrorData  *volatile edata = NULL;
	int			category;

	PG_TRY();
	{
		/* say nothing about WHERE and CONTEXT: the message does */
		error_context_stack = NULL;
		(void) expression_parse(body);
		error_context_stack = context_stack;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcontext);
		edata = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(edata->sqlerrcode);
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_INVALID_ESCAPE_SEQUENCE) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED) &&
			edata->sqlerrcode != ERRCODE_STATEMENT_TOO_COMPLEX)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();

	if (edata != NULL && edata->sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX)
		definition_error(def, ERRCODE_STATEMENT_TOO_COMPLEX, attribute->line,
						 element->name, "Write a simpler expression.",
						 "expression in attribute %s is too complex", attribute->name);
	else if (edata != NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, element->name,
						 edata->hint ? edata->hint :
						 "Write one SQL expression, or a subquery in parentheses.",
						 "attribute %s: %s in \"%s\"", attribute->name,
						 clip(edata->message, MAX_SHOWN), clip(body, MAX_SHOWN));
}
