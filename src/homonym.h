/*-------------------------------------------------------------------------
 *
 * homonym.h
 *	  Homonym links: rows and drafts that a draft might be the double of.
 *
 * definition_homonym.c  checks of a definition, and what its attributes mean
 * homonym.c		 links at activities: warn or block
 * homonym_query.c	 a link over a draft as conditions in SQL
 * homonym_search.c	 running them: over tables, over other drafts
 * homonym_flexible.c the Flexible operators
 * homonym_read.c	 idflow.homonyms()
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_HOMONYM_H
#define IDFLOW_HOMONYM_H

#include "idflow.h"
#include "reading.h"

#define HOMONYM_COMPARISONS	5	/* of a Filter */

/* So many rows are found at most; a search that finds more says so. */
#define HOMONYM_LIMIT		1000

/* In the order of their numbers in a definition. */
typedef enum HomonymOperator
{
	HOMONYM_AUTO,
	HOMONYM_NOT_EQUAL,
	HOMONYM_EQUAL,
	HOMONYM_CONTAIN,
	HOMONYM_START_WITH,
	HOMONYM_END_WITH,
	HOMONYM_NOT_CONTAIN,
	HOMONYM_NOT_START_WITH,
	HOMONYM_NOT_END_WITH,
	HOMONYM_GREATER_THAN,
	HOMONYM_LESS_THAN,
	HOMONYM_GREATER_THAN_OR_EQUAL,
	HOMONYM_LESS_THAN_OR_EQUAL,
	HOMONYM_FLEXIBLE_EQUAL,
	HOMONYM_FLEXIBLE_CONTAIN,
	HOMONYM_FLEXIBLE_START_WITH,
	HOMONYM_FLEXIBLE_END_WITH
} HomonymOperator;

/* definition_homonym.c */
extern const char *homonym_attribute(const DefinitionElement *filter, const char *stem, int number);
extern HomonymOperator homonym_operator(const DefinitionElement *filter, int number);
extern const char *homonym_operator_name(HomonymOperator op);
extern char *homonym_other_entity(const DefinitionElement *filter);
extern const char *homonym_compared_property(const DefinitionElement *filter, int number);

/* One comparison of a Filter, bound to the draft's table and the compared one. */
typedef struct HomonymComparison
{
	int			number;			/* 1 .. 5 */
	HomonymOperator op;
	const char *expression;		/* of the value; NULL: a column's */
	AttrNumber	source;			/* that column, of the draft's table */
	char	   *column;			/* column of the compared table */
	AttrNumber	attnum;
	Oid			type;			/* its type, without domains */
	Oid			collation;
	Oid			value_type;		/* the value's */
} HomonymComparison;

typedef struct HomonymFilter
{
	int			number;			/* from 1, in the order of the definition */
	Oid			table;
	List	   *comparisons;	/* of HomonymComparison */
} HomonymFilter;

/*
 * The filters of a link that look into one table, over one draft: conditions
 * over the row "t", with parameters.
 */
typedef struct HomonymQuery
{
	Workflow   *workflow;
	const char *link;
	Oid			table;
	StringInfoData condition;	/* t is a homonym; empty: nothing to compare */
	StringInfoData which;		/* number of the filter that says so */
	List	   *attnums;		/* columns of the table in it */
	List	   *schemas;		/* of extensions whose operators are in it */
	int			nparams;
	Oid		   *types;
	Datum	   *values;
} HomonymQuery;

/* Something found. */
typedef struct Homonym
{
	Change	   *change;			/* whose homonym it is */
	Oid			table;
	int			filter;
	List	   *key;			/* of a row: values of its key columns, as char *;
								 * NIL: the table has no key */
	Datum		key_json;		/* jsonb; 0: none */
	Datum		row_json;		/* jsonb: what of the row may be shown; 0: none */
	SeenChange *draft;			/* of a draft; NULL: a row of the table */
} Homonym;

/* homonym_query.c */
extern List *homonym_filters(Workflow *wf, const DefinitionElement *link, Relation rel);
extern List *homonym_queries(Request *req, const DefinitionElement *link, Change *change);
extern void homonym_fits(Workflow *wf, const DefinitionElement *link, Relation rel, Oid deployer);

/* homonym_flexible.c */
extern bool homonym_flexible_at_hand(void);
extern Oid	homonym_append_flexible(StringInfo sql, HomonymOperator op, const char *column,
									const char *value, int nlimit);
extern int	homonym_flexible_limit(const char *value);
extern void homonym_pin_thresholds(void);

/* homonym_search.c */
extern List *homonyms_in_table(Request *req, Change *change, HomonymQuery *query, Oid roleid);
extern List *homonyms_in_drafts(Request *req, Change *change, HomonymQuery *query);
extern Oid	homonym_root_table(Oid relid);
extern bool homonym_readable(HomonymQuery *query, Oid roleid);
extern void homonym_query_check(HomonymQuery *query, Oid deployer);

/* homonym.c */
extern void homonyms_index(Workflow *wf);
extern void homonyms_check(Request *req, Activity *activity);

#endif							/* IDFLOW_HOMONYM_H */
