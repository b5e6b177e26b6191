/*-------------------------------------------------------------------------
 *
 * definition.h
 *		XML text -> checked definitions.
 *
 * definition_xml.c	  reading with libxml2
 * definition_xml_error.c  what libxml2 says
 * definition_rules.c the elements and attributes of the language, as tables
 * definition_source.c lines in the source
 * definition_check.c checks by those tables
 * definition_meaning.c checks by meaning: workflows and activities
 * definition_sound.c checks by meaning: where activities lead
 * definition_aspect.c checks by meaning: aspects
 * definition_access.c checks by meaning: access rules and profiles
 * definition_homonym.c checks by meaning: homonym links
 * definition.c		  the way through all of them, and the result's structs
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_DEFINITION_H
#define IDFLOW_DEFINITION_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "element.h"
#include "template.h"

#define DEFINITION_MAX_STEPS		5000	/* if MaxSteps is not given */

/*
 * So many messages of each severity are kept.  After so many errors no more
 * are looked for.
 */
#define DEFINITION_MAX_MESSAGES		100

/* idflow.max_definition_size, in kB */

/* ------------------------------------------------------- what comes out */

/* an attribute that has no field of its own, kept for jsonb */
typedef struct DefinitionOption
{
	const char *name;
	const char *value;
	bool		is_boolean;		/* value is "true" or "false" */
} DefinitionOption;

/* who acts: exactly one of the three is not NULL */
typedef struct ActorDefinition
{
	int			line;
	const char *profile;
	const char *principal;
	const char *expression;		/* with its prefix */
	const char *approvals;		/* a quota, or NULL */
} ActorDefinition;

typedef struct ActivityDefinition
{
	int			line;
	const char *name;
	const char *display_name;
	const ActivityTemplate *template;
	const char *if_expression;	/* with its prefix, or NULL */
	List	   *actors;			/* of ActorDefinition */
	List	   *elements;		/* of DefinitionElement: its other children */
	List	   *options;		/* of DefinitionOption */
} ActivityDefinition;

typedef struct WorkflowDefinition
{
	int			line;
	const char *name;
	const char *display_name;
	const char *title;			/* expression with its prefix, or NULL */
	const char *subject;		/* expression with its prefix, or NULL */
	int			max_steps;
	bool		four_eyes;
	bool		exact;
	const char *nested;			/* Separate, Include */
	List	   *options;		/* of DefinitionOption */
	List	   *activities;		/* of ActivityDefinition, in order */
	List	   *elements;		/* of DefinitionElement: columns, aspects,
								 * homonym links */
	const char *source;			/* the Workflow element and those beside it
								 * that belong to it, as written */
	uint8		digest[DEFINITION_DIGEST_LENGTH];	/* of their canonical form */
} WorkflowDefinition;

typedef struct DefinitionMessage
{
	int			number;			/* in the order in which they were found */
	bool		is_error;		/* else a warning */
	int			sqlstate;		/* of an error */
	int			line;			/* 0: unknown */
	const char *element;		/* NULL: none */
	const char *message;
	const char *hint;			/* NULL: none */
} DefinitionMessage;

typedef struct Definition
{
	List	   *workflows;		/* of WorkflowDefinition; NIL if there are
								 * errors */
	List	   *authority;		/* of DefinitionElement: Profile,
								 * AccessControlRule */
	List	   *messages;		/* of DefinitionMessage, by line */
	int			nerrors;
	int			nwarnings;
} Definition;

extern void definition_init(void);
extern Definition *definition_read(const char *text, size_t len);

/* ------------------------------------- between the files of this module */

extern void definition_error(Definition *def, int sqlstate, int line,
							 const char *element, const char *hint,
							 const char *fmt,...) pg_attribute_printf(6, 7);
extern void definition_warning(Definition *def, int line,
							   const char *element, const char *hint,
							   const char *fmt,...) pg_attribute_printf(5, 6);

/* definition_xml.c */
extern DefinitionElement *definition_xml_read(Definition *def, const char *text, size_t len);

/* definition_source.c */
typedef struct DefinitionSource
{
	const char *pos;
	const char *end;
	int			line;			/* of pos, from 1 */
} DefinitionSource;

