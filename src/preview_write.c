/*-------------------------------------------------------------------------
 *
 * preview_write.c
 *	  Writing through a preview view: the trigger that runs the statement on
 *	  the table behind it.
 *
 * The statement runs with the rights of whoever writes, so that the table's
 * gates, privileges, defaults and policies hold as in a statement of his own.
 * A row that a gate holds is counted and returned as wrapper.c makes it.
 *
 * An INSTEAD OF trigger is handed rows that its statement's snapshot shows.
 * Where a row has been changed by somebody else since, PostgreSQL would look
 * at the statement's condition again, which a trigger can't: such a statement
 * fails as a serializable one does, and nobody's change is lost.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "idflow.h"
#include "notice.h"
#include "plancache.h"
#include "preview.h"

PG_FUNCTION_INFO_V1(idflow_write_preview);

static const char *
column_name(Write *write, AttrNumber attnum)
{
	return quote_identifier(NameStr(TupleDescAttr(write->desc, attnum - 1)->attname));
}

/* Add what a statement is to return: the columns, if any. */
static void
append_returning(Write *write, StringInfo sql, const char *alias, Bitmapset *returned)
{
	int			attnum = -1;
	const char *sep = " RETURNING ";

	while ((attnum = bms_next_member(returned, attnum)) >= 0)
	{
		appendStringInfo(sql, "%s%s.%s", sep, alias, column_name(write, attnum));
		sep = ", ";
	}
}

/*
 * Run the statement that writes.  For the NOTICE and for idflow.check_limit
 * its row is one of the client's statement.  A drafted row always counts here:
 * whoever writes to a preview reads it there, too.
 */
static void
execute(Write *write, SPIPlanPtr plan, Datum *args, const char *nulls)
{
	int			joined = notice_join();
	bool		counting = setting_count_drafts;
	int			rc;

	PG_TRY();
	{
		setting_count_drafts = true;
		rc = SPI_execute_plan(plan, args, nulls, false, 0);
		if (rc < 0)
			elog(ERROR, "could not write through view \"%s\": %s",
				 RelationGetRelationName(write->view), SPI_result_code_string(rc));
	}
	PG_FINALLY();
	{
		setting_count_drafts = counting;
		notice_part(joined);
	}
	PG_END_TRY();
}

/* The name of a plan: what it does to which columns. */
static char *
plan_name(const char *what, Bitmapset *columns, Bitmapset *returned)
{
	StringInfoData name;
	int			attnum = -1;

	initStringInfo(&name);
	appendStringInfo(&name, "preview %s", what);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		appendStringInfo(&name, " %d", attnum);
	appendStringInfoString(&name, " returning");
	attnum = -1;
	while ((attnum = bms_next_member(returned, attnum)) >= 0)
		appendStringInfo(&name, " %d", attnum);
	return name.data;
}

static SPIPlanPtr
keep(Write *write, const char *name, const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", sql);
	plan_keep(RelationGetRelid(write->rel), name, plan);
	return plan;
}

/*
 * Columns that a RETURNING may have: the current role needs SELECT on them,
 * which INSERT itself doesn't ask.
 */
static Bitmapset *
returned_columns(Write *write)
{
	Oid			relid = RelationGetRelid(write->rel);
	bool		whole = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
	Bitmapset  *result = NULL;

	if (!write->returning)
		return NULL;
	for (int i = 0; i < RelationGetDescr(write->view)->natts; i++)
		if (whole || pg_attribute_aclcheck(relid, write->attnums[i], GetUserId(), ACL_SELECT) == ACLCHECK_OK)
			result = bms_add_member(result, write->attnums[i]);
	return result;
}

