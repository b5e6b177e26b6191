/*-------------------------------------------------------------------------
 *
 * persist_into.c
 *	  PersistOnlyResources with Into: the draft's row is written before it is
 *	  approved, flagged by the workflow's own AddChangeAspect.
 *
 * It is written as the requester, by the same way as an approved change, and
 * kept on record in idflow.resource with the values that came of it.  A
 * request that ends without a commit takes the row away again, unless others
 * have changed it or hold on to it: then it stays, and an event says so.
 *
 * Where Into is the target itself, the INSERT has happened, and what is left
 * to do is an UPDATE of that row, from the values that were written.  So the
 * change becomes one, of all columns: what others do to any of them is a
 * conflict.  It is known by having columns that its statement named, which
 * other UPDATEs have not.  When the request ends it is an INSERT again, as
 * which it is undone and recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "apply.h"
#include "heapstore.h"
#include "idflow.h"
#include "persist_into.h"
#include "plancache.h"
#include "subxact.h"

static StoreTable resource_table = {"resource"};

static StorePlan put_resource = {
	"INSERT INTO idflow.resource (request, seq, target, target_name, layout, key_columns, key, image)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (request, seq, target)"
	" DO UPDATE SET (layout, key_columns, key, image) ="
	" ROW (excluded.layout, excluded.key_columns, excluded.key, excluded.image)",
	8, {INT8OID, INT4OID, REGCLASSOID, TEXTOID, INT8OID, INT2ARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

static StorePlan select_resources = {
	"SELECT seq, target::pg_catalog.oid, target_name, layout, key_columns, key, image"
	" FROM idflow.resource WHERE request OPERATOR(pg_catalog.=) $1 ORDER BY seq DESC, target",
	1, {INT8OID}
};

static StorePlan delete_resources = {
	"DELETE FROM idflow.resource WHERE request OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan set_operation = {
	"UPDATE ONLY idflow.change_data SET operation = $3"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	3, {INT8OID, INT4OID, TEXTOID}
};

/*
 * change_is_kept: has the row of an INSERT been written into its own table,
 * so that an UPDATE of it is left to do?
 */
bool
change_is_kept(Change *change)
{
	return change->operation == CMD_UPDATE && change->written_known;
}

/*
 * kept_update: what such an UPDATE has to set: the columns that differ from
 * those of the row.
 */
Image *
kept_update(Change *change, Image *image, Relation rel, HeapTuple live)
{
	Image	   *result = (Image *) palloc(sizeof(Image));
	int			nest = transmission_modes_begin_for(change->layout);

	result->n = 0;
	result->columns = (int16 *) palloc(Max(image->n, 1) * sizeof(int16));
	result->values = (char **) palloc(Max(image->n, 1) * sizeof(char *));
	for (int i = 0; i < image->n; i++)
	{
		int			position = image_position(image, i);
		char	   *now = row_text(rel, live, row_attnum(change->layout, rel, position, false));
		char	   *value = image->values[i];

		if (now == value || (now && value && strcmp(now, value) == 0))
			continue;
		result->columns[result->n] = position;
		result->values[result->n++] = value;
	}
	transmission_modes_end(nest);
	return result;
}

/* All columns of a row, or those at positions, as an image. */
static Image *
image_of_row(Layout *layout, Relation rel, HeapTuple row, Bitmapset *attnums)
{
	Image	   *image = (Image *) palloc(sizeof(Image));
	int			nest = transmission_modes_begin_for(layout);

	image->n = 0;
	image->columns = (int16 *) palloc(Max(layout->ncolumns, 1) * sizeof(int16));
	image->values = (char **) palloc(Max(layout->ncolumns, 1) * sizeof(char *));
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		AttrNumber	attnum = row_attnum(layout, rel, p, false);

		if (attnums != NULL && !bms_is_member(attnum, attnums))
			continue;
		image->columns[image->n] = p;
		image->values[image->n++] = row_text(rel, row, attnum);
	}
	transmission_modes_end(nest);
	if (attnums == NULL)
		image->columns = NULL;
	return image;
}

/* The rows that a request has written before its approval, as Changes. */
static List *
resources(Request *req)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(req->id)};
	UserSwitch	save;
	List	   *result = NIL;
	List	   *layouts = NIL;
	ListCell   *lc;
	ListCell   *ll;
	int			n;

	store_begin(&save);
	n = store_exec(&select_resources, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		Change	   *resource = (Change *) palloc0(sizeof(Change));
		int64	   *layout = (int64 *) palloc(sizeof(int64));
		Datum		columns;
		Datum		key;
		bool		columns_null;
		bool		isnull;

		resource->seq = spi_int32(row, 1);
		resource->target = DatumGetObjectId(spi_datum(row, 2, &isnull));
		resource->target_name = spi_text(row, 3);
		*layout = spi_int64(row, 4);
		columns = spi_datum(row, 5, &columns_null);
		key = spi_datum(row, 6, &isnull);
		resource->key = image_copy(image_from_arrays(columns, columns_null, key, isnull));
		key = spi_datum(row, 7, &isnull);
		resource->old_image = image_copy(image_from_arrays((Datum) 0, true, key, isnull));
		resource->operation = CMD_DELETE;
		resource->resource = true;
		result = lappend(result, resource);
		layouts = lappend(layouts, layout);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	forboth(lc, result, ll, layouts)
		((Change *) lfirst(lc))->layout = layout_by_id(*(int64 *) lfirst(ll));
	return result;
}

