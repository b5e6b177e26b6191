/* subxact.h: internal subtransactions, as PL/pgSQL's exception blocks use them */
#ifndef IDFLOW_SUBXACT_H
#define IDFLOW_SUBXACT_H

#include "postgres.h"

#include "utils/resowner.h"

#include "compat.h"

typedef struct SubXact
{
	MemoryContext context;
	ResourceOwner owner;
} SubXact;

extern void subxact_begin(SubXact *sub);
extern void subxact_commit(SubXact *sub);
extern void subxact_abort(SubXact *sub);
extern ErrorData *subxact_error(SubXact *sub);
does_not_return extern void subxact_rethrow(SubXact *sub);

#endif
