/*-------------------------------------------------------------------------
 *
 * drafts.c
 *	  Drafted rows as rows of their table, and which requests are open on a
 *	  row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "idflow.h"
#include "reading.h"

PG_FUNCTION_INFO_V1(idflow_drafts);
PG_FUNCTION_INFO_V1(idflow_pending);

/* Open requests that draft rows of a table: all, or those the actor sees. */
#define OPEN_ON_TABLE \
	"SELECT DISTINCT d.request FROM idflow.request r" \
	" JOIN ONLY idflow.change_data d ON d.request OPERATOR(pg_catalog.=) r.id" \
	" WHERE EXISTS (SELECT FROM idflow.candidate c WHERE c.request OPERATOR(pg_catalog.=) r.id)" \
	" AND d.target OPERATOR(pg_catalog.=) $1" \
	" AND d.superseded IS NULL AND (r.id OPERATOR(pg_catalog.=) $2 OR $2 IS NULL)"

static StorePlan open_plan = {
	OPEN_ON_TABLE " ORDER BY 1",
	2, {REGCLASSOID, INT8OID}
};

static StorePlan open_visible_plan = {
	OPEN_ON_TABLE " AND r.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT idflow.visible())) ORDER BY 1",
	2, {REGCLASSOID, INT8OID}
};

/*
 * The text of a drafted row's column, NULL if null or not to be shown.  live
 * is the row as it stands, NULL if it is gone.
 */
static const char *
draft_value(Change *change, Sight *sight, char **live, int position)
{
	bool		found;
	const char *value = image_value(change->new_image, position, &found);

	if (found)
		return sight_of_draft(sight, position) ? value : NULL;
	if (change->operation != CMD_UPDATE || !sight_of_row(sight, position))
		return NULL;
	return live ? live[position - 1] : image_value(change->key, position, &found);
}

/* Add the row that one change drafts. */
static void
add_draft(int64 request, Change *change, Viewer viewer, ReturnSetInfo *rsinfo)
{
	TupleDesc	desc = rsinfo->setDesc;
	Layout	   *layout = change->layout;
	Sight	   *sight = sight_of(change, viewer);
	bool		exists = false;
	char	  **live = NULL;
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	UserSwitch	save;
	int			nestlevel;

	if (change->operation == CMD_UPDATE)
		live = live_values(change, &exists);
	if (!exists)
		live = NULL;

	/* a domain of the table's may call anything: not with the reader's rights */
	memset(nulls, true, desc->natts * sizeof(bool));
	become(&save, table_owner(change->target), SECURITY_RESTRICTED_OPERATION);
	nestlevel = transmission_modes_begin();
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		AttrNumber	attnum = layout_attribute(layout, change->target, p);
		const char *value;
		Form_pg_attribute att;

		if (attnum == InvalidAttrNumber || attnum > desc->natts)
			continue;
		value = draft_value(change, sight, live, p);
		if (value == NULL)
			continue;
		att = TupleDescAttr(desc, attnum - 1);
		nulls[attnum - 1] = !drafted_value(request, att, att->atttypid, att->atttypmod, value,
										   &values[attnum - 1]);
	}
	transmission_modes_end(nestlevel);
	restore_user(&save);
	tuplestore_putvalues(rsinfo->setResult, desc, values, nulls);
}

/*
 * idflow.drafts(like, request): the rows that open requests would write to
 * the table whose row type like has.  A column that the one who asks may not
 * see is null.
 */
Datum
idflow_drafts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			rowtype = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			relid = OidIsValid(rowtype) ? get_typ_typrelid(rowtype) : InvalidOid;
	Datum		args[2];
	char		nulls[3] = "  ";
	UserSwitch	save;
	List	   *requests = NIL;
	ListCell   *lc;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the argument must be of a table's row type"),
				 errhint("Write idflow.drafts(NULL::schema.table).")));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	args[0] = ObjectIdGetDatum(relid);
	args[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
	if (PG_ARGISNULL(1))
		nulls[1] = 'n';

	{
		bool		auditor = role_is_auditor(GetUserId());

		store_begin(&save);
		(void) store_exec(auditor ? &open_plan : &open_visible_plan, args, nulls, true);
		MemoryContextSwitchTo(caller);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			int64	   *id = palloc(sizeof(int64));

			*id = spi_int64(SPI_tuptable->vals[i], 1);
			requests = lappend(requests, id);
		}
		store_end(&save);
	}

	cxt = AllocSetContextCreate(caller, "idflow drafts", ALLOCSET_DEFAULT_SIZES);
	foreach(lc, requests)
	{
		int64		request = *(int64 *) lfirst(lc);
		Viewer		viewer;
		ListCell   *lch;

		MemoryContextSwitchTo(cxt);
		viewer = viewer_of(request);
		foreach(lch, viewer == VIEWER_NONE ? NIL : reading_changes(request, 0))
		{
			Change	   *change = lfirst(lch);

			if (change->target == relid && change->operation != CMD_DELETE)
				add_draft(request, change, viewer, rsinfo);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(cxt);
	}
	MemoryContextDelete(cxt);
	return (Datum) 0;
}

/*
 * The value of a key column as images have it: of a built-in type, what its
 * output function makes of the text; else the text as it is.
 */
