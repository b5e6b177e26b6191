/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  idflow.progress: how far applies of many changes have come.
 *
 * It is told where PostgreSQL tells of its own long commands, in the backend's
 * entry of pg_stat_activity's memory, under a command number that those don't
 * have.  So it needs no shared memory of ours, is there for all sessions at once,
 * and costs a few stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"

#include "compat.h"
#include "progress.h"
#include "viewer.h"

PG_FUNCTION_INFO_V1(idflow_progress);

/* The views of PostgreSQL's own commands leave this one out. */
#define COMMAND_APPLY	((ProgressCommandType) 0x1DF1)

/* Parameters of the command. */
enum
{
	PARAM_REQUEST,
	PARAM_PHASE,
	PARAM_TARGET,
	PARAM_TOTAL,
	PARAM_DONE,
	NPARAMS
};

/* phases */
#define PHASE_WRITING	1
#define PHASE_SETTLING	2

/* What this session has told; no request: nothing. */
static int64 told[NPARAMS];

/* Tell it.  The end of a trigger's subtransaction has it forgotten, as of any command. */
static void
tell(void)
{
	const int	params[NPARAMS] = {PARAM_REQUEST, PARAM_PHASE, PARAM_TARGET, PARAM_TOTAL, PARAM_DONE};

	if (told[PARAM_REQUEST] == 0 || MyBEEntry == NULL)
		return;
	if (MyBEEntry->st_progress_command != COMMAND_APPLY)
	{
		/* a command of PostgreSQL's own comes first */
		if (MyBEEntry->st_progress_command != PROGRESS_COMMAND_INVALID)
			return;
		pgstat_progress_start_command(COMMAND_APPLY, InvalidOid);
	}
	pgstat_progress_update_multi_param(NPARAMS, params, told);
}

/*
 * progress_begin: the changes of a request, as request_stored() has them, are
 * going to be written.
 */
void
progress_begin(Request *req, List *changes)
{
	ListCell   *lc;

	memset(told, 0, sizeof(told));
	told[PARAM_REQUEST] = req->id;
	told[PARAM_PHASE] = PHASE_WRITING;
	foreach(lc, changes)
		told[PARAM_TOTAL] += Max(((Change *) lfirst(lc))->count, 1);
}

/* progress_change: a change, or a pack, is going to be written. */
void
progress_change(Change *change)
{
	told[PARAM_TARGET] = change->target;
	tell();
	told[PARAM_DONE] += Max(change->count, 1);
}

/* progress_settling: all are written, and constraints are checked that were deferred. */
void
progress_settling(void)
{
	told[PARAM_PHASE] = PHASE_SETTLING;
	told[PARAM_TARGET] = InvalidOid;
	tell();
}

/* progress_end: that is done, too.  After an error the transaction's end tells so. */
void
progress_end(void)
{
	told[PARAM_REQUEST] = 0;
	if (MyBEEntry && MyBEEntry->st_progress_command == COMMAND_APPLY)
		pgstat_progress_end_command();
}

/* idflow.progress_rows(): of this database, and of requests that one may see */
Datum
idflow_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n = pgstat_fetch_stat_numbackends();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = backend_status(i);
		PgBackendStatus *entry;
		int64		told_there[NPARAMS];
		int			pid;
		Datum		values[6];
		bool		nulls[6] = {false};

		if (local == NULL)
			continue;
		entry = &local->backendStatus;
		if (entry->st_databaseid != MyDatabaseId || entry->st_progress_command != COMMAND_APPLY)
			continue;
		/* whoever names the actor may have the copy made anew */
		pid = entry->st_procpid;
		memcpy(told_there, entry->st_progress_param, sizeof(told_there));
		if (viewer_of(told_there[PARAM_REQUEST]) == VIEWER_NONE)
			continue;
		values[0] = Int32GetDatum(pid);
		values[1] = Int64GetDatum(told_there[PARAM_REQUEST]);
		values[2] = CStringGetTextDatum(told_there[PARAM_PHASE] == PHASE_WRITING ?
										"writing rows" : "checking deferred constraints");
		values[3] = ObjectIdGetDatum((Oid) told_there[PARAM_TARGET]);
		nulls[3] = told_there[PARAM_TARGET] == InvalidOid;
		values[4] = Int64GetDatum(told_there[PARAM_TOTAL]);
		values[5] = Int64GetDatum(told_there[PARAM_DONE]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