/* Put the returned columns of the one row over values, in this context. */
static void
take_returned(Write *write, Bitmapset *returned, Datum *values, bool *nulls, MemoryContext cxt)
{
	int			attnum = -1;
	int			n = 0;
	MemoryContext old = MemoryContextSwitchTo(cxt);

	while ((attnum = bms_next_member(returned, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(write->desc, attnum - 1);
		Datum		value = spi_datum(SPI_tuptable->vals[0], ++n, &nulls[attnum - 1]);

		if (!nulls[attnum - 1])
			values[attnum - 1] = datumCopy(value, att->attbyval, att->attlen);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Whether a column of an INSERT is left to the table: the statement doesn't
 * name it, or it holds what DEFAULT is for a view whose column has no default.
 */
static bool
left_to_table(Write *write, int view_column)
{
	AttrNumber	attnum = write->attnums[view_column];
	Form_pg_attribute att = TupleDescAttr(write->desc, attnum - 1);

	if (write->known && !bms_is_member(attnum, write->named))
		return true;
	if (!write->nulls[attnum - 1])
		return false;
	return att->attgenerated != '\0' || att->attidentity != '\0' ||
		(att->atthasdef && !TupleDescAttr(RelationGetDescr(write->view), view_column)->atthasdef);
}

/*
 * INSERT; true if a row was written or drafted.  It is in write->values.
 */
static bool
write_insert(Write *write)
{
	MemoryContext caller = CurrentMemoryContext;
	Bitmapset  *columns = NULL;
	Bitmapset  *returned = returned_columns(write);
	Datum	   *args = palloc((write->desc->natts + 1) * sizeof(Datum));
	char	   *argnulls = palloc0(write->desc->natts + 1);
	char	   *name;
	SPIPlanPtr	plan;
	bool		written;
	int			attnum = -1;
	int			n = 0;

	for (int i = 0; i < RelationGetDescr(write->view)->natts; i++)
		if (!left_to_table(write, i))
			columns = bms_add_member(columns, write->attnums[i]);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	name = plan_name("insert", columns, returned);
	plan = plan_lookup(RelationGetRelid(write->rel), name);
	if (plan == NULL)
	{
		char	   *alias = alias_for(write->rel);
		Oid		   *types = palloc((write->desc->natts + 1) * sizeof(Oid));
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "INSERT INTO %s AS %s", table_sql(write->rel, false), alias);
		while ((attnum = bms_next_member(columns, attnum)) >= 0)
		{
			appendStringInfo(&sql, "%s%s", n == 0 ? " (" : ", ", column_name(write, attnum));
			types[n++] = getBaseType(TupleDescAttr(write->desc, attnum - 1)->atttypid);
		}
		appendStringInfoString(&sql, n == 0 ? " DEFAULT VALUES" : ") VALUES (");
		for (int i = 1; i <= n; i++)
			appendStringInfo(&sql, "%s$%d%s", i > 1 ? ", " : "", i, i == n ? ")" : "");
		append_returning(write, &sql, alias, returned);
		plan = keep(write, name, sql.data, n, types);
	}
	n = 0;
	attnum = -1;
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		args[n] = write->values[attnum - 1];
		argnulls[n++] = write->nulls[attnum - 1] ? 'n' : ' ';
	}
	execute(write, plan, args, argnulls);
	written = SPI_processed > 0;
	if (SPI_processed > 0 && returned)
		take_returned(write, returned, write->values, write->nulls, caller);
	SPI_finish();
	return written;
}

static bool
same_row(Datum a, Datum b)
{
	return DatumGetBool(OidFunctionCall2(F_RECORD_IMAGE_EQ, a, b));
}

/* The row with the old row's key by the active snapshot; false if none. */
static bool
find_row(Write *write, SPIPlanPtr find, Datum *key, Datum *row)
{
	bool		isnull;

	if (SPI_execute_plan(find, key, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up a row");
	if (SPI_processed == 0)
		return false;
	*row = spi_datum(SPI_tuptable->vals[0], 1, &isnull);
	return true;
}

/*
 * The statement has not found the row as it was: has somebody else changed it
 * in the meantime?  What this transaction has changed, in the same statement,
 * is passed over as PostgreSQL does, and so is a row that is gone.
 */
static bool
changed_by_others(Write *write, SPIPlanPtr find, Datum *key, Datum live)
{
	Datum		row;
	bool		result = false;

	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	if (find_row(write, find, key, &row) && same_row(row, live))
	{
		PushActiveSnapshot(GetLatestSnapshot());
		result = find_row(write, find, key, &row) && !same_row(row, live);
		PopActiveSnapshot();
	}
	PopActiveSnapshot();
	return result;
}

/* The row is shown by the view and doesn't stand in the table. */
static void
refuse_draft(Write *write)
{
	int64		request = preview_only_draft(write->rel, write->old_values, write->old_nulls);

	if (request != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the row of table \"%s\" exists only in the draft of request " INT64_FORMAT,
						RelationGetRelationName(write->rel), request),
				 errdetail("It is written when the request is approved."),
				 errhint("Whoever has its task can change the draft with idflow.save(); idflow.withdraw(" INT64_FORMAT ") ends the request.", request)));
}

/*
 * The statement that writes one row: UPDATE of these columns, to themselves if
 * idle, or DELETE.  Its arguments are the new values, the live row and its key.
 */
static SPIPlanPtr
row_plan(Write *write, CmdType operation, Bitmapset *columns, bool idle, Bitmapset *key,
		 Bitmapset *returned)
{
	char	   *name = plan_name(operation == CMD_DELETE ? "delete" : idle ? "touch" : "update",
								 columns, returned);
	SPIPlanPtr	plan = plan_lookup(RelationGetRelid(write->rel), name);
	char	   *alias;
	Oid		   *types;
	StringInfoData sql;
	int			attnum = -1;
	int			n = 0;
	const char *sep = " SET ";

	if (plan)
		return plan;
	alias = alias_for(write->rel);
	types = palloc((2 * write->desc->natts + 1) * sizeof(Oid));
	initStringInfo(&sql);
	appendStringInfo(&sql, "%s %s AS %s", operation == CMD_DELETE ? "DELETE FROM" : "UPDATE",
					 table_sql(write->rel, true), alias);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		appendStringInfo(&sql, "%s%s = ", sep, column_name(write, attnum));
		sep = ", ";
		if (idle)
			appendStringInfo(&sql, "%s.%s", alias, column_name(write, attnum));
		else
		{
			types[n++] = getBaseType(TupleDescAttr(write->desc, attnum - 1)->atttypid);
			appendStringInfo(&sql, "$%d", n);
		}
	}
	types[n++] = write->rel->rd_rel->reltype;
	appendStringInfo(&sql, " WHERE %s OPERATOR(pg_catalog.*=) $%d", alias, n);
	attnum = -1;
	while ((attnum = bms_next_member(key, attnum)) >= 0)
	{
		types[n++] = getBaseType(TupleDescAttr(write->desc, attnum - 1)->atttypid);
		appendStringInfo(&sql, " AND %s.%s %s $%d", alias, column_name(write, attnum),
						 equality_operator(types[n - 1]), n);
	}
	append_returning(write, &sql, alias, returned);
	return keep(write, name, sql.data, n, types);
}

/* The live row's columns. */
static void
deform_live(Write *write, Datum live, Datum **values, bool **nulls)
{
	HeapTupleData tuple;

	tuple.t_data = DatumGetHeapTupleHeader(live);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	*values = palloc(write->desc->natts * sizeof(Datum));
	*nulls = palloc(write->desc->natts * sizeof(bool));
	heap_deform_tuple(&tuple, write->desc, *values, *nulls);
}

static bool
same_value(Write *write, AttrNumber attnum, Datum a, bool a_null, Datum b, bool b_null)
{
	Form_pg_attribute att = TupleDescAttr(write->desc, attnum - 1);

	return a_null == b_null && (a_null || datum_image_eq(a, b, att->attbyval, att->attlen));
}

/*
 * To give a column the value that it has, where the view shows another, would
 * write nothing and leave the draft as it is.
 */
static void
refuse_undoing(Write *write, Bitmapset *columns, Datum live)
{
	Datum	   *values;
	bool	   *nulls;
	int			attnum = -1;

	deform_live(write, live, &values, &nulls);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		if (same_value(write, attnum, write->values[attnum - 1], write->nulls[attnum - 1],
					   values[attnum - 1], nulls[attnum - 1]))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("column \"%s\" of table \"%s\" has this value, and an open draft gives it another",
							NameStr(TupleDescAttr(write->desc, attnum - 1)->attname),
							RelationGetRelationName(write->rel)),
					 errhint("Change the draft with idflow.save(), or end its request with idflow.withdraw(); idflow.change_diff shows it.")));
}

