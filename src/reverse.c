/*-------------------------------------------------------------------------
 *
 * reverse.c
 *	  The reverse of a request: what would take back what it has written.
 *
 * An INSERT becomes the DELETE of its row, an UPDATE the UPDATE of the touched
 * columns to what they were, a DELETE the INSERT of the row; the last comes
 * first.  They are changes like any others: what the request wrote is what
 * they are based on, so that whatever has happened to those columns since is
 * a conflict when they are applied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"

#include "idflow.h"
#include "schedule.h"

/* A column that a trigger of the table altered when the request was applied. */
typedef struct Altered
{
	int			seq;
	char	   *column;
} Altered;

/*
 * Where triggers had a hand in a column, what was drafted is not what was
 * written: the event of the apply says where.
 */
static List *
altered_columns(int64 request)
{
	static StorePlan plan = {
		"SELECT t.key::pg_catalog.int4, n.value FROM idflow.event e,"
		" pg_catalog.jsonb_each(e.data OPERATOR(pg_catalog.->) 'triggers') t,"
		" pg_catalog.jsonb_array_elements_text(t.value) n"
		" WHERE e.request OPERATOR(pg_catalog.=) $1"
		" AND pg_catalog.jsonb_typeof(e.data OPERATOR(pg_catalog.->) 'triggers') OPERATOR(pg_catalog.=) 'object'",
		1, {INT8OID}
	};
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(request)};
	UserSwitch	save;
	List	   *result = NIL;
	int			n;

	store_begin(&save);
	n = store_exec(&plan, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		Altered    *altered = palloc(sizeof(Altered));

		altered->seq = spi_int32(row, 1);
		altered->column = spi_text(row, 2);
		result = lappend(result, altered);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return result;
}

static bool
is_altered(List *altered, Change *change, int position)
{
	ListCell   *lc;

	foreach(lc, altered)
	{
		Altered    *a = lfirst(lc);

		if (a->seq == change->seq && strcmp(a->column, change->layout->names[position - 1]) == 0)
			return true;
	}
	return false;
}

static Image *
empty_image(int room)
{
	Image	   *image = palloc0(sizeof(Image));

	image->columns = palloc0(Max(room, 1) * sizeof(int16));
	image->values = palloc0(Max(room, 1) * sizeof(char *));
	return image;
}

static void
image_append(Image *image, int position, const char *value)
{
	image->columns[image->n] = position;
	image->values[image->n++] = value ? pstrdup(value) : NULL;
}

static bool
is_generated(Relation rel, AttrNumber attnum)
{
	return TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated != '\0';
}

static int
image_position(Image *image, int i)
{
	return image->columns ? image->columns[i] : i + 1;
}

/* Images go where they are purged; then nobody knows what to go back to. */
static void
check_images(Request *original, Change *change)
{
	bool		gone = (change->operation != CMD_INSERT && change->old_image == NULL) ||
		(change->operation != CMD_DELETE && change->new_image == NULL);

	if (gone)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " can't be reversed: its images are purged", original->id)));
	if (change->key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("request " INT64_FORMAT " can't be reversed: %s has no key", original->id,
						change->target_name),
				 errdetail("The row that it inserted can't be found again.")));
}

/* The DELETE of a row that was inserted. */
static void
reverse_insert(Change *change, Change *copy, Relation rel, HeapTuple live, List *altered)
{
	Image	   *image = change->new_image;

	copy->operation = CMD_DELETE;
	copy->old_image = empty_image(image->n);
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, true);

		if (attnum == InvalidAttrNumber)
			continue;
		image_append(copy->old_image, position,
					 is_generated(rel, attnum) || is_altered(altered, change, position) ?
					 row_text(rel, live, attnum) : image->values[i]);
	}
}

/*
 * The UPDATE back; false if the row is as it was already.  Its values are the
 * table's own, here and below, not its requester's.
 */
