/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  Writing approved changes: as the requester, in the request's context,
 *	  merged onto the rows as they stand now.
 *
 * The pass, the leave of one change through the gates of its table, lives
 * here in C: no setting gives it and no statement but our own uses it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/varlena.h"

#include "apply.h"
#include "idflow.h"
#include "notice.h"
#include "subxact.h"

#define MAX_GATES 64

/* The leave of one change through the gates of its table. */
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

static Pass *current_pass = NULL;

/* Applies within applies, and whether the innermost is at its end. */
static int	applying_depth = 0;
static bool settling = false;

int
apply_depth(void)
{
	return applying_depth;
}


/* ------------------------------------------------------------ the gates' side */

static bool
row_is_expected(Pass *pass, TriggerData *trigdata)
{
	HeapTuple	tuple = trigdata->tg_trigtuple;
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	if (pass->change->operation != CMD_INSERT)
		return ItemPointerEquals(&tuple->t_self, &pass->live->t_self) &&
			RelationGetRelid(trigdata->tg_relation) == pass->live->t_tableOid;

	/* in a partition the columns may stand elsewhere; the statement is ours */
	if (RelationGetRelid(trigdata->tg_relation) != pass->change->target)
		return true;
	for (int i = 0; i < pass->dml->nargs; i++)
	{
		AttrNumber	attnum = pass->dml->attnums[i];
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool		isnull;
		Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

		if (isnull != (pass->dml->nulls[i] == 'n') ||
			(!isnull && !datum_image_eq(value, pass->dml->values[i], att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/*
 * apply_pass: what a gate is to make of a row.  Only the row of the change
 * being applied, met in the statement that applies it, passes, and each gate
 * once.
 */
PassVerdict
apply_pass(TriggerData *trigdata, CmdType operation, const char *workflow)
{
	Pass	   *pass = current_pass;
	Oid			relid = RelationGetRelid(trigdata->tg_relation);

	if (pass == NULL || !dml_is_ours(executing_query()))
		return PASS_NONE;
	if (relid != pass->change->target &&
		!list_member_oid(get_partition_ancestors(relid), pass->change->target))
		return PASS_NONE;

	/* an UPDATE that moves a row between partitions is one change */
	if (operation != pass->change->operation)
		return pass->change->operation == CMD_UPDATE ? PASS_THROUGH : PASS_NONE;

	for (int i = 0; i < pass->nused; i++)
		if (pass->used[i] == trigdata->tg_trigger->tgoid)
			return PASS_NONE;
	if (!row_is_expected(pass, trigdata))
		return PASS_NONE;
	if (pass->nused >= MAX_GATES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("table \"%s\" has more than %d gates",
						RelationGetRelationName(trigdata->tg_relation), MAX_GATES)));
	pass->used[pass->nused++] = trigdata->tg_trigger->tgoid;

	if (pass->all || strings_contain(pass->passed, workflow))
		return PASS_THROUGH;
	pass->held_by = MemoryContextStrdup(pass->context, workflow);
	return PASS_HELD;
}

/* ------------------------------------------------------------------ the merge */

static bool
text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/*
 * apply_conflicts: whether others changed what a change touches.  positions
 * receives those columns' positions in the layout; empty where the whole row
 * is gone.  The caller is the requester.
 */
bool
apply_conflicts(Change *change, Relation rel, HeapTuple live, List **positions)
{
	Image	   *base = change->old_image;
	int			nest;

	*positions = NIL;
	if (change->operation == CMD_INSERT)
		return false;
	if (live == NULL)
		return true;

	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; base && i < base->n; i++)
	{
		int			position = base->columns ? base->columns[i] : i + 1;
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
		char	   *now = row_text(rel, live, attnum);
		bool		found;

		if (text_equal(now, base->values[i]))
			continue;
		/* somebody else made the same change */
		if (change->operation == CMD_UPDATE &&
			text_equal(now, image_value(change->new_image, position, &found)))
			continue;
		*positions = lappend_int(*positions, position);
	}
	transmission_modes_end(nest);
	return *positions != NIL;
}

/* "seq": ["column", ...] for the event of a conflict or of triggers' work */
static void
report_columns(StringInfo report, Change *change, Relation rel, List *names)
{
	ListCell   *lc;

	if (report->len > 0)
		appendStringInfoString(report, ", ");
	appendStringInfo(report, "\"%d\": [", change->seq);
	foreach(lc, names)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(report, ", ");
		escape_json(report, lfirst(lc));
	}
	appendStringInfoChar(report, ']');
}

/*
 * The table's triggers may have altered the row.  In columns that were
 * reviewed that is an error unless the workflow allows it; what they put into
 * others is noted.
 */
static void
check_written_row(Request *req, Change *change, Relation rel, Dml *dml, HeapTuple live,
				  StringInfo report)
{
	TupleDesc	desc = RelationGetDescr(rel);
	HeapTuple	row = SPI_tuptable->vals[0];
	List	   *altered = NIL;
	int			column = 0;

	for (int att_i = 0; att_i < desc->natts; att_i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, att_i);
		bool		isnull;
		bool		expected_null = true;
		Datum		expected = (Datum) 0;
		Datum		value;
		int			arg;

		if (att->attisdropped)
			continue;
		column++;
		if (att->attgenerated != '\0')
			continue;
		value = spi_datum(row, column, &isnull);
		for (arg = 0; arg < dml->nargs; arg++)
			if (dml->attnums[arg] == att->attnum)
				break;
		if (arg < dml->nargs)
		{
			expected_null = dml->nulls[arg] == 'n';
			expected = dml->values[arg];
		}
		else if (live)
			expected = heap_getattr(live, att->attnum, desc, &expected_null);
		else
			continue;			/* a column newer than the draft: its default */

		if (isnull == expected_null &&
			(isnull || datum_image_eq(value, expected, att->attbyval, att->attlen)))
			continue;

		if (arg < dml->nargs && req->workflow->exact)
		{
			int			position = 0;
			int			nest = transmission_modes_begin_for(change->layout);
			const char *drafted;
			Oid			output;
			bool		varlena;
			bool		found;

			for (int p = 1; p <= change->layout->ncolumns && position == 0; p++)
				if (strcmp(change->layout->names[p - 1], NameStr(att->attname)) == 0)
					position = p;
			drafted = image_value(change->new_image, position, &found);
			if (change_touches(change, att, position, drafted))
			{
				getTypeOutputInfo(att->atttypid, &output, &varlena);
				ereport(ERROR,
						(errcode(ERRCODE_WF_APPLY),
						 errmsg("a trigger of table \"%s\" alters column \"%s\", which was reviewed",
								RelationGetRelationName(rel), NameStr(att->attname)),
						 errdetail("The reviewed value is %s and the trigger's is %s.",
								   drafted ? psprintf("\"%s\"", drafted) : "null",
								   isnull ? "null" : psprintf("\"%s\"", OidOutputFunctionCall(output, value))),
						 errhint("Draft the value that the trigger makes, or let the workflow say Exact=\"false\".")));
			}
			transmission_modes_end(nest);
		}
		altered = lappend(altered, NameStr(att->attname));
	}
	if (altered)
		report_columns(report, change, rel, altered);
}

/* Why the statement wrote no row, as an error. */
static void
not_written(Request *req, Change *change, Relation rel)
{
	if (change->operation != CMD_INSERT && rel->rd_rel->relrowsecurity)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security of table \"%s\" does not let role \"%s\" %s this row",
						RelationGetRelationName(rel), req->role,
						change->operation == CMD_UPDATE ? "update" : "delete")));
	ereport(ERROR,
			(errcode(ERRCODE_WF_APPLY),
			 errmsg("%s on table \"%s\" wrote no row", operation_name(change->operation),
					RelationGetRelationName(rel)),
			 errdetail("A trigger or rule of the table keeps the change from being written.")));
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
 * Write one change.  The caller is the requester, in the request's context.
 * Where the change is only tried, written receives the row that came of it.
 */
