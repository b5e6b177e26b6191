/*-------------------------------------------------------------------------
 *
 * pack.c
 *	  Many rows of one statement as one row of idflow.change_data.
 *
 * A statement that inserts thousands of rows into one request has each of them
 * drafted like any other until idflow.check_limit, from which on rows are not
 * looked at one by one.  The rest are gathered here, and a pack
 * of them is stored at a time.  What a pack's rows have in common, which is all
 * but their values, is kept once: table, layout, gates, the columns that the
 * statement named, and the settings under which it ran.
 *
 * The values of a pack are a text[], row after row, of all columns of the
 * layout.  The statement's end stores the last pack.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "bundle.h"
#include "capture.h"
#include "change.h"
#include "column.h"
#include "notice.h"
#include "pack.h"
#include "propose.h"
#include "session.h"

/* A pack is stored when it has so many rows, or bytes. */
#define PACK_ROWS	1000
#define PACK_BYTES	(128 * 1024)

/* The pack that a request's statement is gathering. */
typedef struct Packing
{
	Filling    *filling;
	Change	   *change;			/* the pack; count is that of the rows so far */
	Bitmapset  *inserted;		/* attributes that its statement named */
	Oid			relid;			/* of the relation whose rows are taken */
	int		   *attributes;		/* its attributes, from 0, for each position */
	bool	   *is_text;		/* likewise: its value is its text */

	/* the array in the making */
	StringInfoData data;
	bool	   *nulls;
	int			nvalues;
	int			maxvalues;
	bool		has_nulls;

	/* rows are taken without a further look while all this is the same */
	bool		direct;
	PlannedStmt *statement;
	Wrapper    *wrapper;
	ResultRelInfo *rri;
	char	   *workflow;
	char	   *actor_setting;
	Oid			roleid;
	Oid			outer_roleid;
} Packing;

/* The one that the row before went into; NULL: it went elsewhere. */
static Packing *current = NULL;

/* -------------------------------------------------------------- the values */

/* Add a value to the array: its length and bytes, aligned as elements are. */
static inline void
append_value(Packing *packing, const char *value, int length)
{
	StringInfo	data = &packing->data;
	int			size = VARHDRSZ + length;
	int			padded = INTALIGN(size);
	char	   *place;

	if (data->maxlen - data->len <= padded)
		enlargeStringInfo(data, padded);
	place = data->data + data->len;
	SET_VARSIZE(place, size);
	memcpy(place + VARHDRSZ, value, length);
	memset(place + size, 0, padded - size);
	data->len += padded;
}

/* Add a row's values, which are in a slot or tuple of the relation looked at. */
static void
append_row(Packing *packing, Datum *values, bool *isnull)
{
	Layout	   *layout = packing->change->layout;
	int			before = packing->data.len;

	if (packing->nvalues + layout->ncolumns > packing->maxvalues)
	{
		packing->maxvalues *= 2;
		packing->nulls = repalloc(packing->nulls, packing->maxvalues * sizeof(bool));
	}
	for (int p = 0; p < layout->ncolumns; p++)
	{
		int			att = packing->attributes[p];

		packing->nulls[packing->nvalues++] = isnull[att];
		if (isnull[att])
		{
			packing->has_nulls = true;
			continue;
		}
		if (packing->is_text[p])
		{
			struct varlena *value = PG_DETOAST_DATUM_PACKED(values[att]);

			append_value(packing, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
		}
		else
		{
			char	   *value = OutputFunctionCall(&layout->output[p], values[att]);

			append_value(packing, value, strlen(value));
		}
		if (packing->data.len - before > MAX_IMAGE_SIZE)
			image_too_large(layout, p + 1);
	}
}

/* The array of the values so far, as text[]. */
static Datum
packed_values(Packing *packing)
{
	int			n = packing->nvalues;
	int			overhead = packing->has_nulls ? ARR_OVERHEAD_WITHNULLS(1, n) :
		ARR_OVERHEAD_NONULLS(1);
	ArrayType  *array = palloc0(overhead + packing->data.len);

	SET_VARSIZE(array, overhead + packing->data.len);
	array->ndim = 1;
	array->dataoffset = packing->has_nulls ? overhead : 0;
	array->elemtype = TEXTOID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	if (packing->has_nulls)
		for (int i = 0; i < n; i++)
			if (!packing->nulls[i])
				ARR_NULLBITMAP(array)[i / 8] |= 1 << (i % 8);
	memcpy(ARR_DATA_PTR(array), packing->data.data, packing->data.len);
	return PointerGetDatum(array);
}

/* ------------------------------------------------------------------ the pack */

/* Store the rows so far. */
static void
pack_flush(Packing *packing)
{
	Change	   *pack = packing->change;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "idflow pack",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);

	if (pack->count > 0)
	{
		pack->rows = packed_values(packing);
		change_store(packing->filling->req, pack->count == 1 ? linitial(unpack(pack)) : pack);
		pack->rows = (Datum) 0;
	}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(cxt);
	pack->count = 0;
	packing->nvalues = 0;
	packing->has_nulls = false;
	resetStringInfo(&packing->data);
	/* a row of many megabytes must not be kept room for */
	if (packing->data.maxlen > 4 * PACK_BYTES)
	{
		pfree(packing->data.data);
		oldcxt = MemoryContextSwitchTo(packing->filling->context);
		initStringInfo(&packing->data);
		MemoryContextSwitchTo(oldcxt);
	}
}