/*
 * Make the new row what the view shows after the UPDATE: columns that it or
 * the table's triggers have changed are as written, others as they were, also
 * where a draft shows another value than the table has.
 */
static void
show_written(Write *write, Bitmapset *columns, Bitmapset *returned, Datum live, MemoryContext cxt)
{
	Datum	   *values = palloc(write->desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(write->desc->natts * sizeof(bool));
	Datum	   *live_values;
	bool	   *live_nulls;
	int			attnum = -1;

	deform_live(write, live, &live_values, &live_nulls);
	take_returned(write, returned, values, nulls, cxt);
	while ((attnum = bms_next_member(returned, attnum)) >= 0)
	{
		int			i = attnum - 1;

		if (!bms_is_member(attnum, columns) &&
			same_value(write, attnum, values[i], nulls[i], live_values[i], live_nulls[i]))
			continue;
		write->values[i] = values[i];
		write->nulls[i] = nulls[i];
	}
}

/*
 * UPDATE of these columns, or DELETE; true if a row was written or drafted.
 * The row as the view then shows it is in write->values.
 */
static bool
write_row(Write *write, CmdType operation, Bitmapset *columns, bool idle)
{
	MemoryContext caller = CurrentMemoryContext;
	Bitmapset  *key_columns = row_key_attnums(write->rel, NULL);
	Bitmapset  *returned = operation == CMD_UPDATE ? returned_columns(write) : NULL;
	Datum	   *args = palloc((2 * write->desc->natts + 1) * sizeof(Datum));
	char	   *argnulls = palloc0(2 * write->desc->natts + 2);
	Datum		key[INDEX_MAX_KEYS];
	Datum		live;
	SPIPlanPtr	find;
	int			attnum = -1;
	int			nkeys = 0;
	int			n = 0;
	bool		written = false;

	if (key_columns == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no key by which a row could be found",
						RelationGetRelationName(write->rel)),
				 errhint("Write to the table itself, or add a primary key.")));
	if (preview_fold(write, operation, idle ? NULL : columns, &written))
		return written;
	while ((attnum = bms_next_member(key_columns, attnum)) >= 0)
		key[nkeys++] = write->old_values[attnum - 1];

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	find = find_plan(write->rel, NULL, key_columns);
	if (!find_row(write, find, key, &live))
	{
		refuse_draft(write);
		SPI_finish();
		return false;
	}

	if (!idle)
		refuse_undoing(write, columns, live);

	attnum = -1;
	while (!idle && (attnum = bms_next_member(columns, attnum)) >= 0)
	{
		args[n] = write->values[attnum - 1];
		argnulls[n++] = write->nulls[attnum - 1] ? 'n' : ' ';
	}
	args[n] = live;
	argnulls[n++] = ' ';
	for (int i = 0; i < nkeys; i++)
	{
		args[n] = key[i];
		argnulls[n++] = ' ';
	}
	execute(write, row_plan(write, operation, columns, idle, key_columns, returned), args, argnulls);

	if (SPI_processed > 0)
	{
		written = true;
		if (returned)
			show_written(write, columns, returned, live, caller);
	}
	else if (changed_by_others(write, find, key, live))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("A row of table \"%s\" has been changed since the statement on view \"%s\" began.",
						   RelationGetRelationName(write->rel), RelationGetRelationName(write->view)),
				 errhint("Run the transaction again.")));
	SPI_finish();
	return written;
}

