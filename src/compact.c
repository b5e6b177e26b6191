/*-------------------------------------------------------------------------
 *
 * compact.c
 *	  Changes in as little memory as they take.
 *
 * What is read of a change leaves several times its size behind: arrays, lists,
 * and a chunk for each value.  Of one change that is nothing, and a hundred
 * thousand are in memory at once where a statement has updated as many rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/datum.h"

#include "compact.h"

/* The values in one piece; what an image may get later has its own. */
static Image *
compact_image(Image *image)
{
	Image	   *copy = image_copy(image);
	Size		size = 0;
	char	   *at;

	if (copy == NULL)
		return NULL;
	for (int i = 0; i < copy->n; i++)
		if (copy->values[i])
			size += strlen(copy->values[i]) + 1;
	at = palloc(Max(size, 1));
	for (int i = 0; i < copy->n; i++)
	{
		Size		length;

		if (copy->values[i] == NULL)
			continue;
		length = strlen(copy->values[i]) + 1;
		memcpy(at, copy->values[i], length);
		copy->values[i] = at;
		at += length;
	}
	return copy;
}

static List *
compact_strings(List *strings)
{
	List	   *copy = list_copy(strings);
	ListCell   *lc;

	foreach(lc, copy)
		lfirst(lc) = lfirst(lc) ? pstrdup(lfirst(lc)) : NULL;
	return copy;
}

static bool
same_strings(List *one, List *other)
{
	ListCell   *a;
	ListCell   *b;

	if (list_length(one) != list_length(other))
		return false;
	forboth(a, one, b, other)
		if (lfirst(a) == NULL || lfirst(b) == NULL ? lfirst(a) != lfirst(b) : strcmp(lfirst(a), lfirst(b)) != 0)
			return false;
	return true;
}

/*
 * change_compact: a copy of a change that was just read, in the current memory
 * context.  What nobody alters it has in common with like, a change that lives
 * as long, where that is the same.
 */
Change *
change_compact(Change *change, Change *like)
{
	Change	   *copy = (Change *) palloc(sizeof(Change));

	Assert(change->pack == NULL && change->old_row == NULL && change->new_row == NULL);
	*copy = *change;
	copy->target_name = strcmp(change->target_name, like->target_name) == 0 ? like->target_name :
		pstrdup(change->target_name);
	copy->context = same_strings(change->context, like->context) ? like->context : compact_strings(change->context);
	copy->gates = compact_strings(change->gates);
	copy->key = compact_image(change->key);
	copy->old_image = compact_image(change->old_image);
	copy->new_image = compact_image(change->new_image);
	copy->written = bms_copy(change->written);
	copy->others = bms_copy(change->others);
	copy->key_positions = bms_copy(change->key_positions);
	if (change->salt)
		copy->salt = (bytea *) DatumGetPointer(datumCopy(PointerGetDatum(change->salt), false, -1));
	if (change->rows)
		copy->rows = datumCopy(change->rows, false, -1);
	if (change->held)
	{
		copy->held = (int64 *) palloc(Max(change->nheld, 1) * sizeof(int64));
		memcpy(copy->held, change->held, change->nheld * sizeof(int64));
	}
	return copy;
}