static ApplyOutcome
apply_change(Request *req, Change *change, HeapTuple *written, char **held_by, StringInfo report)
{
	bool		trying = written != NULL;
	Relation	rel = row_open(change, RowExclusiveLock);
	HeapTuple	live = NULL;
	List	   *positions;
	Dml			dml;
	Pass		pass;
	Pass	   *outer = current_pass;
	int			rc;
	ApplyOutcome outcome = APPLY_DONE;

	if (trying)
		*written = NULL;
	if (change->operation != CMD_INSERT)
	{
		live = row_find(rel, change, true);
		if (apply_conflicts(change, rel, live, &positions))
		{
			List	   *names = NIL;
			ListCell   *lc;

			foreach(lc, positions)
				names = lappend(names, change->layout->names[lfirst_int(lc) - 1]);
			resetStringInfo(report);
			report_columns(report, change, rel, names);
			table_close(rel, NoLock);
			return APPLY_CONFLICT;
		}
	}
	if (change->operation == CMD_UPDATE && change->new_image->n == 0)
	{
		table_close(rel, NoLock);
		return APPLY_DONE;
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	dml_prepare(&dml, change, rel, live);

	memset(&pass, 0, sizeof(pass));
	pass.context = GetMemoryChunkContext(req);
	pass.change = change;
	pass.dml = &dml;
	pass.live = live;
	pass.all = trying;
	if (req->workflow)
		pass.passed = lappend(list_copy(req->passed), req->workflow->name);
	current_pass = &pass;
	PG_TRY();
	{
		rc = dml_execute(&dml);
	}
	PG_FINALLY();
	{
		current_pass = outer;
	}
	PG_END_TRY();

	if (rc < 0)
		elog(ERROR, "could not write a change: %s", SPI_result_code_string(rc));
	if (pass.held_by)
	{
		*held_by = pass.held_by;
		outcome = APPLY_HELD;
	}
	else if (SPI_processed != 1)
		not_written(req, change, rel);
	else if (trying && change->operation != CMD_DELETE)
		*written = written_row(req, rel);
	else if (change->operation != CMD_DELETE)
		check_written_row(req, change, rel, &dml, live, report);

	SPI_finish();
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
						applying_request)));
	if (applying_depth == 0)
		return;
	what = statement_lasting_effect(statement);
	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot %s while request " INT64_FORMAT " is applied or checked",
						what, applying_request),
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
lock_rows(List *changes)
{
	List	   *rows = NIL;
	ListCell   *lc;

	foreach(lc, changes)
		if (((Change *) lfirst(lc))->operation != CMD_INSERT)
			rows = lappend(rows, lfirst(lc));
	if (list_length(rows) < 2)
		return;
	list_sort(rows, compare_rows);
	foreach(lc, rows)
	{
		Relation	rel = row_open(lfirst(lc), RowExclusiveLock);
		HeapTuple	row = row_find(rel, lfirst(lc), true);

		if (row)
			heap_freetuple(row);
		table_close(rel, NoLock);
	}
}

