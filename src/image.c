/*-------------------------------------------------------------------------
 *
 * image.c
 *	  Rows as images: the output text of their columns.
 *
 * Output text is the representation that pg_dump lives by; the settings that
 * it depends on are pinned while it is written and read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "idflow.h"

/*
 * image_too_large: error: with the column at this position, what a row has as
 * text comes to more than MAX_IMAGE_SIZE.
 */
void
image_too_large(Layout *layout, int position)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("row of table \"%s\" is too large to be drafted", get_rel_name(layout->relid)),
			 errdetail("With column \"%s\" its values come to more than %d MB as text.",
					   layout->names[position - 1], (int) (MAX_IMAGE_SIZE / (1024 * 1024))),
			 errhint("Keep large values in a table of their own, or let the gate's condition leave such rows out.")));
}

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
	Size		size = 0;

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
		image->values[k] = slot->tts_isnull[att] ? NULL :
			OutputFunctionCall(&layout->output[p - 1], slot->tts_values[att]);
		if (image->values[k])
			size += strlen(image->values[k]);
		if (size > MAX_IMAGE_SIZE)
			image_too_large(layout, p);
		k++;
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
 * image_position: the position in the layout of an image's value, from 0.
 */
int
image_position(Image *image, int i)
{
	return image->columns ? image->columns[i] : i + 1;
}

/*
 * image_copy: a copy of an image, NULL of none, whose values are shared.
 */
Image *
image_copy(Image *image)
{
	Image	   *copy;

	if (image == NULL)
		return NULL;
	copy = (Image *) palloc0(sizeof(Image));
	copy->n = image->n;
	copy->values = (char **) palloc(Max(image->n, 1) * sizeof(char *));
	memcpy(copy->values, image->values, image->n * sizeof(char *));
	if (image->columns)
	{
		copy->columns = (int16 *) palloc(Max(image->n, 1) * sizeof(int16));
		memcpy(copy->columns, image->columns, image->n * sizeof(int16));
	}
	return copy;
}

/*
 * image_set: put a value, adding the column if the image lacks it.
 */
void
image_set(Image *image, int position, const char *value)
{
	for (int i = 0; i < image->n; i++)
	{
		if (image_position(image, i) == position)
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

/* image_remove: take a column out, if it is there. */
void
image_remove(Image *image, int position)
{
	int			k = 0;

	if (image == NULL || image->columns == NULL)
		return;
	for (int i = 0; i < image->n; i++)
	{
		if (image->columns[i] == position)
			continue;
		image->columns[k] = image->columns[i];
		image->values[k++] = image->values[i];
	}
	image->n = k;
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
		extra_float_digits >= 1 && bytea_output == BYTEA_OUTPUT_HEX)
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

	/* either is read again; but a merge compares text with text */
	if (bytea_output != BYTEA_OUTPUT_HEX)
		(void) set_config_option("bytea_output", "hex", PGC_USERSET, PGC_S_SESSION,
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