static char *
canonical_value(Oid typid, char *text)
{
	Oid			function;
	Oid			ioparam;
	bool		varlena;
	Datum		value;

	typid = getBaseType(typid);
	if (typid >= FirstNormalObjectId)
		return text;
	getTypeInputInfo(typid, &function, &ioparam);
	value = OidInputFunctionCall(function, text, ioparam, -1);
	getTypeOutputInfo(typid, &function, &varlena);
	return OidOutputFunctionCall(function, value);
}

/*
 * The key as stored keys are: values in the order of the table's columns.
 * *attnums are those columns.  Errors if there is no such column or the
 * current role may not SELECT it.
 */
static List *
key_values(Oid relid, Jsonb *key, Bitmapset **attnums)
{
	List	   *values = NIL;
	JsonbIterator *it = JsonbIteratorInit(&key->root);
	JsonbValue	v;
	JsonbIteratorToken token;
	bool		whole = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
	int			attnum = -1;
	int			nestlevel;

	if (!JB_ROOT_IS_OBJECT(key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a key must be a JSON object"),
				 errhint("For example {\"id\": 17}.")));

	*attnums = NULL;
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		char	   *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(v.val.string.val, v.val.string.len);
		attnum = get_attnum(relid, name);
		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							name, get_rel_name(relid))));
		if (!whole && pg_attribute_aclcheck(relid, attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
		*attnums = bms_add_member(*attnums, attnum);
	}

	nestlevel = transmission_modes_begin();
	attnum = -1;
	while ((attnum = bms_next_member(*attnums, attnum)) >= 0)
	{
		char	   *name = get_attname(relid, attnum, false);
		JsonbValue *value = getKeyJsonValueFromContainer(&key->root, name, strlen(name), NULL);
		char	   *text;

		if (value->type == jbvNull)
			text = NULL;
		else if (value->type == jbvString)
			text = pnstrdup(value->val.string.val, value->val.string.len);
		else
		{
			Jsonb	   *jb = JsonbValueToJsonb(value);

			text = JsonbToCString(NULL, &jb->root, VARSIZE(jb));
		}
		values = lappend(values, text ? canonical_value(get_atttype(relid, attnum), text) : NULL);
	}
	transmission_modes_end(nestlevel);
	return values;
}

/* Is the change's key of exactly these columns of its table? */
static bool
key_is_of(Change *change, Bitmapset *attnums)
{
	if (change->key == NULL || change->key->n != bms_num_members(attnums))
		return false;
	for (int i = 0; i < change->key->n; i++)
	{
		int			p = image_position(change->key, i);

		if (!bms_is_member(layout_attribute(change->layout, change->target, p), attnums))
			return false;
	}
	return true;
}

/*
 * idflow.pending(target, key): the open requests on a row, for whoever may
 * SELECT its key and is shown the row by row-level security; a draft of a new
 * row for whoever may see the request.
 */
Datum
idflow_pending(PG_FUNCTION_ARGS)
{
	static StorePlan plan = {
		"SELECT d.request, d.seq FROM ONLY idflow.change_data d"
		" JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) d.request"
		" WHERE d.target OPERATOR(pg_catalog.=) $1"
		" AND d.key_hash OPERATOR(pg_catalog.=) $3"
		" AND d.key OPERATOR(pg_catalog.=) $2 AND d.superseded IS NULL AND r.closed_at IS NULL"
		" ORDER BY 1, 2",
		3, {REGCLASSOID, TEXTARRAYOID, INT8OID}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = PG_GETARG_OID(0);
	MemoryContext caller = CurrentMemoryContext;
	Bitmapset  *attnums;
	Datum		args[3];
	UserSwitch	save;
	uint64		n;
	int64	   *requests;
	int		   *seqs;
	int64		last = 0;

	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	args[0] = ObjectIdGetDatum(relid);
	args[1] = text_array_datum(key_values(relid, PG_GETARG_JSONB_P(1), &attnums));
	args[2] = Int64GetDatum(text_array_hash(args[1]));

	store_begin(&save);
	n = store_exec(&plan, args, NULL, true);
	requests = MemoryContextAlloc(caller, Max(n, 1) * sizeof(int64));
	seqs = MemoryContextAlloc(caller, Max(n, 1) * sizeof(int));
	for (uint64 i = 0; i < n; i++)
	{
		requests[i] = spi_int64(SPI_tuptable->vals[i], 1);
		seqs[i] = spi_int32(SPI_tuptable->vals[i], 2);
	}
	store_end(&save);

	for (uint64 i = 0; i < n; i++)
	{
		Change	   *change;
		List	   *changes;
		bool		shown;

		if (requests[i] == last)
			continue;
		changes = reading_changes(requests[i], seqs[i]);
		if (changes == NIL)
			continue;
		change = linitial(changes);
		if (!key_is_of(change, attnums))
			continue;
		shown = change->operation == CMD_INSERT ?
			viewer_of(requests[i]) != VIEWER_NONE : live_row_visible(change);
		if (shown)
		{
			Datum		value = Int64GetDatum(requests[i]);
			bool		isnull = false;

			last = requests[i];
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
		}
	}
	return (Datum) 0;
}
