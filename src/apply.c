/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  Writing approved changes: as the requester, in the request's context,
 *	  merged onto the rows as they stand now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "apply.h"
#include "column.h"
#include "idflow.h"
#include "nested.h"
#include "notice.h"
#include "persist_into.h"
#include "progress.h"
#include "propose.h"
#include "reading.h"
#include "subxact.h"

/* Applies within applies, and whether the innermost is at its end. */
static int	applying_depth = 0;
static bool settling = false;

int
apply_depth(void)
{
	return applying_depth;
}

/* The row that the statement wrote, in the table's shape and req's memory. */
static HeapTuple
written_row(Request *req, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	MemoryContext oldcxt = MemoryContextSwitchTo(GetMemoryChunkContext(req));
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	HeapTuple	result;
	int			column = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		nulls[i] = true;
		if (!TupleDescAttr(desc, i)->attisdropped)
			values[i] = spi_datum(SPI_tuptable->vals[0], ++column, &nulls[i]);
	}
	result = heap_form_tuple(desc, values, nulls);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

/*
 * apply_change: write one change.  The caller is the requester, in the request's
 * context.  Where the change is only tried, written receives the row that came
 * of it.
 */
ApplyOutcome
apply_change(Request *req, Change *change, HeapTuple *written, char **held_by, StringInfo report)
{
	bool		trying = written != NULL;
	Relation	rel = row_open(change, RowExclusiveLock);
	HeapTuple	live = NULL;
	List	   *positions;
	Image	   *merged = NULL;
	Change	   *written_as = change;
	Dml			dml;
	Pass		pass;
	ApplyOutcome outcome = APPLY_DONE;

	if (trying)
		*written = NULL;
	if (req->apply_as_of)
		apply_as_trusts(workflow_by_id(req->apply_as_of), rel);
	if (change->operation != CMD_INSERT)
	{
		live = row_base(req, change, rel);
		if (apply_conflicts(req, change, rel, live, &positions, &merged))
		{
			List	   *names = NIL;
			ListCell   *lc;

			foreach(lc, positions)
				names = lappend(names, change->layout->names[lfirst_int(lc) - 1]);
			resetStringInfo(report);
			report_columns(report, change, names);
			table_close(rel, NoLock);
			return APPLY_CONFLICT;
		}
	}
	if (change->operation == CMD_UPDATE && live && (change->resource || change_is_kept(change)))
		merged = kept_update(change, merged ? merged : change->new_image, rel, live);
	if (change->operation == CMD_UPDATE && (merged ? merged : change->new_image)->n == 0)
	{
		table_close(rel, NoLock);
		return APPLY_DONE;
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (merged)
	{
		written_as = (Change *) palloc(sizeof(Change));
		*written_as = *change;
		written_as->new_image = merged;
	}
	dml_prepare(&dml, written_as, rel, live);

	(void) pass_execute(&pass, req, written_as, &dml, live, trying);
	if (pass.held_by)
	{
		*held_by = pass.held_by;
		outcome = APPLY_HELD;
	}
	else if (SPI_processed != 1)
		not_written(req, change, rel);
	else if (trying && change->operation != CMD_DELETE)
		*written = written_row(req, rel);
	else if (change->resource && change->operation != CMD_DELETE)
		change->resource_row = written_row(req, rel);
	else if (change->operation != CMD_DELETE)
		report_altered(report, change, check_written_row(req, written_as, rel, &dml, live, SPI_tuptable->vals[0]));

	SPI_finish();
	if (live)
		heap_freetuple(live);
	table_close(rel, NoLock);
	return outcome;
}

/* ---------------------------------------------------------------- the context */

/*
 * The search_path that the requester's code is to run under: his own, with
 * pg_temp last where he doesn't name it, lest the approver's temporary objects
 * get before what that code means.  A session without a temporary schema has
 * none of those.
 */
static const char *
requester_path(const char *path)
{
	Oid			temp;
	Oid			temp_toast;
	List	   *names;
	ListCell   *lc;

	GetTempNamespaceState(&temp, &temp_toast);
	if (!OidIsValid(temp))
		return path;
	if (SplitIdentifierString(pstrdup(path), ',', &names))
		foreach(lc, names)
			if (strcmp(lfirst(lc), "pg_temp") == 0)
				return path;
	return psprintf("%s%spg_temp", path, path[0] ? ", " : "");
}

/*
 * Restore the settings that a change was drafted under.
 */
static void
restore_context(Change *change)
{
	for (int i = 0; i + 1 < list_length(change->context); i += 2)
	{
		const char *name = list_nth(change->context, i);
		const char *value = list_nth(change->context, i + 1);
		const char *now = GetConfigOption(name, true, false);

		if (strcmp(name, "search_path") == 0)
			value = requester_path(value);
		if (now == NULL || strcmp(now, value) != 0)
			(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
	}
}

static void
set_constraints(bool deferred)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = NIL;
	stmt->deferred = deferred;
	AfterTriggerSetState(stmt);
}

/*
 * apply_check_utility: refuse what a trigger, fired by an apply or by the
 * trial of a draft, might leave to the session.  The session is the
 * approver's: what runs there later runs as him.  For the same reason
 * constraints must not be put off while an apply settles them.
 */
void
apply_check_utility(Node *statement)
{
	const char *what;

	if (settling && IsA(statement, ConstraintsSetStmt) &&
		((ConstraintsSetStmt *) statement)->deferred)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot defer constraints while those of request " INT64_FORMAT " are settled",
						applying_request())));
	if (applying_depth == 0)
		return;
	what = statement_lasting_effect(statement);
	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot %s while request " INT64_FORMAT " is applied or checked",
						what, applying_request()),
				 errdetail("It would stay in the session of whoever approves the request.")));
}

