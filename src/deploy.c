/*-------------------------------------------------------------------------
 *
 * deploy.c
 *		Definitions in SQL: deploy, validate, export.
 *
 * A version of a workflow is immutable.  Deploying what the newest version
 * already says gives that version back, so that deploy can be run as often as
 * one likes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/xml.h"

#include "attach.h"
#include "definition.h"
#include "deploy.h"
#include "idflow.h"
#include "propose.h"
#include "start.h"

PG_FUNCTION_INFO_V1(idflow_deploy);
PG_FUNCTION_INFO_V1(idflow_validate);
PG_FUNCTION_INFO_V1(idflow_export);
PG_FUNCTION_INFO_V1(idflow_table_changed);

static void report_messages(Definition *def);
static void deploy_workflow(WorkflowDefinition *workflow, const char *deployer,
							ReturnSetInfo *rsinfo);
static void check_attached(const char *name);
static void refuse_old_snapshot(const char *name);
static HeapTuple same_newest_version(WorkflowDefinition *workflow);

/* The value of an attribute that has no field of its own; NULL: not given. */
static const char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefinitionOption *option = (DefinitionOption *) lfirst(lc);

		if (strcmp(option->name, name) == 0)
			return option->value;
	}
	return NULL;
}

/*
 * Warn where a ContinueWith leads to a workflow, or an activity of one, that
 * is neither in the definition nor deployed.  It may come later: it is looked
 * up when it is come to.
 */
static void
check_called(Definition *def, ActivityDefinition *activity)
{
	ListCell   *lc;
	const char *called = option_value(activity->options, "ArgumentCalledWorkflow");
	char	   *name;
	char	   *colon;
	bool		found = false;
	bool		found_activity = false;

	if (called == NULL)
		return;
	name = pstrdup(called);
	colon = strchr(name, ':');
	if (colon)
		*colon = '\0';
	foreach(lc, def->workflows)
	{
		WorkflowDefinition *workflow = (WorkflowDefinition *) lfirst(lc);
		ListCell   *la;

		if (strcmp(workflow->name, name) != 0)
			continue;
		found = true;
		foreach(la, workflow->activities)
			found_activity |= colon != NULL &&
				strcmp(((ActivityDefinition *) lfirst(la))->name, colon + 1) == 0;
	}
	if (!found)
	{
		Workflow   *workflow = workflow_current(name, true);

		found = workflow != NULL;
		found_activity = found && colon && workflow_activity_named(workflow, colon + 1) != NULL;
	}
	if (!found)
		definition_warning(def, activity->line, "Activity",
						   "Deploy it before a request comes there.",
						   "activity \"%s\" goes on in workflow \"%s\", which does not exist",
						   activity->name, name);
	else if (colon && !found_activity)
		definition_warning(def, activity->line, "Activity",
						   "Name one of its activities.",
						   "activity \"%s\" goes on at activity \"%s\", which workflow \"%s\" does not have",
						   activity->name, colon + 1, name);
}

/* Warn where deadlines count by a calendar that is not there. */
static void
check_calendar(Definition *def, int line, const char *element, const char *name)
{
	static StorePlan plan = {
		"SELECT FROM idflow.calendar WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1];

	if (name == NULL)
		return;
	values[0] = CStringGetTextDatum(name);
	if (!store_finds(&plan, values, false))
		definition_warning(def, line, element,
						   "Insert it into idflow.calendar before a request comes there: without it the request fails.",
						   "calendar \"%s\" does not exist", name);
}

static void
check_calendars(Definition *def, ActivityDefinition *activity)
{
	ListCell   *lc;

	check_calendar(def, activity->line, "Activity", option_value(activity->options, "Calendar"));
	foreach(lc, activity->elements)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);

		if (strcmp(element->name, "Timeout") == 0)
			check_calendar(def, element->line, element->name, element_value(element, "Calendar"));
	}
}

/*
 * What deploy and validate begin with: the result is set up, and the
 * definition, which is the first argument, xml or text, is read in a memory
 * context of its own, which becomes the current one.
 */
static Definition *
read_argument(FunctionCallInfo fcinfo)
{
	text	   *definition;
	Definition *def;
	ListCell   *lc;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("definition must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	MemoryContextSwitchTo(AllocSetContextCreate(CurrentMemoryContext, "idflow definition",
												ALLOCSET_DEFAULT_SIZES));
	definition = PG_GETARG_TEXT_PP(0);
	def = definition_read(VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition));
	foreach(lc, def->workflows)
	{
		ListCell   *la;

		foreach(la, ((WorkflowDefinition *) lfirst(lc))->activities)
		{
			check_called(def, (ActivityDefinition *) lfirst(la));
			check_calendars(def, (ActivityDefinition *) lfirst(la));
		}
	}
	return def;
}

