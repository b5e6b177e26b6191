/*-------------------------------------------------------------------------
 *
 * workflow.c
 *	  Workflow versions as the session holds them.
 *
 * A version is immutable, so what is loaded stays.  Which version of a name
 * is in force changes: a trigger on idflow.workflow invalidates its relcache
 * entry at each deploy, and every session looks again at its next use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "aspect.h"
#include "bundle.h"
#include "homonym.h"
#include "separation_review.h"
#include "timeout.h"
#include "vote.h"

typedef struct WorkflowById
{
	int64		id;				/* hash key */
	Workflow   *workflow;
} WorkflowById;

/* A gate's workflow name; a name is a text of at most 63 bytes. */
typedef struct WorkflowByName
{
	NameData	name;			/* hash key */
	int64		id;				/* of the version in force */
} WorkflowByName;

static HTAB *by_id = NULL;
static HTAB *by_name = NULL;
static bool by_name_valid = false;
static Oid	workflow_relid = InvalidOid;
static bool includes_known = false; /* does any in force say Nested="Include"? */
static bool includes = false;

static StorePlan select_current = {
	"SELECT id FROM idflow.workflow WHERE name OPERATOR(pg_catalog.=) $1"
	" ORDER BY version DESC LIMIT 1",
	1, {TEXTOID}
};

static StorePlan select_workflow = {
	"SELECT name, version, title, subject, max_steps, four_eyes, exact, deployed_by, options, nested"
	" FROM idflow.workflow WHERE id OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan select_activities = {
	"SELECT a.position, a.name, a.display_name, a.template, a.if_expression,"
	" r.value OPERATOR(pg_catalog.->>) 'profile', r.value OPERATOR(pg_catalog.->>) 'principal',"
	" r.value OPERATOR(pg_catalog.->>) 'expression', r.value IS NOT NULL, a.options,"
	" r.value OPERATOR(pg_catalog.->>) 'approvals'"
	" FROM idflow.activity a LEFT JOIN LATERAL"
	" pg_catalog.jsonb_array_elements(a.actors) WITH ORDINALITY r (value, ord) ON true"
	" WHERE a.workflow OPERATOR(pg_catalog.=) $1 ORDER BY a.position, r.ord",
	1, {INT8OID}
};

static StorePlan select_elements = {
	"SELECT element, activity, attributes, children FROM idflow.workflow_element"
	" WHERE workflow OPERATOR(pg_catalog.=) $1 ORDER BY position",
	1, {INT8OID}
};

static void
workflow_relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == workflow_relid)
		by_name_valid = includes_known = false;
}

