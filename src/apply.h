/* apply.h: writing approved changes to their tables */
#ifndef IDFLOW_APPLY_H
#define IDFLOW_APPLY_H

#include "commands/trigger.h"

#include "idflow.h"

/* Requests above one that a trigger of an apply made. */
#define MAX_PARENTS 32

typedef enum ApplyOutcome
{
	APPLY_DONE,					/* every row is written */
	APPLY_CONFLICT,				/* somebody else changed what was drafted */
	APPLY_HELD					/* a further gate of a table holds a change */
} ApplyOutcome;

/* What a gate makes of a row while a change is being applied. */
typedef enum PassVerdict
{
	PASS_NONE,					/* not the row of the change: draft it */
	PASS_THROUGH,				/* let it through */
	PASS_HELD					/* skip it: its workflow must be passed first */
} PassVerdict;

extern void apply_edit_query(const char *source, Query *query);
extern ApplyOutcome apply_request(Request *req, char **held_by, Change **held_change,
								  StringInfo report);
extern int	apply_depth(void);
extern void apply_check_utility(Node *statement);
extern const char *statement_lasting_effect(Node *statement);
extern HeapTuple apply_try(Request *req, List *changes);
extern PassVerdict apply_pass(TriggerData *trigdata, CmdType operation, const char *workflow);
extern bool apply_conflicts(Change *change, Relation rel, HeapTuple live, List **positions);

/* dml.c: the statement that writes a change */
typedef struct Dml
{
	SPIPlanPtr	plan;
	int			nargs;
	AttrNumber *attnums;		/* columns that the first arguments stand for */
	Datum	   *values;
	char	   *nulls;
} Dml;

extern void dml_prepare(Dml *dml, Change *change, Relation rel, HeapTuple live);
extern int	dml_execute(Dml *dml);
extern bool dml_is_ours(QueryDesc *query);
extern bool change_touches(Change *change, Form_pg_attribute att, int position, const char *value);

#endif
