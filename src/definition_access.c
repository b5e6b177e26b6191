/*-------------------------------------------------------------------------
 *
 * definition_access.c
 *		Checks of a definition by meaning: access rules and profiles.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "definition.h"
#include "errcodes.h"

#define WORKFLOWS_PREFIX		"/Custom/Workflows/"
#define NOTIFICATIONS_PREFIX	"/Custom/WorkflowsNotifications/"

static int
count_char(const char *s, char c)
{
	int			n = 0;

	for (; *s; s++)
		n += *s == c;
	return n;
}

static void
check_entry(Definition *def, DefinitionElement *entry)
{
	const char *permission = element_value(entry, "Permission");
	const char *rest = NULL;

	if (permission == NULL)
		return;
	if (strncmp(permission, WORKFLOWS_PREFIX, strlen(WORKFLOWS_PREFIX)) == 0)
		rest = permission + strlen(WORKFLOWS_PREFIX);
	else if (strncmp(permission, NOTIFICATIONS_PREFIX, strlen(NOTIFICATIONS_PREFIX)) == 0)
		rest = permission + strlen(NOTIFICATIONS_PREFIX);

	if (strcmp(permission, "/") == 0 && element_boolean(entry, "CanExecute", false))
		definition_error(def, ERRCODE_WF_DEFINITION, entry->line, entry->name,
						 "Name what may be executed: Permission=\"/Custom/Workflows/Workflow/Activity/State\".",
						 "CanExecute must not be given for everything");
	else if (element_boolean(entry, "CanExecute", false) &&
			 (rest == NULL || count_char(rest, '/') < 1 || count_char(rest, '/') > 2 ||
			  rest[0] == '/' || strstr(rest, "//") || rest[strlen(rest) - 1] == '/'))
		definition_error(def, ERRCODE_WF_DEFINITION, entry->line, entry->name,
						 "Write Permission=\"/Custom/Workflows/Workflow/Activity/State\".",
						 "permission names no activity of a workflow: \"%s\"", permission);
	else if (rest && count_char(rest, '/') == 1)
		definition_warning(def, entry->line, entry->name,
						   "Name the state: it may come to have others, such as RefinePending.",
						   "permission \"%s\" is for every state of the activity", permission);
	else if (rest && count_char(rest, '/') == 2)
	{
		const char *state = strchr(strchr(rest, '/') + 1, '/') + 1;

		if (!name_in_list(state, "ActionPending|RefinePending|ReviewPending|Executed|Approved|Invoked|Declined|Aborted|Purged"))
			definition_error(def, ERRCODE_WF_DEFINITION, entry->line, entry->name,
							 "The state is written by its short name, such as ReviewPending.",
							 "permission names an unknown state \"%s\"", state);
	}
	if (element_boolean(entry, "FullAccessProperties", false))
		definition_error(def, ERRCODE_FEATURE_NOT_SUPPORTED, entry->line, entry->name,
						 "What of a row is shown is said by <Column>; remove the attribute.",
						 "attribute FullAccessProperties has no meaning in idflow");
}

static void
check_filter(Definition *def, DefinitionElement *filter)
{
	static const char *const foreign[] = {"Category", "CompositeRole", "SingleRole", "ResourceType"};
	bool		current = element_boolean(filter, "CurrentUser", false);
	bool		value = element_value(filter, "Value") != NULL;

	if (element_value(filter, "Dimension"))
		definition_error(def, ERRCODE_FEATURE_NOT_SUPPORTED, filter->line, filter->name,
						 "Compare a column with a Value, or with CurrentUser=\"true\".",
						 "attribute Dimension has no meaning in idflow");
	for (int i = 0; i < lengthof(foreign); i++)
		if (element_boolean(filter, foreign[i], false))
			definition_error(def, ERRCODE_FEATURE_NOT_SUPPORTED, filter->line, filter->name,
							 "Compare a column with a Value, or with CurrentUser=\"true\".",
							 "attribute %s has no meaning in idflow", foreign[i]);
	if (current == value)
		definition_error(def, ERRCODE_WF_DEFINITION, filter->line, filter->name,
						 "Write Value=\"...\" or CurrentUser=\"true\".",
						 current ? "filter compares with both a value and the current user" :
						 "filter compares with nothing");
}

/* Each Identifier once among elements of one name. */
static void
check_once(Definition *def, DefinitionElement *root, const char *name, const char *what)
{
	List	   *elements = element_children_named(root, name);
	ListCell   *lc;

	foreach(lc, elements)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);
		const char *identifier = element_value(element, "Identifier");

		for (int i = 0; identifier && i < foreach_current_index(lc); i++)
		{
			DefinitionElement *other = (DefinitionElement *) list_nth(elements, i);
			const char *its = element_value(other, "Identifier");

			if (its && strcmp(its, identifier) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, element->line, element->name,
								 psprintf("The first one is in line %d; give one of them another Identifier.",
										  other->line),
								 "%s \"%s\" is defined twice", what, identifier);
				break;
			}
		}
	}
}

/*
 * Check the access rules and profiles of a ConfigurationFile.
 */
void
definition_check_access(Definition *def, DefinitionElement *root)
{
	ListCell   *lc;

	check_once(def, root, "AccessControlRule", "access rule");
	check_once(def, root, "Profile", "profile");
	foreach(lc, element_children_named(root, "AccessControlRule"))
	{
		DefinitionElement *rule = (DefinitionElement *) lfirst(lc);
		ListCell   *lo;

		if (def->nerrors > DEFINITION_MAX_MESSAGES)
			return;
		if (element_children_named(rule, "Entry") == NIL)
			definition_error(def, ERRCODE_WF_DEFINITION, rule->line, rule->name,
							 "Put an <Entry Permission=\"/Custom/Workflows/Workflow/Activity/State\" CanExecute=\"true\"/> into it.",
							 "access rule permits nothing");
		foreach(lo, element_children_named(rule, "Entry"))
			check_entry(def, (DefinitionElement *) lfirst(lo));
		foreach(lo, element_children_named(rule, "Filter"))
			check_filter(def, (DefinitionElement *) lfirst(lo));
	}
}

/*
 * Does a rule of the file say who acts in an activity?
 */
bool
definition_has_rule(DefinitionElement *activity)
{
	DefinitionElement *workflow = activity->parent;
	DefinitionElement *root = workflow ? workflow->parent : NULL;
	char	   *prefix;
	ListCell   *lc;
	ListCell   *le;

	if (root == NULL || element_value(workflow, "Identifier") == NULL ||
		element_value(activity, "Identifier") == NULL)
		return false;
	prefix = psprintf("%s%s/%s", WORKFLOWS_PREFIX, element_value(workflow, "Identifier"),
					  element_value(activity, "Identifier"));
	foreach(lc, element_children_named(root, "AccessControlRule"))
		foreach(le, element_children_named((DefinitionElement *) lfirst(lc), "Entry"))
		{
			const char *permission = element_value((DefinitionElement *) lfirst(le), "Permission");

			if (permission && strncmp(permission, prefix, strlen(prefix)) == 0 &&
				(permission[strlen(prefix)] == '\0' || permission[strlen(prefix)] == '/'))
				return true;
		}
	return false;
}