/*
 * idflow.deploy(definition xml) RETURNS SETOF idflow.workflow: make each
 * workflow of the definition a new version, unless its newest version says
 * the same already, and return the versions.
 */
Datum
idflow_deploy(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext oldcontext = CurrentMemoryContext;
	Definition *def = read_argument(fcinfo);
	char	   *deployer;
	UserSwitch	saved;
	ListCell   *lc;

	report_messages(def);

	PreventCommandDuringRecovery("idflow.deploy()");
	PreventCommandIfReadOnly("idflow.deploy()");

	deployer = GetUserNameFromId(GetUserId(), false);

	store_begin(&saved);

	/* versions of one name are numbered one after the other */
	if (SPI_execute("LOCK TABLE idflow.workflow IN SHARE ROW EXCLUSIVE MODE",
					false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not lock idflow.workflow");

	foreach(lc, def->authority)
		deploy_authority((DefinitionElement *) lfirst(lc), deployer);
	foreach(lc, def->workflows)
		deploy_workflow((WorkflowDefinition *) lfirst(lc), deployer, rsinfo);

	store_end(&saved);

	/* what is attached already goes on with what was deployed */
	CommandCounterIncrement();
	foreach(lc, def->workflows)
	{
		check_attached(((WorkflowDefinition *) lfirst(lc))->name);
		starts_deployed(((WorkflowDefinition *) lfirst(lc))->name);
	}

	MemoryContextDelete(MemoryContextSwitchTo(oldcontext));

	return (Datum) 0;
}

/*
 * idflow.validate(definition text) RETURNS TABLE (severity, line, element,
 * message, hint): what deploy would say; no row if all is well.
 */
Datum
idflow_validate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext oldcontext = CurrentMemoryContext;
	Definition *def = read_argument(fcinfo);
	ListCell   *lc;

	foreach(lc, def->messages)
	{
		DefinitionMessage *message = (DefinitionMessage *) lfirst(lc);
		Datum		values[5] = {0};
		bool		nulls[5] = {0};

		values[0] = CStringGetTextDatum(message->is_error ? "error" : "warning");
		if (message->line > 0)
			values[1] = Int32GetDatum(message->line);
		else
			nulls[1] = true;
		if (message->element)
			values[2] = CStringGetTextDatum(message->element);
		else
			nulls[2] = true;
		values[3] = CStringGetTextDatum(message->message);
		if (message->hint)
			values[4] = CStringGetTextDatum(message->hint);
		else
			nulls[4] = true;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}

	if (Max(def->nerrors, def->nwarnings) > DEFINITION_MAX_MESSAGES)
	{
		Datum		values[5] = {0};
		bool		nulls[5] = {false, true, true, false, true};

		values[0] = CStringGetTextDatum(def->nerrors > 0 ? "error" : "warning");
		values[3] = CStringGetTextDatum("there are more, which are not shown");
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}

	MemoryContextDelete(MemoryContextSwitchTo(oldcontext));

	return (Datum) 0;
}

/*
 * idflow.export(workflow text, version int) RETURNS xml: a version's
 * definition as it was deployed; NULL means the newest version.
 */
Datum
idflow_export(PG_FUNCTION_ARGS)
{
	Oid			argtypes[2] = {TEXTOID, INT4OID};
	Datum		args[2] = {0};
	char		nulls[2] = {' ', ' '};
	MemoryContext oldcontext = CurrentMemoryContext;
	UserSwitch	saved;
	char	   *name;
	char	   *definition = NULL;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("workflow must not be null")));

	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	args[0] = PG_GETARG_DATUM(0);
	if (PG_ARGISNULL(1))
		nulls[1] = 'n';
	else
		args[1] = PG_GETARG_DATUM(1);

	store_begin(&saved);
	if (SPI_execute_with_args("SELECT w.definition::pg_catalog.text"
							  "  FROM idflow.workflow AS w"
							  " WHERE w.name OPERATOR(pg_catalog.=) $1"
							  "   AND ($2 IS NULL OR w.version OPERATOR(pg_catalog.=) $2)"
							  " ORDER BY w.version DESC LIMIT 1",
							  2, argtypes, args, nulls, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read idflow.workflow");
	if (SPI_processed == 1)
		definition = MemoryContextStrdup(oldcontext,
										 SPI_getvalue(SPI_tuptable->vals[0],
													  SPI_tuptable->tupdesc, 1));
	store_end(&saved);

	if (definition == NULL && PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
				 errmsg("workflow \"%s\" does not exist", name),
				 errhint("Definitions are made by idflow.deploy().")));
	if (definition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
				 errmsg("workflow \"%s\" has no version %d", name, PG_GETARG_INT32(1)),
				 errhint("Versions are listed in idflow.workflow.")));

	PG_RETURN_XML_P(cstring_to_text(definition));
}