static ApplyOutcome
apply_changes(Request *req, List *changes, HeapTuple *written, char **held_by,
			  Change **held_change, StringInfo report)
{
	bool		trying = written != NULL;
	const char *outer_actor = applying_actor;
	int64		outer_request = applying_request;
	UserSwitch	save;
	volatile ApplyOutcome outcome = APPLY_DONE;
	Oid			roleid = requester_role(req);
	bool		outer_settling = settling;
	int			nest;
	ListCell   *lc;

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
	applying_actor = req->requester;
	applying_request = req->id;
	PG_TRY();
	{
		become(&save, roleid, 0);
		nest = NewGUCNestLevel();
		if (!trying)
			lock_rows(changes);
		foreach(lc, changes)
		{
			restore_context(lfirst(lc));
			outcome = apply_change(req, lfirst(lc), written, held_by, report);
			if (outcome != APPLY_DONE)
			{
				*held_change = lfirst(lc);
				break;
			}
		}

		/*
		 * Before 18 a deferred trigger runs as whoever commits: settle it here.
		 * A change that a gate held has fired triggers FOR EACH STATEMENT; of
		 * several changes those already written are rolled back.
		 */
		if (!trying &&
			(outcome == APPLY_DONE || (outcome == APPLY_HELD && list_length(changes) == 1)))
		{
			UserSwitch	restricted;

			become(&restricted, roleid, SECURITY_RESTRICTED_OPERATION);
			settling = true;
			set_constraints(false);
			settling = outer_settling;
			restore_user(&restricted);
		}

		/* as at an abort: a trigger's plain SET must not outlive the apply */
		AtEOXact_GUC(false, nest);
		restore_user(&save);
	}
	PG_FINALLY();
	{
		applying_depth--;
		settling = outer_settling;
		applying_actor = outer_actor;
		applying_request = outer_request;
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
 * apply_request: write all changes of a request, or none.  Errors are the
 * table's own.  For APPLY_CONFLICT report holds the columns, for APPLY_HELD
 * held_by the workflow whose gate holds held_change; for APPLY_DONE report
 * holds the columns that triggers altered.
 */
ApplyOutcome
apply_request(Request *req, char **held_by, Change **held_change, StringInfo report)
{
	List	   *changes = request_changes(req);
	volatile ApplyOutcome outcome = APPLY_DONE;
	SubXact		sub;

	/* a single change has written nothing when it ends in anything but success */
	if (list_length(changes) <= 1)
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
