/*-------------------------------------------------------------------------
 *
 * pending_row.c
 *	  One open request per row, where a workflow says PendingPolicy="Refuse".
 *
 * The change of a row holds the row as a draft holds its keys: in
 * idflow.pending_key, whose primary key makes two sessions meet that ask for
 * the same at the same time.  If any gate of the table says so it holds for
 * every request on the table's rows: a policy that others need not heed would
 * be none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "attach.h"
#include "idflow.h"
#include "pending.h"

/* another open request on the row, made before the workflow minded */
static StorePlan select_other = {
	"SELECT d.request FROM ONLY idflow.change_data d"
	" JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) d.request"
	" WHERE d.key_hash OPERATOR(pg_catalog.=) $1 AND d.key OPERATOR(pg_catalog.=) $2"
	" AND d.target OPERATOR(pg_catalog.=) $3 AND d.superseded IS NULL AND r.closed_at IS NULL"
	" AND r.id OPERATOR(pg_catalog.<>) $4 ORDER BY 1 LIMIT 1",
	4, {INT8OID, TEXTARRAYOID, REGCLASSOID, INT8OID}
};

/* The workflow of a gate of the table that minds; NULL if none does. */
static const char *
refusing_workflow(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const char *name;
		Workflow   *wf;

		if (!trigger_is_gate(&triggers->triggers[i]))
			continue;
		name = trigger_workflow(&triggers->triggers[i]);
		wf = name ? workflow_current(name, true) : NULL;
		if (wf && wf->one_request)
			return wf->name;
	}
	return NULL;
}

/*
 * The row as a key.  Its columns go by name: a partition may have them in
 * another order than the table that another statement names.
 */
static int64
row_digest(Change *change, Oid root)
{
	uint64		digest = hash_bytes_uint32_extended(root, 2);
	uint64		columns = 0;

	for (int i = 0; i < change->key->n; i++)
	{
		int			position = image_position(change->key, i);
		const char *name = change->layout->names[position - 1];
		const char *value = change->key->values[i] ? change->key->values[i] : "";

		columns += hash_combine64(hash_bytes_extended((const unsigned char *) name, strlen(name), 0),
								  hash_bytes_extended((const unsigned char *) value, strlen(value), 0));
	}
	return (int64) hash_combine64(digest, columns);
}

static void
refuse_row(Relation rel, int64 holder, const char *workflow)
{
	ereport(ERROR,
			(errcode(ERRCODE_WF_OPEN_REQUESTS),
			 errmsg("request " INT64_FORMAT " is open on this row of table \"%s\"",
					holder, RelationGetRelationName(rel)),
			 errdetail("Workflow \"%s\" takes one request on a row at a time.", workflow),
			 errhint("Wait for that request's decision or have it withdrawn.")));
}

/* Hold the row; the number of the request that does, 0 if it is ours now. */
static int64
take_row(Request *req, Change *change, int64 digest)
{
	Datum		values[4];
	Datum		columns;
	char		nulls[2];
	UserSwitch	save;
	int64		holder = 0;

	values[0] = Int64GetDatum(digest);
	values[1] = Int64GetDatum(req->id);
	values[2] = Int32GetDatum(change->seq);
	store_begin(&save);
	while (store_exec(&pending_insert, values, NULL, false) == 0)
	{
		/* he may have let go of it in between: then try again */
		CHECK_FOR_INTERRUPTS();
		if (store_exec(&pending_holder, values, NULL, false) == 0)
			continue;
		holder = spi_int64(SPI_tuptable->vals[0], 1);
		store_end(&save);
		return holder == req->id ? 0 : holder;
	}
	image_to_datums(change->key, &columns, &nulls[0], &values[1], &nulls[1]);
	values[0] = Int64GetDatum(text_array_hash(values[1]));
	values[2] = ObjectIdGetDatum(change->target);
	values[3] = Int64GetDatum(req->id);
	if (store_exec(&select_other, values, NULL, false) > 0)
		holder = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);
	return holder;
}

/*
 * pending_row_take: hold the row of an UPDATE or DELETE, if a gate of rel, its
 * table or the partition that it is in, wants one request on a row at a time.
 * Waits for a transaction that is about to.
 */
void
pending_row_take(Request *req, Change *change, Relation rel)
{
	const char *workflow;
	Oid			root = change->target;
	int64		digest;
	int64		holder;

	if (change->operation == CMD_INSERT || change->key == NULL)
		return;
	workflow = refusing_workflow(rel);
	if (workflow == NULL)
		return;
	if (rel->rd_rel->relispartition)
		root = llast_oid(get_partition_ancestors(RelationGetRelid(rel)));
	digest = row_digest(change, root);
	holder = take_row(req, change, digest);
	if (holder != 0)
		refuse_row(rel, holder, workflow);
	pending_held(change, digest);
}