/*
 * idflow.workflow_changed(), access_rule_changed(), provisioning_changed() and
 * directory_changed() RETURNS trigger: ENABLE ALWAYS on a table of which
 * sessions keep a copy.
 * Tells every session, at its next statement after the commit, that what it
 * has is out of date.  Looks nothing up, so that it works while the extension
 * is being made or restored.
 */
Datum
idflow_table_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"idflow.%s\" was not called by trigger manager",
						get_func_name(fcinfo->flinfo->fn_oid))));

	CacheInvalidateRelcache(trigdata->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/* ---------------------------------------------------------------- messages */

/* Return a message with its place, in the current memory context. */
static char *
format_message(DefinitionMessage *message)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (message->line > 0)
		appendStringInfo(&buf, "line %d: ", message->line);
	if (message->element)
		appendStringInfo(&buf, "element <%s>: ", message->element);
	appendStringInfoString(&buf, message->message);
	return buf.data;
}

/*
 * Report a definition's messages: the first error as an ERROR that lists the
 * others in its DETAIL; if there is none, each warning as a WARNING.
 */
static void
report_messages(Definition *def)
{
	DefinitionMessage *first = NULL;
	StringInfoData detail;
	ListCell   *lc;
	int			shown = 0;

	initStringInfo(&detail);
	foreach(lc, def->messages)
	{
		DefinitionMessage *message = (DefinitionMessage *) lfirst(lc);

		if (!message->is_error)
			continue;
		if (first == NULL)
			first = message;
		appendStringInfo(&detail, "%s%s", shown++ > 0 ? "\n" : "",
						 format_message(message));
	}
	if (def->nerrors > shown)
		appendStringInfoString(&detail, "\nThere are more, which are not shown.");

	if (first != NULL)
		ereport(ERROR,
				(errcode(first->sqlstate),
				 errmsg_internal("%s", format_message(first)),
				 def->nerrors > 1 ? errdetail_internal("%s", detail.data) : 0,
				 first->hint ? errhint("%s", first->hint) : 0));

	foreach(lc, def->messages)
	{
		DefinitionMessage *message = (DefinitionMessage *) lfirst(lc);

		ereport(WARNING,
				(errmsg_internal("%s", format_message(message)),
				 message->hint ? errhint("%s", message->hint) : 0));
	}
}

/* ------------------------------------------------------------------ tables */

/*
 * Write one workflow, if it is new, and put its row into the result.  Called
 * within SPI, as the owner, with the table locked.
 */
static void
deploy_workflow(WorkflowDefinition *workflow, const char *deployer,
				ReturnSetInfo *rsinfo)
{
	Oid			argtypes[12] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID,
	BOOLOID, BOOLOID, TEXTOID, JSONBOID, XMLOID, BYTEAOID, NAMEOID};
	Datum		args[12];
	char		nulls[13] = "            ";
	HeapTuple	row;
	bytea	   *digest;
	bool		isnull;
	int64		id;
	const char *apply_as;

	refuse_old_snapshot(workflow->name);
	row = same_newest_version(workflow);
	if (row != NULL)
	{
		tuplestore_puttuple(rsinfo->setResult, row);
		return;
	}

	apply_as = option_value(workflow->options, "ApplyAs");
	if (apply_as)
		apply_as_deployable(apply_as, workflow->name, deployer);

	digest = palloc(VARHDRSZ + DEFINITION_DIGEST_LENGTH);
	SET_VARSIZE(digest, VARHDRSZ + DEFINITION_DIGEST_LENGTH);
	memcpy(VARDATA(digest), workflow->digest, DEFINITION_DIGEST_LENGTH);

	args[0] = CStringGetTextDatum(workflow->name);
	args[1] = CStringGetTextDatum(workflow->display_name);
	args[2] = text_datum(workflow->title, &nulls[2]);
	args[3] = text_datum(workflow->subject, &nulls[3]);
	args[4] = Int32GetDatum(workflow->max_steps);
	args[5] = BoolGetDatum(workflow->four_eyes);
	args[6] = BoolGetDatum(workflow->exact);
	args[7] = CStringGetTextDatum(workflow->nested);
	args[8] = deploy_options(workflow->options);
	args[9] = CStringGetTextDatum(workflow->source);
	args[10] = PointerGetDatum(digest);
	args[11] = DirectFunctionCall1(namein, CStringGetDatum(deployer));

	if (SPI_execute_with_args("INSERT INTO idflow.workflow AS w"
							  " (name, version, display_name, title, subject, max_steps,"
							  "  four_eyes, exact, nested, options, definition, digest, deployed_by)"
							  " SELECT $1, 1 OPERATOR(pg_catalog.+) COALESCE(pg_catalog.max(o.version), 0),"
							  "        $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12"
							  "   FROM idflow.workflow AS o WHERE o.name OPERATOR(pg_catalog.=) $1"
							  " RETURNING w.*",
							  12, argtypes, args, nulls, false, 0) != SPI_OK_INSERT_RETURNING ||
		SPI_processed != 1)
		elog(ERROR, "could not write idflow.workflow");

	row = SPI_tuptable->vals[0];
	id = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc,
									 SPI_fnumber(SPI_tuptable->tupdesc, "id"),
									 &isnull));
	tuplestore_puttuple(rsinfo->setResult, row);

	deploy_activities(id, workflow);
	deploy_elements(id, workflow);
}

