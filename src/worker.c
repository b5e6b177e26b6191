/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  Background workers: one for each database of idflow.databases, which
 *	  calls idflow.run_due() there.
 *
 * It is a client like any other: it connects as idflow.worker_role, and what
 * it does is done with that role's rights, in small transactions.  Where the
 * library is not preloaded by the server there is none, and something else
 * has to call idflow.run_due().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "idflow.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(idflow_workers);

PGDLLEXPORT void idflow_worker_main(Datum main_arg);

#define MAX_WORKERS		64

/* What one transaction of the worker does at most, so that its locks are short. */
#define WORKER_BATCH	20

#define WORKER_COLUMNS	7

/* What a worker tells of itself. */
typedef struct WorkerState
{
	slock_t		mutex;
	char		database[NAMEDATALEN];	/* written at server start only */
	int			pid;			/* 0: not running */
	TimestampTz started_at;
	TimestampTz last_run;
	int64		done;
	int64		errors;
	char		last_error[256];
} WorkerState;

static char *setting_databases;
static char *setting_worker_role;
static int	setting_poll_interval;

/* in shared memory; NULL where the server has not preloaded the library */
static WorkerState *states = NULL;
static WorkerState *my_state = NULL;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
worker_shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(MAX_WORKERS * sizeof(WorkerState));
}

static void
worker_shmem_startup(void)
{
	List	   *names = NIL;
	ListCell   *lc;
	bool		found;
	int			n = 0;

	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	states = ShmemInitStruct("idflow workers", MAX_WORKERS * sizeof(WorkerState), &found);
	if (!found)
	{
		memset(states, 0, MAX_WORKERS * sizeof(WorkerState));
		(void) SplitIdentifierString(pstrdup(setting_databases), ',', &names);
		foreach(lc, names)
			if (n < MAX_WORKERS)
				strlcpy(states[n++].database, lfirst(lc), NAMEDATALEN);
		for (int i = 0; i < MAX_WORKERS; i++)
			SpinLockInit(&states[i].mutex);
	}
	LWLockRelease(AddinShmemInitLock);
}

static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names = NIL;
	bool		valid = SplitIdentifierString(copy, ',', &names);

	if (!valid)
		GUC_check_errdetail("It is not a list of names.");
	else if (list_length(names) > MAX_WORKERS)
	{
		GUC_check_errdetail("At most %d databases can have a worker.", MAX_WORKERS);
		valid = false;
	}
	list_free(names);
	pfree(copy);
	return valid;
}

/*
 * worker_init: declare the settings, and, where the server is starting,
 * register the workers.  Called by _PG_init.
 */