static void
workflow_init(void)
{
	HASHCTL		ctl;

	if (by_id)
		return;
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(WorkflowByName);
	by_name = hash_create("idflow workflows in force", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	ctl.keysize = sizeof(int64);
	ctl.entrysize = sizeof(WorkflowById);
	by_id = hash_create("idflow workflows", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(workflow_relcache_callback, (Datum) 0);
}

/*
 * workflow_refresh: forget which versions are in force if a deploy said so,
 * and everything if the extension was created anew, since ids start over.
 */
static void
workflow_refresh(void)
{
	HASH_SEQ_STATUS status;
	WorkflowByName *named;
	WorkflowById *loaded;
	Oid			relid;

	workflow_init();
	if (by_name_valid)
		return;
	hash_seq_init(&status, by_name);
	while ((named = hash_seq_search(&status)) != NULL)
		hash_search(by_name, &named->name, HASH_REMOVE, NULL);
	relid = extension_relid("workflow");
	if (relid != workflow_relid)
	{
		hash_seq_init(&status, by_id);
		while ((loaded = hash_seq_search(&status)) != NULL)
			hash_search(by_id, &loaded->id, HASH_REMOVE, NULL);
		workflow_relid = relid;
	}
	by_name_valid = true;
}

static char *
copy_text(HeapTuple row, int column)
{
	char	   *s = spi_text(row, column);

	return s ? MemoryContextStrdup(TopMemoryContext, s) : NULL;
}

/* An element from jsonb columns of a row; children 0: it has none. */
static DefinitionElement *
copy_element(const char *name, HeapTuple row, int attributes, int children)
{
	bool		isnull;
	Jsonb	   *attrs = DatumGetJsonbP(spi_datum(row, attributes, &isnull));
	Jsonb	   *elements = children ? DatumGetJsonbP(spi_datum(row, children, &isnull)) : NULL;
	MemoryContext oldcxt = MemoryContextSwitchTo(TopMemoryContext);
	DefinitionElement *element = element_from_jsonb(name, attrs, elements);

	MemoryContextSwitchTo(oldcxt);
	return element;
}

/*
 * workflow_by_id: a version; errors if it isn't there.  Lives as long as the
 * session.
 */
Workflow *
workflow_by_id(int64 id)
{
	WorkflowById *entry;
	Workflow   *wf;
	UserSwitch	save;
	Datum		values[1] = {Int64GetDatum(id)};
	HeapTuple	row;
	bool		isnull;
	const char *policy;
	int			rows;
	int			n = 0;
	MemoryContext oldcxt;

	workflow_refresh();
	entry = hash_search(by_id, &id, HASH_FIND, NULL);
	if (entry)
		return entry->workflow;

	store_begin(&save);
	if (store_exec(&select_workflow, values, NULL, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
				 errmsg("workflow version " INT64_FORMAT " does not exist", id)));
	row = SPI_tuptable->vals[0];
	wf = MemoryContextAllocZero(TopMemoryContext, sizeof(Workflow));
	wf->id = id;
	wf->name = copy_text(row, 1);
	wf->version = spi_int32(row, 2);
	wf->title = copy_text(row, 3);
	wf->subject = copy_text(row, 4);
	wf->max_steps = spi_int32(row, 5);
	wf->four_eyes = DatumGetBool(spi_datum(row, 6, &isnull));
	wf->exact = DatumGetBool(spi_datum(row, 7, &isnull));
	wf->deployed_by = copy_text(row, 8);
	wf->includes = strcmp(spi_text(row, 10), "Include") == 0;
	wf->element = copy_element("Workflow", row, 9, 0);
	wf->trace = element_boolean(wf->element, "Trace", false);
	wf->bundle = bundle_mode(element_value(wf->element, "Bundle"));
	policy = element_value(wf->element, "PendingPolicy");
	wf->one_request = policy && strcmp(policy, "Refuse") == 0;

	rows = store_exec(&select_activities, values, NULL, false);
	wf->activities = MemoryContextAllocZero(TopMemoryContext, Max(rows, 1) * sizeof(Activity));
	for (int i = 0; i < rows; i++)
	{
		Activity   *activity;

		row = SPI_tuptable->vals[i];
		if (n == 0 || wf->activities[n - 1].position != spi_int32(row, 1))
		{
			char	   *template = spi_text(row, 4);

			activity = &wf->activities[n++];
			activity->position = spi_int32(row, 1);
			activity->name = copy_text(row, 2);
			activity->display_name = copy_text(row, 3);
			activity->template = template_lookup(template);
			if (activity->template == NULL)
				elog(ERROR, "unknown template \"%s\" in idflow.activity", template);
			activity->if_expression = copy_text(row, 5);
			activity->element = copy_element("Activity", row, 10, 0);
		}
		activity = &wf->activities[n - 1];
		if (DatumGetBool(spi_datum(row, 9, &isnull)))
		{
			ActorRule  *rule = MemoryContextAllocZero(TopMemoryContext, sizeof(ActorRule));

			rule->profile = copy_text(row, 6);
			rule->principal = copy_text(row, 7);
			rule->expression = copy_text(row, 8);
			rule->approvals = copy_text(row, 11);
			oldcxt = MemoryContextSwitchTo(TopMemoryContext);
			activity->actors = lappend(activity->actors, rule);
			MemoryContextSwitchTo(oldcxt);
		}
	}
	wf->nactivities = n;

	rows = store_exec(&select_elements, values, NULL, false);
	for (int i = 0; i < rows; i++)
	{
		DefinitionElement *parent = wf->element;
		DefinitionElement *element;
		char	   *activity;

		row = SPI_tuptable->vals[i];
		activity = spi_text(row, 2);
		if (activity)
			parent = workflow_activity_named(wf, activity)->element;
		element = copy_element(spi_text(row, 1), row, 3, 4);
		element->parent = parent;
		oldcxt = MemoryContextSwitchTo(TopMemoryContext);
		parent->children = lappend(parent->children, element);
		MemoryContextSwitchTo(oldcxt);
	}
	store_end(&save);
	for (int i = 0; i < n; i++)
	{
		wf->activities[i].has_quota = activity_has_quota(&wf->activities[i]);
		wf->activities[i].has_deadline = activity_has_deadline(&wf->activities[i]);
	}
	oldcxt = MemoryContextSwitchTo(TopMemoryContext);
	aspects_index(wf);
	further_index(wf);
	homonyms_index(wf);
	MemoryContextSwitchTo(oldcxt);

	entry = hash_search(by_id, &id, HASH_ENTER, NULL);
	entry->workflow = wf;
	return wf;
}

/*
 * workflow_current: the version of a name that is in force.  Errors with
 * WF002 if there is none, or returns NULL if missing_ok.
 */
Workflow *
workflow_current(const char *name, bool missing_ok)
{
	NameData	key;
	WorkflowByName *entry;
	UserSwitch	save;
	Datum		values[1];
	int64		id = 0;

	workflow_refresh();
	memset(&key, 0, sizeof(key));
	strlcpy(NameStr(key), name, NAMEDATALEN);
	entry = hash_search(by_name, &key, HASH_FIND, NULL);
	if (entry)
		return workflow_by_id(entry->id);

	values[0] = CStringGetTextDatum(name);
	store_begin(&save);
	if (store_exec(&select_current, values, NULL, false) > 0)
		id = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);

	if (id == 0)
	{
		/* a gate is seen as soon as it is there, under whatever snapshot */
		if (IsolationUsesXactSnapshot())
		{
			store_begin(&save);
			if (store_exec_latest(&select_current, values) > 0)
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent deployment of workflow \"%s\"",
								name)));
			store_end(&save);
		}
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
				 errmsg("workflow \"%s\" does not exist", name),
				 errhint("Deploy it with idflow.deploy(); idflow.ready() lists the definitions that come with idflow.")));
	}

	/*
	 * An invalidation may have come with the query: then don't keep it.  Nor
	 * what a transaction snapshot shows, which may be out of date: the
	 * invalidation that would say so has been taken in already.
	 */
	if (by_name_valid && !IsolationUsesXactSnapshot() && strlen(name) < NAMEDATALEN)
	{
		entry = hash_search(by_name, &key, HASH_ENTER, NULL);
		entry->id = id;
	}
	return workflow_by_id(id);
}