/*
 * A workflow's newest version must fit the tables that it is attached to.
 */
static void
check_attached(const char *name)
{
	static StorePlan plan = {
		"SELECT DISTINCT g.target::pg_catalog.oid FROM idflow.gate AS g"
		" WHERE g.workflow OPERATOR(pg_catalog.=) $1 ORDER BY 1",
		1, {TEXTOID}
	};
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {CStringGetTextDatum(name)};
	List	   *targets = NIL;
	UserSwitch	save;
	ListCell   *lc;
	int			n;

	store_begin(&save);
	n = store_exec(&plan, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			target = DatumGetObjectId(spi_datum(SPI_tuptable->vals[i], 1, &isnull));
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		targets = lappend_oid(targets, target);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	foreach(lc, targets)
	{
		Relation	rel = try_table_open(lfirst_oid(lc), AccessShareLock);

		if (rel == NULL)
			continue;
		workflow_fits(workflow_current(name, false), rel);
		table_close(rel, NoLock);
	}
}

/*
 * A transaction snapshot may not show the newest version, whose number this
 * one would get again.
 */
static void
refuse_old_snapshot(const char *name)
{
	static StorePlan plan = {
		"SELECT pg_catalog.max(w.version) FROM idflow.workflow AS w"
		" WHERE w.name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1];
	int			seen;

	if (!IsolationUsesXactSnapshot())
		return;
	values[0] = CStringGetTextDatum(name);
	(void) store_exec(&plan, values, NULL, false);
	seen = spi_int32(SPI_tuptable->vals[0], 1);
	(void) store_exec_latest(&plan, values);
	if (spi_int32(SPI_tuptable->vals[0], 1) != seen)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent deployment of workflow \"%s\"",
						name)));
}

/*
 * Return the newest version's row if it says what the workflow says, and the
 * role that deployed it, on whose behalf its expressions run, still exists;
 * else NULL.
 */
static HeapTuple
same_newest_version(WorkflowDefinition *workflow)
{
	Oid			argtypes[1] = {TEXTOID};
	Datum		args[1];
	Datum		digest;
	Datum		deployed_by;
	bytea	   *bytes;
	HeapTuple	row;
	bool		isnull;

	args[0] = CStringGetTextDatum(workflow->name);
	if (SPI_execute_with_args("SELECT w.* FROM idflow.workflow AS w"
							  " WHERE w.name OPERATOR(pg_catalog.=) $1"
							  " ORDER BY w.version DESC LIMIT 1",
							  1, argtypes, args, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read idflow.workflow");
	if (SPI_processed == 0)
		return NULL;

	row = SPI_tuptable->vals[0];
	digest = SPI_getbinval(row, SPI_tuptable->tupdesc,
						   SPI_fnumber(SPI_tuptable->tupdesc, "digest"), &isnull);
	bytes = DatumGetByteaPP(digest);
	if (VARSIZE_ANY_EXHDR(bytes) != DEFINITION_DIGEST_LENGTH ||
		memcmp(VARDATA_ANY(bytes), workflow->digest, DEFINITION_DIGEST_LENGTH) != 0)
		return NULL;

	deployed_by = SPI_getbinval(row, SPI_tuptable->tupdesc,
								SPI_fnumber(SPI_tuptable->tupdesc, "deployed_by"),
								&isnull);
	if (!OidIsValid(get_role_oid(NameStr(*DatumGetName(deployed_by)), true)))
		return NULL;

	return row;
}
