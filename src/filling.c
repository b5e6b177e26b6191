/*-------------------------------------------------------------------------
 *
 * filling.c
 *	  Requests that running statements add to.
 *
 * While a statement adds to a request, the request is kept in memory and
 * locked, or not yet stored; the statement's end writes it back, or sends it
 * on.  To write it for each row would leave as many versions of it.
 *
 * This follows subtransactions: what one has added in memory is taken back when
 * it is rolled back, as its rows are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "bundle.h"
#include "filling.h"
#include "idflow.h"
#include "notice.h"
#include "pack.h"

/* A request as it was before a subtransaction added to it. */
typedef struct Before
{
	SubTransactionId subid;
	Request		req;
	struct Before *older;
} Before;

static Filling *fillings = NULL;	/* newest first */

/* filling_of: what is added to a request; NULL: nothing. */
Filling *
filling_of(int64 request)
{
	for (Filling *f = fillings; f; f = f->next)
		if (f->req->id == request)
			return f;
	return NULL;
}

/* bundle_is_filled: whether a running statement adds to a request. */
bool
bundle_is_filled(int64 request)
{
	return filling_of(request) != NULL;
}

/*
 * filling_begin: begin to add to a request: a new one if id is 0, else the one with that
 * number, if it can be; NULL if it is gone or sent on.
 */
Filling *
filling_begin(int64 id, const char *actor)
{
	MemoryContext cxt = AllocSetContextCreate(TopTransactionContext, "idflow bundle",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Filling    *f = palloc0(sizeof(Filling));

	f->context = cxt;
	f->actor = pstrdup(actor);
	f->roleid = GetUserId();
	f->level = statement_level();
	f->subid = GetCurrentSubTransactionId();
	f->req = id == 0 ? new_request(actor) : request_load(id);
	MemoryContextSwitchTo(old);
	if (f->req == NULL || strcmp(f->req->state, "draft") != 0)
	{
		MemoryContextDelete(cxt);
		return NULL;
	}
	f->req->changes = NIL;
	f->req->changes_loaded = false;
	f->next = fillings;
	fillings = f;
	return f;
}

/*
 * filling_add: a row is going to be added.  If that happens in a subtransaction of the
 * statement's own, keep what the request was before.
 */
Request *
filling_add(Filling *f)
{
	SubTransactionId subid = GetCurrentSubTransactionId();

	if (subid != (f->before ? f->before->subid : f->subid))
	{
		Before	   *before = MemoryContextAlloc(f->context, sizeof(Before));

		before->subid = subid;
		before->req = *f->req;
		before->older = f->before;
		f->before = before;
	}
	return f->req;
}

/*
 * filling_of_statement: what the present statement adds to and its end sends
 * on; NULL if nothing.
 */
Filling *
filling_of_statement(const char *actor)
{
	int			level = statement_level();

	for (Filling *f = fillings; f; f = f->next)
		if (f->sends && f->level == level && f->roleid == GetUserId() &&
			strcmp(f->actor, actor) == 0)
			return f;
	return NULL;
}

/*
 * bundle_context: where what a request is to keep beyond the row must be
 * allocated.
 */
MemoryContext
bundle_context(Request *req)
{
	Filling    *f = filling_of(req->id);

	return f ? f->context : CurrentMemoryContext;
}

static void
filling_end(Filling *f)
{
	Request    *req = f->req;
	MemoryContext old = MemoryContextSwitchTo(f->context);
	bool		snapshot = false;

	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		snapshot = true;
	}
	pack_end(f);
	if (!f->sends)
		request_write(req);
	else if (request_stored(req) != NIL)
	{
		req->acting = req->requester;
		bundle_send_on(req, first_workflow(req));
		request_write(req);
		notice_outcome(req->id, req->state, activity_name(req), f->operation, f->target,
					   f->mixed, f->rows);
	}
	if (snapshot)
		PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(f->context);
}

/*
 * bundle_statement_end: statements at this depth and below have come to their
 * ends: write back what they added to, the oldest request first.
 */
void
bundle_statement_end(int depth)
{
	/* the next statement's memory may be that of this one */
	pack_forget(NULL);
	for (;;)
	{
		Filling   **oldest = NULL;
		Filling    *f;

		for (Filling **link = &fillings; *link; link = &(*link)->next)
			if ((*link)->level >= depth)
				oldest = link;
		if (oldest == NULL)
			return;
		f = *oldest;
		*oldest = f->next;
		filling_end(f);
	}
}

/*
 * fillings_forget: a subtransaction was rolled back, or with
 * InvalidSubTransactionId the transaction is over.
 */
void
fillings_forget(SubTransactionId subid)
{
	if (subid == InvalidSubTransactionId)
	{
		/* their memory is the transaction's */
		fillings = NULL;
		pack_forget(NULL);
		return;
	}
	/* newer ones belong to the same or later subtransactions */
	while (fillings && fillings->subid >= subid)
	{
		Filling    *f = fillings;

		fillings = f->next;
		pack_forget(f);
		MemoryContextDelete(f->context);
	}
	for (Filling *f = fillings; f; f = f->next)
		while (f->before && f->before->subid >= subid)
		{
			*f->req = f->before->req;
			f->before = f->before->older;
		}
}

/* fillings_hand_up: a subtransaction was released. */
void
fillings_hand_up(SubTransactionId subid, SubTransactionId parent)
{
	for (Filling *f = fillings; f; f = f->next)
	{
		if (f->subid >= subid)
			f->subid = parent;
		for (Before *b = f->before; b && b->subid >= subid; b = b->older)
			b->subid = parent;
		/* of the states before one subtransaction the oldest counts */
		while (f->before &&
			   f->before->subid == (f->before->older ? f->before->older->subid : f->subid))
			f->before = f->before->older;
	}
}
