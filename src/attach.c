/*-------------------------------------------------------------------------
 *
 * attach.c
 *		idflow.attach() and idflow.detach(): gates made and taken away.
 *
 * attach_check.c says what may be attached, gate_create.c makes the triggers;
 * here it is decided which ones, under what names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"

#include "attach.h"
#include "idflow.h"
#include "persist_into.h"
#include "propose.h"
#include "schedule.h"

#define SHOWN_REQUESTS	5		/* how many open requests detach names */

/* a gate of a table, copied from its relcache entry */
typedef struct Gate
{
	Oid			oid;
	char	   *name;
	char	   *workflow;
	int			number;			/* 0: its name has none */
} Gate;

static List *gates_of(Relation rel);
static bool workflow_has_gate(List *gates, const char *workflow, int *number);
static int	next_number(Relation rel, List *gates);
static char *gate_name(int number, const char *workflow, CmdType operation);
static Workflow *workflow_for_attach(const char *name);
static void drop_workflow_gates(List *gates, const char *workflow);
static Datum oid_array_datum(List *oids);
static void forget_gates_off(List *relids);
static void refuse_open_requests(const char *workflow, Relation rel, List *relids);

PG_FUNCTION_INFO_V1(idflow_attach);
PG_FUNCTION_INFO_V1(idflow_detach);

/*
 * idflow.attach(workflow text, target regclass, operations text[],
 *				 condition text, columns name[]) RETURNS void
 */
Datum
idflow_attach(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"workflow", "target", "operations"};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[i])));
	}

	attach_workflow(text_to_cstring(PG_GETARG_TEXT_PP(0)),
					PG_GETARG_OID(1),
					attach_operations(PG_GETARG_DATUM(2)),
					PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)),
					PG_ARGISNULL(4) ? NIL : attach_columns(PG_GETARG_DATUM(4)));
	PG_RETURN_VOID();
}

/*
 * Whether the table's clients will see drafted rows counted and returned is a
 * matter of the library being there before they write.  Say so, once a
 * session, where it will not be.
 */
static void
tell_of_preloading(Relation rel)
{
	static bool told = false;

	if (told || library_is_preloaded())
		return;
	told = true;
	ereport(NOTICE,
			(errmsg("sessions that do not preload idflow will count rows drafted at table \"%s\" as not written",
					RelationGetRelationName(rel)),
			 errhint("ALTER DATABASE %s SET session_preload_libraries = 'idflow' makes new sessions count and return them.",
					 quote_identifier(get_database_name(MyDatabaseId)))));
}

/*
 * Put gates of a workflow on a table, one per operation, in place of those
 * that it has there.  operations is as attach_operations() returns it;
 * condition may be NULL, columns NIL.
 */
void
attach_workflow(const char *workflow, Oid relid, List *operations,
				const char *condition, List *columns)
{
	Workflow   *wf;
	Relation	rel;
	List	   *gates;
	List	   *relids;
	int			number;
	ListCell   *lc;

	wf = workflow_for_attach(workflow);

	rel = attach_open_target(relid);
	attach_check_target(rel, operations);
	attach_check_columns(rel, operations, columns);
	CheckTableNotInUse(rel, "attach");
	workflow_fits(wf, rel);
	persist_into_operations(wf, rel, operations);
	apply_as_fits(wf, rel, operations);

	relids = find_all_inheritors(relid, ShareRowExclusiveLock, NULL);

	gates = gates_of(rel);
	if (!workflow_has_gate(gates, workflow, &number))
		number = next_number(rel, gates);
	drop_workflow_gates(gates, workflow);

	foreach(lc, operations)
	{
		CmdType		operation = (CmdType) lfirst_int(lc);
		char	   *name = gate_name(number, workflow, operation);

		create_gate(rel, name, workflow, operation, condition, columns,
					workflow_apply_as(wf) ? GetUserNameFromId(rel->rd_rel->relowner, false) : NULL);
		attach_warn_early_triggers(relids, operation, name);
	}
	create_truncate_triggers(relid, relids);
	forget_gates_off(relids);
	tell_of_preloading(rel);

	table_close(rel, NoLock);
}