/*
 * workflow_any_includes: does any workflow in force say Nested="Include"?
 */
bool
workflow_any_includes(void)
{
	static StorePlan plan = {
		"SELECT 1 FROM idflow.workflow w WHERE w.nested OPERATOR(pg_catalog.=) 'Include'"
		" AND NOT EXISTS (SELECT 1 FROM idflow.workflow v WHERE v.name OPERATOR(pg_catalog.=) w.name"
		" AND v.version OPERATOR(pg_catalog.>) w.version) LIMIT 1"
	};
	UserSwitch	save;
	bool		result;

	workflow_refresh();
	if (includes_known)
		return includes;
	/* as above: what comes with the query counts, and a snapshot may be out of date */
	includes_known = !IsolationUsesXactSnapshot();
	store_begin(&save);
	result = store_exec(&plan, NULL, NULL, false) > 0;
	store_end(&save);
	includes = result;
	return result;
}

/*
 * workflow_activity: the activity at a position, also of a further review;
 * NULL past the end.
 */
Activity *
workflow_activity(Workflow *wf, int position)
{
	if (position < 1 || position > wf->nactivities)
		return further_activity(wf, position);
	return &wf->activities[position - 1];
}

/*
 * workflow_activity_named: the activity of a name, NULL if there is none.
 */
Activity *
workflow_activity_named(Workflow *wf, const char *name)
{
	for (int i = 0; i < wf->nactivities; i++)
		if (strcmp(wf->activities[i].name, name) == 0)
			return &wf->activities[i];
	return NULL;
}
