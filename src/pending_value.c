/*-------------------------------------------------------------------------
 *
 * pending_value.c
 *	  Values that are built to be unique, held as keys are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"

#include "idflow.h"
#include "pending.h"

static StorePlan select_key_of = {
	"SELECT FROM idflow.pending_key WHERE digest OPERATOR(pg_catalog.=) $1"
	" AND request OPERATOR(pg_catalog.=) $2 AND seq OPERATOR(pg_catalog.=) $3",
	3, {INT8OID, INT8OID, INT4OID}
};

/* A value of a column that is built to be unique, as a key to be held. */
static int64
value_digest(Oid relid, const char *column, const char *value)
{
	uint64		digest = hash_bytes_uint32_extended(relid, 1);

	digest = hash_combine64(digest, hash_bytes_extended((const unsigned char *) column, strlen(column), 0));
	return (int64) hash_combine64(digest, hash_bytes_extended((const unsigned char *) value, strlen(value), 0));
}

/*
 * pending_value_take: hold a built value for a change; waits for whoever is
 * taking it at the moment.  Returns whether it is free, or the change's
 * already.  pending_value_keep() must follow when the draft has the value.
 */
bool
pending_value_take(Request *req, Change *change, Oid relid, const char *column, const char *value)
{
	Datum		values[3];
	UserSwitch	save;
	bool		taken;

	values[0] = Int64GetDatum(value_digest(relid, column, value));
	values[1] = Int64GetDatum(req->id);
	values[2] = Int32GetDatum(change->seq);
	store_begin(&save);
	(void) store_exec(&pending_insert, values, NULL, false);
	taken = SPI_processed == 0;
	if (taken && store_exec(&select_key_of, values, NULL, false) > 0)
		taken = false;
	store_end(&save);
	return !taken;
}

/*
 * pending_value_keep: let the change, which has just been stored with the
 * value, hold it until its request is closed or it is edited.
 */
void
pending_value_keep(Request *req, Change *change, Oid relid, const char *column, const char *value)
{
	int64		digest = value_digest(relid, column, value);

	pending_held(change, digest);
	change_store_held(req, change);
}