/*
 * idflow.detach(workflow text, target regclass, force boolean) RETURNS void
 */
Datum
idflow_detach(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"workflow", "target", "force"};
	char	   *workflow;
	bool		force;
	Relation	rel;
	List	   *gates;
	List	   *relids;
	bool		last = true;
	ListCell   *lc;

	for (int i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[i])));
	}
	workflow = text_to_cstring(PG_GETARG_TEXT_PP(0));
	force = PG_GETARG_BOOL(2);

	/* The lock first: whoever is drafting a change now is waited for. */
	rel = attach_open_target(PG_GETARG_OID(1));

	gates = gates_of(rel);
	if (!workflow_has_gate(gates, workflow, NULL))
	{
		if (rel->rd_rel->relispartition)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("workflow \"%s\" is not attached to partition \"%s\"",
							workflow, RelationGetRelationName(rel)),
					 errhint("Workflows are attached to and detached from partitioned tables as a whole.")));
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("workflow \"%s\" is not attached to table \"%s\"",
						workflow, RelationGetRelationName(rel)),
				 errhint("SELECT * FROM idflow.gate shows what is attached where.")));
	}
	CheckTableNotInUse(rel, "detach");

	relids = find_all_inheritors(RelationGetRelid(rel), ShareRowExclusiveLock, NULL);
	if (!force)
		refuse_open_requests(workflow, rel, relids);

	drop_workflow_gates(gates, workflow);
	foreach(lc, gates)
	{
		Gate	   *gate = lfirst(lc);

		if (gate->workflow == NULL || strcmp(gate->workflow, workflow) != 0)
			last = false;
	}
	if (last)
		drop_truncate_triggers(relids);
	forget_gates_off(relids);

	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/* ------------------------------------------------------- gates of a table */

/*
 * The gates of a table itself, not those it has as a partition: a List of
 * Gate, in firing order.
 */
static List *
gates_of(Relation rel)
{
	List	   *result = NIL;
	int			n = rel->trigdesc ? rel->trigdesc->numtriggers : 0;

	for (int i = 0; i < n; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];
		const char *workflow;
		Gate	   *gate;

		if (trigger->tgisclone || !trigger_is_gate(trigger))
			continue;

		gate = palloc0(sizeof(Gate));
		gate->oid = trigger->tgoid;
		gate->name = pstrdup(trigger->tgname);
		workflow = trigger_workflow(trigger);
		if (workflow != NULL)
			gate->workflow = pstrdup(workflow);
		if (trigger->tgnargs > GATE_ARG_NAME)
			(void) sscanf(trigger->tgargs[GATE_ARG_NAME], GATE_PREFIX "%3d", &gate->number);
		result = lappend(result, gate);
	}
	return result;
}

/*
 * Has the workflow a gate among these?  Sets *number, if wanted, to the
 * number in its name.
 */
static bool
workflow_has_gate(List *gates, const char *workflow, int *number)
{
	ListCell   *lc;

	foreach(lc, gates)
	{
		Gate	   *gate = lfirst(lc);

		if (gate->workflow != NULL && strcmp(gate->workflow, workflow) == 0)
		{
			if (number != NULL)
				*number = Max(gate->number, GATE_FIRST_NUMBER);
			return true;
		}
	}
	return false;
}

/*
 * The number for a table's next workflow: it comes after those that are
 * there.
 */
static int
next_number(Relation rel, List *gates)
{
	int			number = GATE_FIRST_NUMBER - GATE_NUMBER_STEP;
	ListCell   *lc;

	foreach(lc, gates)
		number = Max(number, ((Gate *) lfirst(lc))->number);
	number += GATE_NUMBER_STEP;

	if (number > GATE_LAST_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many workflows are attached to table \"%s\"",
						RelationGetRelationName(rel)),
				 errhint("Detach the one that was attached last, or several, and attach them again.")));
	return number;
}

