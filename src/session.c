/*-------------------------------------------------------------------------
 *
 * session.c
 *	  What a session remembers: the request being collected and the bypass,
 *	  until the transaction ends; each actor's newest request, longer.
 *
 * Every entry carries the subtransaction that made it.  It goes when that one
 * is rolled back and passes to the parent when that one is released, so that
 * ROLLBACK TO SAVEPOINT and exception blocks leave no state behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "bundle.h"
#include "idflow.h"
#include "nested.h"
#include "notice.h"
#include "plancache.h"
#include "session.h"

/* A value of one subtransaction; up: what held before it. */
typedef struct Entry
{
	SubTransactionId subid;
	int64		request;
	char	   *text;			/* bypass: the reason; newest: the actor */
	int64		binding;		/* newest: whose name that is; see principal.c */
	struct Entry *up;
} Entry;

static Entry *collecting = NULL;
static Entry *bypass = NULL;
static Entry *newest = NULL;	/* of this transaction */

/* Newest requests of earlier transactions, most recent first. */
#define MAX_REMEMBERED 64
typedef struct Remembered
{
	char	   *actor;
	int64		binding;
	int64		request;
} Remembered;

static Remembered remembered[MAX_REMEMBERED];
static int	nremembered = 0;

static void
entry_push(Entry **stack, int64 request, const char *text)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	MemoryContext oldcxt = MemoryContextSwitchTo(TopTransactionContext);
	Entry	   *entry = palloc(sizeof(Entry));

	entry->subid = subid;
	entry->request = request;
	entry->text = text ? pstrdup(text) : NULL;
	entry->binding = 0;
	entry->up = *stack;
	MemoryContextSwitchTo(oldcxt);
	*stack = entry;
}

/* Drop what an aborted subtransaction and those below it left. */
static void
entry_abort(Entry **stack, SubTransactionId subid)
{
	/* newer entries belong to the same or later subtransactions */
	while (*stack && (*stack)->subid >= subid)
		*stack = (*stack)->up;
}

/* Hand what a released subtransaction left to its parent. */
static void
entry_commit(Entry *stack, SubTransactionId subid, SubTransactionId parent)
{
	for (Entry *e = stack; e && e->subid >= subid; e = e->up)
		e->subid = parent;
}

/* The same for newest requests, of which the parent needs one per actor. */
static void
newest_commit(SubTransactionId subid, SubTransactionId parent)
{
	entry_commit(newest, subid, parent);
	while (newest && newest->up && newest->up->subid == newest->subid &&
		   strcmp(newest->up->text, newest->text) == 0)
	{
		Entry	   *older = newest->up;

		newest->up = older->up;
		pfree(older->text);
		pfree(older);
	}
}

/*
 * remember_session: move a newest request to the session's list.  Runs after
 * the commit, so it must not fail: it works with malloc and forgets instead.
 */
static void
remember_session(const char *actor, int64 binding, int64 request)
{
	char	   *copy = NULL;
	int			i;

	for (i = 0; i < nremembered; i++)
		if (strcmp(remembered[i].actor, actor) == 0)
			break;
	if (i < nremembered)
		copy = remembered[i].actor;
	else
	{
		copy = strdup(actor);
		if (copy == NULL)
			return;
		if (nremembered < MAX_REMEMBERED)
			i = nremembered++;
		else
			free(remembered[--i].actor);
	}
	memmove(&remembered[1], &remembered[0], i * sizeof(Remembered));
	remembered[0].actor = copy;
	remembered[0].binding = binding;
	remembered[0].request = request;
}

static void
session_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			loading_statement_end();
			notice_flush();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			{
				Entry	   *oldest_first = NULL;

				for (Entry *e = newest, *up; e; e = up)
				{
					up = e->up;
					e->up = oldest_first;
					oldest_first = e;
				}
				for (Entry *e = oldest_first; e; e = e->up)
					remember_session(e->text, e->binding, e->request);
			}
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
			collecting = bypass = newest = NULL;
			bundle_forget_all();
			plan_free_dead();
			loading_statement_end();
			notice_forget(InvalidSubTransactionId);
			if (event == XACT_EVENT_ABORT)
				layout_forget_uncommitted();
			break;
		default:
			break;
	}
}

static void
session_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
						 SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		entry_abort(&collecting, mySubid);
		entry_abort(&bypass, mySubid);
		entry_abort(&newest, mySubid);
		bundle_forget(mySubid);
		nested_forget(mySubid);
		notice_forget(mySubid);
		layout_forget_uncommitted();
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		entry_commit(collecting, mySubid, parentSubid);
		entry_commit(bypass, mySubid, parentSubid);
		newest_commit(mySubid, parentSubid);
		bundle_hand_up(mySubid, parentSubid);
		nested_hand_up(mySubid, parentSubid);
		notice_hand_up(mySubid, parentSubid);
	}
}

void
session_init(void)
{
	RegisterXactCallback(session_xact_callback, NULL);
	RegisterSubXactCallback(session_subxact_callback, NULL);
}

int64
collecting_request(void)
{
	return collecting ? collecting->request : 0;
}

/* collect_into: DML that follows adds to this request; 0 ends it. */
void
collect_into(int64 request)
{
	entry_push(&collecting, request, NULL);
}

const char *
bypass_reason(void)
{
	return bypass ? bypass->text : NULL;
}

int64
bypass_request(void)
{
	return bypass ? bypass->request : 0;
}

void
bypass_begin(const char *reason)
{
	entry_push(&bypass, 0, reason);
}

void
bypass_set_request(int64 request)
{
	entry_push(&bypass, request, bypass->text);
}

/*
 * remember_request: note an actor's newest request.  The newest entry is
 * reused within one subtransaction, so bulk statements don't pile up memory.
 */
void
remember_request(const char *actor, int64 request)
{
	if (newest && newest->subid == GetCurrentSubTransactionId() &&
		strcmp(newest->text, actor) == 0)
		newest->request = request;
	else
		entry_push(&newest, request, actor);
	newest->binding = principal_binding(actor);
}

/*
 * remembered_request: the actor's newest request in this transaction, else in
 * this session, else 0.
 */
int64
remembered_request(const char *actor)
{
	for (Entry *e = newest; e; e = e->up)
		if (strcmp(e->text, actor) == 0)
			return principal_is_bound(actor, e->binding) ? e->request : 0;
	for (int i = 0; i < nremembered; i++)
		if (strcmp(remembered[i].actor, actor) == 0)
			return principal_is_bound(actor, remembered[i].binding) ? remembered[i].request : 0;
	return 0;
}
