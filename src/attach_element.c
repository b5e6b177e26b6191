/*-------------------------------------------------------------------------
 *
 * attach_element.c
 *		Whether the elements of a workflow fit a table: their bindings name
 *		columns of it, and their expressions can be read over it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "aspect.h"
#include "attach.h"
#include "column.h"
#include "definition.h"
#include "homonym.h"

/*
 * element_place: "<AddChangeAspect> "SetLogin" of workflow "X"", for messages.
 */
char *
element_place(Workflow *wf, const DefinitionElement *element)
{
	const char *identifier = element_identifier(element);

	return psprintf("<%s>%s%s%s of workflow \"%s\"", element->name,
					identifier ? " \"" : "", identifier ? identifier : "",
					identifier ? "\"" : "", wf->name);
}

/*
 * element_binding_fits: an attribute of an element names a column of the
 * table; errors if not.
 */
void
element_binding_fits(Workflow *wf, const DefinitionElement *element, const char *attribute,
					 Relation rel)
{
	const char *binding = element_value(element, attribute);

	if (binding && binding_column(binding, RelationGetDescr(rel)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column for %s=\"%s\"",
						RelationGetRelationName(rel), attribute, binding),
				 errdetail("It is in %s.", element_place(wf, element)),
				 errhint("A binding is a column's name, or a path whose last part is one: Workflow_User:User.IsDraft is is_draft.")));
}

/*
 * element_expressions_fit: the expressions among an element's attributes can
 * be read over the table; errors if not.
 */
void
element_expressions_fit(Workflow *wf, const DefinitionElement *element, Relation rel,
						Oid deployer)
{
	const ElementRule *rule = element_rule(element->name, element->parent);
	ListCell   *lc;

	foreach(lc, element->attributes)
	{
		DefinitionAttribute *attribute = (DefinitionAttribute *) lfirst(lc);
		const AttributeRule *attr = attribute_rule(rule, attribute->name);
		ExpressionKind kind;

		if (attr == NULL || (attr->kind != ATTRIBUTE_EXPRESSION && attr->kind != ATTRIBUTE_CONDITION))
			continue;
		kind = attr->kind == ATTRIBUTE_CONDITION ? EXPRESSION_BOOL :
			name_in_list(element->name, "Recipient|Timeout|SeparationAspect") ? EXPRESSION_NAMES : EXPRESSION_TEXT;
		expression_check(attribute->value, kind, RelationGetRelid(rel), deployer,
						 psprintf("%s of %s", attribute->name, element_place(wf, element)));
	}
}

/*
 * element_fits: an element and what stands in it, where nothing special is to
 * be said about its kind.
 */
void
element_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer)
{
	ListCell   *lc;

	element_binding_fits(wf, element, "Binding", rel);
	element_expressions_fit(wf, element, rel, deployer);
	foreach(lc, element->children)
		element_fits(wf, (DefinitionElement *) lfirst(lc), rel, deployer);
}

/*
 * attach_elements: whether all elements of a workflow fit the table.
 */
void
attach_elements(Workflow *wf, Relation rel, Oid deployer)
{
	ListCell   *lc;

	foreach(lc, wf->element->children)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);
		const AspectKind *kind = aspect_kind(element);

		if (strcmp(element->name, "Column") == 0)
			column_fits(wf, element, rel);
		else if (strcmp(element->name, "HomonymEntityLink") == 0)
			homonym_fits(wf, element, rel, deployer);
		else if (strcmp(element->name, "Start") == 0)
			;					/* is about a table of its own, see start.c */
		else if (kind && kind->fits)
			kind->fits(wf, element, rel, deployer);
		else
			element_fits(wf, element, rel, deployer);
	}
	for (int i = 1; i <= wf->nactivities; i++)
		foreach(lc, workflow_activity(wf, i)->element->children)
			element_fits(wf, (DefinitionElement *) lfirst(lc), rel, deployer);
}
