/*-------------------------------------------------------------------------
 *
 * access.c
 *	  AccessControlRules: a profile may act at a state of an activity, on the
 *	  rows that the rule's filters let through.
 *
 * Rules are authority and not definition: they have no versions, and the ones
 * that are in force count when somebody acts.  Where an activity has rules,
 * whoever acts needs one of them, beside the activity's Actor if it has one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "access.h"
#include "pack.h"
#include "task.h"

#define PERMISSION_PREFIX	"/Custom/Workflows/"
#define NOTIFICATION_PREFIX	"/Custom/WorkflowsNotifications/"

typedef struct AccessRule
{
	char	   *identifier;
	char	   *profile;
	DefinitionElement *element; /* children: Entry, Filter */
} AccessRule;

/* The rules as the session knows them; all of it in one context. */
static MemoryContext rules_context = NULL;
static List *rules = NIL;
static bool rules_valid = false;
static bool callback_registered = false;
static Oid	rules_relid = InvalidOid;

static StorePlan select_rules = {
	"SELECT identifier, profile, elements FROM idflow.access_rule ORDER BY identifier",
	0, {0}
};

static void
rules_relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == rules_relid)
		rules_valid = false;
}

/* Read the rules, if they may have changed. */
static void
load_rules(void)
{
	MemoryContext fresh;
	MemoryContext oldcxt;
	List	   *loaded = NIL;
	UserSwitch	save;
	int			n;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(rules_relcache_callback, (Datum) 0);
		callback_registered = true;
	}
	if (rules_valid)
		return;
	rules_relid = extension_relid("access_rule");
	/* an invalidation that comes with the query leaves it false */
	rules_valid = true;
	fresh = AllocSetContextCreate(CurrentMemoryContext, "idflow access rules", ALLOCSET_SMALL_SIZES);
	store_begin(&save);
	n = store_exec_latest(&select_rules, NULL);
	oldcxt = MemoryContextSwitchTo(fresh);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		AccessRule *rule = (AccessRule *) palloc0(sizeof(AccessRule));
		bool		isnull;

		rule->identifier = spi_text(row, 1);
		rule->profile = spi_text(row, 2);
		rule->element = element_from_jsonb("AccessControlRule", json_from_text("{}"),
										   DatumGetJsonbP(spi_datum(row, 3, &isnull)));
		loaded = lappend(loaded, rule);
	}
	MemoryContextSwitchTo(oldcxt);
	store_end(&save);
	if (rules_context)
		MemoryContextDelete(rules_context);
	MemoryContextSetParent(fresh, TopMemoryContext);
	rules_context = fresh;
	rules = loaded;
}

/* Is a permission for a state of an activity: with the state, or for all? */
static bool
permission_is_for(const char *permission, const char *prefix, const char *workflow,
				  const char *activity, const char *state)
{
	char	   *all = psprintf("%s%s/%s", prefix, workflow, activity);

	return strcmp(permission, all) == 0 ||
		strcmp(permission, psprintf("%s/%s", all, state)) == 0;
}

/*
 * The rule's entry that is for the state at which the request stands, or NULL.
 */
static DefinitionElement *
entry_for(AccessRule *rule, Request *req, const char *prefix, const char *state)
{
	Activity   *activity = request_activity(req);
	ListCell   *lc;

	foreach(lc, rule->element->children)
	{
		DefinitionElement *entry = (DefinitionElement *) lfirst(lc);

		if (strcmp(entry->name, "Entry") == 0 &&
			element_boolean(entry, "CanExecute", false) &&
			permission_is_for(element_value(entry, "Permission"), prefix,
							  req->workflow->name, activity->name, state))
			return entry;
	}
	return NULL;
}

/*
 * access_restricts: are there rules for the state at which the request stands?
 */
bool
access_restricts(Request *req)
{
	ListCell   *lc;

	load_rules();
	foreach(lc, rules)
		if (entry_for((AccessRule *) lfirst(lc), req, PERMISSION_PREFIX, req->activity_state))
			return true;
	return false;
}

/* Does one filter let a row through for a principal?  Null equals nothing. */
static bool
filter_passes(DefinitionElement *filter, Relation rel, HeapTuple row, const char *principal)
{
	TupleDesc	desc = RelationGetDescr(rel);
	char	   *column = binding_column(element_value(filter, "Binding"), desc);
	const char *wanted = element_boolean(filter, "CurrentUser", false) ? principal :
		element_value(filter, "Value");
	const char *operator = element_value(filter, "Operator");
	bool		not_equals = operator && (strcmp(operator, "NotEquals") == 0 || strcmp(operator, "1") == 0);
	bool		equal = false;

	/* a table without the column has no row that the filter means */
	if (column == NULL)
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *value;

		if (att->attisdropped || strcmp(NameStr(att->attname), column) != 0)
			continue;
		value = row_text(rel, row, att->attnum);
		equal = value && wanted && strcmp(value, wanted) == 0;
	}
	return equal != not_equals;
}

