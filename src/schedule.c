/*-------------------------------------------------------------------------
 *
 * schedule.c
 *	  The dates of a request: when it takes effect and when it ends.
 *
 * Two have a say in each: who asks, and every workflow that the request goes
 * through.  None of them can stretch what another says: the latest date of
 * effect counts and the earliest end.
 *
 * Workflows are asked as the request enters them, so that who decides sees the
 * dates, again when the draft was edited, and at last when the request reaches
 * the Persist that would write it.  From then on the dates stand (dated): an
 * expression such as now() + '1 day' would otherwise put off the apply for
 * ever.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "aspect.h"
#include "edit.h"
#include "idflow.h"
#include "pack.h"
#include "schedule.h"

#define EXPIRES_AT	"expires_at"

/* date_text: a date for messages and for the data of events, in the current memory context. */
const char *
date_text(TimestampTz date)
{
	char		buf[MAXDATELEN + 1];

	return pstrdup(JsonEncodeDateTime(buf, TimestampTzGetDatum(date), TIMESTAMPTZOID, NULL));
}

/* A date from text; errors, naming what gave it, if it is none. */
static TimestampTz
date_from_text(const char *text, const char *what)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile TimestampTz result = NO_DATE;

	PG_TRY();
	{
		result = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
														 ObjectIdGetDatum(InvalidOid),
														 Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* nothing but memory is held: the input function reads no table */
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_WF_DATE),
				 errmsg("%s is not a date: \"%s\"", what, text),
				 errdetail_internal("%s.", error->message),
				 errhint("Write a timestamp with time zone, such as \"2027-01-31 08:00+01\".")));
	}
	PG_END_TRY();
	return result;
}

/* A date of effect as a request keeps it: NO_DATE for what is always past. */
static TimestampTz
effective_date(TimestampTz date, const char *what)
{
	if (TIMESTAMP_IS_NOEND(date))
		ereport(ERROR,
				(errcode(ERRCODE_WF_DATE),
				 errmsg("%s must not be infinity", what),
				 errdetail("The request would never be applied.")));
	return TIMESTAMP_IS_NOBEGIN(date) ? NO_DATE : date;
}

/* An end as a request keeps it: NO_DATE for never. */
static TimestampTz
expiry_date(TimestampTz date, const char *what)
{
	if (TIMESTAMP_IS_NOBEGIN(date))
		ereport(ERROR,
				(errcode(ERRCODE_WF_DATE),
				 errmsg("%s must not be -infinity", what),
				 errdetail("The request would have expired before it is written.")));
	return TIMESTAMP_IS_NOEND(date) ? NO_DATE : date;
}

static void
narrow(Request *req, TimestampTz effective, TimestampTz expires)
{
	if (effective != NO_DATE && (req->effective_at == NO_DATE || effective > req->effective_at))
		req->effective_at = effective;
	if (expires != NO_DATE && (req->expires_at == NO_DATE || expires < req->expires_at))
		req->expires_at = expires;
}

/* A request that ended before it began would be written and never be seen. */
static void
check_order(Request *req)
{
	TimestampTz now = GetCurrentTimestamp();

	if (req->expires_at == NO_DATE)
		return;
	if (req->expires_at <= now)
		ereport(ERROR,
				(errcode(ERRCODE_WF_DATE),
				 errmsg("request " INT64_FORMAT " has expired", req->id),
				 errdetail("It was to end at %s.", date_text(req->expires_at)),
				 errhint("Withdraw or decline it, or ask for a later end.")));
	if (req->effective_at >= req->expires_at)
		ereport(ERROR,
				(errcode(ERRCODE_WF_DATE),
				 errmsg("request " INT64_FORMAT " would expire before it takes effect", req->id),
				 errdetail("It takes effect at %s and ends at %s.",
						   date_text(req->effective_at), date_text(req->expires_at))));
}