/*
 * prefix, name and suffix as one identifier.  If it is too long, the end of
 * name is cut off, between characters, and a hash of name takes its place.
 */
char *
fitting_name(const char *prefix, const char *name, const char *suffix)
{
	char	   *result = psprintf("%s%s%s", prefix, name, suffix);
	char	   *hash;
	int			room;

	if (strlen(result) < NAMEDATALEN)
		return result;

	hash = psprintf("_%08x", hash_bytes((const unsigned char *) name, strlen(name)));
	room = NAMEDATALEN - 1 - strlen(prefix) - strlen(hash) - strlen(suffix);
	Assert(room > 0);
	return psprintf("%s%.*s%s%s", prefix,
					pg_mbcliplen(name, strlen(name), room), name, hash, suffix);
}

/*
 * The name of a gate's trigger.
 */
static char *
gate_name(int number, const char *workflow, CmdType operation)
{
	const char *event = operation_name(operation);

	return fitting_name(psprintf(GATE_PREFIX "%03d_", number), workflow,
						psprintf("_%s", asc_tolower(event, strlen(event))));
}

/*
 * Drop the gates of a workflow, and with them those on partitions.
 */
static void
drop_workflow_gates(List *gates, const char *workflow)
{
	ListCell   *lc;

	foreach(lc, gates)
	{
		Gate	   *gate = lfirst(lc);

		if (gate->workflow != NULL && strcmp(gate->workflow, workflow) == 0)
			drop_trigger(gate->oid);
	}
}

/* ----------------------------------------------------------- the workflow */

/*
 * The version of the workflow in force.  If there is none, the error says
 * what there is instead.
 */
static Workflow *
workflow_for_attach(const char *name)
{
	static StorePlan plan = {
		"SELECT pg_catalog.string_agg(n.name, ', ' ORDER BY n.name) FROM ("
		" SELECT DISTINCT pg_catalog.quote_ident(name) AS name FROM idflow.workflow"
		" ORDER BY 1 LIMIT 20) n",
		0
	};
	Workflow   *wf = workflow_current(name, true);
	UserSwitch	save;
	char	   *deployed = NULL;
	MemoryContext caller = CurrentMemoryContext;

	if (wf != NULL)
		return wf;

	store_begin(&save);
	if (store_exec(&plan, NULL, NULL, true) == 1)
	{
		deployed = spi_text(SPI_tuptable->vals[0], 1);
		if (deployed != NULL)
			deployed = MemoryContextStrdup(caller, deployed);
	}
	store_end(&save);

	ereport(ERROR,
			(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
			 errmsg("workflow \"%s\" does not exist", name),
			 deployed != NULL
			 ? errhint("Deployed are: %s. SELECT * FROM idflow.ready() shows definitions that idflow.deploy() takes.", deployed)
			 : errhint("No workflow is deployed. SELECT * FROM idflow.ready() shows definitions that idflow.deploy() takes.")));
	return NULL;				/* keep the compiler quiet */
}

/*
 * workflow_fits: whether a workflow's expressions and bindings fit a table,
 * tried as the role that deployed it, so that errors come now and not with the
 * first request.
 */
