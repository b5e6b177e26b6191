/*-------------------------------------------------------------------------
 *
 * simulate_report.c
 *	  What a simulation tells, and how much of it to whom.
 *
 * It runs things that whoever asks is not there for otherwise: an apply, the
 * aspects behind a review.  What they come upon is told him no further than
 * the reports would tell it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "apply.h"
#include "edit.h"
#include "simulate.h"

/* Columns of the result. */
enum
{
	SIM_REQUEST = 0,
	SIM_CHANGE,
	SIM_KIND,
	SIM_ACTIVITY,
	SIM_ACTOR,
	SIM_SQLSTATE,
	SIM_MESSAGE,
	SIM_DETAIL,
	SIM_COLUMNS
};

static ReturnSetInfo *result = NULL;

static StorePlan select_events = {
	"SELECT activity, transition, comment FROM idflow.event"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.>) $2"
	" AND activity IS NOT NULL"
	" AND transition OPERATOR(pg_catalog.<>) ALL ('{Ask,AddChange,Conflict,Schedule}') ORDER BY seq",
	2, {INT8OID, INT4OID}
};

static StorePlan select_deciders = {
	"SELECT d.principal, d.via FROM idflow.decider_rows($1) d"
	" WHERE d.task OPERATOR(pg_catalog.=) $2 AND d.vote IS NULL"
	" ORDER BY d.principal COLLATE pg_catalog.\"C\"",
	2, {INT8OID, INT8OID}
};

/*
 * simulation_report_to: where the rows go from now on.
 */
void
simulation_report_to(ReturnSetInfo *rsinfo)
{
	result = rsinfo;
}

/*
 * simulation_report: a row.
 */
void
simulation_report(Finding *finding)
{
	Datum		values[SIM_COLUMNS] = {0};
	bool		nulls[SIM_COLUMNS];
	const char *texts[] = {finding->kind, finding->activity, finding->actor,
		finding->sqlstate, finding->message, finding->detail};

	memset(nulls, true, sizeof(nulls));
	if (finding->request != 0)
	{
		values[SIM_REQUEST] = Int64GetDatum(finding->request);
		nulls[SIM_REQUEST] = false;
	}
	if (finding->change != 0)
	{
		values[SIM_CHANGE] = Int64GetDatum(finding->change);
		nulls[SIM_CHANGE] = false;
	}
	for (int i = 0; i < lengthof(texts); i++)
		if (texts[i])
		{
			values[SIM_KIND + i] = CStringGetTextDatum(texts[i]);
			nulls[SIM_KIND + i] = false;
		}
	tuplestore_putvalues(result->setResult, result->setDesc,
						 values, nulls);
}

/*
 * simulation_report_request: which request is followed now.
 */
void
simulation_report_request(Request *req, Viewer viewer)
{
	Finding		finding = {.request = req->id, .kind = "request"};

	/* that there would be one is all that others learn */
	if (viewer != VIEWER_NONE)
	{
		Activity   *activity = request_activity(req);

		finding.activity = activity ? activity->name : NULL;
		finding.actor = req->requester;
		finding.message = req->title;
		finding.detail = req->workflow ?
			psprintf("Workflow \"%s\" version %d, state %s.", req->workflow->name,
					 req->workflow->version, req->state) :
			psprintf("No workflow yet, state %s.", req->state);
	}
	simulation_report(&finding);
}

/*
 * simulation_report_events: the steps after the event of a number.
 */
void
simulation_report_events(Request *req, int after)
{
	Datum		values[2] = {Int64GetDatum(req->id), Int32GetDatum(after)};
	UserSwitch	save;
	int			n;

	store_begin(&save);
	n = store_exec(&select_events, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		Finding		finding = {.request = req->id, .kind = "activity"};

		finding.activity = spi_text(row, 1);
		finding.message = spi_text(row, 2);
		finding.detail = spi_text(row, 3);
		simulation_report(&finding);
	}
	store_end(&save);
}

/*
 * simulation_report_task: whom the open task asks.
 */
void
simulation_report_task(Request *req)
{
	Datum		values[2] = {Int64GetDatum(req->id), Int64GetDatum(req->task)};
	Finding		finding = {.request = req->id, .kind = "task"};
	UserSwitch	save;
	int			n;

	finding.activity = request_activity(req)->name;
	finding.detail = request_full_state(req);
	store_begin(&save);
	n = store_exec(&select_deciders, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];

		finding.actor = spi_text(row, 1);
		finding.message = spi_text(row, 2);
		simulation_report(&finding);
	}
	store_end(&save);
	if (n == 0)
	{
		finding.message = "nobody may act on it but members of idflow_admin";
		simulation_report(&finding);
	}
}