/*
 * schedule_ask: the dates that somebody asks for; NULL: nothing new.
 */
void
schedule_ask(Request *req, const TimestampTz *effective_at, const TimestampTz *expires_at)
{
	if (effective_at)
		req->effective_asked = effective_date(*effective_at, "effective_at");
	if (expires_at)
		req->expires_asked = expiry_date(*expires_at, EXPIRES_AT);
	req->effective_at = req->effective_asked;
	req->expires_at = req->expires_asked;
	check_order(req);
}

/*
 * schedule_by_settings: the same by the settings.  They are for what the
 * session itself asks for, not for what follows from an apply or an aspect.
 */
void
schedule_by_settings(Request *req)
{
	int			depth;
	TimestampTz effective_at;
	TimestampTz expires_at;
	bool		effective = setting_effective_at && setting_effective_at[0];
	bool		expires = setting_expires_at && setting_expires_at[0];

	if (applying_request() != 0 || invoking_request(&depth) != 0)
		return;
	if (effective)
		effective_at = date_from_text(setting_effective_at, "setting \"idflow.effective_at\"");
	if (expires)
		expires_at = date_from_text(setting_expires_at, "setting \"idflow.expires_at\"");
	if (effective || expires)
		schedule_ask(req, effective ? &effective_at : NULL, expires ? &expires_at : NULL);
}

/*
 * What an attribute of a workflow says of a change.  A date without a time
 * zone is meant in that of the requester, as the draft remembers it, whoever's
 * decision brings the request here.  Returns false if it says none.
 */
static bool
change_date(Request *req, Change *change, const char *attribute, TimestampTz *date)
{
	int			nest = NewGUCNestLevel();
	char	   *text;

	for (int i = 0; i + 1 < list_length(change->context); i += 2)
		if (pg_strcasecmp(list_nth(change->context, i), "TimeZone") == 0)
			set_if_different("TimeZone", list_nth(change->context, i + 1));
	set_if_different("datestyle", "ISO");
	text = expression_text(element_value(req->workflow->element, attribute), req->workflow, req,
						   change, attribute);
	if (text)
		*date = date_from_text(text, psprintf("%s of workflow \"%s\"", attribute,
											  req->workflow->name));
	AtEOXact_GUC(false, nest);
	return text != NULL;
}

/* Ask a workflow for the dates of those changes that it has a say in. */
static void
ask_workflow(Request *req, Workflow *wf)
{
	Workflow   *here = req->workflow;
	bool		effective = element_value(wf->element, "EffectiveDate") != NULL;
	bool		expires = element_value(wf->element, "ExpiryDate") != NULL;
	ChangeScan	scan;
	Change	   *change;

	if (!effective && !expires)
		return;
	req->workflow = wf;
	governed_begin(&scan, req);
	while ((change = changes_next(&scan)) != NULL)
	{
		TimestampTz date;

		if (effective && change_date(req, change, "EffectiveDate", &date))
			narrow(req, effective_date(date, "EffectiveDate"), NO_DATE);
		if (expires && change_date(req, change, "ExpiryDate", &date))
			narrow(req, NO_DATE, expiry_date(date, "ExpiryDate"));
	}
	changes_end(&scan);
	req->workflow = here;
}

/*
 * schedule_enter: the request begins a workflow.
 */
void
schedule_enter(Request *req)
{
	if (req->reverses)
		return;
	ask_workflow(req, req->workflow);
	check_order(req);
}

/*
 * schedule_again: what was asked for, or the draft, has changed: work the dates
 * out anew.
 */
void
schedule_again(Request *req)
{
	ListCell   *lc;

	req->dated = false;
	req->effective_at = req->effective_asked;
	req->expires_at = req->expires_asked;
	foreach(lc, req->passed)
	{
		Workflow   *wf = workflow_current(lfirst(lc), true);

		if (wf)
			ask_workflow(req, wf);
	}
	ask_workflow(req, req->workflow);
	check_order(req);
}

