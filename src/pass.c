/*-------------------------------------------------------------------------
 *
 * pass.c
 *	  The pass: the leave of one change, while it is being written, through
 *	  the gates of its table.
 *
 * It lives here in C: no setting gives it and no statement but our own uses
 * it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "apply.h"
#include "compat.h"
#include "idflow.h"

Pass	   *current_pass = NULL;

static bool
row_is_expected(Pass *pass, TriggerData *trigdata)
{
	HeapTuple	tuple = trigdata->tg_trigtuple;
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	if (pass->change->operation != CMD_INSERT)
		return ItemPointerEquals(&tuple->t_self, &pass->live->t_self) &&
			RelationGetRelid(trigdata->tg_relation) == pass->live->t_tableOid;

	/* in a partition the columns may stand elsewhere; the statement is ours */
	if (RelationGetRelid(trigdata->tg_relation) != pass->change->target)
		return true;
	for (int i = 0; i < pass->dml->nargs; i++)
	{
		AttrNumber	attnum = pass->dml->attnums[i];
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool		isnull;
		Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

		if (isnull != (pass->dml->nulls[i] == 'n') ||
			(!isnull && !same_datum(value, pass->dml->values[i], att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/*
 * Is this the change's row, which comes through this gate for the first time?
 * Those of a pack all come through it, and its statement writes no others.
 */
static bool
is_its_turn(Pass *pass, TriggerData *trigdata)
{
	bool		packed = pass->change->count > 1;

	for (int i = 0; i < pass->nused; i++)
		if (pass->used[i] == trigdata->tg_trigger->tgoid)
			return packed;
	if (!packed && !row_is_expected(pass, trigdata))
		return false;
	if (pass->nused >= MAX_GATES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("table \"%s\" has more than %d gates",
						RelationGetRelationName(trigdata->tg_relation), MAX_GATES)));
	pass->used[pass->nused++] = trigdata->tg_trigger->tgoid;
	return true;
}

/*
 * pass_execute: write a change by its statement, with leave through the gates
 * of the workflows that its request has been through; trying: through all.
 * pass->held_by tells which gate holds it, if one does, in req's memory.  Returns
 * what SPI does.
 */
int
pass_execute(Pass *pass, Request *req, Change *change, Dml *dml, HeapTuple live, bool trying)
{
	Pass	   *outer = current_pass;
	int			rc;

	memset(pass, 0, sizeof(Pass));
	pass->context = GetMemoryChunkContext(req);
	pass->change = change;
	pass->dml = dml;
	pass->live = live;
	pass->all = trying;
	pass->passed = req->passed;
	if (change->resource)
	{
		/* its own gates, for this row; what it has written it may take away */
		pass->passed = change->gates;
		pass->all |= change->operation == CMD_DELETE;
	}
	else if (req->workflow && !req->partway)
		pass->passed = lappend(list_copy(req->passed), req->workflow->name);
	current_pass = pass;
	PG_TRY();
	{
		rc = dml_execute(dml);
	}
	PG_FINALLY();
	{
		current_pass = outer;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "could not write a change: %s", SPI_result_code_string(rc));
	return rc;
}

/*
 * apply_pass: what a gate is to make of a row.  Only the row of the change
 * being applied, met in the statement that applies it, passes, and each gate
 * once.
 */
PassVerdict
apply_pass(TriggerData *trigdata, CmdType operation, const char *workflow)
{
	Pass	   *pass = current_pass;
	Oid			relid = RelationGetRelid(trigdata->tg_relation);

	if (pass == NULL || !dml_is_ours(executing_query()))
		return PASS_NONE;
	if (relid != pass->change->target &&
		!list_member_oid(get_partition_ancestors(relid), pass->change->target))
		return PASS_NONE;

	/* an UPDATE that moves a row between partitions is one change */
	if (operation != pass->change->operation)
		return pass->change->operation == CMD_UPDATE ? PASS_THROUGH : PASS_NONE;

	if (!is_its_turn(pass, trigdata))
		return PASS_NONE;

	if (pass->all || strings_contain(pass->passed, workflow))
		return PASS_THROUGH;
	if (pass->held_by == NULL)
		pass->held_by = MemoryContextStrdup(pass->context, workflow);
	return PASS_HELD;
}

/*
 * apply_pass_row: the row of an UPDATE that passes, with the drafted values in
 * the columns that the statement could only set to DEFAULT.
 */
HeapTuple
apply_pass_row(TriggerData *trigdata, HeapTuple row)
{
	Pass	   *pass = current_pass;
	Relation	rel = trigdata->tg_relation;
	int			n = bms_num_members(pass->dml->defaulted);
	int		   *columns;
	Datum	   *values;
	bool	   *nulls;
	int			i = -1;
	int			k = 0;

	if (n == 0)
		return row;
	columns = palloc(n * sizeof(int));
	values = palloc(n * sizeof(Datum));
	nulls = palloc(n * sizeof(bool));
	while ((i = bms_next_member(pass->dml->defaulted, i)) >= 0)
	{
		AttrNumber	attnum = pass->dml->attnums[i];

		/* in a partition the columns may stand elsewhere */
		if (RelationGetRelid(rel) != pass->change->target)
			attnum = get_attnum(RelationGetRelid(rel),
								get_attname(pass->change->target, attnum, false));
		columns[k] = attnum;
		values[k] = pass->dml->values[i];
		nulls[k++] = pass->dml->nulls[i] == 'n';
	}
	return heap_modify_tuple_by_cols(row, RelationGetDescr(rel), n, columns, values, nulls);
}