/* Put a row on record as it was written. */
static void
record_resource(Request *req, Change *resource, int seq)
{
	Relation	rel = table_open(resource->target, NoLock);
	Datum		values[8];
	char		nulls[9] = "        ";
	char		ignored;
	Datum		none;
	UserSwitch	save;

	resource->key = image_of_row(resource->layout, rel, resource->resource_row,
								 row_key_attnums(rel, NULL));
	resource->old_image = image_of_row(resource->layout, rel, resource->resource_row, NULL);
	table_close(rel, NoLock);

	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(seq);
	values[2] = ObjectIdGetDatum(resource->target);
	values[3] = CStringGetTextDatum(resource->target_name);
	values[4] = Int64GetDatum(resource->layout->id);
	image_to_datums(resource->key, &values[5], &nulls[5], &values[6], &nulls[6]);
	image_to_datums(resource->old_image, &none, &ignored, &values[7], &nulls[7]);
	store_begin(&save);
	store_exec(&put_resource, values, nulls, false);
	store_end(&save);
}

static void
change_operation(Request *req, Change *change, CmdType operation)
{
	Datum		values[3];
	UserSwitch	save;

	change->operation = operation;
	change->old_row = change->new_row = NULL;
	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(change->seq);
	values[2] = CStringGetTextDatum(operation_name(operation));
	change_update(req, change);
	store_begin(&save);
	store_exec(&set_operation, values, NULL, false);
	store_end(&save);
}

/* Write a row; returns whether it is written. */
static bool
write_resource(Request *req, Change *resource, Activity *activity)
{
	StringInfoData report;
	char	   *held_by = NULL;

	initStringInfo(&report);
	resource->resource = true;
	switch (apply_resource(req, resource, &held_by, &report))
	{
		case APPLY_DONE:
			return true;
		case APPLY_HELD:
			ereport(ERROR,
					(errcode(ERRCODE_WF_GATE_HAZARD),
					 errmsg("%s can't be written by activity \"%s\" of workflow \"%s\", because workflow \"%s\" holds its changes for approval",
							resource->target_name, activity->name, req->workflow->name, held_by),
					 errhint("Let Into name a table that no other workflow is attached to.")));
			break;
		case APPLY_CONFLICT:
			/* others have made it theirs: it is left to them */
			request_event(req, req->acting, "workflow", "KeepResource",
						  psprintf("the row in %s was changed by others", resource->target_name));
			break;
	}
	return false;
}

/* A change's row for another table: the columns of the same names. */
static Change *
resource_of(Request *req, Change *change, Relation rel, Relation into, Change *written)
{
	Change	   *resource = (Change *) palloc0(sizeof(Change));
	Layout	   *layout = layout_current(into);
	Image	   *image = (Image *) palloc(sizeof(Image));
	int			nest;

	resource->seq = change->seq;
	resource->target = RelationGetRelid(into);
	resource->target_name = table_sql(into, false);
	resource->layout = layout;
	resource->context = change->context;
	resource->written_known = true;
	image->n = 0;
	image->columns = (int16 *) palloc(Max(layout->ncolumns, 1) * sizeof(int16));
	image->values = (char **) palloc(Max(layout->ncolumns, 1) * sizeof(char *));
	row_load(req, change, rel);
	nest = transmission_modes_begin_for(layout);
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		Form_pg_attribute att = into_column(rel, layout->names[p - 1]);
		Form_pg_attribute own = into_column(into, layout->names[p - 1]);

		if (att == NULL || own == NULL || own->attgenerated != '\0')
			continue;
		image->columns[image->n] = p;
		image->values[image->n++] = row_text(rel, change->new_row, att->attnum);
		resource->written = bms_add_member(resource->written, p);
	}
	transmission_modes_end(nest);
	resource->operation = written ? CMD_UPDATE : CMD_INSERT;
	resource->new_image = image;
	if (written)
	{
		resource->key = written->key;
		resource->old_image = written->old_image;
	}
	return resource;
}

/*
 * The row as it came to be written is what is left to approve, but for what
 * the table itself computes.
 */
static void
keep_in_target(Request *req, Change *change, Change *resource)
{
	Relation	rel = row_open(change, AccessShareLock);
	Bitmapset  *attnums = NULL;

	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && att->attgenerated == '\0')
			attnums = bms_add_member(attnums, att->attnum);
	}
	change->key = image_copy(resource->key);
	change->old_image = image_of_row(change->layout, rel, resource->resource_row, attnums);
	change->new_image = image_copy(change->old_image);
	table_close(rel, NoLock);
	change->written_known = true;
	pending_keys_drop(req, change->seq);
	change_operation(req, change, CMD_UPDATE);
}

