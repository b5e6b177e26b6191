/*-------------------------------------------------------------------------
 *
 * preview_set.c
 *	  The rows of a table that open drafts make, change or delete, for
 *	  whoever asks.
 *
 * Live rows are read by whoever asks, with his privileges and under the
 * policies that hold for him.  Laid over them are the open drafts of which he
 * may see something, in the order of their requests.  A draft that does not
 * fit the table any more is left out, as it could not be applied.
 *
 * Values that drafts bring are read without the checks of domains, which
 * passed them when the draft was made: a SELECT calls nobody's code for a
 * value.  What remains of it, domains inside arrays and composite types and
 * the expressions of generated columns, runs as whoever asks, restricted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "plancache.h"
#include "preview.h"
#include "reading.h"

/* Which column of the table stands at each position of a layout. */
typedef struct LayoutMap
{
	Layout	   *layout;
	AttrNumber *attnums;		/* 0: none that fits */
} LayoutMap;

/* A generated column's expression. */
typedef struct Generated
{
	AttrNumber	attnum;
	bool		stored;
	Bitmapset  *refs;			/* the columns that it reads */
	ExprState  *state;
} Generated;

/* Drafted rows whose keys have one hash. */
typedef struct DraftEntry
{
	uint64		hash;
	DraftRow   *rows;
} DraftEntry;

/* What the current role may read of the table, and how it tells rows apart. */
static DraftSet *
draft_set_create(Relation rel)
{
	DraftSet   *set = palloc0(sizeof(DraftSet));
	Oid			relid = RelationGetRelid(rel);
	bool		whole = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
	int			attnum = -1;
	HASHCTL		ctl;

	set->rel = rel;
	set->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	set->all_selectable = true;
	for (int i = 0; i < set->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(set->desc, i);

		if (att->attisdropped)
			continue;
		if (whole || pg_attribute_aclcheck(relid, att->attnum, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
			set->selectable = bms_add_member(set->selectable, att->attnum);
		else
			set->all_selectable = false;
	}
	if (!whole && set->selectable == NULL)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));

	set->key = row_key_attnums(rel, NULL);
	if (!bms_is_subset(set->key, set->selectable))
		set->key = NULL;
	set->output = palloc0(set->desc->natts * sizeof(FmgrInfo));
	while ((attnum = bms_next_member(set->key, attnum)) >= 0)
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(TupleDescAttr(set->desc, attnum - 1)->atttypid, &output, &varlena);
		fmgr_info(output, &set->output[attnum - 1]);
	}

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(DraftEntry);
	ctl.hcxt = CurrentMemoryContext;
	set->by_key = hash_create("idflow drafted rows", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return set;
}

/*
 * key_of_row: a row's key as text, in the current memory context; the caller holds
 * transmission modes.
 */
char *
key_of_row(DraftSet *set, Datum *values, bool *nulls)
{
	StringInfoData buf;
	int			attnum = -1;

	initStringInfo(&buf);
	while ((attnum = bms_next_member(set->key, attnum)) >= 0)
	{
		char	   *value;

		if (nulls[attnum - 1])
			continue;
		value = OutputFunctionCall(&set->output[attnum - 1], values[attnum - 1]);
		appendStringInfo(&buf, "%d:%zu:%s", attnum, strlen(value), value);
	}
	return buf.data;
}

/* draft_of_key: the drafted row whose live row has this key; NULL if none. */
DraftRow *
draft_of_key(DraftSet *set, const char *key)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) key, strlen(key), 0);
	DraftEntry *entry = hash_search(set->by_key, &hash, HASH_FIND, NULL);
	DraftRow   *row;

	for (row = entry ? entry->rows : NULL; row; row = row->next)
		if (strcmp(row->key, key) == 0)
			return row;
	return NULL;
}

/* The columns of a layout in the table as it is now. */
static AttrNumber *
map_of(DraftSet *set, Layout *layout)
{
	LayoutMap  *map;
	ListCell   *lc;

	foreach(lc, set->maps)
	{
		map = lfirst(lc);
		if (map->layout == layout)
			return map->attnums;
	}
	map = palloc(sizeof(LayoutMap));
	map->layout = layout;
	map->attnums = palloc0((layout->ncolumns + 1) * sizeof(AttrNumber));
	for (int p = 1; p <= layout->ncolumns; p++)
		map->attnums[p] = row_attnum(layout, set->rel, p, true);
	set->maps = lappend(set->maps, map);
	return map->attnums;
}

/*
 * A column's value from its text, unchecked by its domain; false if the type
 * takes it no more.
 */