void
worker_init(void)
{
	BackgroundWorker worker = {0};
	List	   *names = NIL;
	ListCell   *lc;
	int			n = 0;

	DefineCustomStringVariable("idflow.databases",
							   "Databases in which a background worker does what is due.",
							   "A comma-separated list of names, read when the server starts.",
							   &setting_databases, "",
							   PGC_SIGHUP, GUC_LIST_INPUT, check_databases, NULL, NULL);
	DefineCustomStringVariable("idflow.worker_role",
							   "Role as which the background workers connect.",
							   "A member of idflow_admin with LOGIN; without it no worker is started.",
							   &setting_worker_role, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("idflow.poll_interval",
							"Sets how often the background workers look for what is due.",
							"They look earlier where they know that something falls due.",
							&setting_poll_interval, 5000, 10, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	if (!process_shared_preload_libraries_in_progress)
		return;

	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = worker_shmem_request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = worker_shmem_startup;

	if (setting_databases[0] == '\0')
		return;
	if (setting_worker_role[0] == '\0')
	{
		ereport(LOG,
				(errmsg("idflow starts no worker, because \"%s\" is not set", "idflow.worker_role"),
				 errhint("Set it to a role that is a member of idflow_admin and may log in.")));
		return;
	}
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 10;
	strlcpy(worker.bgw_library_name, "idflow", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "idflow_worker_main", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "idflow worker", BGW_MAXLEN);
	(void) SplitIdentifierString(pstrdup(setting_databases), ',', &names);
	foreach(lc, names)
	{
		snprintf(worker.bgw_name, BGW_MAXLEN, "idflow worker for %s", (char *) lfirst(lc));
		worker.bgw_main_arg = Int32GetDatum(n++);
		RegisterBackgroundWorker(&worker);
	}
}

/* on_shmem_exit callback */
static void
worker_gone(int code, Datum arg)
{
	SpinLockAcquire(&my_state->mutex);
	my_state->pid = 0;
	SpinLockRelease(&my_state->mutex);
}

static void
note_run(int done)
{
	SpinLockAcquire(&my_state->mutex);
	my_state->last_run = GetCurrentTimestamp();
	my_state->done += done;
	SpinLockRelease(&my_state->mutex);
}

static void
note_error(const char *message)
{
	SpinLockAcquire(&my_state->mutex);
	my_state->errors++;
	strlcpy(my_state->last_error, message, sizeof(my_state->last_error));
	SpinLockRelease(&my_state->mutex);
}

/*
 * Do a batch of what is due, in a transaction.  Returns for how many
 * milliseconds there is nothing to do then; 0: there may be more at once.
 */
static long
work(void)
{
	long		wait = setting_poll_interval;
	int			done = 0;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	/* where the extension isn't, or not yet, there is nothing to do */
	if (OidIsValid(get_extension_oid("idflow", true)))
	{
		bool		isnull;

		pgstat_report_activity(STATE_RUNNING, "SELECT idflow.run_due()");
		if (SPI_execute(psprintf("SELECT idflow.run_due(%d)", WORKER_BATCH), false, 0) != SPI_OK_SELECT)
			elog(ERROR, "idflow.run_due() failed");
		done = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		if (SPI_execute("SELECT pg_catalog.min(due_at) FROM idflow.timer"
						" WHERE set_aside_at IS NULL AND due_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()",
						false, 0) != SPI_OK_SELECT)
			elog(ERROR, "idflow.timer could not be read");
		if (done > 0)
			wait = 0;
		else
		{
			Datum		due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

			/* what is due now and could not be had is looked for again after the interval */
			if (!isnull)
				wait = Min(wait, TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
																 DatumGetTimestampTz(due)) + 1);
		}
	}
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	note_run(done);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return wait;
}

/*
 * idflow_worker_main: the worker's main function; its argument says which of
 * idflow.databases is its own.
 */
void
idflow_worker_main(Datum main_arg)
{
	MemoryContext cxt;

	my_state = &states[DatumGetInt32(main_arg)];
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	SpinLockAcquire(&my_state->mutex);
	my_state->pid = MyProcPid;
	my_state->started_at = GetCurrentTimestamp();
	SpinLockRelease(&my_state->mutex);
	on_shmem_exit(worker_gone, (Datum) 0);

	BackgroundWorkerInitializeConnection(my_state->database, setting_worker_role, 0);
	pgstat_report_appname("idflow worker");
	cxt = AllocSetContextCreate(TopMemoryContext, "idflow worker", ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		volatile long wait = setting_poll_interval;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextSwitchTo(cxt);
		MemoryContextReset(cxt);
		PG_TRY();
		{
			wait = work();
		}
		PG_CATCH();
		{
			ErrorData  *error;

			/* go on after the interval, as a session goes on after an error */
			HOLD_INTERRUPTS();
			MemoryContextSwitchTo(cxt);
			error = CopyErrorData();
			EmitErrorReport();
			AbortCurrentTransaction();
			FlushErrorState();
			note_error(error->message);
			pgstat_report_activity(STATE_IDLE, NULL);
			RESUME_INTERRUPTS();
		}
		PG_END_TRY();
		if (wait > 0)
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait,
							 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/*
 * idflow.workers(): the rows of idflow.worker.  None where the server has not
 * preloaded the library.
 */
Datum
idflow_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; states && i < MAX_WORKERS; i++)
	{
		WorkerState state;
		Datum		values[WORKER_COLUMNS];
		bool		nulls[WORKER_COLUMNS] = {false};

		if (states[i].database[0] == '\0')
			continue;
		SpinLockAcquire(&states[i].mutex);
		memcpy(&state, &states[i], sizeof(WorkerState));
		SpinLockRelease(&states[i].mutex);
		values[0] = CStringGetTextDatum(state.database);
		values[1] = Int32GetDatum(state.pid);
		nulls[1] = state.pid == 0;
		values[2] = TimestampTzGetDatum(state.started_at);
		nulls[2] = state.started_at == 0;
		values[3] = TimestampTzGetDatum(state.last_run);
		nulls[3] = state.last_run == 0;
		values[4] = Int64GetDatum(state.done);
		values[5] = Int64GetDatum(state.errors);
		values[6] = CStringGetTextDatum(state.last_error);
		nulls[6] = state.last_error[0] == '\0';
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