static void
write_into(Request *req, Activity *activity, Change *change, Oid relid, Change *written)
{
	Relation	rel;
	Relation	into;
	Change	   *resource;

	if (change->operation == CMD_DELETE ||
		(relid == change->target && change->operation == CMD_UPDATE && !change_is_kept(change)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("activity \"%s\" can't write %s on %s before it is approved", activity->name,
						operation_name(change->operation), change->target_name),
				 errhint("Attach the workflow for INSERT, and another one without Into for the rest.")));
	if (relid == change->target)
	{
		resource = (Change *) palloc(sizeof(Change));
		*resource = *change;
		resource->resource_row = NULL;
		if (write_resource(req, resource, activity) && resource->resource_row)
		{
			record_resource(req, resource, change->seq);
			keep_in_target(req, change, resource);
		}
		return;
	}
	rel = row_open(change, AccessShareLock);
	into = table_open(relid, RowExclusiveLock);
	resource = resource_of(req, change, rel, into, written);
	table_close(into, NoLock);
	table_close(rel, NoLock);
	if (write_resource(req, resource, activity) && resource->resource_row)
		record_resource(req, resource, change->seq);
}

/*
 * persist_into: write the drafts' rows where the activity's Into says.
 * Returns what the event says of it; NULL if the activity has no Into.
 */
Jsonb *
persist_into(Request *req, Activity *activity)
{
	const char *into = element_value(activity->element, "Into");
	List	   *written;
	StringInfoData data;
	ListCell   *lc;

	if (into == NULL || req->persisted)
		return NULL;
	written = resources(req);
	foreach(lc, list_copy(request_changes(req)))
	{
		Change	   *change = (Change *) lfirst(lc);
		Oid			relid = into_relid(into, change->target);
		Change	   *before = NULL;
		ListCell   *lw;

		if (change->nested)
			continue;
		if (!OidIsValid(relid))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table \"%s\" does not exist", into),
					 errdetail("Activity \"%s\" of workflow \"%s\" names it in Into.",
							   activity->name, req->workflow->name)));
		foreach(lw, written)
			if (((Change *) lfirst(lw))->seq == change->seq &&
				((Change *) lfirst(lw))->target == relid)
				before = (Change *) lfirst(lw);
		write_into(req, activity, change, relid, before);
	}
	initStringInfo(&data);
	appendStringInfoChar(&data, '{');
	json_pair(&data, "into", into);
	appendStringInfo(&data, ", \"digests\": %s}", image_digests(req));
	return json_from_text(data.data);
}

/* Take a row away again; what stands against it is an event. */
static void
remove_resource(Request *req, Change *resource)
{
	StringInfoData report;
	char	   *held_by = NULL;
	volatile ApplyOutcome outcome = APPLY_DONE;
	const char *volatile why = NULL;
	SubXact		sub;

	initStringInfo(&report);
	subxact_begin(&sub);
	PG_TRY();
	{
		outcome = apply_resource(req, resource, &held_by, &report);
		if (outcome == APPLY_DONE)
			subxact_commit(&sub);
		else
			subxact_abort(&sub);
	}
	PG_CATCH();
	{
		ErrorData  *error = subxact_error(&sub);

		/* trouble of the server's or of the session's is not the row's */
		switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
		{
			case MAKE_SQLSTATE('4', '0', '0', '0', '0'):
			case MAKE_SQLSTATE('5', '3', '0', '0', '0'):
			case MAKE_SQLSTATE('5', '7', '0', '0', '0'):
			case MAKE_SQLSTATE('5', '8', '0', '0', '0'):
			case MAKE_SQLSTATE('X', 'X', '0', '0', '0'):
				ReThrowError(error);
		}
		why = psprintf("the row in %s stays: %s", resource->target_name, error->message);
	}
	PG_END_TRY();
	if (outcome == APPLY_CONFLICT)
		why = psprintf("the row in %s stays, or is gone: it was changed by others",
					   resource->target_name);
	request_event(req, req->acting ? req->acting : req->requester, "workflow",
				  why ? "KeepResource" : "RemoveResource",
				  why ? why : psprintf("the row in %s", resource->target_name));
}

/*
 * resources_end: a request ends, or its rows are written.  Unless they are,
 * what it has written before is taken away.
 */
void
resources_end(Request *req)
{
	List	   *written;
	Datum		values[1] = {Int64GetDatum(req->id)};
	UserSwitch	save;
	ListCell   *lc;

	if (store_scan(&resource_table, req->id) == NIL)
		return;
	written = resources(req);
	if (!req->persisted)
		foreach(lc, written)
			remove_resource(req, (Change *) lfirst(lc));
	store_begin(&save);
	store_exec(&delete_resources, values, NULL, false);
	store_end(&save);
	foreach(lc, request_stored(req))
	{
		Change	   *change = (Change *) lfirst(lc);

		if (!change_is_kept(change))
			continue;
		change->old_image = NULL;
		change_operation(req, change, CMD_INSERT);
	}
}
