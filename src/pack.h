/* pack.h: many drafted rows in one row of idflow.change_data */
#ifndef IDFLOW_PACK_H
#define IDFLOW_PACK_H

#include "commands/trigger.h"

#include "filling.h"
#include "idflow.h"
#include "statement.h"

/* pack.c: rows of a statement are gathered */
extern bool pack_row(TriggerData *trigdata);
extern Change *pack_add(Request *req, Workflow *wf, Relation rel, Relation target,
						TupleTableSlot *new, StatementInfo *info);
extern void pack_end(Filling *filling);
extern void pack_forget(Filling *filling);

/* unpack.c: and are changes again */
typedef struct ChangeScan
{
	List	   *stored;			/* as request_stored() has them */
	const char *workflow;		/* only what met its gate; NULL: all */
	int			next;			/* in stored */
	Change	   *pack;			/* being gone through */
	int			row;			/* of it, the next */
	Datum	   *values;			/* its values, as text */
	bool	   *nulls;
	MemoryContext outside;
	MemoryContext context;		/* the pack's */
} ChangeScan;

extern void changes_begin(ChangeScan *scan, List *stored);
extern void governed_begin(ChangeScan *scan, Request *req);
extern Change *changes_next(ChangeScan *scan);
extern void changes_end(ChangeScan *scan);
extern List *unpack(Change *pack);
extern Change *unpack_row(Change *pack, int seq);
extern int	pack_values(Change *pack, Datum **values, bool **nulls);
extern void unpack_stored(Request *req, int seq);

#endif