/* The columns in which the new row differs from the old one by image. */
static Bitmapset *
differing_columns(Write *write)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < RelationGetDescr(write->view)->natts; i++)
	{
		int			k = write->attnums[i] - 1;

		if (!same_value(write, k + 1, write->values[k], write->nulls[k],
						write->old_values[k], write->old_nulls[k]))
			result = bms_add_member(result, k + 1);
	}
	return result;
}

/* UPDATE of what differs; of what is named, to itself, where nothing does. */
static bool
write_update(Write *write)
{
	Bitmapset  *columns = differing_columns(write);
	int			attnum = -1;

	if (columns)
		return write_row(write, CMD_UPDATE, columns, false);
	while ((attnum = bms_next_member(write->named, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(write->desc, attnum - 1);

		if (att->attgenerated == '\0' && att->attidentity != ATTRIBUTE_IDENTITY_ALWAYS)
			columns = bms_add_member(columns, attnum);
	}
	return columns == NULL || write_row(write, CMD_UPDATE, columns, true);
}

/*
 * idflow.write_preview(): the trigger function of preview views.
 */
Datum
idflow_write_preview(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Write		write;
	HeapTuple	result = NULL;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "idflow.write_preview")));
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) || !TRIGGER_FIRED_INSTEAD(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired INSTEAD OF a row", "idflow.write_preview"),
				 errhint("Preview views are made by idflow.create_preview().")));

	memset(&write, 0, sizeof(write));
	write.view = trigdata->tg_relation;
	write_open(&write);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		write_look(&write, CMD_INSERT);
		write_from_row(&write, trigdata->tg_trigtuple, &write.values, &write.nulls);
		if (write_insert(&write))
			result = write_to_row(&write, write.values, write.nulls);
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		write_look(&write, CMD_UPDATE);
		write_from_row(&write, trigdata->tg_trigtuple, &write.old_values, &write.old_nulls);
		write_from_row(&write, trigdata->tg_newtuple, &write.values, &write.nulls);
		if (write_update(&write))
			result = write_to_row(&write, write.values, write.nulls);
	}
	else
	{
		write_from_row(&write, trigdata->tg_trigtuple, &write.old_values, &write.old_nulls);
		if (write_row(&write, CMD_DELETE, NULL, false))
			result = trigdata->tg_trigtuple;
	}
	table_close(write.rel, NoLock);
	return PointerGetDatum(result);
}
