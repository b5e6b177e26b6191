/*-------------------------------------------------------------------------
 *
 * image.c
 *	  Rows as images: the output text of their columns, and the layouts that
 *	  say which column a value belongs to.
 *
 * Output text is the representation that pg_dump lives by; the settings that
 * it depends on are pinned while it is written and read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

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
		if (!OidIsValid(relid) || current->relid == relid)
			current->valid = false;
	hash_seq_init(&status, layouts_by_id);
	while ((stored = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relid) || stored->layout == NULL || stored->layout->target == relid)
			stored->valid = false;
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
	" AND columns OPERATOR(pg_catalog.=) $3 AND attnums OPERATOR(pg_catalog.=) $4"
	" AND types OPERATOR(pg_catalog.=) $5"
	" ORDER BY id LIMIT 1",
	5, {REGCLASSOID, OIDOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID}
};

static StorePlan layout_insert = {
	"INSERT INTO idflow.layout (target, relid, columns, attnums, types, target_name)"
	" VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
	6, {REGCLASSOID, OIDOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTOID}
};

static StorePlan layout_select = {
	"SELECT target, relid, columns, attnums, types FROM idflow.layout"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static Datum
int2_array_datum(int16 *values, int n)
{
	Datum	   *datums = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		datums[i] = Int16GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, INT2OID, 2, true, TYPALIGN_SHORT));
}

static int16 *
int2_array_values(Datum array, int *n)
{
	ArrayType  *a = DatumGetArrayTypeP(array);
	Datum	   *values;
	bool	   *nulls;
	int16	   *result;

	deconstruct_array(a, INT2OID, 2, true, TYPALIGN_SHORT, &values, &nulls, n);
	result = palloc(Max(*n, 1) * sizeof(int16));
	for (int i = 0; i < *n; i++)
		result[i] = DatumGetInt16(values[i]);
	return result;
}

/*
 * Types whose text depends on no more than date style, interval style and
 * float digits.  Any other one, arrays and domains included, is special.
 */
static bool
type_is_plain(const char *type)
{
	static const char *const plain[] = {"bigint", "integer", "smallint", "text", "boolean",
		"character varying", "character", "numeric", "uuid", "name", "bytea", "json", "jsonb",
		"date", "timestamp without time zone", "timestamp with time zone",
		"time without time zone", "time with time zone", "interval",
	"double precision", "real"};
	size_t		len = strcspn(type, "(");

	if (len > 0 && type[strlen(type) - 1] == ']')
		return false;
	for (int i = 0; i < lengthof(plain); i++)
		if (strcmp(type, plain[i]) == 0 ||
			(type[len] == '(' && strlen(plain[i]) == len && strncmp(type, plain[i], len) == 0))
			return true;
	return false;
}

/*
 * layout_of: the layout of a relation as it is now, without an id, in the
 * current memory context.  Virtual generated columns have no value of their
 * own and are left out.
 */
static Layout *
layout_of(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Layout	   *layout = palloc0(sizeof(Layout));

	layout->relid = layout->target = RelationGetRelid(rel);
	layout->names = palloc(desc->natts * sizeof(char *));
	layout->types = palloc(desc->natts * sizeof(char *));
	layout->attnums = palloc(desc->natts * sizeof(int16));
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
		getTypeOutputInfo(att->atttypid, &output, &varlena);
		fmgr_info_cxt(output, &layout->output[n], CurrentMemoryContext);
		layout->special |= !type_is_plain(layout->types[n]);
		layout->ncolumns++;
	}
	return layout;
}

static bool
layout_same(Layout *a, Layout *b)
{
	if (a->relid != b->relid || a->target != b->target || a->ncolumns != b->ncolumns)
		return false;
	for (int i = 0; i < a->ncolumns; i++)
		if (a->attnums[i] != b->attnums[i] ||
			strcmp(a->names[i], b->names[i]) != 0 || strcmp(a->types[i], b->types[i]) != 0)
			return false;
	return true;
}

static List *
string_list(char **strings, int n)
{
	List	   *result = NIL;

	for (int i = 0; i < n; i++)
		result = lappend(result, strings[i]);
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
	Datum		values[6];
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

	store_begin(&save);
	inserted = (store_exec(&layout_find, values, NULL, false) == 0);
	if (inserted)
		store_exec(&layout_insert, values, NULL, false);
	layout->id = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);

	entry = hash_search(current_layouts, &relid, HASH_ENTER, &found);
	entry->layout = layout;
	entry->inserted = inserted;
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
	List	   *strings;
	ListCell   *lc;
	int			n;

	layout->id = id;
	layout->target = DatumGetObjectId(spi_datum(row, 1, &isnull));
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

/* ---------------------------------------------------------------- images */

/*
 * image_from_slot: the image of a row; positions NULL means all columns of
 * the layout.  The caller holds transmission modes.  In the current context.
 */
Image *
image_from_slot(Layout *layout, TupleTableSlot *slot, Bitmapset *positions)
{
	Image	   *image = palloc(sizeof(Image));
	int			n = positions ? bms_num_members(positions) : layout->ncolumns;
	int			k = 0;

	image->n = n;
	image->columns = positions ? palloc(Max(n, 1) * sizeof(int16)) : NULL;
	image->values = palloc(Max(n, 1) * sizeof(char *));
	slot_getallattrs(slot);
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		int			att = layout->attnums[p - 1] - 1;

		if (positions && !bms_is_member(p, positions))
			continue;
		if (positions)
			image->columns[k] = p;
		image->values[k++] = slot->tts_isnull[att] ? NULL :
			OutputFunctionCall(&layout->output[p - 1], slot->tts_values[att]);
	}
	return image;
}

/*
 * image_from_arrays: an image as stored; NULL for a null values array.
 */
