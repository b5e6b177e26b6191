/*-------------------------------------------------------------------------
 *
 * drop.c
 *	  Requests end with the table that they would have been written to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "decide.h"
#include "idflow.h"
#include "reading.h"
#include "session.h"

PG_FUNCTION_INFO_V1(idflow_guard_open_requests);
PG_FUNCTION_INFO_V1(idflow_guard_end_requests);

int			setting_on_drop = ON_DROP_AUTO;

/* Open requests with a change to a table that is not yet written. */
static StorePlan open_requests = {
	"SELECT r.id FROM idflow.request r"
	" WHERE r.state OPERATOR(pg_catalog.=) ANY ('{draft,open,scheduled,conflict,failed}') AND NOT r.persisted"
	" AND EXISTS (SELECT FROM ONLY idflow.change_data c"
	" WHERE c.request OPERATOR(pg_catalog.=) r.id AND c.superseded IS NULL"
	" AND c.target::pg_catalog.oid OPERATOR(pg_catalog.=) $1)"
	" ORDER BY r.id",
	1, {OIDOID}
};

static void
end_request(int64 id, const char *table, const char *actor)
{
	Request    *req;
	Event	   *event;

	/*
	 * Whoever decides has locked the request and may wait for the table, which
	 * the command has locked: so nobody waits for the request here.
	 */
	if (!request_try_lock(id))
		ereport(ERROR,
				(errcode(ERRCODE_WF_OPEN_REQUESTS),
				 errmsg("cannot drop table %s because request " INT64_FORMAT " is being decided", table, id),
				 errhint("Try again in a new transaction.")));
	req = load_request(id);
	if (request_is_closed(req))
		return;
	req->acting = actor;
	req->acting_via = role_is_admin(GetUserId()) ? "idflow_admin" : "owner";

	/* nothing that hangs on a state runs: it would ask for the table's rows */
	event = request_event(req, req->acting, req->acting_via, "Terminate",
						  psprintf("table %s was dropped", table));
	event->from_state = request_full_state(req);
	task_close(req, "Terminated", NULL);
	if (collecting_request() == id)
		collect_into(0);
	request_close(req, "terminated");
	request_write(req);
}

/*
 * idflow.guard_open_requests(relation oid) RETURNS bigint: how many open
 * requests there are on a table, whatever the transaction's snapshot shows.
 */
Datum
idflow_guard_open_requests(PG_FUNCTION_ARGS)
{
	Datum		values[1] = {ObjectIdGetDatum(PG_GETARG_OID(0))};
	UserSwitch	save;
	int			n;

	store_begin(&save);
	n = store_exec_latest(&open_requests, values);
	store_end(&save);
	PG_RETURN_INT64(n);
}

/*
 * idflow.guard_end_requests(relation oid, name text) RETURNS bigint: end the
 * open requests on a table that is gone.  Anybody may: they can't be applied.
 */
Datum
idflow_guard_end_requests(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = CurrentMemoryContext;
	Oid			relid = PG_GETARG_OID(0);
	char	   *table = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Datum		values[1] = {ObjectIdGetDatum(relid)};
	bool		is_explicit;
	char	   *actor;
	UserSwitch	save;
	int64	   *ids;
	int			n;

	if (get_rel_relkind(relid) != '\0')
		PG_RETURN_INT64(0);

	/* DDL needs no actor, so it is no error where idflow.require_actor wants one */
	actor = actor_lookup(&is_explicit);

	/* the table was locked: nobody has drafted since, but an old snapshot may not show all */
	store_begin(&save);
	n = store_exec_latest(&open_requests, values);
	ids = MemoryContextAlloc(cxt, Max(n, 1) * sizeof(int64));
	for (int i = 0; i < n; i++)
		ids[i] = spi_int64(SPI_tuptable->vals[i], 1);
	store_end(&save);
	for (int i = 0; i < n; i++)
		end_request(ids[i], table, actor);
	PG_RETURN_INT64(n);
}