/* A row is going to be added: it gets its number, the first of a pack the pack's. */
static void
pack_number(Packing *packing)
{
	Request    *req = packing->filling->req;
	Change	   *pack = packing->change;

	/* rows that took another way have numbers between */
	if (pack->count > 0 && pack->seq + pack->count != req->nchanges + 1)
		pack_flush(packing);
	if (pack->count == 0)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(packing->filling->context);

		change_number(req, pack);
		MemoryContextSwitchTo(oldcxt);
	}
	else
		(void) next_change(req);
	pack->count++;
}

/* Add the row in a slot of the relation looked at. */
static void
pack_slot(Packing *packing, TupleTableSlot *slot)
{
	int			nest;

	pack_number(packing);
	slot_getallattrs(slot);
	nest = transmission_modes_begin_for(packing->change->layout);
	append_row(packing, slot->tts_values, slot->tts_isnull);
	transmission_modes_end(nest);
	if (packing->change->count >= PACK_ROWS || packing->data.len >= PACK_BYTES)
		pack_flush(packing);
}

/* pack_end: the statement is over: store the last pack. */
void
pack_end(Filling *filling)
{
	pack_forget(filling);
	if (filling->packing)
		pack_flush(filling->packing);
}

/* pack_forget: what is added to is gone, with NULL all that is. */
void
pack_forget(Filling *filling)
{
	if (current && (filling == NULL || current->filling == filling))
		current = NULL;
}

/* ------------------------------------------------------- what may be packed */

static bool
has_view_check(ResultRelInfo *rri)
{
	ListCell   *lc;

	foreach(lc, rri ? rri->ri_WithCheckOptions : NIL)
		if (lfirst_node(WithCheckOption, lc)->kind == WCO_VIEW_CHECK)
			return true;
	return false;
}

/*
 * Can a row of the present statement be one of many?  Not where something is to
 * be asked of it alone: by a view's CHECK OPTION, or the policies of what
 * RETURNING shows; where what triggers write comes with it; where it is not the
 * requester's own; nor where the statement has other actions, so that the next
 * may be half of an UPDATE that moves a row between partitions.
 */
static bool
may_be_packed(Filling *filling, Workflow *wf, Relation rel, Relation target, StatementInfo *info)
{
	return filling && filling->req->workflow == wf && !wf->includes &&
		GetCurrentSubTransactionId() == filling->subid &&
		statement_rows() >= setting_check_limit && executing_statement() != NULL &&
		!applying_request() && !InSecurityRestrictedOperation() && !proposal_is_for(rel) &&
		info->known && !info->updates && !info->deletes && layout_current(target)->ncolumns > 0 &&
		target->rd_rules == NULL && !info->view_check && !has_view_check(info->rri) &&
		(!OidIsValid(info->as_user) || info->as_user == GetUserId()) &&
		!(info->rri && info->rri->ri_projectReturning && info->rri->ri_WithCheckOptions != NIL);
}

static const char *
actor_setting(void)
{
	return setting_actor ? setting_actor : "";
}

/* Begin a pack like the row at hand. */
static Packing *
packing_begin(Filling *filling, Relation target, const char *workflow, StatementInfo *info)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(filling->context);
	Packing    *packing = palloc0(sizeof(Packing));
	Change	   *change = change_like(target, CMD_INSERT, workflow, info);
	int			n = Max(change->layout->ncolumns, 1);

	packing->filling = filling;
	packing->change = change;
	packing->wrapper = info->wrapper;
	packing->inserted = bms_copy(info->inserted);
	packing->attributes = palloc(n * sizeof(int));
	packing->is_text = palloc(n * sizeof(bool));
	packing->maxvalues = 1024 + n;
	packing->nulls = palloc(packing->maxvalues * sizeof(bool));
	initStringInfo(&packing->data);
	filling->packing = packing;
	MemoryContextSwitchTo(oldcxt);
	return packing;
}

