/*-------------------------------------------------------------------------
 *
 * unpack.c
 *	  The rows of packs as changes.
 *
 * What a pack's rows are is said in pack.c.  Most of what is done with a
 * request's changes is done with one at a time; whoever goes through them with
 * changes_begin() has the rows of one pack in memory, and not those of all.  A
 * pack of which a row is edited or dropped is taken apart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "change.h"
#include "idflow.h"
#include "pack.h"

PG_FUNCTION_INFO_V1(idflow_image_has);

/* The pack that a row was asked of last; see unpack_row(). */
static struct
{
	MemoryContext context;
	char		toasted[TOAST_POINTER_SIZE];
	Datum	   *values;
	bool	   *nulls;
}			last;

/*
 * pack_values: the values of a pack's rows, as text, in the current memory
 * context.  Returns how many there are; none if they are blanked.
 */
int
pack_values(Change *pack, Datum **values, bool **nulls)
{
	int			n;

	*values = NULL;
	*nulls = NULL;
	if (pack->rows == (Datum) 0)
		return 0;
	deconstruct_array(DatumGetArrayTypeP(pack->rows), TEXTOID, -1, false, TYPALIGN_INT,
					  values, nulls, &n);
	if (n != pack->count * pack->layout->ncolumns)
		elog(ERROR, "pack of %d rows has %d values of %d columns", pack->count, n,
			 pack->layout->ncolumns);
	return n;
}

/* The row of a pack that is the i-th, from 0, by itself. */
static Change *
row_of(Change *pack, int i, Datum *values, bool *nulls)
{
	Change	   *change = palloc(sizeof(Change));
	int			n = pack->layout->ncolumns;

	*change = *pack;
	change->seq = pack->seq + i;
	change->count = 1;
	change->rows = (Datum) 0;
	change->digest = NULL;
	change->pack = pack;
	if (values)
	{
		change->new_image = palloc0(sizeof(Image));
		change->new_image->n = n;
		change->new_image->values = palloc(Max(n, 1) * sizeof(char *));
		for (int p = 0; p < n; p++)
			change->new_image->values[p] = nulls[i * n + p] ? NULL :
				TextDatumGetCString(values[i * n + p]);
	}
	if (change->new_image && pack->key_positions)
	{
		int			nkey = bms_num_members(pack->key_positions);
		int			position = -1;
		int			k = 0;

		change->key = palloc0(sizeof(Image));
		change->key->n = nkey;
		change->key->columns = palloc(nkey * sizeof(int16));
		change->key->values = palloc(nkey * sizeof(char *));
		while ((position = bms_next_member(pack->key_positions, position)) >= 0)
		{
			change->key->columns[k] = position;
			change->key->values[k++] = change->new_image->values[position - 1];
		}
	}
	return change;
}

/* unpack: the rows of a pack as changes, in the current memory context. */
List *
unpack(Change *pack)
{
	List	   *result = NIL;
	Datum	   *values;
	bool	   *nulls;

	(void) pack_values(pack, &values, &nulls);
	for (int i = 0; i < pack->count; i++)
		result = lappend(result, row_of(pack, i, values, nulls));
	return result;
}

static void
forget_last(void *arg)
{
	memset(&last, 0, sizeof(last));
}

/*
 * unpack_row: the one of them that has a number, in the current memory context.
 * Views ask for one row after another: the values of the pack that was asked for
 * last are kept until the transaction's end, as long as they are the same ones in
 * the TOAST table.
 */
Change *
unpack_row(Change *pack, int seq)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(pack->rows);
	MemoryContext oldcxt;
	Datum	   *values;
	bool	   *nulls;

	if (stored == NULL || !VARATT_IS_EXTERNAL_ONDISK(stored))
	{
		(void) pack_values(pack, &values, &nulls);
		return row_of(pack, seq - pack->seq, values, nulls);
	}
	if (last.context == NULL || memcmp(last.toasted, stored, sizeof(last.toasted)) != 0)
	{
		MemoryContextCallback *callback;
		MemoryContext cxt = AllocSetContextCreate(TopTransactionContext, "idflow pack last read",
												  ALLOCSET_DEFAULT_SIZES);

		if (last.context)
			MemoryContextDelete(last.context);
		oldcxt = MemoryContextSwitchTo(cxt);
		(void) pack_values(pack, &last.values, &last.nulls);
		callback = palloc0(sizeof(MemoryContextCallback));
		callback->func = forget_last;
		MemoryContextRegisterResetCallback(cxt, callback);
		memcpy(last.toasted, stored, sizeof(last.toasted));
		last.context = cxt;
		MemoryContextSwitchTo(oldcxt);
	}
	return row_of(pack, seq - pack->seq, last.values, last.nulls);
}

/* ------------------------------------------------------------ one by one */

/*
 * changes_begin: begin to go through changes, in order, given as request_stored()
 * has those of a request.  changes_end() must follow, but for an error.
 */