static bool
value_from_text(DraftSet *set, AttrNumber attnum, const char *text, Datum *value)
{
	Form_pg_attribute att = TupleDescAttr(set->desc, attnum - 1);
	int32		typmod = att->atttypmod;
	Oid			type = getBaseTypeAndTypmod(att->atttypid, &typmod);

	return drafted_value(set->request, att, type, typmod, text, value);
}

/*
 * find_plan: the statement that finds a row by the columns of a key, whose
 * values are its arguments in the order of their numbers.  It yields the given
 * columns, or the row as one value if there are none.
 */
SPIPlanPtr
find_plan(Relation rel, Bitmapset *columns, Bitmapset *key)
{
	TupleDesc	desc = RelationGetDescr(rel);
	char	   *alias = alias_for(rel);
	StringInfoData name;
	StringInfoData sql;
	SPIPlanPtr	plan;
	Oid			types[INDEX_MAX_KEYS];
	int			n = 0;
	int			attnum = -1;

	initStringInfo(&name);
	appendStringInfoString(&name, "preview of");
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		appendStringInfo(&name, " %d", attnum);
	appendStringInfoString(&name, " by");
	attnum = -1;
	while ((attnum = bms_next_member(key, attnum)) >= 0)
		appendStringInfo(&name, " %d", attnum);
	plan = plan_lookup(RelationGetRelid(rel), name.data);
	if (plan)
		return plan;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	if (columns == NULL)
		appendStringInfoString(&sql, alias);
	attnum = -1;
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		appendStringInfo(&sql, "%s%s.%s", n++ > 0 ? ", " : "", alias,
						 quote_identifier(NameStr(TupleDescAttr(desc, attnum - 1)->attname)));
	appendStringInfo(&sql, " FROM %s %s", table_sql(rel, true), alias);
	n = 0;
	attnum = -1;
	while ((attnum = bms_next_member(key, attnum)) >= 0)
	{
		types[n] = getBaseType(TupleDescAttr(desc, attnum - 1)->atttypid);
		n++;
		appendStringInfo(&sql, "%s%s.%s %s $%d", n == 1 ? " WHERE " : " AND ", alias,
						 quote_identifier(NameStr(TupleDescAttr(desc, attnum - 1)->attname)),
						 equality_operator(types[n - 1]), n);
	}
	plan = SPI_prepare(sql.data, n, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", sql.data);
	plan_keep(RelationGetRelid(rel), name.data, plan);
	return plan;
}

/*
 * The live row that a change is about, as the current role sees it: its
 * columns in values and nulls, and its key, in the current memory context.
 * NULL if there is none, or none that he can find.
 */
static char *
live_row(DraftSet *set, Change *change, Datum *values, bool *nulls)
{
	MemoryContext caller = CurrentMemoryContext;
	AttrNumber *map = map_of(set, change->layout);
	Image	   *key = change->key;
	Datum		by_attnum[MaxHeapAttributeNumber];
	Bitmapset  *attnums = NULL;
	Datum		args[INDEX_MAX_KEYS];
	UserSwitch	save;
	int			attnum = -1;
	int			n = 0;
	int			nest;
	char	   *result = NULL;

	if (set->key == NULL || key == NULL || key->n == 0 || key->n > INDEX_MAX_KEYS)
		return NULL;
	become(&save, GetUserId(), SECURITY_RESTRICTED_OPERATION);
	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; i < key->n; i++)
	{
		int			p = image_position(key, i);

		attnum = map[p];
		if (attnum == InvalidAttrNumber || key->values[i] == NULL ||
			!bms_is_member(attnum, set->selectable) ||
			!value_from_text(set, attnum, key->values[i], &by_attnum[attnum - 1]))
			break;
		attnums = bms_add_member(attnums, attnum);
	}
	transmission_modes_end(nest);
	restore_user(&save);
	if (bms_num_members(attnums) != key->n)
		return NULL;
	attnum = -1;
	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
		args[n++] = by_attnum[attnum - 1];

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_plan(find_plan(set->rel, set->selectable, attnums), args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up a row");
	if (SPI_processed > 0)
	{
		MemoryContext spicxt = MemoryContextSwitchTo(caller);

		memset(nulls, true, set->desc->natts * sizeof(bool));
		n = 0;
		attnum = -1;
		while ((attnum = bms_next_member(set->selectable, attnum)) >= 0)
		{
			Form_pg_attribute att = TupleDescAttr(set->desc, attnum - 1);
			Datum		value = spi_datum(SPI_tuptable->vals[0], ++n, &nulls[attnum - 1]);

			if (!nulls[attnum - 1])
				values[attnum - 1] = datumCopy(value, att->attbyval, att->attlen);
		}
		nest = transmission_modes_begin_for(change->layout);
		result = key_of_row(set, values, nulls);
		transmission_modes_end(nest);
		MemoryContextSwitchTo(spicxt);
	}
	SPI_finish();
	return result;
}

/* ------------------------------------------------------------- the drafts */

static DraftRow *
draft_row_create(DraftSet *set)
{
	DraftRow   *row = palloc0(sizeof(DraftRow));

	row->values = palloc0(set->desc->natts * sizeof(Datum));
	row->nulls = palloc(set->desc->natts * sizeof(bool));
	memset(row->nulls, true, set->desc->natts * sizeof(bool));
	set->rows = lappend(set->rows, row);
	return row;
}

/*
 * The drafted row for the live row that an UPDATE or DELETE is about, made if
 * it is the first; NULL if he sees no such row.
 */
static DraftRow *
draft_on_live(DraftSet *set, Change *change)
{
	Datum	   *values = palloc0(set->desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(set->desc->natts * sizeof(bool));
	DraftRow   *row;
	DraftEntry *entry;
	uint64		hash;
	bool		found;
	char	   *key = live_row(set, change, values, nulls);

	if (key == NULL)
		return NULL;
	row = draft_of_key(set, key);
	if (row)
		return row;

	row = draft_row_create(set);
	row->live = true;
	row->key = key;
	row->before = heap_form_tuple(set->desc, values, nulls);
	row->values = values;
	row->nulls = nulls;
	row->known = bms_copy(set->selectable);
	hash = hash_bytes_extended((const unsigned char *) key, strlen(key), 0);
	entry = hash_search(set->by_key, &hash, HASH_ENTER, &found);
	row->next = found ? entry->rows : NULL;
	entry->rows = row;
	return row;
}

/*
 * Does a row stand in the table that has the key of a drafted INSERT, and that
 * no draft deletes?  It stays then, as the INSERT could not be applied.
 */
static bool
key_is_taken(DraftSet *set, Change *change)
{
	Datum	   *values = palloc0(set->desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(set->desc->natts * sizeof(bool));
	char	   *key = live_row(set, change, values, nulls);
	DraftRow   *row = key ? draft_of_key(set, key) : NULL;

	return key && (row == NULL || !row->deleted);
}

/*
 * Columns that nobody has drafted and the current role may not SELECT: whoever
 * decides is shown them, as in idflow.drafts().
 */
static void
show_undrafted(DraftSet *set, DraftRow *row, Change *change)
{
	AttrNumber *map = map_of(set, change->layout);
	bool		exists;
	char	  **live = live_values(change, &exists);
	int			nest;

	if (!exists)
		return;
	nest = transmission_modes_begin_for(change->layout);
	for (int p = 1; p <= change->layout->ncolumns; p++)
	{
		AttrNumber	attnum = map[p];

		if (attnum == InvalidAttrNumber || bms_is_member(attnum, row->known) ||
			bms_is_member(attnum, row->drafted))
			continue;
		row->nulls[attnum - 1] = live[p - 1] == NULL ||
			!value_from_text(set, attnum, live[p - 1], &row->values[attnum - 1]);
		row->known = bms_add_member(row->known, attnum);
	}
	transmission_modes_end(nest);
}

/* Put the values that a change drafts over a row, those that may be shown. */
static void
overlay_draft(DraftSet *set, DraftRow *row, SeenChange *seen)
{
	Change	   *change = seen->change;
	Sight	   *sight = sight_of_columns(change, seen->viewer);
	AttrNumber *map = map_of(set, change->layout);
	Image	   *image = change->new_image;
	int			nest;

	/* a live row has been found as whoever asks */
	sight->row_visible = true;
	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; image && i < image->n; i++)
	{
		int			p = image_position(image, i);
		AttrNumber	attnum = map[p];
		bool		shown = sight_of_draft(sight, p);

		if (attnum == InvalidAttrNumber)
			continue;
		row->drafted = bms_add_member(row->drafted, attnum);
		row->nulls[attnum - 1] = !shown || image->values[i] == NULL ||
			!value_from_text(set, attnum, image->values[i], &row->values[attnum - 1]);
		row->known = shown ? bms_add_member(row->known, attnum) : bms_del_member(row->known, attnum);
	}
	transmission_modes_end(nest);
}

/* One change, in its turn. */
static void
add_change(DraftSet *set, SeenChange *seen)
{
	Change	   *change = seen->change;
	DraftRow   *row;
	UserSwitch	save;

	set->request = seen->request;
	if (change->operation == CMD_INSERT)
		row = key_is_taken(set, change) ? NULL : draft_row_create(set);
	else
		row = draft_on_live(set, change);
	if (row == NULL || row->deleted)
		return;
	row->request = seen->request;

	become(&save, GetUserId(), SECURITY_RESTRICTED_OPERATION);
	if (change->operation == CMD_DELETE)
		row->deleted = true;
	else
		overlay_draft(set, row, seen);
	if (change->operation == CMD_UPDATE && seen->viewer == VIEWER_ALL && !set->all_selectable)
		show_undrafted(set, row, change);
	restore_user(&save);
}

/* ------------------------------------------------------ generated columns */

/* Get the expressions of the table's generated columns ready. */
static void
generated_init(DraftSet *set)
{
	for (int i = 0; i < set->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(set->desc, i);
		Generated  *generated;
		Bitmapset  *refs = NULL;
		Node	   *expr;
		int			member = -1;

		if (att->attisdropped || att->attgenerated == '\0')
			continue;
		generated = palloc0(sizeof(Generated));
		generated->attnum = att->attnum;
		generated->stored = att->attgenerated == ATTRIBUTE_GENERATED_STORED;
		expr = build_column_default(set->rel, att->attnum);
		pull_varattnos(expr, 1, &refs);
		while ((member = bms_next_member(refs, member)) >= 0)
			if (member + FirstLowInvalidHeapAttributeNumber > 0)
				generated->refs = bms_add_member(generated->refs,
												 member + FirstLowInvalidHeapAttributeNumber);
		generated->state = ExecInitExpr(expression_planner((Expr *) expr), NULL);
		set->generated = lappend(set->generated, generated);
	}
}

/*
 * Compute the generated columns that follow from drafted ones.  A stored one
 * of a drafted INSERT is in its image; one that reads what may not be shown is
 * not shown either.
 */
static void
generate(DraftSet *set, DraftRow *row, TupleTableSlot *slot, ExprContext *econtext)
{
	ListCell   *lc;

	foreach(lc, set->generated)
	{
		Generated  *generated = lfirst(lc);
		int			i = generated->attnum - 1;
		MemoryContext old;
		Datum		value;

		if (row->live ? !bms_overlap(generated->refs, row->drafted) : generated->stored)
			continue;
		row->nulls[i] = true;
		if (!bms_is_subset(generated->refs, row->known) ||
			!(bms_is_member(generated->attnum, set->selectable) ||
			  bms_is_member(generated->attnum, row->known)))
			continue;

		ExecClearTuple(slot);
		memcpy(slot->tts_values, row->values, set->desc->natts * sizeof(Datum));
		memcpy(slot->tts_isnull, row->nulls, set->desc->natts * sizeof(bool));
		ExecStoreVirtualTuple(slot);
		slot->tts_tableOid = RelationGetRelid(set->rel);
		econtext->ecxt_scantuple = slot;
		old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		value = ExecEvalExpr(generated->state, econtext, &row->nulls[i]);
		MemoryContextSwitchTo(old);
		if (!row->nulls[i])
			row->values[i] = datumCopy(value, TupleDescAttr(set->desc, i)->attbyval,
									   TupleDescAttr(set->desc, i)->attlen);
		ResetExprContext(econtext);
	}
}

/* The generated columns of all drafted rows. */
static void
generate_all(DraftSet *set)
{
	TupleTableSlot *slot;
	ExprContext *econtext;
	UserSwitch	save;
	ListCell   *lc;

	if (set->rows == NIL || set->desc->constr == NULL)
		return;
	become(&save, GetUserId(), SECURITY_RESTRICTED_OPERATION);
	generated_init(set);
	if (set->generated)
	{
		slot = MakeSingleTupleTableSlot(set->desc, &TTSOpsVirtual);
		econtext = CreateStandaloneExprContext();
		foreach(lc, set->rows)
		{
			DraftRow   *row = lfirst(lc);

			if (!row->deleted)
				generate(set, row, slot, econtext);
		}
		FreeExprContext(econtext, true);
		ExecDropSingleTupleTableSlot(slot);
	}
	restore_user(&save);
}

/*
 * draft_set: the rows of a table that open drafts make, change or delete; of
 * one request only if it is not 0; own: of those that he has made himself.  In
 * the current memory context.
 */
DraftSet *
draft_set(Relation rel, int64 request, bool own)
{
	DraftSet   *set = draft_set_create(rel);
	ListCell   *lc;

	foreach(lc, reading_open_changes(RelationGetRelid(rel), request, false, own))
		add_change(set, lfirst(lc));
	generate_all(set);
	set->rel = NULL;			/* the caller may keep the set, not the table */
	return set;
}