/*
 * schedule_wait: the request has come to a Persist; is it to wait for its date
 * before that writes it?  It then stands before the activity.  If a further
 * gate holds a change it doesn't wait: that gate's people are asked now, and
 * not on the day.  held_by and held_change say so.
 */
bool
schedule_wait(Request *req, char **held_by, Change **held_change)
{
	Event	   *event;
	JsonbParseState *state = NULL;

	if (req->persisted)
		return false;
	if (!req->dated)
		schedule_again(req);
	else
		check_order(req);
	if (req->effective_at == NO_DATE || req->effective_at <= GetCurrentTimestamp())
	{
		req->dated = true;
		return false;
	}
	*held_by = due_try(req, held_change);
	if (*held_by)
		return true;

	req->dated = true;
	req->activity_state = NULL;
	req->state = "scheduled";
	event = request_event(req, req->acting, req->acting_via, "Schedule", NULL);
	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "effective_at");
	json_string(&state, WJB_VALUE, date_text(req->effective_at));
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
	timers_drop(req->id, 0, TIMER_EFFECTIVE);
	timer_add(TIMER_EFFECTIVE, req->id, 0, NULL, req->effective_at, NULL);
	return true;
}

/* Does a draft of the request have a column of this name? */
static bool
drafts_have_column(Request *req, const char *name)
{
	ListCell   *lc;

	foreach(lc, request_stored(req))
	{
		Layout	   *layout = ((Change *) lfirst(lc))->layout;

		for (int p = 1; p <= layout->ncolumns; p++)
			if (strcmp(layout->names[p - 1], name) == 0)
				return true;
	}
	return false;
}

/*
 * schedule_save: what idflow.save() is to do with a request's end: the member
 * "expires_at" of what it was given, or "request.expires_at" where the draft
 * has a column of that name.  Whoever may save may set an end or an earlier
 * one; a later one, or none, only the requester may ask for.  Returns what is
 * left for the drafts; *narrowed tells whether an end was among it.
 */
Jsonb *
schedule_save(Request *req, Jsonb *edits, const char *actor, bool *narrowed)
{
	const char *key = "request." EXPIRES_AT;
	JsonbValue	v;
	JsonbValue *value = getKeyJsonValueFromContainer(&edits->root, key, strlen(key), &v);
	TimestampTz expires = NO_DATE;
	TimestampTz before = req->expires_at;

	*narrowed = false;
	if (value == NULL)
	{
		key = EXPIRES_AT;
		value = getKeyJsonValueFromContainer(&edits->root, key, strlen(key), &v);
		if (value == NULL || drafts_have_column(req, key))
			return edits;
	}
	if (value->type == jbvString)
		expires = expiry_date(date_from_text(pnstrdup(value->val.string.val, value->val.string.len), key), key);
	else if (value->type != jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be a timestamp or null", key)));
	if (!request_is_of(req, actor) && before != NO_DATE && (expires == NO_DATE || expires > before))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" may not put off the end of request " INT64_FORMAT, actor, req->id),
				 errdetail("It ends at %s.", date_text(before)),
				 errhint("Only its requester may ask for more; send it back with idflow.refine().")));
	req->expires_asked = expires;
	*narrowed = true;
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(edits),
											  CStringGetTextDatum(key)));
}

/*
 * schedule_fits: the expressions for a workflow's dates can be read over a
 * table; errors if not.
 */
void
schedule_fits(Workflow *wf, Oid relid, Oid deployer)
{
	static const char *const attributes[] = {"EffectiveDate", "ExpiryDate"};

	for (int i = 0; i < lengthof(attributes); i++)
	{
		const char *expression = element_value(wf->element, attributes[i]);

		if (expression)
			expression_check(expression, EXPRESSION_TEXT, relid, deployer,
							 psprintf("%s of workflow \"%s\"", attributes[i], wf->name));
	}
}