/*
 * simulation_known: what is shown of the changes as they are, to a viewer whose
 * sight is narrow; in the order of their numbers and in the current memory context.  It is asked before anything
 * is written, which may show or hide rows, and before aspects run.
 */
List *
simulation_known(Request *req, Viewer viewer)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (viewer != VIEWER_OWN)
		return NIL;
	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);
		KnownChange *known = palloc(sizeof(KnownChange));

		known->seq = change->seq;
		known->row_visible = sight_of(change, viewer)->row_visible;
		known->draft = change->new_image ? image_copy(change->new_image) : NULL;
		result = lappend(result, known);
	}
	return result;
}

/* What was known of a change, by its number; NULL: it wasn't there. */
static KnownChange *
known_change(List *known, int seq)
{
	int			low = 0;
	int			high = list_length(known) - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		KnownChange *change = list_nth(known, middle);

		if (change->seq == seq)
			return change;
		if (change->seq < seq)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

/*
 * What a viewer may see of a change after what was simulated.  What aspects
 * have put into it he has not written, whatever the draft says of that.
 */
static Sight *
simulated_sight(Change *change, Viewer viewer, List *known)
{
	Sight	   *sight = sight_of_columns(change, viewer);
	KnownChange *before = known_change(known, change->seq);

	if (viewer != VIEWER_OWN)
		return sight;
	sight->row_visible = before ? before->row_visible : change->operation == CMD_INSERT;
	for (int p = 1; p <= change->layout->ncolumns; p++)
	{
		bool		had;
		bool		has;
		const char *was = before ? image_value(before->draft, p, &had) : NULL;
		const char *is = image_value(change->new_image, p, &has);

		if (before == NULL || had != has ||
			(was != is && (was == NULL || is == NULL || strcmp(was, is) != 0)))
			sight->written[p] = false;
	}
	return sight;
}

/*
 * What a change writes, as jsonb's text: what of it is shown to the viewer.
 * Of a DELETE it is the key.
 */
static char *
written_text(Change *change, Viewer viewer, List *known)
{
	Sight	   *sight = simulated_sight(change, viewer, known);
	List	   *positions = NIL;
	List	   *values = NIL;
	Datum		json;

	for (int p = 1; p <= change->layout->ncolumns; p++)
	{
		bool		in_key;
		bool		drafted;
		const char *key = image_value(change->key, p, &in_key);
		const char *draft = image_value(change->new_image, p, &drafted);
		const char *value = drafted ? draft : key;

		if (!drafted && !in_key)
			continue;
		if (drafted ? sight_of_masked_draft(sight, p) : sight_of_masked_row(sight, p))
			value = value ? column_mask : NULL;
		else if (drafted ? !sight_of_draft(sight, p) : !sight_of_row(sight, p))
			continue;
		positions = lappend_int(positions, p);
		values = lappend(values, unconstify(char *, value));
	}
	json = json_of_positions(change->layout, positions, values);
	if (json == (Datum) 0)
		return NULL;
	return JsonbToCString(NULL, &DatumGetJsonbP(json)->root, 0);
}

/*
 * simulation_report_changes: what would be written.
 */
void
simulation_report_changes(Request *req, Viewer viewer, List *known)
{
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);
		Finding		finding = {.request = req->id, .kind = "change"};

		finding.change = CHANGE_ID(req->id, change->seq);
		finding.message = psprintf("%s on %s", operation_name(change->operation), change->target_name);
		finding.detail = written_text(change, viewer, known);
		simulation_report(&finding);
	}
}

/* ---------------------------------------------------------------- errors */

/*
 * Are all values that the changes write shown to whoever asks, so that an error
 * may name them?  selectable: the table's own values, too.
 */
static bool
sees_drafts(Request *req, Viewer viewer, List *known, bool selectable)
{
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);
		Sight	   *sight = simulated_sight(change, viewer, known);
		Image	   *image = change->new_image;

		for (int i = 0; image && i < image->n; i++)
		{
			int			position = image_position(image, i);

			if (!sight_of_draft(sight, position))
				return false;
			if (selectable && sight->selectable && !sight->selectable[position])
				return false;
		}
	}
	return true;
}

/*
 * May whoever asks be shown all that an error says?  Who decides may, if the
 * workflow hides nothing.  A requester may where PostgreSQL has spoken to the
 * very role that asks, as it does where that role writes to the table itself,
 * and only about values that are shown to him: not about what an aspect or an
 * expression has found out with the rights of others.
 */