/*
 * Do the filters let a row through?  Those of one Group must all, and one
 * Group is enough; without filters every row passes.
 */
static bool
filters_pass(AccessRule *rule, Relation rel, HeapTuple row, const char *principal)
{
	List	   *filters = element_children_named(rule->element, "Filter");
	ListCell   *lc;

	if (filters == NIL)
		return true;
	foreach(lc, filters)
	{
		const char *group = element_value((DefinitionElement *) lfirst(lc), "Group");
		bool		all = true;
		ListCell   *lo;

		foreach(lo, filters)
		{
			DefinitionElement *other = (DefinitionElement *) lfirst(lo);
			const char *its = element_value(other, "Group");

			if ((group == NULL ? its == NULL : its != NULL && strcmp(group, its) == 0) &&
				!filter_passes(other, rel, row, principal))
				all = false;
		}
		if (all)
			return true;
	}
	return false;
}

/* Does a rule let a principal act on every change that the workflow governs? */
static bool
rule_covers(AccessRule *rule, DefinitionElement *entry, Request *req, const char *principal)
{
	ChangeScan	scan;
	Change	   *change;
	bool		passes = true;

	governed_begin(&scan, req);
	while (passes && (change = changes_next(&scan)) != NULL)
	{
		Relation	rel = row_open(change, AccessShareLock);

		row_load(req, change, rel);
		if (change->old_row && element_boolean(entry, "IsPreCondition", true))
			passes &= filters_pass(rule, rel, change->old_row, principal);
		if (change->new_row && element_boolean(entry, "IsPostCondition", true))
			passes &= filters_pass(rule, rel, change->new_row, principal);
		table_close(rel, NoLock);
	}
	changes_end(&scan);
	return passes;
}

/*
 * access_permits: by which rule a principal may act at the state at which the
 * request stands, as text for the record; NULL if by none.
 */
const char *
access_permits(Request *req, const char *principal)
{
	ListCell   *lc;

	load_rules();
	foreach(lc, rules)
	{
		AccessRule *rule = (AccessRule *) lfirst(lc);
		DefinitionElement *entry = entry_for(rule, req, PERMISSION_PREFIX, req->activity_state);

		if (entry && directory_holds(principal, rule->profile, req->tenant) &&
			rule_covers(rule, entry, req, principal))
			return psprintf("profile %s, rule %s", rule->profile, rule->identifier);
	}
	return NULL;
}

static List *
add_key(List *keys, const char *prefix, const char *name)
{
	char	   *key = psprintf("%s%s", prefix, name);

	return strings_contain(keys, key) ? keys : lappend(keys, key);
}

/*
 * access_keys: the candidate keys of a task whose state has rules; actor_keys
 * are those of the activity's Actors, NIL if it has none.  A rule without
 * filters asks its profile; where there is more to be asked, the people are
 * found now.
 */
List *
access_keys(Request *req, List *actor_keys)
{
	List	   *keys = NIL;
	ListCell   *lc;

	load_rules();
	if (actor_keys != NIL)
	{
		foreach(lc, candidate_people(req, actor_keys))
			if (access_permits(req, lfirst(lc)))
				keys = add_key(keys, KEY_PRINCIPAL, lfirst(lc));
		return keys;
	}
	foreach(lc, rules)
	{
		AccessRule *rule = (AccessRule *) lfirst(lc);
		DefinitionElement *entry = entry_for(rule, req, PERMISSION_PREFIX, req->activity_state);
		ListCell   *lh;

		if (entry == NULL)
			continue;
		if (element_children_named(rule->element, "Filter") == NIL)
		{
			keys = add_key(keys, KEY_PROFILE, rule->profile);
			continue;
		}
		foreach(lh, directory_holders(rule->profile, req->tenant))
			if (rule_covers(rule, entry, req, lfirst(lh)))
				keys = add_key(keys, KEY_PRINCIPAL, lfirst(lh));
	}
	return keys;
}

/*
 * access_notified_profiles: the profiles that are to be told of a state of the
 * activity at hand, by rules for /Custom/WorkflowsNotifications/...
 */
List *
access_notified_profiles(Request *req, const char *state)
{
	List	   *result = NIL;
	ListCell   *lc;

	load_rules();
	foreach(lc, rules)
	{
		AccessRule *rule = (AccessRule *) lfirst(lc);

		if (entry_for(rule, req, NOTIFICATION_PREFIX, state))
			result = lappend(result, pstrdup(rule->profile));
	}
	return result;
}