extern int	source_start_tag(DefinitionSource *scan);
extern int	source_attribute(DefinitionSource *scan, bool with_namespaces);
extern int	source_excess_attributes(const char *source, size_t len, int limit);
extern char *source_tag_before(const char *source, size_t len, int line, int column);

/* definition_check.c */
extern void definition_check(Definition *def, DefinitionElement *root);
extern void definition_check_sql(Definition *def, DefinitionElement *element,
								 DefinitionAttribute *attribute, const char *body);
extern DefinitionAttribute *definition_attribute(DefinitionElement *element, const char *name);

/* definition_meaning.c */
extern void definition_check_meaning(Definition *def, DefinitionElement *root);

/* definition_access.c */
extern void definition_check_access(Definition *def, DefinitionElement *root);
extern bool definition_has_rule(DefinitionElement *activity);

/* aspect_unique.c */
extern void definition_check_unique(Definition *def, DefinitionElement *aspect);

/* notification.c */
extern void definition_check_notification(Definition *def, DefinitionElement *aspect);

/* definition_sound.c */
extern void definition_check_flow(Definition *def, DefinitionElement *workflow);

/* definition_aspect.c */
extern bool is_aspect(const DefinitionElement *element);
extern char *point_cut_workflow(const DefinitionElement *point_cut);
extern const char *point_cut_activity(const DefinitionElement *point_cut);
extern bool point_cut_after(const DefinitionElement *point_cut);
extern void definition_check_aspects(Definition *def, DefinitionElement *root);

/* definition_homonym.c */
extern void definition_check_homonyms(Definition *def, DefinitionElement *root);

/* definition_start.c */
extern void definition_check_starts(Definition *def, DefinitionElement *workflow);
extern Interval *definition_check_duration(Definition *def, DefinitionElement *start,
										   const char *name, bool is_positive);
extern void definition_check_deadlines(Definition *def, DefinitionElement *activity,
									   const ActivityTemplate *t);

/* definition_separation.c */
extern void definition_check_separation(Definition *def, DefinitionElement *aspect);
extern void definition_check_separate_from(Definition *def, DefinitionElement *workflow);

/* definition_rules.c */
typedef enum AttributeKind
{
	ATTRIBUTE_TEXT,				/* anything */
	ATTRIBUTE_LABEL,			/* text that must not be empty */
	ATTRIBUTE_IDENTIFIER,		/* a name that gets into states and paths */
	ATTRIBUTE_NAME,				/* a name of something outside */
	ATTRIBUTE_BOOLEAN,
	ATTRIBUTE_INTEGER,
	ATTRIBUTE_COUNT,			/* positive integer */
	ATTRIBUTE_QUOTA,			/* 1, n, n%, all */
	ATTRIBUTE_CHOICE,			/* one of rule->values */
	ATTRIBUTE_TEMPLATE,
	ATTRIBUTE_EXPRESSION,
	ATTRIBUTE_CONDITION			/* an expression that yields true or false */
} AttributeKind;

#define RULE_REQUIRED		0x01

typedef struct AttributeRule
{
	const char *name;			/* the stem, if numbered */
	AttributeKind kind;
	int			flags;
	const char *values;			/* ATTRIBUTE_CHOICE: "A|B|C" */
	const char *suffix;			/* numbered: what stands before the number */
	int			last;			/* numbered: 1 .. last; 0: not numbered */
} AttributeRule;

typedef struct ElementRule
{
	const char *name;
	int			flags;
	const char *children;		/* "A|B|C" or NULL */
	const AttributeRule *attributes;	/* up to a NULL name; NULL: not
										 * checked */
} ElementRule;

extern const ElementRule *element_rule(const char *name, const DefinitionElement *parent);
extern const AttributeRule *attribute_rule(const ElementRule *element, const char *name);
extern bool name_in_list(const char *name, const char *list);
extern char *definition_list(const char *value);
extern char *format_list(const char *list);
extern char *element_children(const ElementRule *element);
extern char *element_attributes(const ElementRule *element);
extern char *element_parents(const char *name);
extern const char *nearest_attribute(const ElementRule *element, const char *name);
extern const char *nearest_name(const char *name, const char *list);

#endif							/* IDFLOW_DEFINITION_H */