static bool
sees_error(Request *req, Viewer viewer, List *known, ErrorData *error)
{
	Activity   *activity = request_activity(req);
	ListCell   *lc;

	foreach(lc, request_changes(req))
		if (change_hides_columns(lfirst(lc)))
			return false;
	if (viewer == VIEWER_ALL)
		return true;
	return strcmp(req->role, GetUserNameFromId(GetUserId(), false)) == 0 &&
		activity != NULL && strcmp(activity->template->name, "Persist") == 0 &&
		sees_drafts(req, viewer, known, error->sqlerrcode == ERRCODE_WF_APPLY);
}

/* The message where values are not to be shown. */
static const char *
plain_message(ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (category == ERRCODE_DATA_EXCEPTION)
		return "a value is not valid for its column";
	if (category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_PRIVILEGE) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_WF_DEFINITION))
		return error->message;
	return "an error whose text might tell of values that are not shown to you";
}

/*
 * simulation_report_error: what stops a request, or where req is NULL the
 * statement.
 */
void
simulation_report_error(Request *req, Viewer viewer, List *known, ErrorData *error)
{
	Finding		finding = {.kind = "error", .message = error->message, .detail = error->detail};

	finding.sqlstate = unpack_sql_state(error->sqlerrcode);
	if (req)
	{
		Activity   *activity = request_activity(req);

		finding.request = req->id;
		finding.activity = activity ? activity->name : NULL;
		if (list_length(request_changes(req)) == 1)
			finding.change = CHANGE_ID(req->id, ((Change *) linitial(req->changes))->seq);
		if (!sees_error(req, viewer, known, error))
		{
			finding.message = plain_message(error);
			finding.detail = NULL;
		}
	}
	simulation_report(&finding);
}

/* ---------------------------------------------------------------- conflicts */

/* A value in the detail of a conflict: itself, masked, or not at all. */
static void
append_value(StringInfo buf, const char *what, const char *value, bool shown, bool masked)
{
	if (!shown && !masked)
		return;
	appendStringInfoString(buf, buf->len == 0 ? "" : ", ");
	if (value == NULL)
		appendStringInfo(buf, "%s null", what);
	else
		appendStringInfo(buf, "%s \"%s\"", what, shown ? value : column_mask);
}

static void
report_conflict(Request *req, Change *change, Relation rel, HeapTuple live, Sight *sight,
				int position)
{
	Finding		finding = {.request = req->id, .change = CHANGE_ID(req->id, change->seq),
	.kind = "conflict"};
	const char *column = change->layout->names[position - 1];
	bool		row = sight_of_row(sight, position);
	bool		row_masked = sight_of_masked_row(sight, position);
	bool		draft = change->operation == CMD_UPDATE && sight_of_draft(sight, position);
	bool		draft_masked = change->operation == CMD_UPDATE && sight_of_masked_draft(sight, position);
	bool		found;
	StringInfoData detail;

	finding.activity = request_activity(req)->name;
	if (!row && !row_masked && !draft && !draft_masked)
	{
		finding.message = "others changed a column that is not shown to you";
		simulation_report(&finding);
		return;
	}
	finding.message = psprintf("others changed column \"%s\" after it was drafted", column);
	initStringInfo(&detail);
	append_value(&detail, "base", image_value(change->old_image, position, &found), row, row_masked);
	append_value(&detail, "live",
				 row_text(rel, live, row_attnum(change->layout, rel, position, false)), row, row_masked);
	append_value(&detail, "draft", image_value(change->new_image, position, &found), draft, draft_masked);
	finding.detail = detail.len > 0 ? detail.data : NULL;
	simulation_report(&finding);
}

/*
 * simulation_report_conflicts: the columns in which the changes conflict with
 * the rows as they are.  The apply stops at the first such change; here are
 * all.
 */
void
simulation_report_conflicts(Request *req, Viewer viewer)
{
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);
		Relation	rel;
		HeapTuple	live;
		List	   *positions;
		bool		conflict;
		UserSwitch	save;
		Sight	   *sight;
		int			nest;
		ListCell   *lp;

		if (change->operation == CMD_INSERT)
			continue;
		rel = row_open(change, AccessShareLock);
		become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
		live = row_find(rel, change, false);
		conflict = apply_conflicts(req, change, rel, live, &positions, NULL);
		restore_user(&save);
		if (conflict && live == NULL)
			simulation_report(&(Finding) {
				   .request = req->id, .change = CHANGE_ID(req->id, change->seq), .kind = "conflict",
				   .activity = request_activity(req)->name, .message = "the row is gone"
				   });
		sight = conflict ? sight_of(change, viewer) : NULL;
		nest = transmission_modes_begin_for(change->layout);
		foreach(lp, conflict ? positions : NIL)
			report_conflict(req, change, rel, live, sight, lfirst_int(lp));
		transmission_modes_end(nest);
		table_close(rel, NoLock);
	}
}
