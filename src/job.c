/*-------------------------------------------------------------------------
 *
 * job.c
 *	  Jobs: what requests queue for agents outside; InvokeScriptAspect, and
 *	  the committed changes of tables that are provisioned.
 *
 * A job is queued in the transaction that sets it off, so that an agent finds
 * it when that has committed.  What becomes of it is SQL, see 76_job.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/json.h"

#include "aspect.h"
#include "column.h"
#include "edit.h"
#include "job.h"
#include "pack.h"
#include "reading.h"

static StorePlan insert_job = {
	"INSERT INTO idflow.job (request, kind, script, aspect, activity, payload, state)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)",
	7, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID}
};

static StorePlan select_provisioning = {
	"SELECT target::pg_catalog.oid, kind FROM idflow.provisioning ORDER BY 1, 2",
	0, {0}
};

/* Are any tables provisioned, as far as this session knows? */
static bool provisioning_known = false;
static bool any_provisioning = false;
static Oid	provisioning_relid = InvalidOid;

static void
provisioning_relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == provisioning_relid)
		provisioning_known = false;
}

static void
queue_job(Request *req, const char *kind, const char *script, const char *aspect,
		  const char *payload, bool blocked)
{
	Activity   *activity = request_activity(req);
	Datum		values[7];
	char		nulls[8] = "       ";
	UserSwitch	save;

	values[0] = Int64GetDatum(req->id);
	values[1] = CStringGetTextDatum(kind);
	values[2] = text_datum(script, &nulls[2]);
	values[3] = text_datum(aspect, &nulls[3]);
	values[4] = text_datum(activity ? activity->name : NULL, &nulls[4]);
	values[5] = JsonbPGetDatum(json_from_text(payload));
	values[6] = CStringGetTextDatum(blocked ? "blocked" : "queued");
	store_begin(&save);
	store_exec(&insert_job, values, nulls, false);
	store_end(&save);
}

/*
 * Append an image as a JSON object: columns that the workflows show, no others:
 * whoever runs a job is no reader of secrets.
 */
static void
append_image(StringInfo json, Change *change, Image *image)
{
	ColumnShow *show = columns_show(change);
	List	   *positions = NIL;
	List	   *values = NIL;
	Datum		object;

	for (int i = 0; image && i < image->n; i++)
	{
		int			p = image_position(image, i);

		if (show && show[p] != COLUMN_SHOWN)
			continue;
		positions = lappend_int(positions, p);
		values = lappend(values, image->values[i]);
	}
	object = json_of_positions(change->layout, positions, values);
	if (object == (Datum) 0)
		appendStringInfoString(json, "null");
	else
		appendStringInfoString(json, JsonbToCString(NULL, &DatumGetJsonbP(object)->root,
													VARSIZE(DatumGetPointer(object))));
}

/* "operation", "target", "key", "old", "new" of a change, without braces. */
static void
append_change(StringInfo json, Request *req, Change *change)
{
	appendStringInfo(json, "\"request\": " INT64_FORMAT ", \"change\": " INT64_FORMAT
					 ", \"operation\": \"%s\", \"target\": ", req->id,
					 CHANGE_ID(req->id, change->seq), operation_name(change->operation));
	escape_json(json, change->target_name);
	appendStringInfoString(json, ", \"key\": ");
	append_image(json, change, change->key);
	appendStringInfoString(json, ", \"old\": ");
	append_image(json, change, change->old_image);
	appendStringInfoString(json, ", \"new\": ");
	append_image(json, change, change->new_image);
}

/*
 * invoke_script_run: queue the script for the aspect's Agent, or for whoever
 * takes scripts.
 */
void
invoke_script_run(Request *req, Aspect *aspect, Change *change)
{
	const char *agent = element_value(aspect->element, "Agent");
	const char *expression = element_value(aspect->element, "Expression");
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_change(&json, req, change);
	appendStringInfoString(&json, ", \"workflow\": ");
	escape_json(&json, req->workflow->name);
	appendStringInfoString(&json, ", \"requester\": ");
	escape_json(&json, req->requester);
	if (expression)
	{
		char	   *value = expression_text(expression, req->workflow, req, change, "Expression");

		appendStringInfoString(&json, ", \"value\": ");
		if (value)
			escape_json(&json, value);
		else
			appendStringInfoString(&json, "null");
	}
	appendStringInfoChar(&json, '}');
	queue_job(req, agent && agent[0] ? agent : "script", element_value(aspect->element, "ScriptFile"),
			  aspect->name, json.data, false);
}

static bool
is_provisioned(void)
{
	bool		any;

	if (!OidIsValid(provisioning_relid))
		CacheRegisterRelcacheCallback(provisioning_relcache_callback, (Datum) 0);
	if (provisioning_known)
		return any_provisioning;
	provisioning_relid = extension_relid("provisioning");
	provisioning_known = true;
	any = store_finds(&select_provisioning, NULL, false);

	/* kept unless the query itself brought news */
	any_provisioning = any;
	return any;
}

/*
 * jobs_provision: a request's changes have been written: queue a job for each
 * whose table is provisioned, blocked if the activity says so.
 */
void
jobs_provision(Request *req, Activity *activity)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *targets = NIL;
	List	   *kinds = NIL;
	ChangeScan	scan;
	Change	   *change;
	UserSwitch	save;
	int			n;

	if (!is_provisioned())
		return;
	store_begin(&save);
	n = store_exec(&select_provisioning, NULL, NULL, false);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			target = DatumGetObjectId(spi_datum(SPI_tuptable->vals[i], 1, &isnull));
		char	   *kind = spi_text(SPI_tuptable->vals[i], 2);
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		targets = lappend_oid(targets, target);
		kinds = lappend(kinds, pstrdup(kind));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);

	changes_begin(&scan, targets ? request_stored(req) : NIL);
	while ((change = changes_next(&scan)) != NULL)
	{
		ListCell   *lt;
		ListCell   *lk;

		forboth(lt, targets, lk, kinds)
		{
			StringInfoData json;

			if (lfirst_oid(lt) != change->target)
				continue;
			initStringInfo(&json);
			appendStringInfoChar(&json, '{');
			append_change(&json, req, change);
			appendStringInfoChar(&json, '}');
			queue_job(req, lfirst(lk), NULL, NULL, json.data,
					  element_boolean(activity->element, "ArgumentBlockProvisioning", false));
		}
	}
	changes_end(&scan);
}
