/*-------------------------------------------------------------------------
 *
 * gate_create.c
 *		Making and dropping the triggers of gates.
 *
 * A gate is made by core's CreateTrigger() from a parse node.  No statement
 * is put together as text, so neither names nor the condition can become
 * anything else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/lsyscache.h"

#include "attach.h"
#include "expression_parse.h"
#include "idflow.h"

typedef struct ConditionContext
{
	const char *condition;
	const char *workflow;
	const char *table;
} ConditionContext;

static Node *parse_condition(const char *condition);
static Node *gate_when(CmdType operation, Node *condition, List *columns);
static Node *columns_row(const char *relation, List *columns);
static void condition_error_callback(void *arg);
static Oid	truncate_trigger(Oid relid);

/*
 * ROW(relation.column, ...) as a raw parse tree.
 */
static Node *
columns_row(const char *relation, List *columns)
{
	RowExpr    *row = makeNode(RowExpr);
	ListCell   *lc;

	foreach(lc, columns)
	{
		ColumnRef  *ref = makeNode(ColumnRef);

		ref->fields = list_make2(makeString(pstrdup(relation)),
								 makeString(pstrdup(lfirst(lc))));
		ref->location = -1;
		row->args = lappend(row->args, ref);
	}
	row->row_format = COERCE_EXPLICIT_CALL;
	row->location = -1;
	return (Node *) row;
}

/*
 * The condition as a raw parse tree, NULL for NULL.  Errors unless it is one
 * bare expression.
 */
static Node *
parse_condition(const char *condition)
{
	if (condition == NULL)
		return NULL;
	if (condition[strspn(condition, " \t\r\n\f\v")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("condition is empty"),
				 errhint("Leave condition out, or NULL, to gate all rows.")));
	return expression_parse(condition);
}

/*
 * The WHEN of a gate as a raw parse tree, NULL if it has none: the condition
 * and, for UPDATE, that one of the columns changes.
 */
static Node *
gate_when(CmdType operation, Node *condition, List *columns)
{
	Node	   *differs;

	if (operation != CMD_UPDATE || columns == NIL)
		return condition;

	differs = (Node *) makeFuncCall(list_make2(makeString("pg_catalog"),
											   makeString("record_image_ne")),
									list_make2(columns_row("old", columns),
											   columns_row("new", columns)),
									COERCE_EXPLICIT_CALL, -1);
	if (condition == NULL)
		return differs;
	return (Node *) makeBoolExpr(AND_EXPR, list_make2(condition, differs), -1);
}

/*
 * Make one gate.  owner: the table's owner, where his triggers are let run with
 * lent rights; NULL: they are not.
 */
void
create_gate(Relation rel, const char *name, const char *workflow,
			CmdType operation, const char *condition, List *columns, const char *owner)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	Node	   *parsed = parse_condition(condition);
	ConditionContext context = {condition, workflow, RelationGetRelationName(rel)};
	ErrorContextCallback errcallback;

	if (condition != NULL)
	{
		errcallback.callback = condition_error_callback;
		errcallback.arg = &context;
		errcallback.previous = error_context_stack;
		error_context_stack = &errcallback;
	}

	stmt->trigname = pstrdup(name);
	stmt->relation = makeRangeVar(get_namespace_name(RelationGetNamespace(rel)),
								  pstrdup(RelationGetRelationName(rel)), -1);
	stmt->funcname = list_make2(makeString("idflow"), makeString("gate"));
	stmt->args = list_make2(makeString(pstrdup(workflow)), makeString(pstrdup(name)));
	if (owner)
		stmt->args = lappend(stmt->args, makeString(pstrdup(owner)));
	stmt->row = true;
	stmt->timing = TRIGGER_TYPE_BEFORE;
	stmt->events = operation_trigger_event(operation);
	stmt->whenClause = gate_when(operation, parsed, columns);

	(void) CreateTrigger(stmt, condition, RelationGetRelid(rel), InvalidOid,
						 InvalidOid, InvalidOid, gate_function_oid(), InvalidOid,
						 NULL, false, false);
	CommandCounterIncrement();

	if (condition != NULL)
		error_context_stack = errcallback.previous;
}

/*
 * Show the condition with an error about it, and point into it, not into the
 * statement that called attach.
 */
static void
condition_error_callback(void *arg)
{
	ConditionContext *context = arg;
	int			pos = geterrposition();

	if (pos > 0)
	{
		errposition(0);
		internalerrposition(pos);
		internalerrquery(context->condition);
	}
	errcontext("condition \"%s\" for workflow \"%s\" on table \"%s\"",
			   context->condition, context->workflow, context->table);
}

/*
 * Drop a trigger, and its copies on partitions with it.
 */
void
drop_trigger(Oid trigger_oid)
{
	ObjectAddress address;

	ObjectAddressSet(address, TriggerRelationId, trigger_oid);
	performDeletion(&address, DROP_RESTRICT, 0);
	CommandCounterIncrement();
}

/*
 * The oid of a relation's trigger that refuses TRUNCATE, InvalidOid if it has
 * none.
 */
static Oid
truncate_trigger(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	int			n = rel->trigdesc ? rel->trigdesc->numtriggers : 0;
	Oid			result = InvalidOid;

	for (int i = 0; i < n; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, GATE_TRUNCATE_TRIGGER) == 0 &&
			trigger->tgfoid == truncate_function_oid())
			result = trigger->tgoid;
	}
	table_close(rel, NoLock);
	return result;
}

/*
 * Have TRUNCATE refused on each of the tables.  Core makes no copies of
 * statement triggers on partitions, so each gets its own.  An argument says
 * that it is a partition's: by that the guards know a partition that was
 * detached.
 */
void
create_truncate_triggers(Oid root, List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);
		CreateTrigStmt *stmt;
		Oid			old = truncate_trigger(relid);

		if (OidIsValid(old))
			drop_trigger(old);

		stmt = makeNode(CreateTrigStmt);
		stmt->trigname = GATE_TRUNCATE_TRIGGER;
		stmt->relation = makeRangeVar(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid), -1);
		stmt->funcname = list_make2(makeString("idflow"), makeString("refuse_truncate"));
		stmt->row = false;
		stmt->timing = TRIGGER_TYPE_BEFORE;
		stmt->events = TRIGGER_TYPE_TRUNCATE;
		if (relid != root)
			stmt->args = list_make1(makeString(pstrdup(GATE_ARG_PARTITION)));

		(void) CreateTrigger(stmt, NULL, relid, InvalidOid, InvalidOid, InvalidOid,
							 truncate_function_oid(), InvalidOid, NULL, false, false);
		CommandCounterIncrement();
	}
}

/*
 * Let TRUNCATE pass again.
 */
void
drop_truncate_triggers(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		Oid			trigger_oid = truncate_trigger(lfirst_oid(lc));

		if (OidIsValid(trigger_oid))
			drop_trigger(trigger_oid);
	}
}