Image *
image_from_arrays(Datum columns, bool columns_null, Datum values, bool values_null)
{
	Image	   *image;
	List	   *strings;
	ListCell   *lc;
	int			i = 0;

	if (values_null)
		return NULL;
	image = palloc(sizeof(Image));
	strings = text_array_list(values);
	image->n = list_length(strings);
	image->values = palloc(Max(image->n, 1) * sizeof(char *));
	foreach(lc, strings)
		image->values[i++] = lfirst(lc);
	image->columns = NULL;
	if (!columns_null)
	{
		int			n;

		image->columns = int2_array_values(columns, &n);
		if (n != image->n)
			elog(ERROR, "image has %d values for %d columns", image->n, n);
	}
	return image;
}

/*
 * image_to_datums: the arguments that store an image; image may be NULL.
 */
void
image_to_datums(Image *image, Datum *columns, char *columns_null,
				Datum *values, char *values_null)
{
	*columns = *values = (Datum) 0;
	*columns_null = *values_null = 'n';
	if (image == NULL)
		return;
	*values = text_array_datum(string_list(image->values, image->n));
	*values_null = ' ';
	if (image->columns)
	{
		*columns = int2_array_datum(image->columns, image->n);
		*columns_null = ' ';
	}
}

/*
 * image_value: the value at a position of the layout; *found tells absence
 * from SQL null.
 */
const char *
image_value(Image *image, int position, bool *found)
{
	*found = false;
	if (image == NULL)
		return NULL;
	if (image->columns == NULL)
	{
		if (position < 1 || position > image->n)
			return NULL;
		*found = true;
		return image->values[position - 1];
	}
	for (int i = 0; i < image->n; i++)
	{
		if (image->columns[i] == position)
		{
			*found = true;
			return image->values[i];
		}
	}
	return NULL;
}

/*
 * image_set: put a value, adding the column if the image lacks it.
 */
void
image_set(Image *image, int position, const char *value)
{
	for (int i = 0; i < image->n; i++)
	{
		if ((image->columns ? image->columns[i] : i + 1) == position)
		{
			image->values[i] = value ? pstrdup(value) : NULL;
			return;
		}
	}
	if (image->columns == NULL)
		elog(ERROR, "position %d is not in the image", position);
	image->columns = repalloc(image->columns, (image->n + 1) * sizeof(int16));
	image->values = repalloc(image->values, (image->n + 1) * sizeof(char *));
	image->columns[image->n] = position;
	image->values[image->n] = value ? pstrdup(value) : NULL;
	image->n++;
}

/*
 * image_digest: SHA-256 over a salt, columns and values, as hex digits.  The
 * salt is stored with the change and shown to nobody, lest a value be found by
 * trying all there are.  Lengths go in before the values so that no two images
 * have the same bytes.
 */
char *
image_digest(Image *image, bytea *salt)
{
	StringInfoData buf;
	bytea	   *bytes;
	bytea	   *digest;
	char	   *result;

	initStringInfo(&buf);
	if (salt)
		appendBinaryStringInfo(&buf, VARDATA_ANY(salt), VARSIZE_ANY_EXHDR(salt));
	for (int i = 0; i < image->n; i++)
	{
		int			column = image->columns ? image->columns[i] : i + 1;

		if (image->values[i])
		{
			appendStringInfo(&buf, "%d:%zu:", column, strlen(image->values[i]));
			appendStringInfoString(&buf, image->values[i]);
		}
		else
			appendStringInfo(&buf, "%d:-:", column);
	}
	bytes = cstring_to_text_with_len(buf.data, buf.len);
	digest = DatumGetByteaPP(OidFunctionCall1(F_SHA256, PointerGetDatum(bytes)));
	result = palloc(2 * VARSIZE_ANY_EXHDR(digest) + 1);
	hex_encode(VARDATA_ANY(digest), VARSIZE_ANY_EXHDR(digest), result);
	result[2 * VARSIZE_ANY_EXHDR(digest)] = '\0';
	pfree(buf.data);
	return result;
}

/*
 * set_if_different: set a setting for the present nest level.  Comparing
 * first is far cheaper than setting, search_path above all.
 */
void
set_if_different(const char *name, const char *value)
{
	const char *now = GetConfigOption(name, true, false);

	if (now == NULL || strcmp(now, value) != 0)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * transmission_modes_begin: pin the settings that output and input text
 * depend on, for any type.  Returns the GUC nest level to hand to
 * transmission_modes_end().
 */
int
transmission_modes_begin(void)
{
	return transmission_modes_begin_for(NULL);
}

/*
 * transmission_modes_begin_for: the same for the columns of a layout.  Where
 * nothing needs to be set, as in most sessions, it costs next to nothing and
 * returns 0.
 */
int
transmission_modes_begin_for(Layout *layout)
{
	bool		special = layout == NULL || layout->special;
	int			nestlevel;

	if (!special && DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
		extra_float_digits >= 1)
		return 0;

	nestlevel = NewGUCNestLevel();

	/* what pg_dump and postgres_fdw pin; set only where it differs */
	if (DateStyle != USE_ISO_DATES)
		(void) set_config_option("datestyle", "ISO", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (IntervalStyle != INTSTYLE_POSTGRES)
		(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (extra_float_digits < 1)
		(void) set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);

	/*
	 * reg* types print and read names by search_path, money by lc_monetary,
	 * xml by xmloption.
	 */
	if (special)
	{
		set_if_different("search_path", "pg_catalog, pg_temp");
		set_if_different("lc_monetary", "C");
		set_if_different("xmloption", "content");
	}
	return nestlevel;
}

void
transmission_modes_end(int nestlevel)
{
	/* undo what code of the types may have set, too */
	if (nestlevel > 0)
		AtEOXact_GUC(false, nestlevel);
}
