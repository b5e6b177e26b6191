/*-------------------------------------------------------------------------
 *
 * gate_info.c
 *		Reading gates back from the catalogs.
 *
 * A gate is a trigger and nothing else: what it stands for is found in its
 * arguments (workflow, own name), its events and its WHEN.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "attach.h"
#include "idflow.h"

/* oids of idflow's trigger functions; InvalidOid when not known */
static Oid	gate_function = InvalidOid;
static Oid	truncate_function = InvalidOid;
static bool callback_registered = false;

static void forget_functions(Datum arg, int cacheid, uint32 hashvalue);
static Oid	trigger_function_oid(const char *name, Oid *cached, bool missing_ok);
static Node *trigger_when(Oid trigger_oid, Oid *relid);
static Node *split_when(Node *when, List **columns);
static bool mark_old_vars(Node *node, void *context);

PG_FUNCTION_INFO_V1(idflow_gate_condition);
PG_FUNCTION_INFO_V1(idflow_gate_columns);
PG_FUNCTION_INFO_V1(idflow_refuse_truncate);

/*
 * Forget the functions' oids; called when any function's catalog row changes.
 */
static void
forget_functions(Datum arg, int cacheid, uint32 hashvalue)
{
	gate_function = InvalidOid;
	truncate_function = InvalidOid;
}

/*
 * The oid of a trigger function without arguments in idflow's schema.  If it
 * isn't there: an error, or InvalidOid with missing_ok.
 */
static Oid
trigger_function_oid(const char *name, Oid *cached, bool missing_ok)
{
	Oid			schema;
	Oid			funcoid;
	oidvector  *no_arguments;

	if (OidIsValid(*cached))
		return *cached;

	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, forget_functions, (Datum) 0);
		callback_registered = true;
	}

	schema = missing_ok ? get_namespace_oid("idflow", true) : extension_schema();
	if (!OidIsValid(schema))
		return InvalidOid;
	no_arguments = buildoidvector(NULL, 0);
	funcoid = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							  CStringGetDatum(name),
							  PointerGetDatum(no_arguments),
							  ObjectIdGetDatum(schema));
	if (!OidIsValid(funcoid) && missing_ok)
		return InvalidOid;
	if (!OidIsValid(funcoid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function idflow.%s() does not exist", name),
				 errhint("Run ALTER EXTENSION idflow UPDATE in this database.")));
	*cached = funcoid;
	return funcoid;
}

/*
 * The oid of idflow.gate().  Errors if there is none.
 */
Oid
gate_function_oid(void)
{
	return trigger_function_oid("gate", &gate_function, false);
}

/*
 * The oid of idflow.refuse_truncate().  Errors if there is none.
 */
Oid
truncate_function_oid(void)
{
	return trigger_function_oid("refuse_truncate", &truncate_function, false);
}

/*
 * trigger_is_gate: also in a database without the extension, where none is.
 */
bool
trigger_is_gate(Trigger *trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
		OidIsValid(trigger_function_oid("gate", &gate_function, true)) &&
		trigger->tgfoid == gate_function;
}

/*
 * has_gate: whether there is a gate, on or off, among a table's triggers, which may be NULL.
 */
bool
has_gate(TriggerDesc *triggers)
{
	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (trigger_is_gate(&triggers->triggers[i]))
			return true;
	return false;
}

/*
 * The name of a gate's workflow, pointing into the trigger.  A gate made by
 * hand without arguments has none: NULL.
 */
const char *
trigger_workflow(Trigger *trigger)
{
	if (trigger->tgnargs <= GATE_ARG_WORKFLOW)
		return NULL;
	return trigger->tgargs[GATE_ARG_WORKFLOW];
}

/*
 * The bit of pg_trigger.tgtype for an operation.
 */
int16
operation_trigger_event(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return TRIGGER_TYPE_INSERT;
		case CMD_UPDATE:
			return TRIGGER_TYPE_UPDATE;
		case CMD_DELETE:
			return TRIGGER_TYPE_DELETE;
		default:
			elog(ERROR, "unexpected operation: %d", (int) operation);
	}
	return 0;					/* keep the compiler quiet */
}

/*
 * The analysed WHEN of a trigger and, in *relid, its table.  Returns NULL if
 * there is no such trigger or it has no WHEN.
 */
static Node *
trigger_when(Oid trigger_oid, Oid *relid)
{
	Relation	tgrel;
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;
	Node	   *when = NULL;

	*relid = InvalidOid;

	tgrel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key[0],
				Anum_pg_trigger_oid,
				BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger_oid));
	scan = systable_beginscan(tgrel, TriggerOidIndexId, true, NULL, 1, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum		value;
		bool		isnull;

		*relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
		value = heap_getattr(tuple, Anum_pg_trigger_tgqual,
							 RelationGetDescr(tgrel), &isnull);
		if (!isnull)
			when = stringToNode(TextDatumGetCString(value));
	}
	systable_endscan(scan);
	table_close(tgrel, AccessShareLock);
	return when;
}

