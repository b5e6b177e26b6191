/*-------------------------------------------------------------------------
 *
 * net.c
 *	  What a request does to each row, all in all.
 *
 * A request may have several changes on one row: one that writes columns and
 * one that gives the row another key, or what its own triggers do to it
 * afterwards.  Taken back one by one, the earlier would be looked for under
 * keys that the row has no more, and compared with values that the later have
 * written.  So who takes back a request takes back its rows.
 *
 * A row that is deleted, and one that is inserted with its key afterwards, are
 * two.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

#include "edit.h"
#include "net.h"

/* Net changes of rows whose key was the same, in a bucket. */
typedef struct RowBucket
{
	uint64		hash;			/* of table and key */
	List	   *nets;
} RowBucket;

static uint64
row_hash(Change *change, Image *key)
{
	uint64		hash = change->target;

	for (int i = 0; i < key->n; i++)
		hash = hash_combine64(hash, key->values[i] == NULL ? 0 :
							  hash_bytes_extended((const unsigned char *) key->values[i],
												  strlen(key->values[i]), 0));
	return hash;
}

static bool
same_key(Image *one, Image *other)
{
	if (one->n != other->n)
		return false;
	for (int i = 0; i < one->n; i++)
		if (one->values[i] == NULL || other->values[i] == NULL ?
			one->values[i] != other->values[i] : strcmp(one->values[i], other->values[i]) != 0)
			return false;
	return true;
}

/*
 * The key with which a change leaves its row; an INSERT's is its own, and a
 * DELETE's the last that the row had.
 */
static Image *
key_after(Change *change)
{
	Image	   *key = image_copy(change->key);

	for (int i = 0; change->operation == CMD_UPDATE && i < key->n; i++)
	{
		bool		found;
		const char *value = image_value(change->new_image, image_position(key, i), &found);

		if (found)
			key->values[i] = value ? pstrdup(value) : NULL;
	}
	return key;
}

/* Which values overlay() puts into an image. */
#define INTO_OLD	1			/* of columns that it has */
#define INTO_NEW	2			/* of columns that it hasn't */

/* Put the values of an image, by the names of their columns, into another. */
static void
overlay(Image *image, Layout *layout, Image *over, Layout *over_layout, int into)
{
	for (int i = 0; i < over->n; i++)
	{
		int			position = layout_find_position(layout, over_layout->names[image_position(over, i) - 1]);
		bool		found;

		(void) image_value(image, position, &found);
		if (position != 0 && (into & (found ? INTO_OLD : INTO_NEW)))
			image_set(image, position, over->values[i]);
	}
}

/* A step of the row before those that the net change has. */
static void
add_before(NetChange *net, Change *step)
{
	Change	   *change = net->change;
	Change	   *copy = (Change *) palloc(sizeof(Change));
	ListCell   *lc;

	*copy = *step;
	copy->gates = list_copy(step->gates);
	foreach(lc, change->gates)
		if (!strings_contain(copy->gates, lfirst(lc)))
			copy->gates = lappend(copy->gates, lfirst(lc));
	if (step->operation == CMD_INSERT && change->operation == CMD_DELETE)
		net->nothing = true;
	else if (change->operation == CMD_DELETE)
	{
		copy->operation = CMD_DELETE;
		copy->layout = change->layout;
		copy->old_image = image_copy(change->old_image);
		overlay(copy->old_image, copy->layout, step->old_image, step->layout, INTO_OLD);
		copy->new_image = NULL;
	}
	else
	{
		copy->new_image = image_copy(step->new_image);
		overlay(copy->new_image, copy->layout, change->new_image, change->layout,
				copy->operation == CMD_INSERT ? INTO_OLD : INTO_OLD | INTO_NEW);
	}
	if (step->operation == CMD_UPDATE && change->operation == CMD_UPDATE)
	{
		/* what the row had before: of columns in both, before the first */
		copy->old_image = image_copy(step->old_image);
		overlay(copy->old_image, copy->layout, change->old_image, change->layout, INTO_NEW);
	}
	net->change = copy;
	net->steps = lappend_int(net->steps, step->seq);
}

/* Can the images of a change be put together with others? */
static bool
is_whole(Change *change)
{
	return change->key && (change->operation == CMD_INSERT || change->old_image) &&
		(change->operation == CMD_DELETE || change->new_image);
}

/*
 * net_changes: the net change of each row, as a List of NetChange in the
 * current memory context, the row last written first.  A change without a key
 * or without its images is one for itself.
 */
List *
net_changes(List *changes)
{
	HASHCTL		ctl = {0};
	HTAB	   *rows;
	List	   *result = NIL;

	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(RowBucket);
	ctl.hcxt = CurrentMemoryContext;
	rows = hash_create("idflow rows of a request", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (int i = list_length(changes) - 1; i >= 0; i--)
	{
		Change	   *change = (Change *) list_nth(changes, i);
		NetChange  *net = NULL;
		Image	   *left;
		uint64		hash;
		RowBucket  *bucket;
		bool		found;
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		left = is_whole(change) ? key_after(change) : NULL;
		if (left && change->operation != CMD_DELETE)
		{
			hash = row_hash(change, left);
			bucket = (RowBucket *) hash_search(rows, &hash, HASH_FIND, NULL);
			foreach(lc, bucket ? bucket->nets : NIL)
			{
				NetChange  *other = (NetChange *) lfirst(lc);

				/* a row that is inserted is no earlier one's */
				if (other->change->operation != CMD_INSERT && !other->nothing &&
					other->change->target == change->target && same_key(other->change->key, left))
				{
					net = other;
					bucket->nets = foreach_delete_current(bucket->nets, lc);
					break;
				}
			}
		}
		if (net)
			add_before(net, change);
		else
		{
			net = (NetChange *) palloc0(sizeof(NetChange));
			net->change = change;
			net->key = left;
			net->steps = list_make1_int(change->seq);
			result = lappend(result, net);
		}
		if (left)
		{
			hash = row_hash(net->change, net->change->key);
			bucket = (RowBucket *) hash_search(rows, &hash, HASH_ENTER, &found);
			if (!found)
				bucket->nets = NIL;
			bucket->nets = lcons(net, bucket->nets);
		}
	}
	hash_destroy(rows);
	return result;
}
