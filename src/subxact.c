/*-------------------------------------------------------------------------
 *
 * subxact.c
 *	  Internal subtransactions.
 *
 * Memory and resource owner after each call are those from before
 * subxact_begin().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "subxact.h"

void
subxact_begin(SubXact *sub)
{
	sub->context = CurrentMemoryContext;
	sub->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(sub->context);
}

void
subxact_commit(SubXact *sub)
{
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(sub->context);
	CurrentResourceOwner = sub->owner;
}

void
subxact_abort(SubXact *sub)
{
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(sub->context);
	CurrentResourceOwner = sub->owner;
}

/*
 * subxact_error: in a PG_CATCH, take the error and roll back.
 */
ErrorData *
subxact_error(SubXact *sub)
{
	ErrorData  *error;

	MemoryContextSwitchTo(sub->context);
	error = CopyErrorData();
	FlushErrorState();
	subxact_abort(sub);
	return error;
}

/*
 * subxact_rethrow: in a PG_CATCH, roll back and go on with the error.
 */
void
subxact_rethrow(SubXact *sub)
{
	ReThrowError(subxact_error(sub));
}
