/*-------------------------------------------------------------------------
 *
 * layout.c
 *	  Layouts: which column of a table, as it was at some time, a value of an
 *	  image belongs to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "idflow.h"

/* The session's layouts: by relation (current) and by id. */
typedef struct CurrentLayout
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		inserted;		/* by a transaction that may yet abort */
	Layout	   *layout;
} CurrentLayout;

typedef struct LayoutById
{
	int64		id;				/* hash key */
	bool		valid;
	Layout	   *layout;
} LayoutById;

static HTAB *current_layouts = NULL;
static HTAB *layouts_by_id = NULL;
static Oid	layout_relid = InvalidOid;	/* idflow.layout */

/*
 * A relation changed, maybe because a column was renamed.  Invalidation
 * callbacks may not look anything up, so this only marks.
 */
static void
layout_relcache_callback(Datum arg, Oid relid)
{
	CurrentLayout *current;
	LayoutById *stored;
	HASH_SEQ_STATUS status;

	hash_seq_init(&status, current_layouts);
	while ((current = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relid) || current->relid == relid ||
			(current->layout && list_member_oid(current->layout->row_types, relid)))
			current->valid = false;
	hash_seq_init(&status, layouts_by_id);
	while ((stored = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relid) || stored->layout == NULL || stored->layout->target == relid)
			stored->valid = false;
	layout_unbind(relid);
}

