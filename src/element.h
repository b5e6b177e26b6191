/*-------------------------------------------------------------------------
 *
 * element.h
 *		Elements of a definition: as read from XML, as stored in
 *		idflow.workflow_element, and as a session holds them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_ELEMENT_H
#define IDFLOW_ELEMENT_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#define DEFINITION_DIGEST_LENGTH	32

typedef struct DefinitionAttribute
{
	const char *name;
	const char *value;
	int			line;			/* 0: not read from XML */
} DefinitionAttribute;

typedef struct DefinitionElement
{
	const char *name;
	int			line;			/* 0: not read from XML */
	struct DefinitionElement *parent;
	List	   *attributes;		/* of DefinitionAttribute */
	List	   *children;		/* of DefinitionElement */
	bool		has_text;		/* text other than white space */
	List	   *parts;			/* of DefinitionPart: a Workflow, and whatever
								 * stands beside one in a ConfigurationFile */
} DefinitionElement;

/*
 * An element's text, so far as it belongs to one workflow: an aspect that
 * points into several has a part for each, with the pointcuts into it.
 */
typedef struct DefinitionPart
{
	const char *workflow;		/* NULL: belongs to whichever names it */
	const char *source;			/* as written, comments included */
	uint8		digest[DEFINITION_DIGEST_LENGTH];	/* of its canonical form */
} DefinitionPart;

extern const char *element_value(const DefinitionElement *element, const char *name);
extern bool element_boolean(const DefinitionElement *element, const char *name, bool if_missing);
extern int	element_integer(const DefinitionElement *element, const char *name, int if_missing);
extern const char *element_identifier(const DefinitionElement *element);
extern List *element_children_named(const DefinitionElement *element, const char *name);

extern void attributes_json(StringInfo json, List *attributes);
extern void elements_json(StringInfo json, List *elements);
extern DefinitionElement *element_from_jsonb(const char *name, Jsonb *attributes, Jsonb *children);

extern char *snake_case(const char *name);
extern char *binding_column(const char *binding, TupleDesc desc);

#endif							/* IDFLOW_ELEMENT_H */