void
changes_begin(ChangeScan *scan, List *stored)
{
	memset(scan, 0, sizeof(ChangeScan));
	scan->stored = stored;
	scan->outside = CurrentMemoryContext;
}

/* Did a change meet a workflow's gate? */
static bool
met_gate(Change *change, const char *workflow)
{
	return strings_contain(change->gates, workflow);
}

/*
 * governed_begin: the same for those changes of a request that its present
 * workflow has a say in, which met its gate.  A workflow continued by hand has a
 * say in all.
 */
void
governed_begin(ChangeScan *scan, Request *req)
{
	ListCell   *lc;

	changes_begin(scan, request_stored(req));
	foreach(lc, scan->stored)
		if (met_gate(lfirst(lc), req->workflow->name))
			scan->workflow = req->workflow->name;
}

/*
 * governed_changes: the same as a list.
 */
List *
governed_changes(Request *req)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, request_changes(req))
		if (met_gate(lfirst(lc), req->workflow->name))
			result = lappend(result, lfirst(lc));
	return result ? result : list_copy(req->changes);
}

/*
 * changes_next: the next change; NULL: that was the last.  The current memory
 * context is then one that lasts as long as the change does: a row of a pack goes
 * as the next pack comes, and what was made of it.
 */
Change *
changes_next(ChangeScan *scan)
{
	Change	   *change;

	while (scan->pack == NULL || scan->row >= scan->pack->count)
	{
		scan->pack = NULL;
		MemoryContextSwitchTo(scan->outside);
		if (scan->context)
			MemoryContextReset(scan->context);
		if (scan->next >= list_length(scan->stored))
			return NULL;
		change = list_nth(scan->stored, scan->next++);
		if (scan->workflow && !met_gate(change, scan->workflow))
			continue;
		if (change->count <= 1)
			return change;
		if (scan->context == NULL)
			scan->context = AllocSetContextCreate(scan->outside, "idflow packed changes",
												  ALLOCSET_DEFAULT_SIZES);
		scan->pack = change;
		scan->row = 0;
		MemoryContextSwitchTo(scan->context);
		(void) pack_values(change, &scan->values, &scan->nulls);
	}
	return row_of(scan->pack, scan->row++, scan->values, scan->nulls);
}

/* changes_end: the end of it, maybe before the last. */
void
changes_end(ChangeScan *scan)
{
	MemoryContextSwitchTo(scan->outside);
	if (scan->context)
		MemoryContextDelete(scan->context);
}

/* The index of a text among the elements of a text[], -1 if it has none such. */
static int
text_index(Datum array, text *wanted)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i] && DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, values[i],
															  PointerGetDatum(wanted))))
			return i;
	return -1;
}

/* idflow.image_has(image, positions, columns, name, value, without) */
Datum
idflow_image_has(PG_FUNCTION_ARGS)
{
	int			index;
	int			stride;
	int			without = PG_ARGISNULL(5) ? -1 : PG_GETARG_INT32(5);
	Datum	   *values;
	bool	   *nulls;
	int			n;

	for (int i = 0; i < 5; i++)
		if (i != 1 && PG_ARGISNULL(i))
			PG_RETURN_BOOL(false);
	index = text_index(PG_GETARG_DATUM(2), PG_GETARG_TEXT_PP(3));
	stride = ArrayGetNItems(ARR_NDIM(PG_GETARG_ARRAYTYPE_P(2)), ARR_DIMS(PG_GETARG_ARRAYTYPE_P(2)));
	if (!PG_ARGISNULL(1) && index >= 0)
	{
		int16	   *positions = int2_array_values(PG_GETARG_DATUM(1), &stride);
		int			k = 0;

		while (k < stride && positions[k] != index + 1)
			k++;
		index = k < stride ? k : -1;
	}
	if (index < 0)
		PG_RETURN_BOOL(false);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i * stride + index < n; i++)
		if (i != without && !nulls[i * stride + index] &&
			DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, values[i * stride + index],
												 PG_GETARG_DATUM(4))))
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}

/* ---------------------------------------------------------- taking it apart */

/*
 * unpack_stored: the change of this number is going to be stored otherwise than
 * it is: if it is in a pack, that is taken apart, each of its rows is stored by
 * itself from now on.  The request's changes are in memory, each for itself.
 */
void
unpack_stored(Request *req, int seq)
{
	Change	   *pack = NULL;
	ListCell   *lc;

	foreach(lc, req->changes)
		if (((Change *) lfirst(lc))->seq == seq)
			pack = ((Change *) lfirst(lc))->pack;
	if (pack == NULL)
		return;
	change_replace(req, pack, unpack(pack));
	foreach(lc, req->changes)
		if (((Change *) lfirst(lc))->pack == pack)
			((Change *) lfirst(lc))->pack = NULL;
}
