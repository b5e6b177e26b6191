/*-------------------------------------------------------------------------
 *
 * calendar.c
 *	  Durations from a moment on: of the clock, or of a calendar's working
 *	  hours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "start.h"
#include "timeout.h"

static StorePlan working_time = {
	"SELECT idflow.working_time($1, $2, $3)",
	3, {TIMESTAMPTZOID, INTERVALOID, TEXTOID}
};

/*
 * time_after: the moment that is so much later, as intervals count; with a
 * calendar only its working hours count.  Errors if there is no calendar of
 * that name, or no working time in it.
 */
TimestampTz
time_after(TimestampTz since, const char *duration, const char *calendar)
{
	Datum		values[3];
	UserSwitch	save;
	bool		isnull;
	TimestampTz result;

	values[0] = TimestampTzGetDatum(since);
	values[1] = IntervalPGetDatum(start_interval(duration));
	if (calendar == NULL)
		return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, values[0], values[1]));
	values[2] = CStringGetTextDatum(calendar);
	store_begin(&save);
	store_exec(&working_time, values, NULL, false);
	result = DatumGetTimestampTz(spi_datum(SPI_tuptable->vals[0], 1, &isnull));
	store_end(&save);
	return result;
}
