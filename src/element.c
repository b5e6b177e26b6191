/*-------------------------------------------------------------------------
 *
 * element.c
 *		Elements of a definition: their attributes, their form in
 *		idflow.workflow_element, and the columns that their bindings name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/json.h"

#include "element.h"

/*
 * element_value: an attribute's value, or NULL if it isn't given.
 */
const char *
element_value(const DefinitionElement *element, const char *name)
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

bool
element_boolean(const DefinitionElement *element, const char *name, bool if_missing)
{
	const char *value = element_value(element, name);

	if (value == NULL)
		return if_missing;
	return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

int
element_integer(const DefinitionElement *element, const char *name, int if_missing)
{
	const char *value = element_value(element, name);

	return value ? atoi(value) : if_missing;
}

/*
 * element_identifier: what an element is called; NULL if it has no name.
 */
const char *
element_identifier(const DefinitionElement *element)
{
	const char *identifier = element_value(element, "Identifier");

	return identifier ? identifier : element_value(element, "Name");
}

/*
 * element_children_named: the children that are such elements, in order.
 */
List *
element_children_named(const DefinitionElement *element, const char *name)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, element->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);

		if (strcmp(child->name, name) == 0)
			result = lappend(result, child);
	}
	return result;
}

/* ------------------------------------------------------------ their storage */

/*
 * attributes_json: append attributes as a JSON object of strings.
 */
void
attributes_json(StringInfo json, List *attributes)
{
	ListCell   *lc;

	appendStringInfoChar(json, '{');
	foreach(lc, attributes)
	{
		DefinitionAttribute *attribute = (DefinitionAttribute *) lfirst(lc);

		if (lc != list_head(attributes))
			appendStringInfoChar(json, ',');
		escape_json(json, attribute->name);
		appendStringInfoChar(json, ':');
		escape_json(json, attribute->value);
	}
	appendStringInfoChar(json, '}');
}

/*
 * elements_json: append elements as a JSON array.
 */
void
elements_json(StringInfo json, List *elements)
{
	ListCell   *lc;

	check_stack_depth();
	appendStringInfoChar(json, '[');
	foreach(lc, elements)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);

		if (lc != list_head(elements))
			appendStringInfoChar(json, ',');
		appendStringInfoString(json, "{\"element\":");
		escape_json(json, element->name);
		appendStringInfoString(json, ",\"attributes\":");
		attributes_json(json, element->attributes);
		appendStringInfoString(json, ",\"children\":");
		elements_json(json, element->children);
		appendStringInfoChar(json, '}');
	}
	appendStringInfoChar(json, ']');
}

static char *
scalar_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			elog(ERROR, "unexpected value in a stored definition");
			return NULL;
	}
}

/* The member of a JSON object, which must be an object or array. */
static Jsonb *
member(JsonbContainer *object, const char *key)
{
	JsonbValue	v;
	JsonbValue *found = getKeyJsonValueFromContainer(object, key, strlen(key), &v);

	if (found == NULL || found->type != jbvBinary)
		elog(ERROR, "\"%s\" is missing in a stored definition", key);
	return JsonbValueToJsonb(found);
}

/*
 * element_from_jsonb: an element as it was stored, in the current memory
 * context.  children may be NULL.
 */
DefinitionElement *
element_from_jsonb(const char *name, Jsonb *attributes, Jsonb *children)
{
	DefinitionElement *element = palloc0(sizeof(DefinitionElement));
	JsonbIterator *it = JsonbIteratorInit(&attributes->root);
	JsonbValue	v;
	JsonbIteratorToken token;
	DefinitionAttribute *attribute = NULL;

	check_stack_depth();
	element->name = pstrdup(name);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			attribute = palloc0(sizeof(DefinitionAttribute));
			attribute->name = pnstrdup(v.val.string.val, v.val.string.len);
		}
		else if (token == WJB_VALUE)
		{
			attribute->value = scalar_text(&v);
			element->attributes = lappend(element->attributes, attribute);
		}
	}
	for (uint32 i = 0; children && i < JB_ROOT_COUNT(children); i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(&children->root, i);
		JsonbContainer *object = item->val.binary.data;
		JsonbValue	kind;
		DefinitionElement *child;

		if (getKeyJsonValueFromContainer(object, "element", strlen("element"), &kind) == NULL)
			elog(ERROR, "an element in a stored definition has no name");
		child = element_from_jsonb(scalar_text(&kind), member(object, "attributes"),
								   member(object, "children"));
		child->parent = element;
		element->children = lappend(element->children, child);
	}
	return element;
}

/* ----------------------------------------------------------------- bindings */

/* snake_case: "IsDraft" as "is_draft", an underscore where a word begins. */
char *
snake_case(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = name; *p; p++)
	{
		bool		upper = *p >= 'A' && *p <= 'Z';
		bool		after_lower = p > name && ((p[-1] >= 'a' && p[-1] <= 'z') ||
											   (p[-1] >= '0' && p[-1] <= '9'));
		bool		before_lower = p > name && p[1] >= 'a' && p[1] <= 'z' &&
			p[-1] >= 'A' && p[-1] <= 'Z';

		if (upper && (after_lower || before_lower))
			appendStringInfoChar(&buf, '_');
		appendStringInfoChar(&buf, upper ? *p - 'A' + 'a' : *p);
	}
	return buf.data;
}

static bool
has_column(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return true;
	}
	return false;
}

/*
 * binding_column: the column that a Binding names: directly, or by the last
 * part of a path, as it is written or in the way in which SQL writes it
 * (Workflow_User:User.IsDraft is is_draft).  NULL if the table has none such.
 */
char *
binding_column(const char *binding, TupleDesc desc)
{
	const char *last = binding;
	char	   *snake;

	if (has_column(desc, binding))
		return pstrdup(binding);
	for (const char *p = binding; *p; p++)
		if (*p == '.' || *p == ':')
			last = p + 1;
	if (has_column(desc, last))
		return pstrdup(last);
	snake = snake_case(last);
	return has_column(desc, snake) ? snake : NULL;
}
