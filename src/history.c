/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Events and changes of closed requests, put away by the month.
 *
 * idflow.move_history() moves them from idflow.event and idflow.change_data
 * into a pair of tables for the month in which the request was closed, which
 * inherit from these, so that every report goes on showing them, under the
 * same policies.  What is about open requests says ONLY.  A month is dropped as
 * two tables, with no look at its rows but at the first and the last event.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "heapstore.h"
#include "history.h"
#include "idflow.h"

PG_FUNCTION_INFO_V1(idflow_history_move);

static bool moving = false;

/*
 * history_moves: are events being moved?  Nobody deletes them otherwise.
 */
bool
history_moves(void)
{
	return moving;
}

/*
 * history_rows: the changes of a request, wherever they are, as store_scan()
 * gives them.
 */
List *
history_rows(int64 request)
{
	static StorePlan plan = {
		"SELECT * FROM idflow.change_data WHERE request OPERATOR(pg_catalog.=) $1 ORDER BY seq",
		1, {INT8OID}
	};
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(request)};
	UserSwitch	save;
	List	   *result = NIL;
	uint64		n;

	store_begin(&save);
	n = store_exec(&plan, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		result = lappend(result, row_of_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return result;
}

/* Move the rows of requests from one of idflow's tables into one that inherits from it. */
static uint64
move_rows(const char *from, Oid into, Datum requests)
{
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {requests};
	StringInfoData sql;

	if (!has_superclass(into))
		elog(ERROR, "\"%s\" is no table of history", get_rel_name(into));
	initStringInfo(&sql);
	appendStringInfo(&sql, "WITH gone AS (DELETE FROM ONLY idflow.%s WHERE request OPERATOR(pg_catalog.=) ANY ($1) RETURNING *)"
					 " INSERT INTO %s SELECT * FROM gone", from,
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(into)), get_rel_name(into)));
	if (SPI_execute_with_args(sql.data, 1, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not move rows of idflow.%s", from);
	return SPI_processed;
}

/*
 * idflow.history_move(requests, events, changes): the number of events that
 * have moved.
 */
Datum
idflow_history_move(PG_FUNCTION_ARGS)
{
	UserSwitch	save;
	uint64		events = 0;

	store_begin(&save);
	moving = true;
	PG_TRY();
	{
		(void) move_rows("change_data", PG_GETARG_OID(2), PG_GETARG_DATUM(0));
		events = move_rows("event", PG_GETARG_OID(1), PG_GETARG_DATUM(0));
	}
	PG_FINALLY();
	{
		moving = false;
	}
	PG_END_TRY();
	store_end(&save);
	PG_RETURN_INT64((int64) events);
}
