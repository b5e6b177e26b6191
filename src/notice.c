/*-------------------------------------------------------------------------
 *
 * notice.c
 *	  Telling the client which requests its statement made.
 *
 * A statement can make any number of requests and gets one NOTICE, at its
 * end.  The end is seen by the ExecutorFinish and ProcessUtility hooks; where
 * the library was loaded too late to see it, the transaction's end tells.
 * What a subtransaction takes back is not told.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/lsyscache.h"

#include "idflow.h"
#include "notice.h"

static struct
{
	int			level;			/* executor_depth() at the statement's end */
	SubTransactionId subid;		/* that the rows were drafted in */
	int			rows;			/* drafted rows so far */
	int64		first;
	int64		last;
	int			requests;
	bool		mixed;			/* operations or targets differ */
	bool		unfinished;		/* of each request the outcome will be told */
	CmdType		operation;
	Oid			relid;
	char		target[2 * NAMEDATALEN + 2];
	char		state[32];
	char		activity[NAMEDATALEN];
}			pending;

static bool suspended = false;

/* rows drafted deeper down belong to the statement at this level */
static int	outermost = INT_MAX;

/*
 * notice_suspend: while drafts are only tried, nothing is told.  Returns the
 * former state.
 */
bool
notice_suspend(bool on)
{
	bool		before = suspended;

	suspended = on;
	return before;
}

/*
 * notice_join: rows that are drafted from now on belong to the present
 * statement, however deep the statements are that write them.  Returns what to
 * hand to notice_part().
 */
int
notice_join(void)
{
	int			before = outermost;

	outermost = Min(outermost, Max(executor_depth() - 1, 0));
	return before;
}

/* notice_part: the end of it. */
void
notice_part(int before)
{
	outermost = before;
}

/* notice_joined: whether several statements count as one. */
bool
notice_joined(void)
{
	return outermost != INT_MAX;
}

/*
 * statement_level: the level that a row drafted now is counted at: how deep
 * the statement is that it belongs to, 0 being a client's own.
 */
int
statement_level(void)
{
	return Min(Max(executor_depth() - 1, 0), outermost);
}

/*
 * statement_rows: how many rows the present statement drafted so far.
 */
int
statement_rows(void)
{
	int			level = statement_level();

	return pending.rows > 0 && pending.level == level ? pending.rows : 0;
}

/* Begin to count a statement's rows. */
static void
begin(int level, int64 request, CmdType operation, Oid relid)
{
	char	   *nsp = get_namespace_name(get_rel_namespace(relid));

	pending.level = level;
	pending.subid = GetCurrentSubTransactionId();
	pending.first = request;
	pending.requests = 0;
	pending.last = 0;
	pending.mixed = false;
	pending.unfinished = true;
	pending.operation = operation;
	pending.relid = relid;
	snprintf(pending.target, sizeof(pending.target), "%s.%s",
			 nsp ? nsp : "?", get_rel_name(relid));
}

static void
stands_at(const char *state, const char *activity)
{
	strlcpy(pending.state, state, sizeof(pending.state));
	strlcpy(pending.activity, activity ? activity : "", sizeof(pending.activity));
}

/*
 * notice_add: a row of the present statement became part of a request;
 * unfinished: notice_outcome() will tell of that.
 */
void
notice_add(int64 request, const char *state, const char *activity,
		   CmdType operation, Oid relid, bool unfinished)
{
	int			level = statement_level();

	if (suspended)
		return;
	if (pending.rows > 0 && pending.level != level)
		notice_flush();

	if (pending.rows == 0)
		begin(level, request, operation, relid);
	pending.rows++;
	pending.mixed |= operation != pending.operation || relid != pending.relid;
	if (request != pending.last)
		pending.requests++;
	pending.last = request;
	pending.unfinished &= unfinished;
	stands_at(state, activity);

	if (setting_notice == NOTICE_ROW && !unfinished)
		notice_flush();
}

/* notice_count: another row like the one before became part of its request. */
void
notice_count(void)
{
	if (!suspended)
		pending.rows++;
}

/*
 * notice_outcome: a request that took several rows was sent on.
 */
void
notice_outcome(int64 request, const char *state, const char *activity,
			   CmdType operation, Oid relid, bool mixed, int rows)
{
	if (suspended)
		return;
	if (pending.rows > 0 && (pending.first != request || pending.last != request))
		notice_flush();
	if (pending.rows == 0)
	{
		begin(statement_level(), request, operation, relid);
		pending.requests = 1;
		pending.last = request;
		pending.mixed = mixed;
		pending.rows = rows;
	}
	pending.unfinished = false;
	stands_at(state, activity);
}

/*
 * notice_statement_end: a statement at this depth has ended.
 */
void
notice_statement_end(int depth)
{
	if (pending.rows > 0 && pending.level >= depth)
		notice_flush();
}

/*
 * notice_forget: a subtransaction was rolled back, or with
 * InvalidSubTransactionId the transaction.
 */
void
notice_forget(SubTransactionId subid)
{
	if (pending.subid >= subid)
		pending.rows = 0;
}

/* notice_hand_up: a subtransaction was released. */
void
notice_hand_up(SubTransactionId subid, SubTransactionId parent)
{
	if (pending.subid >= subid)
		pending.subid = parent;
}

void
notice_flush(void)
{
	int			rows = pending.rows;

	if (rows == 0)
		return;
	pending.rows = 0;			/* first: ereport may run a client's code */
	if (setting_notice == NOTICE_OFF || pending.unfinished)
		return;

	if (pending.requests > 1 && pending.mixed)
		ereport(NOTICE,
				(errmsg("%d requests, " INT64_FORMAT " to " INT64_FORMAT ", are %s",
						pending.requests, pending.first, pending.last, pending.state)));
	else if (pending.requests > 1)
		ereport(NOTICE,
				(errmsg("%d requests, " INT64_FORMAT " to " INT64_FORMAT ", are %s: %s on %s",
						pending.requests, pending.first, pending.last, pending.state,
						operation_name(pending.operation), pending.target)));
	else if (pending.mixed && pending.activity[0] != '\0' && strcmp(pending.state, "open") == 0)
		ereport(NOTICE,
				(errmsg("request " INT64_FORMAT " is open: %d changes wait for %s",
						pending.last, rows, pending.activity)));
	else if (pending.mixed)
		ereport(NOTICE,
				(errmsg("request " INT64_FORMAT " is %s: %d changes",
						pending.last, pending.state, rows)));
	else if (pending.activity[0] != '\0' && strcmp(pending.state, "open") == 0)
		ereport(NOTICE,
				(errmsg("request " INT64_FORMAT " is open: %s on %s waits for %s",
						pending.last, operation_name(pending.operation),
						pending.target, pending.activity)));
	else
		ereport(NOTICE,
				(errmsg("request " INT64_FORMAT " is %s: %s on %s",
						pending.last, pending.state,
						operation_name(pending.operation), pending.target)));
}
