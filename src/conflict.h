/* conflict.h: INSERT ... ON CONFLICT at a gate */
#ifndef IDFLOW_CONFLICT_H
#define IDFLOW_CONFLICT_H

#include "statement.h"

typedef enum ConflictVerdict
{
	CONFLICT_NONE,				/* no live row is in the way: draft it */
	CONFLICT_NOTHING,			/* one is: leave it at that */
	CONFLICT_UPDATE				/* one is, and is locked: core updates it */
} ConflictVerdict;

extern ConflictVerdict conflict_look(StatementInfo *info, Relation rel, TupleTableSlot *new);
extern bool conflict_arbitrates(StatementInfo *info, const char *constraint);

#endif