void
workflow_fits(Workflow *wf, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			deployer = get_role_oid(wf->deployed_by, true);
	ListCell   *lc;

	if (!OidIsValid(deployer))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", which deployed workflow \"%s\", does not exist",
						wf->deployed_by, wf->name),
				 errdetail("The workflow's expressions run as that role."),
				 errhint("Deploy the workflow again.")));

	if (wf->title != NULL)
		expression_check(wf->title, EXPRESSION_TEXT, relid, deployer,
						 psprintf("Title of workflow \"%s\"", wf->name));
	if (wf->subject != NULL)
		expression_check(wf->subject, EXPRESSION_TEXT, relid, deployer,
						 psprintf("Subject of workflow \"%s\"", wf->name));
	schedule_fits(wf, relid, deployer);

	for (int i = 1; i <= wf->nactivities; i++)
	{
		Activity   *activity = workflow_activity(wf, i);

		if (activity->if_expression != NULL)
			expression_check(activity->if_expression, EXPRESSION_BOOL, relid, deployer,
							 psprintf("IfExpression of activity \"%s\"", activity->name));
		foreach(lc, activity->actors)
		{
			ActorRule  *rule = lfirst(lc);

			if (rule->expression != NULL)
				expression_check(rule->expression, EXPRESSION_NAMES, relid, deployer,
								 psprintf("Actor of activity \"%s\"", activity->name));
		}
	}
	attach_elements(wf, rel, deployer);
	persist_into_fits(wf, rel);
}

/* --------------------------------------------------------- idflow's tables */

static Datum
oid_array_datum(List *oids)
{
	Datum	   *values = palloc(Max(list_length(oids), 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		values[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}

/*
 * Forget what is noted as switched off on these tables but is in force again,
 * or gone on purpose.  What idflow.disable() noted for another gate of the
 * same table, which is still off, stays.
 */
static void
forget_gates_off(List *relids)
{
	static StorePlan plan = {
		"DELETE FROM idflow.gate_off o WHERE o.target::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t"
		" WHERE t.tgrelid OPERATOR(pg_catalog.=) o.target::pg_catalog.oid"
		" AND t.tgname OPERATOR(pg_catalog.=) o.trigger_name::pg_catalog.name"
		" AND (t.tgenabled OPERATOR(pg_catalog.<>) 'O'"
		" OR NOT pg_catalog.starts_with(o.trigger_name, '" GATE_PREFIX "')))",
		1, {OIDARRAYOID}
	};
	Datum		values[1];
	UserSwitch	save;

	store_begin(&save);
	values[0] = oid_array_datum(relids);
	(void) store_exec(&plan, values, NULL, false);
	store_end(&save);
}

/*
 * Error if requests are on their way that came through a gate of the workflow
 * on one of the tables.
 */
static void
refuse_open_requests(const char *workflow, Relation rel, List *relids)
{
	static StorePlan plan = {
		"SELECT r.id FROM idflow.request r"
		" WHERE r.state OPERATOR(pg_catalog.=) ANY ('{draft,open,scheduled,conflict,failed}')"
		" AND EXISTS (SELECT FROM ONLY idflow.change_data c"
		" WHERE c.request OPERATOR(pg_catalog.=) r.id"
		" AND c.target::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND $2 OPERATOR(pg_catalog.=) ANY (c.gates))"
		" ORDER BY r.id",
		2, {OIDARRAYOID, TEXTOID}
	};
	Datum		values[2];
	UserSwitch	save;
	int			n;
	StringInfoData ids;

	initStringInfo(&ids);

	store_begin(&save);
	values[0] = oid_array_datum(relids);
	values[1] = CStringGetTextDatum(workflow);

	/*
	 * Now that the table is locked nobody drafts any more, but a transaction
	 * snapshot may be older than the last draft.
	 */
	n = store_exec_latest(&plan, values);
	for (int i = 0; i < Min(n, SHOWN_REQUESTS); i++)
		appendStringInfo(&ids, "%s" INT64_FORMAT, i > 0 ? ", " : "",
						 spi_int64(SPI_tuptable->vals[i], 1));
	store_end(&save);

	if (n == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WF_OPEN_REQUESTS),
			 errmsg("cannot detach workflow \"%s\" from table \"%s\" because requests are open",
					workflow, RelationGetRelationName(rel)),
			 errdetail_plural("%d request is open: %s%s.", "%d requests are open: %s%s.",
							  n, n, ids.data, n > SHOWN_REQUESTS ? ", ..." : ""),
			 errhint("Have them decided or withdrawn first. With force they stay, can be decided, and meet no gate when they are applied.")));
}
