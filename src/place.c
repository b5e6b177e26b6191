/*-------------------------------------------------------------------------
 *
 * place.c
 *	  Places that a request has been at: activities of workflow versions.
 *
 * A request remembers the reviews that it went through, because it may have to
 * go back to the last of them, and the Persists that left the writing to a
 * later one, because what hangs on their exit runs when the rows are written.
 * In its row they are numbers in pairs: the version, the activity's position.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "idflow.h"

/*
 * places_add: a place is come to, last of all; those come to again move.
 * Returns the list.
 */
List *
places_add(List *places, int64 workflow, int position)
{
	Place	   *place;
	ListCell   *lc;

	foreach(lc, places)
	{
		Place	   *other = (Place *) lfirst(lc);

		if (other->workflow == workflow && other->position == position)
			places = foreach_delete_current(places, lc);
	}
	place = (Place *) palloc(sizeof(Place));
	place->workflow = workflow;
	place->position = position;
	return lappend(places, place);
}

/*
 * places_datum: places as bigint[].
 */
Datum
places_datum(List *places)
{
	Datum	   *values = (Datum *) palloc(2 * list_length(places) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, places)
	{
		Place	   *place = (Place *) lfirst(lc);

		values[n++] = Int64GetDatum(place->workflow);
		values[n++] = Int64GetDatum(place->position);
	}
	return PointerGetDatum(construct_array(values, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * places_list: the places of a bigint[].
 */
List *
places_list(Datum array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *places = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &n);
	for (int i = 0; i + 1 < n; i += 2)
		places = places_add(places, DatumGetInt64(values[i]), (int) DatumGetInt64(values[i + 1]));
	return places;
}