/*
 * Take a WHEN apart into what attach made it of: returns the condition, or
 * NULL if it has none, and sets *columns to the Vars of the columns, NIL if
 * it has none.  attach puts the comparison of columns last, and a dump keeps
 * that place.
 */
static Node *
split_when(Node *when, List **columns)
{
	List	   *quals;
	Node	   *last;
	FuncExpr   *call;

	*columns = NIL;
	if (when == NULL)
		return NULL;

	if (is_andclause(when))
		quals = list_copy(((BoolExpr *) when)->args);
	else
		quals = list_make1(when);

	last = llast(quals);
	if (!IsA(last, FuncExpr))
		return when;
	call = (FuncExpr *) last;
	if (call->funcid != F_RECORD_IMAGE_NE || list_length(call->args) != 2 ||
		!IsA(linitial(call->args), RowExpr))
		return when;

	*columns = ((RowExpr *) linitial(call->args))->args;
	quals = list_truncate(quals, list_length(quals) - 1);
	if (quals == NIL)
		return NULL;
	if (list_length(quals) == 1)
		return linitial(quals);
	return (Node *) makeBoolExpr(AND_EXPR, quals, -1);
}

/*
 * Make the Vars of OLD those of an outer query; see idflow_gate_condition().
 */
static bool
mark_old_vars(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno == PRS2_OLD_VARNO)
			var->varlevelsup = 1;
		var->varno = 1;
		var->varnosyn = 0;		/* nothing but varno is to be looked at */
		return false;
	}
	return expression_tree_walker(node, mark_old_vars, context);
}

/*
 * idflow.gate_condition(trigger oid) RETURNS text
 *
 * The condition of a gate as SQL, without the comparison of columns; NULL if
 * it has none.  What is deparsed is the analysed expression, so the text
 * follows renamed columns.
 *
 * An expression over two relations can't be deparsed by the function that
 * core exports for it.  But a WHEN has no subquery, so OLD is passed for the
 * relation of an outer query, and both get their names.
 */
Datum
idflow_gate_condition(PG_FUNCTION_ARGS)
{
	Oid			relid;
	List	   *columns;
	List	   *context;
	Node	   *condition = split_when(trigger_when(PG_GETARG_OID(0), &relid), &columns);

	if (condition == NULL)
		PG_RETURN_NULL();

	(void) mark_old_vars(condition, NULL);
	context = list_concat(deparse_context_for("new", relid),
						  deparse_context_for("old", relid));
	PG_RETURN_TEXT_P(cstring_to_text(deparse_expression(condition, context,
														true, false)));
}

/*
 * idflow.gate_columns(trigger oid) RETURNS name[]
 *
 * The columns that a gate on UPDATE watches; NULL if it watches all.
 */
Datum
idflow_gate_columns(PG_FUNCTION_ARGS)
{
	Oid			relid;
	List	   *columns;
	Datum	   *names;
	int			n = 0;
	ListCell   *lc;

	(void) split_when(trigger_when(PG_GETARG_OID(0), &relid), &columns);
	if (columns == NIL)
		PG_RETURN_NULL();

	names = palloc(list_length(columns) * sizeof(Datum));
	foreach(lc, columns)
	{
		Node	   *node = lfirst(lc);
		char	   *name;

		if (!IsA(node, Var))
			continue;
		name = get_attname(relid, ((Var *) node)->varattno, true);
		if (name != NULL)
			names[n++] = DirectFunctionCall1(namein, CStringGetDatum(name));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, NAMEOID, NAMEDATALEN,
										  false, TYPALIGN_CHAR));
}

/*
 * idflow.refuse_truncate() RETURNS trigger
 *
 * TRUNCATE fires no row trigger, so it would empty a table past its gates.
 * Where a table has lost its gates, as a partition does that is detached, the
 * trigger may be left and has nothing to protect.
 */
Datum
idflow_refuse_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("idflow.refuse_truncate() must be called as a trigger")));

	if (!has_gate(trigdata->tg_relation->trigdesc))
		return PointerGetDatum(NULL);

	ereport(ERROR,
			(errcode(ERRCODE_WF_GATE_HAZARD),
			 errmsg("cannot truncate table \"%s\" because changes to it need approval",
					RelationGetRelationName(trigdata->tg_relation)),
			 errhint("DELETE makes drafts where deletions are gated. An idflow_admin can switch gates off with idflow.disable(reason, table).")));
	return PointerGetDatum(NULL);	/* keep the compiler quiet */
}