static bool
reverse_update(Change *change, Change *copy, Relation rel, HeapTuple live, List *altered)
{
	Image	   *image = change->new_image;

	copy->operation = CMD_UPDATE;
	copy->old_image = empty_image(image->n);
	copy->new_image = empty_image(image->n);
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, true);
		const char *now;
		const char *back;
		bool		found;

		if (attnum == InvalidAttrNumber)
			continue;
		now = row_text(rel, live, attnum);
		back = image_value(change->old_image, position, &found);
		if (now == back || (now && back && strcmp(now, back) == 0))
			continue;
		image_append(copy->old_image, position,
					 is_altered(altered, change, position) ? now : image->values[i]);
		image_append(copy->new_image, position, back);
		copy->others = bms_add_member(copy->others, position);
	}
	return copy->new_image->n > 0;
}

/* The INSERT of a row that was deleted, all of it named. */
static void
reverse_delete(Change *change, Change *copy, Relation rel)
{
	Image	   *image = change->old_image;

	copy->operation = CMD_INSERT;
	copy->new_image = empty_image(image->n);
	copy->written_known = true;
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, true);

		if (attnum == InvalidAttrNumber || is_generated(rel, attnum))
			continue;
		image_append(copy->new_image, position, image->values[i]);
		copy->written = bms_add_member(copy->written, position);
		copy->others = bms_add_member(copy->others, position);
	}
}

/*
 * The reverse of one change; NULL if there is nothing to take back: the row is
 * gone, or is as it was.
 */
static Change *
reverse_change(Request *original, Change *change, List *altered)
{
	Relation	rel;
	Change	   *copy = palloc0(sizeof(Change));
	HeapTuple	live = NULL;
	bool		moot = false;
	int			nest;

	check_images(original, change);
	rel = row_open(change, AccessShareLock);
	copy->target = change->target;
	copy->target_name = change->target_name;
	copy->layout = change->layout;
	copy->gates = list_copy(change->gates);
	copy->context = change->context;
	copy->operation = change->operation;
	copy->key = image_copy(change->key);
	/* the key as the change left it */
	for (int i = 0; change->operation == CMD_UPDATE && i < copy->key->n; i++)
	{
		bool		found;
		const char *value = image_value(change->new_image, image_position(copy->key, i), &found);

		if (found)
			copy->key->values[i] = value ? pstrdup(value) : NULL;
	}
	if (change->operation != CMD_DELETE)
		live = row_find(rel, copy, false);

	nest = transmission_modes_begin();
	if (change->operation == CMD_DELETE)
		reverse_delete(change, copy, rel);
	else if (live == NULL)
		moot = true;
	else if (change->operation == CMD_INSERT)
		reverse_insert(change, copy, rel, live, altered);
	else
		moot = !reverse_update(change, copy, rel, live, altered);
	transmission_modes_end(nest);
	table_close(rel, NoLock);
	return moot ? NULL : copy;
}

/*
 * reverse_make: a new request that takes back what another has written, made
 * by a principal and to be applied as a role; its changes are stored, itself is
 * not yet.  NULL if nothing is left to take back.  moot receives the numbers
 * (seq) of the original's changes of which that is so.
 */
Request *
reverse_make(Request *original, const char *requester, const char *role, List **moot)
{
	List	   *altered = altered_columns(original->id);
	List	   *changes = request_changes(original);
	List	   *copies = NIL;
	Request    *req;
	ListCell   *lc;

	*moot = NIL;
	for (int i = list_length(changes) - 1; i >= 0; i--)
	{
		Change	   *change = list_nth(changes, i);
		Change	   *copy = reverse_change(original, change, altered);

		if (copy)
			copies = lappend(copies, copy);
		else
			*moot = lappend_int(*moot, change->seq);
	}
	if (copies == NIL)
		return NULL;

	req = request_create(requester);
	req->role = pstrdup(role);
	if (strcmp(role, original->role) == 0)
		req->apply_as_of = original->apply_as_of;
	req->parent = original->id;
	req->workflow = original->workflow;
	req->subject = original->subject;
	req->subject_binding = original->subject_binding;
	req->dated = true;
	req->reverses = true;
	foreach(lc, copies)
	{
		change_add(req, lfirst(lc));
		change_store(req, lfirst(lc));
	}
	return req;
}
