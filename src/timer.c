/*-------------------------------------------------------------------------
 *
 * timer.c
 *	  Timers: setting and dropping what is to happen at a time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "timer.h"

/*
 * timer_add: something of a kind is due at a time; request and task 0: it
 * belongs to none.
 */
void
timer_add(const char *kind, int64 request, int64 task, const char *name,
		  TimestampTz due_at, Jsonb *data)
{
	static StorePlan plan = {
		"INSERT INTO idflow.timer (kind, request, task, name, due_at, data)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		6, {TEXTOID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, JSONBOID}
	};
	Datum		values[6];
	char		nulls[7] = "      ";
	UserSwitch	save;

	values[0] = CStringGetTextDatum(kind);
	values[1] = Int64GetDatum(request);
	nulls[1] = request ? ' ' : 'n';
	values[2] = Int64GetDatum(task);
	nulls[2] = task ? ' ' : 'n';
	values[3] = text_datum(name, &nulls[3]);
	values[4] = TimestampTzGetDatum(due_at);
	values[5] = data ? JsonbPGetDatum(data) : (Datum) 0;
	nulls[5] = data ? ' ' : 'n';
	store_begin(&save);
	store_exec(&plan, values, nulls, false);
	store_end(&save);
}

/*
 * timers_drop: nothing more of a request's is due; task 0: of all its tasks and
 * of itself, kind NULL: of any kind.  The caller has locked the request.
 */
void
timers_drop(int64 request, int64 task, const char *kind)
{
	static StorePlan plan = {
		"DELETE FROM idflow.timer WHERE request OPERATOR(pg_catalog.=) $1"
		" AND ($2 OPERATOR(pg_catalog.=) 0 OR task OPERATOR(pg_catalog.=) $2)"
		" AND ($3 IS NULL OR kind OPERATOR(pg_catalog.=) $3)",
		3, {INT8OID, INT8OID, TEXTOID}
	};
	Datum		values[3];
	char		nulls[4] = "   ";
	UserSwitch	save;

	values[0] = Int64GetDatum(request);
	values[1] = Int64GetDatum(task);
	values[2] = text_datum(kind, &nulls[2]);
	store_begin(&save);
	store_exec(&plan, values, nulls, false);
	store_end(&save);
}