static int
compare_rows(const ListCell *a, const ListCell *b)
{
	Change	   *x = lfirst(a);
	Change	   *y = lfirst(b);

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	for (int i = 0; x->key && y->key && i < Min(x->key->n, y->key->n); i++)
	{
		int			result;

		if (x->key->values[i] == NULL || y->key->values[i] == NULL)
			continue;
		result = strcmp(x->key->values[i], y->key->values[i]);
		if (result != 0)
			return result;
	}
	return x->seq - y->seq;
}

/*
 * Lock the rows of several changes in one order, that of their tables and
 * keys, so that two requests that have rows in common don't wait for each
 * other.  They are written in the order in which they were drafted.
 */
static void
lock_rows(Request *req, List *changes)
{
	List	   *rows = NIL;
	ListCell   *lc;

	foreach(lc, changes)
		if (((Change *) lfirst(lc))->operation != CMD_INSERT && !((Change *) lfirst(lc))->nested)
			rows = lappend(rows, lfirst(lc));
	if (list_length(rows) < 2)
		return;
	list_sort(rows, compare_rows);
	foreach(lc, rows)
	{
		Relation	rel = row_open(lfirst(lc), RowExclusiveLock);
		HeapTuple	row = row_base(req, lfirst(lc), rel);

		if (row)
			heap_freetuple(row);
		table_close(rel, NoLock);
	}
}

/* Of the rows of a pack a gate with a condition may hold some, like of several changes. */
static bool
is_one_row(List *changes)
{
	return list_length(changes) == 1 && ((Change *) linitial(changes))->count <= 1;
}

static ApplyOutcome
apply_changes(Request *req, List *changes, HeapTuple *written, char **held_by,
			  Change **held_change, StringInfo report)
{
	bool		trying = written != NULL;
	Request    *outer = applying;
	UserSwitch	save;
	volatile ApplyOutcome outcome = APPLY_DONE;
	Oid			roleid = requester_role(req);
	bool		outer_settling = settling;
	bool		shows = !trying && applying_depth == 0 && list_length(changes) > 1;
	NestedScope scope;
	int			nest;
	ListCell   *lc;

	apply_as_still(req);

	/*
	 * What the caller has deferred fires as the caller, before we are another.
	 * Where an outer apply settles its constraints nothing is put off again.
	 */
	if (!trying && !settling)
	{
		set_constraints(false);
		set_constraints(true);
	}

	applying_depth++;
	applying = req;
	nested_enter(&scope, req, trying);
	PG_TRY();
	{
		become(&save, roleid, 0);
		nest = NewGUCNestLevel();
		if (!trying)
			lock_rows(req, changes);
		if (shows)
			progress_begin(req, changes);
		foreach(lc, changes)
		{
			Change	   *change = lfirst(lc);

			if (change->nested)
				continue;		/* a trigger writes it */
			restore_context(change);
			if (shows)
				progress_change(change);
			outcome = change->count > 1 ? apply_pack(req, change, trying, held_by, report) :
				apply_change(req, change, written, held_by, report);
			if (outcome != APPLY_DONE)
			{
				*held_change = change;
				break;
			}
		}
		if (shows)
			progress_settling();

		/*
		 * Before 18 a deferred trigger runs as whoever commits: settle it here.
		 * A change that a gate held has fired triggers FOR EACH STATEMENT; of
		 * several changes those already written are rolled back.
		 */
		if (!trying &&
			(outcome == APPLY_DONE || (outcome == APPLY_HELD && is_one_row(changes))))
		{
			UserSwitch	restricted;

			become(&restricted, roleid, SECURITY_RESTRICTED_OPERATION);
			settling = true;
			set_constraints(false);
			settling = outer_settling;
			restore_user(&restricted);
		}

		if (shows)
			progress_end();

		/* as at an abort: a trigger's plain SET must not outlive the apply */
		AtEOXact_GUC(false, nest);
		restore_user(&save);
	}
	PG_FINALLY();
	{
		nested_leave(&scope);
		applying_depth--;
		settling = outer_settling;
		applying = outer;
	}
	PG_END_TRY();

	/*
	 * The caller's further statements may defer again.  Core can't tell what
	 * was deferred before, so all that can be is, until his commit.
	 */
	if (!trying && !settling)
		set_constraints(true);
	return outcome;
}

