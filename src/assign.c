/*-------------------------------------------------------------------------
 *
 * assign.c
 *	  The admins' say in whom tasks ask: add_candidate, reassign, move_tasks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "decide.h"
#include "idflow.h"
#include "task.h"
#include "tenant.h"

PG_FUNCTION_INFO_V1(idflow_add_candidate);
PG_FUNCTION_INFO_V1(idflow_reassign);
PG_FUNCTION_INFO_V1(idflow_move_tasks);

/* What the history says of somebody who was added to the open task. */
static Jsonb *
added_data(Request *req, const char *principal, const char *moved_from)
{
	int64		binding = request_binding(req, principal);
	StringInfoData data;

	initStringInfo(&data);
	appendStringInfo(&data, "{\"task\": " INT64_FORMAT, req->task);
	json_pair(&data, "principal", principal);
	if (binding)
		appendStringInfo(&data, ", \"binding\": " INT64_FORMAT, binding);
	if (moved_from)
		json_pair(&data, "moved_from", moved_from);
	appendStringInfoChar(&data, '}');
	return json_from_text(data.data);
}

/*
 * idflow_add_candidate: somebody more may act on an open task; idflow_admin.
 */
Datum
idflow_add_candidate(PG_FUNCTION_ARGS)
{
	int64		task = int64_argument(fcinfo, 0, "task");
	char	   *principal = text_argument(fcinfo, 1);
	const char *actor = actor_name();
	Request    *req;
	Event	   *event;

	if (principal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "principal")));
	req = load_task(task);
	require_tenant(req, principal);
	task_add_candidate(req, principal);
	event = request_event(req, actor, "idflow_admin", "AddCandidate", NULL);
	event->data = added_data(req, principal, NULL);
	return request_done(req);
}

/*
 * idflow_reassign: find anew whom an open task asks; idflow_admin.
 */
Datum
idflow_reassign(PG_FUNCTION_ARGS)
{
	int64		task = int64_argument(fcinfo, 0, "task");
	const char *actor = actor_name();
	Request    *req = load_task(task);

	req->acting = actor;
	req->acting_via = "idflow_admin";
	request_event(req, actor, "idflow_admin", "Reassign", NULL);
	task_candidates_again(req);
	return request_done(req);
}

/*
 * idflow_move_tasks: somebody left: the open tasks that name him, and the items
 * of access reviews, go to somebody else.  In the order of the requests, as every
 * call on many.
 */
Datum
idflow_move_tasks(PG_FUNCTION_ARGS)
{
	static StorePlan select_tasks = {
		"SELECT c.request, c.task FROM idflow.candidate c WHERE c.key OPERATOR(pg_catalog.=) $1"
		" AND c.task OPERATOR(pg_catalog.>) 0 ORDER BY c.request",
		1, {TEXTOID}
	};
	static StorePlan move_candidate = {
		"WITH gone AS (DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1"
		" AND key OPERATOR(pg_catalog.=) $2 RETURNING task, request, source)"
		" INSERT INTO idflow.candidate AS c (task, request, key, source, binding, tenant) SELECT task, request, $3,"
		" CASE source WHEN 'Actor' THEN 'Added' ELSE source END, $4, $5 FROM gone"
		" ON CONFLICT (task, key) DO UPDATE SET source = excluded.source, binding = excluded.binding"
		" WHERE NOT " KEY_IS_BOUND("c"),
		5, {INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTOID}
	};
	static StorePlan unclaim = {
		"UPDATE idflow.task SET claimed_by = NULL, claimed_at = NULL, claimed_binding = NULL"
		" WHERE id OPERATOR(pg_catalog.=) $1 AND claimed_by OPERATOR(pg_catalog.=) $2",
		2, {INT8OID, TEXTOID}
	};
	static StorePlan move_items = {
		"SELECT idflow.campaign_move($1, $2, $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	char	   *from = text_argument(fcinfo, 0);
	char	   *to = text_argument(fcinfo, 1);
	char	   *reason = text_argument(fcinfo, 2);
	const char *actor = actor_name();
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[5];
	char		nulls[6] = "     ";
	UserSwitch	save;
	int64	   *requests;
	int64	   *tasks;
	int			n;
	int			moved = 0;

	if (from == NULL || to == NULL || reason == NULL || strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("moving tasks needs whose, whose they become, and a reason")));
	if (strcmp(from, to) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tasks must move to another person")));
	values[0] = CStringGetTextDatum(psprintf(KEY_PRINCIPAL "%s", from));
	store_begin(&save);
	n = store_exec(&select_tasks, values, NULL, false);
	requests = MemoryContextAlloc(cxt, Max(n, 1) * sizeof(int64));
	tasks = MemoryContextAlloc(cxt, Max(n, 1) * sizeof(int64));
	for (int i = 0; i < n; i++)
	{
		requests[i] = spi_int64(SPI_tuptable->vals[i], 1);
		tasks[i] = spi_int64(SPI_tuptable->vals[i], 2);
	}
	store_end(&save);

	for (int i = 0; i < n; i++)
	{
		Request    *req = request_load(requests[i]);
		Event	   *event;

		if (req == NULL || req->task != tasks[i])
			continue;
		refuse_applying(req);
		if (req->four_eyes && request_activity(req)->template->is_review &&
			(strcmp(to, req->requester) == 0 || strings_contain(req->editors, to) ||
			 (req->subject && strcmp(to, req->subject) == 0)))
		{
			ereport(WARNING,
					(errmsg("task " INT64_FORMAT " stays with \"%s\"", tasks[i], from),
					 errdetail("Four eyes keeps \"%s\" from request " INT64_FORMAT ".", to, req->id)));
			continue;
		}
		if (!tenant_admits(req->tenant, to))
		{
			ereport(WARNING,
					(errmsg("task " INT64_FORMAT " stays with \"%s\"", tasks[i], from),
					 errdetail("\"%s\" is not of the tenant of request " INT64_FORMAT ".", to, req->id)));
			continue;
		}
		values[0] = Int64GetDatum(tasks[i]);
		store_begin(&save);
		values[1] = CStringGetTextDatum(from);
		store_exec(&unclaim, values, NULL, false);
		values[1] = CStringGetTextDatum(psprintf(KEY_PRINCIPAL "%s", from));
		values[2] = CStringGetTextDatum(psprintf(KEY_PRINCIPAL "%s", to));
		values[3] = binding_datum(request_binding(req, to), &nulls[3]);
		values[4] = text_datum(req->tenant, &nulls[4]);
		store_exec(&move_candidate, values, nulls, false);
		store_end(&save);
		event = request_event(req, actor, "idflow_admin", "AddCandidate", reason);
		event->data = added_data(req, to, from);
		request_write(req);
		moved++;
	}

	values[0] = CStringGetTextDatum(from);
	values[1] = CStringGetTextDatum(to);
	values[2] = CStringGetTextDatum(reason);
	store_begin(&save);
	store_exec(&move_items, values, NULL, false);
	moved += spi_int32(SPI_tuptable->vals[0], 1);
	store_end(&save);
	PG_RETURN_INT32(moved);
}
