/*-------------------------------------------------------------------------
 *
 * reverse.c
 *	  The reverse of a request: what would take back what it has written.
 *
 * All that it did to a row is taken back at once, see net.c: an INSERT becomes
 * the DELETE of its row, an UPDATE the UPDATE of the touched columns to what
 * they were, a DELETE the INSERT of the row; the row last written comes first.
 * They are changes like any others: what the request wrote is what
 * they are based on, so that whatever has happened to those columns since is
 * a conflict when they are applied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "idflow.h"
#include "net.h"
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
is_altered(List *altered, NetChange *net, int position)
{
	ListCell   *lc;

	foreach(lc, altered)
	{
		Altered    *a = lfirst(lc);

		if (strcmp(a->column, net->change->layout->names[position - 1]) == 0 &&
			list_member_int(net->steps, a->seq))
			return true;
	}
	return false;
}

/*
 * The column of the table for a position of a change's layout.  One that has
 * been dropped has nothing to be taken back: 0, and its name is added to *gone.
 * Errors if it is another column now.
 */
static AttrNumber
column_now(Change *change, Relation rel, int position, List **gone)
{
	Layout	   *layout = change->layout;
	AttrNumber	attnum = row_attnum(layout, rel, position, true);
	TupleDesc	desc = RelationGetDescr(rel);
	char	   *name;

	if (attnum != InvalidAttrNumber)
		return attnum;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		/* there under its name, or under its number with another name */
		if (!att->attisdropped &&
			(strcmp(NameStr(att->attname), layout->names[position - 1]) == 0 ||
			 (layout->relid == RelationGetRelid(rel) && att->attnum == layout->attnums[position - 1])))
			ereport(ERROR,
					(errcode(ERRCODE_WF_LAYOUT),
					 errmsg("column \"%s\" of %s is not what it was when it was written",
							layout->names[position - 1], change->target_name),
					 errdetail("It was of type %s, and is of another now, or another column has its name.",
							   layout->types[position - 1]),
					 errhint("Write back what is to be as before by a request of its own.")));
	}
	name = psprintf("%s of %s", quote_identifier(layout->names[position - 1]), change->target_name);
	if (!strings_contain(*gone, name))
		*gone = lappend(*gone, name);
	return InvalidAttrNumber;
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

/* The DELETE of a row that was inserted.  Its columns that are gone go with it. */
static void
reverse_insert(NetChange *net, Change *copy, Relation rel, HeapTuple live, List *altered)
{
	Change	   *change = net->change;
	Image	   *image = change->new_image;
	List	   *gone = NIL;

	copy->operation = CMD_DELETE;
	copy->old_image = empty_image(image->n);
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = column_now(change, rel, position, &gone);

		if (attnum == InvalidAttrNumber)
			continue;
		image_append(copy->old_image, position,
					 is_generated(rel, attnum) || is_altered(altered, net, position) ?
					 row_text(rel, live, attnum) : image->values[i]);
	}
}

/*
 * The UPDATE back; false if the row is as it was already.  Its values are the
 * table's own, here and below, not its requester's.
 */
static bool
reverse_update(NetChange *net, Change *copy, Relation rel, HeapTuple live, List *altered, List **gone)
{
	Change	   *change = net->change;
	Image	   *image = change->new_image;

	copy->operation = CMD_UPDATE;
	copy->old_image = empty_image(image->n);
	copy->new_image = empty_image(image->n);
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = column_now(change, rel, position, gone);
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
					 is_altered(altered, net, position) ? now : image->values[i]);
		image_append(copy->new_image, position, back);
		copy->others = bms_add_member(copy->others, position);
	}
	return copy->new_image->n > 0;
}

/* The INSERT of a row that was deleted, all of it named. */
static void
reverse_delete(Change *change, Change *copy, Relation rel, List **gone)
{
	Image	   *image = change->old_image;

	copy->operation = CMD_INSERT;
	copy->new_image = empty_image(image->n);
	copy->written_known = true;
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = column_now(change, rel, position, gone);

		if (attnum == InvalidAttrNumber || is_generated(rel, attnum))
			continue;
		image_append(copy->new_image, position, image->values[i]);
		copy->written = bms_add_member(copy->written, position);
		copy->others = bms_add_member(copy->others, position);
	}
}

/*
 * The reverse of what was done to a row; NULL if there is nothing to take back:
 * the row is gone, or is as it was.
 */
static Change *
reverse_change(NetChange *net, List *altered, List **gone)
{
	Change	   *change = net->change;
	Relation	rel;
	Change	   *copy;
	HeapTuple	live = NULL;
	bool		moot = false;
	int			nest;

	if (net->nothing)
		return NULL;
	copy = palloc0(sizeof(Change));
	rel = row_open(change, AccessShareLock);
	copy->target = change->target;
	copy->target_name = change->target_name;
	copy->layout = change->layout;
	copy->gates = list_copy(change->gates);
	copy->context = change->context;
	copy->operation = change->operation;
	copy->key = image_copy(change->operation == CMD_DELETE ? change->key : net->key);
	if (change->operation != CMD_DELETE)
		live = row_find(rel, copy, false);

	nest = transmission_modes_begin();
	if (change->operation == CMD_DELETE)
		reverse_delete(change, copy, rel, gone);
	else if (live == NULL)
		moot = true;
	else if (change->operation == CMD_INSERT)
		reverse_insert(net, copy, rel, live, altered);
	else
		moot = !reverse_update(net, copy, rel, live, altered, gone);
	transmission_modes_end(nest);
	table_close(rel, NoLock);
	return moot ? NULL : copy;
}

/*
 * reverse_make: a new request that takes back what another has written, made
 * by a principal and to be applied as a role; its changes are stored, itself is
 * not yet.  NULL if nothing is left to take back.  moot receives the numbers
 * (seq) of the original's changes of which that is so; gone the columns of
 * which nothing can be taken back because they have been dropped, as strings.
 */
Request *
reverse_make(Request *original, const char *requester, const char *role, List **moot, List **gone)
{
	List	   *altered = altered_columns(original->id);
	List	   *changes = request_changes(original);
	List	   *copies = NIL;
	Request    *req;
	ListCell   *lc;

	*moot = *gone = NIL;
	if (changes == NIL && original->nchanges > 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_REQUEST_STATE),
				 errmsg("request " INT64_FORMAT " can't be reversed: its history has been dropped", original->id)));
	foreach(lc, changes)
		check_images(original, lfirst(lc));
	foreach(lc, net_changes(changes))
	{
		NetChange  *net = lfirst(lc);
		Change	   *copy = reverse_change(net, altered, gone);

		if (copy)
			copies = lappend(copies, copy);
		else
			*moot = list_concat(*moot, net->steps);
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
