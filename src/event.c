/*-------------------------------------------------------------------------
 *
 * event.c
 *	  The history of requests.
 *
 * Events are collected with the request and inserted when it is written; none
 * is ever updated or deleted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "heapstore.h"
#include "idflow.h"

/* Columns of idflow.event. */
enum
{
	EV_REQUEST = 1,
	EV_SEQ,
	EV_AT,
	EV_ACTOR,
	EV_ON_BEHALF_OF,
	EV_VIA,
	EV_ACTIVITY,
	EV_TRANSITION,
	EV_FROM_STATE,
	EV_TO_STATE,
	EV_COMMENT,
	EV_DATA
};

static StoreTable event_table = {"event"};

/*
 * request_event: add an event to those that request_write() stores.  The
 * strings are not copied.  Returns it, so that the caller can fill in more.
 */
Event *
request_event(Request *req, const char *actor, const char *via,
			  const char *transition, const char *comment)
{
	Event	   *event = palloc0(sizeof(Event));
	Activity   *activity = request_activity(req);

	event->actor = actor;
	if (actor == req->acting)
		event->on_behalf_of = req->acting_for;
	event->via = via;
	event->activity = activity ? activity->name : NULL;
	event->transition = transition;
	event->comment = comment && comment[0] ? comment : NULL;
	req->events = lappend(req->events, event);
	return event;
}

static void
event_row(Request *req, Event *event, StoreRow *row)
{
	row_clear(row);
	row_set(row, EV_REQUEST, Int64GetDatum(req->id));
	row_set(row, EV_SEQ, Int32GetDatum(++req->nevents));
	row_set(row, EV_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	row_set_text(row, EV_ACTOR, event->actor);
	row_set_text(row, EV_ON_BEHALF_OF, event->on_behalf_of);
	row_set_text(row, EV_VIA, event->via);
	row_set_text(row, EV_ACTIVITY, event->activity);
	row_set_text(row, EV_TRANSITION, event->transition);
	row_set_text(row, EV_FROM_STATE, event->from_state);
	row_set_text(row, EV_TO_STATE, event->to_state);
	row_set_text(row, EV_COMMENT, event->comment);
	if (event->data)
		row_set(row, EV_DATA, JsonbPGetDatum(event->data));
}

/*
 * events_write: store the events that a request has got since it was last
 * written.
 */
void
events_write(Request *req)
{
	int			n = list_length(req->events);
	StoreRow   *rows;

	if (n == 0)
		return;
	rows = palloc(n * sizeof(StoreRow));
	for (int i = 0; i < n; i++)
		event_row(req, list_nth(req->events, i), &rows[i]);
	if (n == 1)
		store_insert(&event_table, rows);
	else
		store_insert_all(&event_table, rows, n);
	pfree(rows);
	req->events = NIL;
}
