/*-------------------------------------------------------------------------
 *
 * homonym.c
 *	  Homonym links at activities: on entry to one that names a link, the
 *	  request's drafts are compared with the rows of a table and with other
 *	  drafts of it, and what is found warns or blocks.
 *
 * The search runs as the role that deployed the workflow.  What of it somebody
 * is told beyond a number is what he may SELECT himself, and drafts of
 * requests that he may see.  Nothing is locked: of two requests that are made
 * at the same moment neither finds the other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "homonym.h"
#include "simulate.h"

/* so many are named in a message */
#define NAMED_AT_MOST	10

/*
 * homonyms_index: give each activity of a workflow that is being loaded the
 * link that it names.
 */
void
homonyms_index(Workflow *wf)
{
	for (int i = 0; i < wf->nactivities; i++)
	{
		const char *name = element_value(wf->activities[i].element, "HomonymEntityLink");
		ListCell   *lc;

		if (name == NULL)
			continue;
		foreach(lc, wf->element->children)
		{
			DefinitionElement *element = (DefinitionElement *) lfirst(lc);

			if (strcmp(element->name, "HomonymEntityLink") == 0 &&
				strcmp(element_identifier(element), name) == 0)
				wf->activities[i].homonyms = element;
		}
		if (wf->activities[i].homonyms == NULL)
			elog(ERROR, "homonym link \"%s\" of workflow \"%s\" is missing", name, wf->name);
	}
}

/* Append one that may be named. */
static void
append_homonym(StringInfo buf, Homonym *homonym)
{
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(homonym->table)),
												   get_rel_name(homonym->table));

	if (homonym->draft)
		appendStringInfo(buf, "%s drafted by request " INT64_FORMAT, table, homonym->draft->request);
	else if (homonym->key_json)
		appendStringInfo(buf, "%s %s", table,
						 JsonbToCString(NULL, &DatumGetJsonbP(homonym->key_json)->root, 0));
	else
		appendStringInfo(buf, "a row of %s", table);
}

/* What is said about n homonyms, of which these may be named. */
static char *
describe(int n, List *named)
{
	StringInfoData buf;
	int			listed = Min(list_length(named), NAMED_AT_MOST);

	initStringInfo(&buf);
	for (int i = 0; i < listed; i++)
	{
		appendStringInfoString(&buf, i == 0 ? "Found: " : "; ");
		append_homonym(&buf, list_nth(named, i));
	}
	if (listed == 0)
		appendStringInfoString(&buf, "You may not see what was found");
	else if (n > list_length(named))
		appendStringInfo(&buf, "; and %d that you may not see", n - list_length(named));
	else if (n > listed)
		appendStringInfo(&buf, "; and %d more", n - listed);
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/*
 * The event's data: how many, and digests of the keys of rows, from which
 * somebody who has a row's key can be shown that it was among them.  Keys
 * themselves would tell more than the request's readers may know.
 */
static Jsonb *
event_data(const char *link, List *rows, List *drafts)
{
	JsonbParseState *state = NULL;
	ListCell   *lc;

	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "link");
	json_string(&state, WJB_VALUE, link);
	json_key(&state, "rows");
	json_int64(&state, WJB_VALUE, list_length(rows));
	json_key(&state, "drafts");
	json_int64(&state, WJB_VALUE, list_length(drafts));
	json_key(&state, "digests");
	json_open(&state, WJB_BEGIN_ARRAY);
	foreach(lc, rows)
	{
		Homonym    *homonym = lfirst(lc);
		Image		key = {0};
		ListCell   *lv;

		if (homonym->key == NIL)
			continue;
		key.n = list_length(homonym->key);
		key.values = palloc(key.n * sizeof(char *));
		foreach(lv, homonym->key)
			key.values[foreach_current_index(lv)] = lfirst(lv);
		json_string(&state, WJB_ELEM, image_digest(&key, homonym->change->salt));
	}
	json_close(&state, WJB_END_ARRAY);
	return JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/*
 * homonyms_check: the request comes to an activity: look for homonyms of its
 * drafts if the activity says so.  Errors with WF018 if it blocks and there
 * are some.
 */
void
homonyms_check(Request *req, Activity *activity)
{
	DefinitionElement *link = activity->homonyms;
	const char *mode;
	const char *name;
	List	   *rows = NIL;
	List	   *drafts = NIL;
	List	   *named = NIL;
	ListCell   *lc;
	int			n;

	if (link == NULL)
		return;
	name = element_identifier(link);

	/* what is committed by now, and what this statement has drafted so far */
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, governed_changes(req))
	{
		Change	   *change = lfirst(lc);
		ListCell   *lq;

		if (change->operation == CMD_DELETE)
			continue;
		foreach(lq, homonym_queries(req, link, change))
		{
			HomonymQuery *query = lfirst(lq);
			List	   *found = homonyms_in_table(req, change, query, deployer_role(req->workflow));
			ListCell   *lf;

			rows = list_concat(rows, found);
			if (found != NIL && homonym_readable(query, GetUserId()))
				named = list_concat(named, homonyms_in_table(req, change, query, GetUserId()));
			found = homonyms_in_drafts(req, change, query);
			drafts = list_concat(drafts, found);
			foreach(lf, found)
				if (((Homonym *) lfirst(lf))->draft->viewer != VIEWER_NONE)
					named = lappend(named, lfirst(lf));
		}
	}
	PopActiveSnapshot();

	n = list_length(rows) + list_length(drafts);
	if (n == 0)
		return;
	mode = element_value(activity->element, "Homonyms");
	if (mode && strcmp(mode, "Block") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_HOMONYM),
				 errmsg_plural("%d homonym found by link \"%s\"", "%d homonyms found by link \"%s\"",
							   n, n, name),
				 errdetail_internal("%s", describe(n, named)),
				 errhint("Activity \"%s\" of workflow \"%s\" lets nothing pass that is like another row. Change that row instead, or ask for other values.",
						 activity->name, req->workflow->name)));

	request_event(req, req->acting, req->acting_via, "Homonyms",
				  psprintf(ngettext("%d homonym found by link %s", "%d homonyms found by link %s", n),
						   n, name))->data = event_data(name, rows, drafts);
	if (setting_notice != NOTICE_OFF && !simulating())
		ereport(NOTICE,
				(errmsg_plural("%d homonym found by link \"%s\"", "%d homonyms found by link \"%s\"",
							   n, n, name),
				 errdetail_internal("%s", describe(n, named)),
				 errhint("SELECT * FROM idflow.homonyms(" INT64_FORMAT ") shows them to whoever decides.",
						 req->id)));
}