/* Is a pack about rows of this table, as it is now, that are written like this one? */
static bool
is_like(Packing *packing, Relation target, const char *workflow, StatementInfo *info)
{
	Change	   *change = packing->change;

	return change->target == RelationGetRelid(target) && change->layout == layout_current(target) &&
		strcmp(linitial(change->gates), workflow) == 0 &&
		packing->wrapper == info->wrapper &&
	/* another statement's may have come to stand in the same place */
		bms_equal(packing->inserted, info->inserted);
}

/* Rows come from rel, which is the target or a partition of it, from now on. */
static void
look_at_source(Packing *packing, Relation rel, Relation target, Workflow *wf, StatementInfo *info)
{
	Layout	   *layout = packing->change->layout;
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	MemoryContext oldcxt = MemoryContextSwitchTo(packing->filling->context);

	for (int p = 0; p < layout->ncolumns; p++)
	{
		AttrNumber	attnum = layout->attnums[p];
		Oid			type;

		if (rel != target)
			attnum = get_attnum(RelationGetRelid(rel), layout->names[p]);
		type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;
		packing->attributes[p] = attnum - 1;
		packing->is_text[p] = type == TEXTOID || type == VARCHAROID;
	}
	packing->relid = RelationGetRelid(rel);
	packing->statement = executing_statement();
	packing->rri = info->rri;
	packing->workflow = wf->name;
	if (packing->actor_setting == NULL || strcmp(packing->actor_setting, actor_setting()) != 0)
		packing->actor_setting = pstrdup(actor_setting());
	packing->roleid = GetUserId();
	packing->outer_roleid = GetOuterUserId();
	packing->direct = !(constr && constr->has_generated_stored) &&
		!(info->rri && info->rri->ri_projectReturning);
	MemoryContextSwitchTo(oldcxt);
}

/*
 * pack_add: a row of the present statement, if it can be one of many.  Returns
 * the pack that it went into; NULL: it must be drafted by itself.
 */
Change *
pack_add(Request *req, Workflow *wf, Relation rel, Relation target, TupleTableSlot *new,
		 StatementInfo *info)
{
	Filling    *filling = filling_of(req->id);
	Packing    *packing = filling ? filling->packing : NULL;
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	current = NULL;
	if (!may_be_packed(filling, wf, rel, target, info))
		return NULL;
	/* the message about a row that doesn't do might show what is hidden */
	if (constr && constr->has_generated_stored && workflow_hides_columns(wf))
		return NULL;
	if (packing && !is_like(packing, target, wf->name, info))
	{
		pack_flush(packing);
		packing = NULL;
	}
	if (packing == NULL)
		packing = packing_begin(filling, target, wf->name, info);
	look_at_source(packing, rel, target, wf, info);

	(void) draft_check(req, packing->change, rel, info, NULL, new, NULL);
	pack_slot(packing, new);
	current = packing->direct ? packing : NULL;
	return packing->change;
}

/*
 * pack_row: a gate's row, if it comes as the one before did and goes where that
 * went.  This is the way of all but the first few of a large statement's rows,
 * so it looks at nothing twice.  Whatever may differ from one row of a statement
 * to the next is looked at: a function that it calls may have set things, or run
 * statements of its own.
 */
bool
pack_row(TriggerData *trigdata)
{
	Packing    *packing = current;
	Relation	rel = trigdata->tg_relation;

	if (packing == NULL)
		return false;
	if (packing->relid != RelationGetRelid(rel) || packing->statement != executing_statement() ||
		packing->wrapper != running_wrapper() ||
		packing->filling->subid != GetCurrentSubTransactionId() ||
		packing->roleid != GetUserId() || packing->outer_roleid != GetOuterUserId() ||
		strcmp(packing->workflow, trigdata->tg_trigger->tgargs[0]) != 0 ||
		strcmp(packing->actor_setting, actor_setting()) != 0 ||
		statement_rows() < setting_check_limit || bypass_reason() != NULL)
	{
		current = NULL;
		return false;
	}
	pack_slot(packing, trigdata->tg_trigslot);
	bundle_counted(packing->filling);
	if (packing->wrapper)
		wrapper_drafted(packing->wrapper, packing->rri, CMD_INSERT, NULL, NULL);
	return true;
}
