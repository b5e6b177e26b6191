/*-------------------------------------------------------------------------
 *
 * viewer.c
 *	  Who sees which request.
 *
 * A request is seen by its requester and its subject, by whoever may act on
 * it and by whoever acted on it; that is idflow.visible(), which the policies
 * of the tables call.  A deputy sees those that he may act on: not where the
 * only way to a candidate leads through somebody whom four eyes keeps out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "deputy.h"
#include "idflow.h"
#include "reading.h"
#include "tenant.h"
#include "viewer.h"

PG_FUNCTION_INFO_V1(idflow_visible);

/*
 * viewer_arguments: who asks, as the six arguments of VIEWER_TYPES.
 */
void
viewer_arguments(Datum *values)
{
	bool		is_explicit;
	char	   *actor = actor_lookup(&is_explicit);

	values[0] = CStringGetTextDatum(actor);
	values[1] = text_array_datum(actor_places(actor, NIL));
	deputy_place_arrays(actor, &values[2], &values[3], &values[4]);
	values[5] = text_array_datum(tenants_of(actor));
}

/*
 * idflow.visible(): numbers of the requests that the actor may see by his
 * name; the rights of auditors and admins are policies of their own.
 */
Datum
idflow_visible(PG_FUNCTION_ARGS)
{
	static StorePlan plan = {
		"SELECT r.id FROM idflow.request r WHERE r.requester OPERATOR(pg_catalog.=) $2"
		" AND " IS_BOUND("r.requester", "r.requester_binding")
		" UNION SELECT r.id FROM idflow.request r WHERE r.subject OPERATOR(pg_catalog.=) $2"
		" AND " IS_BOUND("r.subject", "r.subject_binding") " AND " IN_TENANT("r")
		" UNION SELECT c.request FROM idflow.candidate c WHERE c.place OPERATOR(pg_catalog.=) ANY ($3) AND " KEY_IS_BOUND("c")
		" UNION SELECT c.request FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5)) d (place, workflow)"
		" JOIN idflow.candidate c ON c.place OPERATOR(pg_catalog.=) d.place AND " KEY_IS_BOUND("c")
		" JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) c.request"
		" AND r.task OPERATOR(pg_catalog.=) c.task"
		" AND (d.workflow IS NULL OR r.workflow OPERATOR(pg_catalog.=) d.workflow)"
		" WHERE " DEPUTY_MAY
		" UNION SELECT r.id FROM idflow.vote o JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) o.request"
		" WHERE o.principal OPERATOR(pg_catalog.=) ANY ($6) AND o.principal OPERATOR(pg_catalog.<>) $2 AND " DEPUTY_SETTLES
		" UNION SELECT v.request FROM idflow.vote v WHERE v.principal OPERATOR(pg_catalog.=) $2"
		" AND " IS_BOUND("v.principal", "v.binding") " AND " ACTED_IN_TENANT("v")
		" UNION SELECT p.request FROM idflow.participant p WHERE p.principal OPERATOR(pg_catalog.=) $2"
		" AND " IS_BOUND("p.principal", "p.binding") " AND " ACTED_IN_TENANT("p"),
		7, {INT8OID, VIEWER_TYPES}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[7] = {Int64GetDatum(0)};
	UserSwitch	save;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	viewer_arguments(&values[1]);

	store_begin(&save);
	(void) store_exec(&plan, values, NULL, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		id = spi_datum(SPI_tuptable->vals[i], 1, &isnull);

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &id, &isnull);
	}
	store_end(&save);
	return (Datum) 0;
}

/*
 * viewer_by_flags: the viewer that the flags make at a column and the next
 * four.
 */
Viewer
viewer_by_flags(HeapTuple row, int column)
{
	bool		isnull;
	bool		own = DatumGetBool(spi_datum(row, column, &isnull));
	bool		acted = DatumGetBool(spi_datum(row, column + 1, &isnull));
	bool		decides = DatumGetBool(spi_datum(row, column + 2, &isnull));
	bool		acts = DatumGetBool(spi_datum(row, column + 3, &isnull));
	bool		for_requester = DatumGetBool(spi_datum(row, column + 4, &isnull));

	if (decides || (!own && (acts || acted)))
		return VIEWER_ALL;
	return own || for_requester ? VIEWER_OWN : VIEWER_NONE;
}

/*
 * viewer_of: how much the one who asks may see of a request.
 *
 * A comment keeps the request in sight and gives no right to its images.  The
 * current role counts for the rights of a role, as in any statement; the
 * actor for those of a person.  A requester to whom his own request was given
 * back is a candidate of it, and still sees it as the requester.
 */
Viewer
viewer_of(int64 request)
{
	static StorePlan plan = {
		"SELECT " VIEWER_FLAGS " FROM idflow.request r WHERE r.id OPERATOR(pg_catalog.=) $1",
		7, {INT8OID, VIEWER_TYPES}
	};
	Datum		values[7] = {Int64GetDatum(request)};
	UserSwitch	save;
	Viewer		viewer = VIEWER_NONE;

	if (role_is_auditor(GetUserId()))
		return VIEWER_ALL;
	viewer_arguments(&values[1]);
	store_begin(&save);
	if (store_exec(&plan, values, NULL, true) > 0)
		viewer = viewer_by_flags(SPI_tuptable->vals[0], 1);
	store_end(&save);
	return viewer;
}
