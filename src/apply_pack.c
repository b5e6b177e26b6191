/*-------------------------------------------------------------------------
 *
 * apply_pack.c
 *	  Writing the rows of a pack: one statement for all of them.
 *
 * The rows are put into a tuplestore, which the statement reads like a trigger
 * function its transition table.  The table sees them as it would have seen
 * those of the statement that drafted them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "apply.h"
#include "pack.h"

/* A pack on its way into its table. */
typedef struct Rows
{
	Change	   *pack;
	Relation	rel;
	Tuplestorestate *store;		/* the rows in the table's shape */
	Bitmapset  *has_value;		/* positions in which some row has a value */
} Rows;

/*
 * Read a pack's rows into the tuplestore.  The caller is the requester: reading
 * a value may run code of a domain's.
 */
static void
read_rows(Rows *rows)
{
	Change	   *pack = rows->pack;
	Layout	   *layout = pack->layout;
	TupleDesc	desc = RelationGetDescr(rows->rel);
	Datum	   *row = palloc0(desc->natts * sizeof(Datum));
	bool	   *row_nulls = palloc(desc->natts * sizeof(bool));
	AttrNumber *attnums = palloc(layout->ncolumns * sizeof(AttrNumber));
	bool	   *as_it_is = palloc(layout->ncolumns * sizeof(bool));
	bool	   *has_value = palloc0(layout->ncolumns * sizeof(bool));
	Datum	   *values;
	bool	   *nulls;
	int			n = pack_values(pack, &values, &nulls);
	MemoryContext cxt;
	MemoryContext oldcxt;
	StringInfoData text;
	int			nest;

	for (int p = 0; p < layout->ncolumns; p++)
	{
		Form_pg_attribute att;

		attnums[p] = row_attnum(layout, rows->rel, p + 1, false);
		att = TupleDescAttr(desc, attnums[p] - 1);
		if (att->attgenerated != '\0')
			attnums[p] = 0;
		as_it_is[p] = att->atttypid == TEXTOID || (att->atttypid == VARCHAROID && att->atttypmod < 0);
	}
	memset(row_nulls, true, desc->natts * sizeof(bool));
	initStringInfo(&text);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "idflow row", ALLOCSET_DEFAULT_SIZES);
	oldcxt = MemoryContextSwitchTo(cxt);
	nest = transmission_modes_begin_for(layout);
	for (int i = 0; i < n; i += layout->ncolumns)
	{
		for (int p = 0; p < layout->ncolumns; p++)
		{
			int			att = attnums[p] - 1;
			struct varlena *value = (struct varlena *) DatumGetPointer(values[i + p]);

			if (att < 0)
				continue;
			row_nulls[att] = nulls[i + p];
			has_value[p] |= !row_nulls[att];
			if (as_it_is[p])
			{
				row[att] = values[i + p];
				continue;
			}
			if (row_nulls[att])
			{
				/* a domain may forbid nulls */
				row[att] = layout_value(layout, rows->rel, p + 1, NULL, &row_nulls[att]);
				continue;
			}
			resetStringInfo(&text);
			appendBinaryStringInfo(&text, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
			row[att] = layout_value(layout, rows->rel, p + 1, text.data, &row_nulls[att]);
		}
		tuplestore_putvalues(rows->store, desc, row, row_nulls);
		MemoryContextReset(cxt);
	}
	transmission_modes_end(nest);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(cxt);
	for (int p = 0; p < layout->ncolumns; p++)
		if (has_value[p])
			rows->has_value = bms_add_member(rows->has_value, p + 1);
}

/*
 * What the table's triggers have made of the rows, as check_written_row() says
 * of one.  The statement has returned them in the order in which it took them.
 */
static List *
check_written_rows(Request *req, Rows *rows, Dml *dml)
{
	SPITupleTable *returned = SPI_tuptable;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rows->rel), &TTSOpsMinimalTuple);
	List	   *altered = NIL;
	ListCell   *lp;

	tuplestore_rescan(rows->store);
	foreach(lp, unpack(rows->pack))
	{
		HeapTuple	row = returned->vals[foreach_current_index(lp)];
		ListCell   *lc;

		if (!tuplestore_gettupleslot(rows->store, true, false, slot))
			elog(ERROR, "a row of a pack is missing");
		slot_getallattrs(slot);
		for (int a = 0; a < dml->nargs; a++)
		{
			dml->values[a] = slot->tts_values[dml->attnums[a] - 1];
			dml->nulls[a] = slot->tts_isnull[dml->attnums[a] - 1] ? 'n' : ' ';
		}
		SPI_tuptable = returned;
		foreach(lc, check_written_row(req, lfirst(lp), rows->rel, dml, NULL, row))
			if (!strings_contain(altered, lfirst(lc)))
				altered = lappend(altered, lfirst(lc));
		CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
	return altered;
}

/* Write the rows one by one. */
static ApplyOutcome
apply_rows(Request *req, Change *pack, bool trying, char **held_by, StringInfo report)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "idflow pack",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	ApplyOutcome outcome = APPLY_DONE;
	HeapTuple	written;
	ListCell   *lc;

	foreach(lc, unpack(pack))
	{
		outcome = apply_change(req, lfirst(lc), trying ? &written : NULL, held_by, report);
		if (outcome != APPLY_DONE)
			break;
	}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(cxt);
	return outcome;
}

/*
 * apply_pack: write the rows of a pack, or try to, as apply_change() does one.
 */
ApplyOutcome
apply_pack(Request *req, Change *pack, bool trying, char **held_by, StringInfo report)
{
	Rows		rows = {pack};
	EphemeralNamedRelationData relation;
	Dml			dml;
	Pass		pass;
	bool		returning;
	ApplyOutcome outcome = APPLY_DONE;

	rows.rel = row_open(pack, RowExclusiveLock);

	/* a rule may make other statements of ours */
	if (rows.rel->rd_rules)
	{
		table_close(rows.rel, NoLock);
		return apply_rows(req, pack, trying, held_by, report);
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	rows.store = tuplestore_begin_heap(false, false, work_mem);
	read_rows(&rows);

	memset(&relation, 0, sizeof(relation));
	relation.md.name = DRAFTED_ROWS;
	relation.md.reliddesc = RelationGetRelid(rows.rel);
	relation.md.enrtype = ENR_NAMED_TUPLESTORE;
	relation.md.enrtuples = pack->count;
	relation.reldata = rows.store;
	if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a pack");

	/* triggers of partitions and of servers elsewhere are not known here */
	returning = rows.rel->rd_rel->relkind != RELKIND_RELATION ||
		has_other_triggers(rows.rel, CMD_INSERT);
	dml_prepare_rows(&dml, pack, rows.rel, rows.has_value, returning);
	(void) pass_execute(&pass, req, pack, &dml, NULL, trying);
	if (pass.held_by)
	{
		*held_by = pass.held_by;
		outcome = APPLY_HELD;
	}
	else if (SPI_processed != pack->count)
		not_written(req, pack, rows.rel);
	else if (returning && !trying)
		report_altered(report, pack, check_written_rows(req, &rows, &dml));

	tuplestore_end(rows.store);
	SPI_finish();
	table_close(rows.rel, NoLock);
	return outcome;
}