static void
layout_init(void)
{
	HASHCTL		ctl;
	Oid			relid = extension_relid("layout");

	if (current_layouts)
	{
		/* the extension was made anew: ids start over */
		if (relid != layout_relid)
			layout_relcache_callback((Datum) 0, InvalidOid);
		layout_relid = relid;
		return;
	}
	layout_relid = relid;
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(int64);
	ctl.entrysize = sizeof(LayoutById);
	layouts_by_id = hash_create("idflow layouts by id", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(CurrentLayout);
	current_layouts = hash_create("idflow layouts", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(layout_relcache_callback, (Datum) 0);
}

static StorePlan layout_find = {
	"SELECT id FROM idflow.layout"
	" WHERE target OPERATOR(pg_catalog.=) $1 AND relid OPERATOR(pg_catalog.=) $2"
	" AND made_in OPERATOR(pg_catalog.=) $7"
	" AND columns OPERATOR(pg_catalog.=) $3 AND attnums OPERATOR(pg_catalog.=) $4"
	" AND types OPERATOR(pg_catalog.=) $5"
	" AND type_oids OPERATOR(pg_catalog.=) $8 AND shapes OPERATOR(pg_catalog.=) $10"
	" ORDER BY id LIMIT 1",
	10, {REGCLASSOID, OIDOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID,
	OIDARRAYOID, INT4ARRAYOID, TEXTARRAYOID}
};

static StorePlan layout_insert = {
	"INSERT INTO idflow.layout (target, relid, columns, attnums, types, target_name, made_in,"
	" type_oids, typmods, shapes)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
	10, {REGCLASSOID, OIDOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID,
	OIDARRAYOID, INT4ARRAYOID, TEXTARRAYOID}
};

static StorePlan layout_select = {
	"SELECT target, relid, columns, attnums, types, made_in, type_oids, typmods, shapes"
	" FROM idflow.layout"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

/*
 * Which database this is, among all there are: numbers of tables and columns
 * that are on record have a meaning in the one that they were recorded in.
 * A string of the session's.
 */
static const char *
this_database(void)
{
	static char name[48] = "";

	if (name[0] == '\0')
		snprintf(name, sizeof(name), UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
	return name;
}

/*
 * Types whose text depends on no more than date style, interval style, float
 * digits and the format of bytea.  Any other one, arrays and domains included,
 * is special.
 */
static bool
type_is_plain(const char *type)
{
	static const char *const plain[] = {"bigint", "integer", "smallint", "text", "boolean",
		"character varying", "character", "numeric", "uuid", "name", "bytea", "json", "jsonb",
		"date", "timestamp without time zone", "timestamp with time zone",
		"time without time zone", "time with time zone", "interval",
	"double precision", "real"};
	size_t		len;

	/* what SQL has no words of its own for is written with its schema */
	if (strncmp(type, "pg_catalog.", 11) == 0)
		type += 11;
	len = strcspn(type, "(");
	if (len > 0 && type[strlen(type) - 1] == ']')
		return false;
	for (int i = 0; i < lengthof(plain); i++)
		if (strcmp(type, plain[i]) == 0 ||
			(type[len] == '(' && strlen(plain[i]) == len && strncmp(type, plain[i], len) == 0))
			return true;
	return false;
}

/*
 * type_shape: what the text of a composite type, or of an array of or a domain
 * over one, tells only by its order: the numbers and types of the attributes.
 * NULL of other types.  The relations behind it are added to row_types.
 */
char *
type_shape(Oid type, List **row_types)
{
	StringInfoData buf;
	TupleDesc	desc;
	Oid			relid;

	check_stack_depth();
	for (;;)
	{
		Oid			element = get_element_type(type = getBaseType(type));

		if (!OidIsValid(element))
			break;
		type = element;
	}
	relid = get_typ_typrelid(type);
	if (!OidIsValid(relid))
		return NULL;
	*row_types = list_append_unique_oid(*row_types, relid);
	initStringInfo(&buf);
	desc = lookup_rowtype_tupdesc(type, -1);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *shape;

		if (att->attisdropped)
			continue;
		shape = type_shape(att->atttypid, row_types);
		appendStringInfo(&buf, "%s%d %u %d", buf.len > 0 ? ", " : "", att->attnum,
						 att->atttypid, att->atttypmod);
		if (shape)
			appendStringInfo(&buf, " (%s)", shape);
	}
	ReleaseTupleDesc(desc);
	return buf.data;
}

/*
 * layout_of: the layout of a relation as it is now, without an id, in the
 * current memory context.  Virtual generated columns have no value of their
 * own and are left out.
 */
Layout *
layout_of(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Layout	   *layout = palloc0(sizeof(Layout));

	layout->relid = layout->target = RelationGetRelid(rel);
	layout->names = palloc(desc->natts * sizeof(char *));
	layout->types = palloc(desc->natts * sizeof(char *));
	layout->attnums = palloc(desc->natts * sizeof(int16));
	layout->type_oids = palloc(desc->natts * sizeof(Oid));
	layout->typmods = palloc(desc->natts * sizeof(int32));
	layout->shapes = palloc(desc->natts * sizeof(char *));
	layout->output = palloc0(desc->natts * sizeof(FmgrInfo));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		int			n = layout->ncolumns;
		Oid			output;
		bool		varlena;

		if (att->attisdropped || att->attgenerated == 'v')
			continue;
		layout->names[n] = pstrdup(NameStr(att->attname));
		layout->types[n] = format_type_extended(att->atttypid, att->atttypmod,
												FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		layout->attnums[n] = att->attnum;
		layout->type_oids[n] = att->atttypid;
		layout->typmods[n] = att->atttypmod;
		layout->shapes[n] = type_shape(att->atttypid, &layout->row_types);
		getTypeOutputInfo(att->atttypid, &output, &varlena);
		fmgr_info_cxt(output, &layout->output[n], CurrentMemoryContext);
		layout->special |= !type_is_plain(layout->types[n]);
		layout->ncolumns++;
	}
	return layout;
}

static bool
same_shape(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
layout_same(Layout *a, Layout *b)
{
	if (a->relid != b->relid || a->target != b->target || a->ncolumns != b->ncolumns ||
		(a->type_oids == NULL) != (b->type_oids == NULL) ||
		(a->shapes == NULL) != (b->shapes == NULL))
		return false;
	for (int i = 0; i < a->ncolumns; i++)
		if (a->attnums[i] != b->attnums[i] ||
			strcmp(a->names[i], b->names[i]) != 0 || strcmp(a->types[i], b->types[i]) != 0 ||
			(a->type_oids && a->type_oids[i] != b->type_oids[i]) ||
			(a->shapes && !same_shape(a->shapes[i], b->shapes[i])))
			return false;
	return true;
}

/* An array of oids or integers, which are of one size, from and to C. */
static Datum
number_array_datum(Oid type, const void *numbers, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = UInt32GetDatum(((const uint32 *) numbers)[i]);
	return PointerGetDatum(construct_array(values, n, type, sizeof(uint32), true, TYPALIGN_INT));
}

/* NULL unless there are n. */
static void *
number_array(HeapTuple row, int column, int n)
{
	bool		isnull;
	Datum		array = spi_datum(row, column, &isnull);
	ArrayType  *a = isnull ? NULL : DatumGetArrayTypeP(array);
	void	   *numbers;

	if (a == NULL || ARR_HASNULL(a) || ARR_NDIM(a) != (n > 0) || (n > 0 && ARR_DIMS(a)[0] != n))
		return NULL;
	numbers = palloc(Max(n, 1) * sizeof(uint32));
	memcpy(numbers, ARR_DATA_PTR(a), n * sizeof(uint32));
	return numbers;
}

/* The same of strings and nulls. */
static char **
text_array(HeapTuple row, int column, int n)
{
	bool		isnull;
	Datum		array = spi_datum(row, column, &isnull);
	List	   *strings = isnull ? NIL : text_array_list(array);
	char	  **result;

	if (isnull || list_length(strings) != n)
		return NULL;
	result = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		result[i] = list_nth(strings, i);
	return result;
}

/*
 * layout_current: the stored layout that describes a relation as it is now,
 * made if there is none.  Lives as long as the session.
 */
Layout *
layout_current(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CurrentLayout *entry;
	bool		found;
	Layout	   *layout;
	MemoryContext oldcxt;
	UserSwitch	save;
	Datum		values[10];
	char	   *nsp;
	bool		inserted;

	layout_init();
	entry = hash_search(current_layouts, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = entry->inserted = false;
		entry->layout = NULL;
	}
	if (entry->valid)
		return entry->layout;

	/*
	 * Keep the layout at hand where the shape is the same.  A different one
	 * isn't freed, because an outer call may be using it: it costs memory once
	 * per change of the table's shape.
	 */
	layout = layout_of(rel);
	if (entry->layout && layout_same(entry->layout, layout))
		layout = entry->layout;
	else
	{
		oldcxt = MemoryContextSwitchTo(TopMemoryContext);
		layout = layout_of(rel);
		MemoryContextSwitchTo(oldcxt);
	}

	nsp = get_namespace_name(RelationGetNamespace(rel));
	values[0] = ObjectIdGetDatum(relid);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = text_array_datum(string_list(layout->names, layout->ncolumns));
	values[3] = int2_array_datum(layout->attnums, layout->ncolumns);
	values[4] = text_array_datum(string_list(layout->types, layout->ncolumns));
	values[5] = CStringGetTextDatum(quote_qualified_identifier(nsp, RelationGetRelationName(rel)));

	values[6] = CStringGetTextDatum(this_database());
	values[7] = number_array_datum(OIDOID, layout->type_oids, layout->ncolumns);
	values[8] = number_array_datum(INT4OID, layout->typmods, layout->ncolumns);
	values[9] = text_array_datum(string_list(layout->shapes, layout->ncolumns));

	store_begin(&save);
	inserted = (store_exec(&layout_find, values, NULL, false) == 0);
	if (inserted)
		store_exec(&layout_insert, values, NULL, false);
	layout->id = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);

	entry = hash_search(current_layouts, &relid, HASH_ENTER, &found);
	layout->lasting = true;
	entry->layout = layout;
	/* found again it may still be one that this transaction made before */
	entry->inserted |= inserted;
	entry->valid = true;
	return layout;
}

/*
 * layout_from_row: a layout from a row of layout_select, in the current
 * memory context.
 */
static Layout *
layout_from_row(int64 id, HeapTuple row)
{
	Layout	   *layout = palloc0(sizeof(Layout));
	bool		isnull;
	bool		here;
	List	   *strings;
	ListCell   *lc;
	int			n;

	layout->id = id;
	layout->target = DatumGetObjectId(spi_datum(row, 1, &isnull));
	/* elsewhere another table may have had this table's number */
	here = strcmp(spi_text(row, 6), this_database()) == 0;
	if (here)
		layout->relid = DatumGetObjectId(spi_datum(row, 2, &isnull));
	strings = text_array_list(spi_datum(row, 3, &isnull));
	layout->ncolumns = list_length(strings);
	layout->names = palloc(Max(layout->ncolumns, 1) * sizeof(char *));
	layout->types = palloc(Max(layout->ncolumns, 1) * sizeof(char *));
	n = 0;
	foreach(lc, strings)
		layout->names[n++] = lfirst(lc);
	list_free(strings);
	layout->attnums = int2_array_values(spi_datum(row, 4, &isnull), &n);
	strings = text_array_list(spi_datum(row, 5, &isnull));
	n = 0;
	foreach(lc, strings)
	{
		layout->special |= !type_is_plain(lfirst(lc));
		layout->types[n++] = lfirst(lc);
	}
	list_free(strings);
	if (here)
	{
		layout->type_oids = number_array(row, 7, layout->ncolumns);
		layout->typmods = number_array(row, 8, layout->ncolumns);
		layout->shapes = text_array(row, 9, layout->ncolumns);
	}
	return layout;
}

/*
 * layout_by_id: a stored layout.  Lives as long as the session.
 */
Layout *
layout_by_id(int64 id)
{
	LayoutById *entry;
	bool		found;
	Layout	   *layout;
	MemoryContext oldcxt;
	UserSwitch	save;
	Datum		values[1];
	HeapTuple	row;

	layout_init();
	entry = hash_search(layouts_by_id, &id, HASH_FIND, NULL);
	if (entry && entry->valid)
		return entry->layout;

	values[0] = Int64GetDatum(id);
	store_begin(&save);
	if (store_exec(&layout_select, values, NULL, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_LAYOUT),
				 errmsg("layout " INT64_FORMAT " does not exist", id),
				 errhint("Rows of idflow.layout must not be deleted while drafts refer to them.")));
	row = SPI_tuptable->vals[0];

	/* the same as at the last look costs no session memory */
	oldcxt = MemoryContextSwitchTo(entry ? CurrentMemoryContext : TopMemoryContext);
	layout = layout_from_row(id, row);
	if (entry && layout_same(entry->layout, layout))
		layout = entry->layout;
	else if (entry)
	{
		MemoryContextSwitchTo(TopMemoryContext);
		layout = layout_from_row(id, row);
	}
	MemoryContextSwitchTo(oldcxt);
	store_end(&save);

	entry = hash_search(layouts_by_id, &id, HASH_ENTER, &found);
	layout->lasting = true;
	entry->layout = layout;

	/* what a transaction snapshot shows may be from before a renaming */
	entry->valid = !IsolationUsesXactSnapshot();
	return layout;
}

/*
 * layout_forget_uncommitted: the ids of layouts that an aborted
 * (sub)transaction made name nothing; session.c calls this at each abort.
 */
void
layout_forget_uncommitted(void)
{
	HASH_SEQ_STATUS status;
	CurrentLayout *entry;

	if (current_layouts == NULL)
		return;
	hash_seq_init(&status, current_layouts);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->inserted)
			entry->valid = false;
}