/*
 * Write all changes of a request, or none.  Errors are the table's own.  For
 * APPLY_CONFLICT report holds the columns, for APPLY_HELD
 * held_by the workflow whose gate holds held_change; for APPLY_DONE report
 * holds the columns that triggers altered.
 */
static ApplyOutcome
apply_all(Request *req, char **held_by, Change **held_change, StringInfo report)
{
	List	   *changes = request_stored(req);
	volatile ApplyOutcome outcome = APPLY_DONE;
	SubXact		sub;

	/* a single change has written nothing when it ends in anything but success */
	if (changes == NIL || is_one_row(changes))
		return apply_changes(req, changes, NULL, held_by, held_change, report);

	subxact_begin(&sub);
	PG_TRY();
	{
		outcome = apply_changes(req, changes, NULL, held_by, held_change, report);
	}
	PG_CATCH();
	{
		subxact_rethrow(&sub);
	}
	PG_END_TRY();
	if (outcome == APPLY_DONE)
		subxact_commit(&sub);
	else
		subxact_abort(&sub);
	return outcome;
}

/*
 * apply_request: the same; where a workflow hides columns, or the requester in
 * whose transaction it is those that aspects have set, errors don't show what
 * PostgreSQL tells of the rows that they are about.
 */
ApplyOutcome
apply_request(Request *req, char **held_by, Change **held_change, StringInfo report)
{
	volatile ApplyOutcome outcome = APPLY_DONE;
	bool		hides = false;
	ListCell   *lc;

	foreach(lc, request_stored(req))
		hides |= change_hides_columns((Change *) lfirst(lc)) || sight_is_narrow(req, lfirst(lc));
	if (!hides)
		return apply_all(req, held_by, held_change, report);
	PG_TRY();
	{
		outcome = apply_all(req, held_by, held_change, report);
	}
	PG_CATCH();
	{
		rethrow_without_values();
	}
	PG_END_TRY();
	return outcome;
}

/*
 * apply_resource: write a row before its approval, or take it away again.
 */
ApplyOutcome
apply_resource(Request *req, Change *resource, char **held_by, StringInfo report)
{
	Change	   *held_change;

	return apply_changes(req, list_make1(resource), NULL, held_by, &held_change, report);
}

/*
 * apply_try: let the tables themselves say what they think of changes: write
 * them and roll that back.  Errors are the tables' own.  Returns the row that
 * the last change came to, in req's memory; NULL for a DELETE, or where that
 * change was not written.
 */
HeapTuple
apply_try(Request *req, List *changes)
{
	HeapTuple	written = NULL;
	SubXact		sub;
	StringInfoData report;
	char	   *held_by = NULL;
	Change	   *held_change = NULL;
	bool		told = notice_suspend(true);

	initStringInfo(&report);
	subxact_begin(&sub);
	PG_TRY();
	{
		(void) apply_changes(req, changes, &written, &held_by, &held_change, &report);
	}
	PG_CATCH();
	{
		notice_suspend(told);
		subxact_rethrow(&sub);
	}
	PG_END_TRY();
	subxact_abort(&sub);
	notice_suspend(told);
	return written;
}
