/*-------------------------------------------------------------------------
 *
 * homonym_read.c
 *	  idflow.homonyms(): what a request's drafts might be the doubles of, as
 *	  things stand now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "homonym.h"

PG_FUNCTION_INFO_V1(idflow_homonyms);
extern Datum idflow_change_image(PG_FUNCTION_ARGS);

enum
{
	OUT_CHANGE,
	OUT_LINK,
	OUT_FILTER,
	OUT_SOURCE,
	OUT_TARGET,
	OUT_KEY,
	OUT_ROW,
	OUT_REQUEST,
	OUT_HIDDEN,
	OUT_COLUMNS
};

/* What is the same in all rows about one change and one table. */
typedef struct HomonymOutput
{
	ReturnSetInfo *rsinfo;
	int64		change;
	const char *link;
	Oid			table;
} HomonymOutput;

static void
put(HomonymOutput *output, const char *source, Homonym *homonym, Datum key, Datum row, int hidden)
{
	Datum		values[OUT_COLUMNS];
	bool		nulls[OUT_COLUMNS] = {false};

	values[OUT_CHANGE] = Int64GetDatum(output->change);
	values[OUT_LINK] = CStringGetTextDatum(output->link);
	values[OUT_FILTER] = Int32GetDatum(homonym ? homonym->filter : 0);
	values[OUT_SOURCE] = CStringGetTextDatum(source);
	values[OUT_TARGET] = ObjectIdGetDatum(output->table);
	values[OUT_KEY] = key;
	values[OUT_ROW] = row;
	values[OUT_REQUEST] = Int64GetDatum(homonym && homonym->draft ? homonym->draft->request : 0);
	values[OUT_HIDDEN] = Int32GetDatum(hidden);
	nulls[OUT_FILTER] = homonym == NULL;
	nulls[OUT_KEY] = key == (Datum) 0;
	nulls[OUT_ROW] = row == (Datum) 0;
	nulls[OUT_REQUEST] = homonym == NULL || homonym->draft == NULL;
	nulls[OUT_HIDDEN] = homonym != NULL;
	tuplestore_putvalues(output->rsinfo->setResult, output->rsinfo->setDesc, values, nulls);
}

/* As much of a draft's image as the one who asks may see; 0: nothing. */
static Datum
draft_image(Homonym *homonym, const char *part)
{
	LOCAL_FCINFO(fcinfo, 3);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, 3, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = Int64GetDatum(homonym->draft->request);
	fcinfo->args[1].value = Int32GetDatum(homonym->draft->change->seq);
	fcinfo->args[2].value = CStringGetTextDatum(part);
	for (int i = 0; i < 3; i++)
		fcinfo->args[i].isnull = false;
	result = idflow_change_image(fcinfo);
	return fcinfo->isnull ? (Datum) 0 : result;
}

/*
 * The rows of a table: those that the current role may see, and how many
 * others there are.
 */
static void
put_rows(HomonymOutput *output, Request *req, Change *change, HomonymQuery *query)
{
	int			all = list_length(homonyms_in_table(req, change, query,
													deployer_role(req->workflow)));
	List	   *seen = NIL;
	ListCell   *lc;

	if (homonym_readable(query, GetUserId()))
		seen = homonyms_in_table(req, change, query, GetUserId());
	foreach(lc, seen)
	{
		Homonym    *homonym = lfirst(lc);

		put(output, "table", homonym, homonym->key_json, homonym->row_json, 0);
	}
	if (all > list_length(seen))
		put(output, "table", NULL, (Datum) 0, (Datum) 0, all - list_length(seen));
}

/* The same of drafts, by whether he may see their requests. */
static void
put_drafts(HomonymOutput *output, Request *req, Change *change, HomonymQuery *query)
{
	int			hidden = 0;
	ListCell   *lc;

	foreach(lc, homonyms_in_drafts(req, change, query))
	{
		Homonym    *homonym = lfirst(lc);

		if (homonym->draft->viewer == VIEWER_NONE)
			hidden++;
		else
			put(output, "draft", homonym, draft_image(homonym, "key"), draft_image(homonym, "new"), 0);
	}
	if (hidden > 0)
		put(output, "draft", NULL, (Datum) 0, (Datum) 0, hidden);
}

/*
 * idflow.homonyms(request): see its comment in the extension script.
 */
Datum
idflow_homonyms(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	HomonymOutput output;
	Request    *req;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (viewer_of(id) == VIEWER_NONE)
		return (Datum) 0;
	req = request_read(id);
	if (req == NULL || req->workflow == NULL || request_is_closed(req))
		return (Datum) 0;
	req->changes = reading_changes(id, 0);
	req->changes_loaded = true;

	output.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	foreach(lc, element_children_named(req->workflow->element, "HomonymEntityLink"))
	{
		DefinitionElement *link = (DefinitionElement *) lfirst(lc);
		ListCell   *lch;

		output.link = element_identifier(link);
		foreach(lch, governed_changes(req))
		{
			Change	   *change = lfirst(lch);
			ListCell   *lq;

			if (change->operation == CMD_DELETE)
				continue;
			output.change = (id << 24) | change->seq;
			foreach(lq, homonym_queries(req, link, change))
			{
				output.table = ((HomonymQuery *) lfirst(lq))->table;
				put_rows(&output, req, change, lfirst(lq));
				put_drafts(&output, req, change, lfirst(lq));
			}
		}
	}
	return (Datum) 0;
}
