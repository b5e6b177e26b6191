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

extern ApplyOutcome apply_request(Request *req, char **held_by, Change **held_change,
								  StringInfo report);
extern ApplyOutcome apply_resource(Request *req, Change *resource, char **held_by,
								   StringInfo report);
extern ApplyOutcome apply_change(Request *req, Change *change, HeapTuple *written, char **held_by,
								 StringInfo report);
extern int	apply_depth(void);
extern void apply_check_utility(Node *statement);
extern HeapTuple apply_try(Request *req, List *changes);

/* What the statement that writes a pack takes its rows from. */
#define DRAFTED_ROWS "idflow_drafted_rows"

/* dml.c: the statement that writes a change */
typedef struct Dml
{
	SPIPlanPtr	plan;
	int			nargs;
	AttrNumber *attnums;		/* columns that the first arguments stand for */
	Datum	   *values;
	char	   *nulls;
	Bitmapset  *touched;		/* those that the requester wrote himself */
	Bitmapset  *defaulted;		/* arguments that the gate puts in, because the
								 * statement may only say DEFAULT */
} Dml;

extern void apply_edit_query(const char *source, Query *query);
extern void dml_prepare(Dml *dml, Change *change, Relation rel, HeapTuple live);
extern void dml_prepare_rows(Dml *dml, Change *pack, Relation rel, Bitmapset *has_value,
							 bool returning);
extern int	dml_execute(Dml *dml);
extern bool dml_is_ours(QueryDesc *query);
extern bool change_touches(Change *change, Form_pg_attribute att, int position, const char *value);

/* pass.c: the leave of the change being written through its table's gates */
#define MAX_GATES 64

typedef struct Pass
{
	Change	   *change;
	Dml		   *dml;
	HeapTuple	live;			/* the row for UPDATE and DELETE */
	List	   *passed;			/* workflows whose gates let it through */
	bool		all;			/* every gate does: only trying */
	Oid			used[MAX_GATES];	/* gates that the row came through */
	int			nused;
	MemoryContext context;		/* outlives the statement */
	char	   *held_by;		/* workflow of the gate that held it; there */
} Pass;

/* What a gate makes of a row while a change is being applied. */
typedef enum PassVerdict
{
	PASS_NONE,					/* not the row of the change: draft it */
	PASS_THROUGH,				/* let it through */
	PASS_HELD					/* skip it: its workflow must be passed first */
} PassVerdict;

extern Pass *current_pass;		/* NULL: nothing is being written */
extern int	pass_execute(Pass *pass, Request *req, Change *change, Dml *dml, HeapTuple live,
						 bool trying);
extern PassVerdict apply_pass(TriggerData *trigdata, CmdType operation, const char *workflow);
extern HeapTuple apply_pass_row(TriggerData *trigdata, HeapTuple row);

/* apply_pack.c: many rows by one statement */
extern ApplyOutcome apply_pack(Request *req, Change *pack, bool trying, char **held_by,
							   StringInfo report);

/* merge.c: a change beside the row as it stands now */
extern bool apply_conflicts(Request *req, Change *change, Relation rel, HeapTuple live,
							List **positions, Image **merged);
extern void report_columns(StringInfo report, Change *change, List *names);
extern void report_altered(StringInfo report, Change *change, List *names);
extern List *check_written_row(Request *req, Change *change, Relation rel, Dml *dml,
							   HeapTuple live, HeapTuple row);
extern void not_written(Request *req, Change *change, Relation rel);

/* lasting.c */
extern const char *statement_lasting_effect(Node *statement);

#endif
