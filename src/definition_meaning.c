/*-------------------------------------------------------------------------
 *
 * definition_meaning.c
 *		Checks of a definition by meaning: what must fit together, and what is
 *		allowed but hardly meant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "definition.h"
#include "errcodes.h"

#define MAX_ACTIVITIES	1000

static void check_configuration(Definition *def, DefinitionElement *root);
static void check_workflow(Definition *def, DefinitionElement *workflow);
static void check_activity(Definition *def, DefinitionElement *activity,
						   const ActivityTemplate *t, bool is_first);
static void check_actor(Definition *def, DefinitionElement *actor);
static void check_quotas(Definition *def, DefinitionElement *activity);

/* so many fit into a mask */
#define MAX_QUOTAS	64
static void check_columns(Definition *def, DefinitionElement *workflow);

/*
 * Check a document whose root is a Workflow or a ConfigurationFile.
 */
void
definition_check_meaning(Definition *def, DefinitionElement *root)
{
	if (strcmp(root->name, "Workflow") == 0)
		check_workflow(def, root);
	else
		check_configuration(def, root);
	definition_check_aspects(def, root);
	definition_check_access(def, root);
	definition_check_homonyms(def, root);
}

/* Return an Activity's template, or NULL if it has none that is known. */
static const ActivityTemplate *
activity_template(DefinitionElement *activity)
{
	DefinitionAttribute *attribute = definition_attribute(activity, "Template");

	return attribute ? template_lookup(attribute->value) : NULL;
}

/*
 * Check what stands beside each other in a ConfigurationFile.
 */
static void
check_configuration(Definition *def, DefinitionElement *root)
{
	List	   *seen = NIL;
	ListCell   *lc;
	bool		found = false;

	foreach(lc, root->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);
		DefinitionAttribute *identifier;
		ListCell   *lc2;

		if (strcmp(child->name, "Workflow") != 0)
			continue;
		found = true;
		check_workflow(def, child);

		identifier = definition_attribute(child, "Identifier");
		if (identifier == NULL)
			continue;
		foreach(lc2, seen)
		{
			DefinitionAttribute *other = (DefinitionAttribute *) lfirst(lc2);

			if (strcmp(other->value, identifier->value) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, identifier->line,
								 child->name,
								 psprintf("The first one is in line %d; give one of them another Identifier.",
										  other->line),
								 "workflow \"%s\" is defined twice", identifier->value);
				break;
			}
		}
		seen = lappend(seen, identifier);
	}

	if (!found && def->nerrors == 0 &&
		element_children_named(root, "AccessControlRule") == NIL &&
		element_children_named(root, "Profile") == NIL)
		definition_error(def, ERRCODE_WF_DEFINITION, root->line, root->name,
						 "Put at least one <Workflow>, <AccessControlRule> or <Profile> into the file.",
						 "nothing is defined");
}

/*
 * Proposals need a first activity that people begin: its access rules say who
 * may ask.
 */
static void
check_apply_as(Definition *def, DefinitionElement *workflow, DefinitionElement *first,
			   const ActivityTemplate *t)
{
	DefinitionAttribute *attribute = definition_attribute(workflow, "ApplyAs");

	if (attribute && (!t->is_interactive || t->is_review))
		definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, workflow->name,
						 "Begin with an <Activity Template=\"Action\">: an AccessControlRule for its ActionPending says who may ask.",
						 "a workflow with ApplyAs must begin with an Action, not with a %s", t->name);
}

/*
 * Check a workflow's activities together.
 */
static void
check_workflow(Definition *def, DefinitionElement *workflow)
{
	List	   *seen = NIL;
	ListCell   *lc;
	DefinitionElement *persist = NULL;
	int			nactivities = 0;
	bool		continues = false;
	bool		waits = false;
	bool		all_known = true;

	foreach(lc, workflow->children)
	{
		DefinitionElement *activity = (DefinitionElement *) lfirst(lc);
		DefinitionAttribute *identifier;
		const ActivityTemplate *t;
		ListCell   *lc2;

		if (strcmp(activity->name, "Activity") != 0)
			continue;
		if (def->nerrors > DEFINITION_MAX_MESSAGES)
			return;
		if (++nactivities > MAX_ACTIVITIES)
		{
			definition_error(def, ERRCODE_PROGRAM_LIMIT_EXCEEDED, activity->line,
							 activity->name, "Split the workflow into several.",
							 "workflow has more than %d activities", MAX_ACTIVITIES);
			break;
		}

		identifier = definition_attribute(activity, "Identifier");
		foreach(lc2, seen)
		{
			DefinitionAttribute *other = (DefinitionAttribute *) lfirst(lc2);

			if (identifier && strcmp(other->value, identifier->value) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, identifier->line,
								 activity->name,
								 psprintf("The first one is in line %d; give one of them another Identifier.",
										  other->line),
								 "activity \"%s\" is defined twice", identifier->value);
				break;
			}
		}
		if (identifier)
			seen = lappend(seen, identifier);

		t = activity_template(activity);
		if (t == NULL)
		{
			all_known = false;
			continue;
		}
		check_activity(def, activity, t, nactivities == 1);
		if (nactivities == 1)
			check_apply_as(def, workflow, activity, t);

		if (persist != NULL)
			definition_warning(def, activity->line, activity->name,
							   "Let the activity whose Template is Persist be the last.",
							   "activity \"%s\" comes after the rows are written",
							   identifier ? identifier->value : "");
		if (strcmp(t->name, "ContinueWith") == 0)
			continues = true;
		if (strcmp(t->name, "Persist") == 0)
		{
			persist = activity;
			if (definition_attribute(activity, "IfExpression"))
				definition_warning(def, activity->line, activity->name,
								   "Put the condition on the gate: it is an argument of idflow.attach().",
								   "where the IfExpression of \"%s\" is not true, an approved change is not written",
								   identifier ? identifier->value : "");
		}
		if (t->is_interactive && (t->is_review || nactivities > 1))
			waits = true;
	}

	check_columns(def, workflow);
	definition_check_starts(def, workflow);
	(void) definition_check_duration(def, workflow, "Retention", true);
	definition_check_separate_from(def, workflow);
	if (all_known && def->nerrors == 0)
		definition_check_flow(def, workflow);
	if (nactivities == 0)
		definition_error(def, ERRCODE_WF_DEFINITION, workflow->line, workflow->name,
						 "Put at least one <Activity> into it, and let the last one's Template be Persist.",
						 "workflow has no activity");
	else if (all_known && persist == NULL && !continues)
		definition_warning(def, workflow->line, workflow->name,
						   "Let the last activity's Template be Persist.",
						   "no activity is a Persist: nothing would ever be written");
	else if (all_known && !waits && !continues)
		definition_warning(def, workflow->line, workflow->name,
						   "Put an activity whose Template is Review or ReviewWithFeedback before the Persist.",
						   "no activity waits for anybody: every change would be written at once");
}

/*
 * Check one activity against its template.
 */
static void
check_activity(Definition *def, DefinitionElement *activity,
			   const ActivityTemplate *t, bool is_first)
{
	static const struct
	{
		const char *attribute;
		bool		interactive;	/* only where people act */
		bool		review;		/* only where they approve */
		const char *templates;	/* else only in these */
	}			needs[] = {
		{"Approvals", true, true, NULL},
		{"Declines", true, true, NULL},
		{"NoActor", true, true, NULL},
		{"Due", true, false, NULL},
		{"Calendar", true, false, NULL},
		{"EscalateTo", true, true, NULL},
		{"CommentRequired", true, false, NULL},
		{"SeparateFrom", true, false, NULL},
		{"ArgumentBlockProvisioning", false, false, "Persist|PersistOnlyResources"},
		{"ArgumentCalledWorkflow", false, false, "ContinueWith"},
		{"Into", false, false, "PersistOnlyResources"}
	};
	DefinitionAttribute *identifier = definition_attribute(activity, "Identifier");
	bool		has_actor = false;
	ListCell   *lc;

	for (int i = 0; i < lengthof(needs); i++)
	{
		DefinitionAttribute *attribute = definition_attribute(activity, needs[i].attribute);

		if (attribute == NULL ||
			(needs[i].review && t->is_review) ||
			(needs[i].interactive && !needs[i].review && t->is_interactive) ||
			name_in_list(t->name, needs[i].templates))
			continue;
		definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, activity->name,
						 psprintf("%s belongs to the templates %s.", attribute->name,
								  needs[i].templates ? format_list(needs[i].templates) :
								  needs[i].review ? "Review, ReviewWithFeedback" :
								  "Action, ActionWithRefine, Review, ReviewWithFeedback"),
						 "attribute %s has no meaning in an activity whose template is %s",
						 attribute->name, t->name);
	}

	if (strcmp(t->name, "ContinueWith") == 0 &&
		definition_attribute(activity, "ArgumentCalledWorkflow") == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, activity->line, activity->name,
						 "Name the workflow to go on in: ArgumentCalledWorkflow=\"...\".",
						 "attribute ArgumentCalledWorkflow is missing");

	foreach(lc, activity->children)
	{
		DefinitionElement *child = (DefinitionElement *) lfirst(lc);

		if (strcmp(child->name, "Actor") != 0)
			continue;
		has_actor = true;
		check_actor(def, child);
		if (!t->is_interactive)
			definition_error(def, ERRCODE_WF_DEFINITION, child->line, child->name,
							 "Move it to an activity whose template is Action, ActionWithRefine, Review or ReviewWithFeedback.",
							 "nobody acts in an activity whose template is %s", t->name);
	}

	check_quotas(def, activity);
	definition_check_deadlines(def, activity, t);

	/* plain DML executes the first Action at once */
	if (is_first && has_actor && t->is_interactive && !t->is_review)
		definition_warning(def, activity->line, activity->name,
						   "Who may ask is a matter of privileges on the table; remove the <Actor>.",
						   "activity \"%s\" is executed by whoever changes the table, whatever its <Actor> says",
						   identifier ? identifier->value : "");
	if (t->is_interactive && !has_actor && (t->is_review || !is_first) &&
		!definition_has_rule(activity))
		definition_warning(def, activity->line, activity->name,
						   "Say who acts: <Actor Profile=\"...\"/>.",
						   "activity \"%s\" has no <Actor>: only idflow_admin may %s",
						   identifier ? identifier->value : "",
						   t->is_review ? "decide" : "act");
}

/*
 * Check that an activity's quotas, and what it says of too few people, fit
 * together.
 */
static void
check_quotas(Definition *def, DefinitionElement *activity)
{
	List	   *actors = element_children_named(activity, "Actor");
	DefinitionAttribute *no_actor = definition_attribute(activity, "NoActor");
	DefinitionAttribute *escalate_to = definition_attribute(activity, "EscalateTo");
	DefinitionAttribute *approvals = definition_attribute(activity, "Approvals");
	bool		escalates = no_actor && strcmp(no_actor->value, "Escalate") == 0;
	int			with = 0;
	ListCell   *lc;

	foreach(lc, actors)
		if (definition_attribute((DefinitionElement *) lfirst(lc), "Approvals"))
			with++;
	if (with > 0 && with < list_length(actors))
		definition_error(def, ERRCODE_WF_DEFINITION, activity->line, activity->name,
						 "Give each <Actor> its Approvals, or none and the activity one.",
						 "some of the activity's Actors have a quota of their own and others have not");
	else if (with > 0 && approvals)
		definition_error(def, ERRCODE_WF_DEFINITION, approvals->line, activity->name,
						 "Remove it: the activity is approved when the quotas of its Actors are.",
						 "attribute Approvals stands beside Actors with quotas of their own");
	if (with > MAX_QUOTAS)
		definition_error(def, ERRCODE_WF_DEFINITION, activity->line, activity->name,
						 psprintf("At most %d may.", MAX_QUOTAS),
						 "%d Actors have a quota of their own", with);
	if (escalates && escalate_to == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, no_actor->line, activity->name,
						 "Name the profile that decides then: EscalateTo=\"...\".",
						 "NoActor=\"Escalate\" does not say to whom");
	if (!escalates && escalate_to)
		definition_error(def, ERRCODE_WF_DEFINITION, escalate_to->line, activity->name,
						 "Write NoActor=\"Escalate\" beside it, or remove it.",
						 "attribute EscalateTo has no meaning without NoActor=\"Escalate\"");
}

/*
 * Check that an Actor names somebody in exactly one way.
 */
static void
check_actor(Definition *def, DefinitionElement *actor)
{
	DefinitionAttribute *expression = definition_attribute(actor, "Expression");
	int			ways = 0;

	ways += definition_attribute(actor, "Profile") != NULL;
	ways += definition_attribute(actor, "Principal") != NULL;
	ways += expression != NULL;

	if (ways == 0)
		definition_error(def, ERRCODE_WF_DEFINITION, actor->line, actor->name,
						 "Write Profile=\"...\", Principal=\"...\" or Expression=\"SQL:...\".",
						 "element does not say who acts");
	else if (ways > 1)
		definition_error(def, ERRCODE_WF_DEFINITION, actor->line, actor->name,
						 "Write one <Actor> for each of them.",
						 "only one of Profile, Principal and Expression may be given");
	else if (expression && strcmp(expression->value, "Literal:") == 0)
		definition_error(def, ERRCODE_WF_DEFINITION, actor->line, actor->name,
						 "Write a principal's name after Literal:.",
						 "element does not say who acts");
}

/*
 * Check what a workflow says of columns: each once, and Edit names activities.
 */
static void
check_columns(Definition *def, DefinitionElement *workflow)
{
	List	   *columns = element_children_named(workflow, "Column");
	StringInfoData activities;
	ListCell   *lc;

	initStringInfo(&activities);
	foreach(lc, element_children_named(workflow, "Activity"))
	{
		const char *name = element_value((DefinitionElement *) lfirst(lc), "Identifier");

		if (name)
			appendStringInfo(&activities, "%s%s", activities.len > 0 ? "|" : "", name);
	}
	foreach(lc, columns)
	{
		DefinitionElement *column = (DefinitionElement *) lfirst(lc);
		const char *name = element_value(column, "Name");
		const char *edit = element_value(column, "Edit");
		char	   *names = edit ? definition_list(edit) : NULL;

		for (int i = 0; name && i < foreach_current_index(lc); i++)
		{
			DefinitionElement *other = (DefinitionElement *) list_nth(columns, i);
			const char *other_name = element_value(other, "Name");

			if (other_name && strcmp(other_name, name) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, column->line, column->name,
								 psprintf("The first one is in line %d; write one <Column> for each.", other->line),
								 "column \"%s\" stands twice", name);
				break;
			}
		}
		for (char *p = names; p && *p; p += strcspn(p, "|"), p += *p == '|')
		{
			char	   *activity = pnstrdup(p, strcspn(p, "|"));

			if (!name_in_list(activity, activities.data))
				definition_error(def, ERRCODE_WF_DEFINITION, column->line, column->name,
								 psprintf("Edit lists activities of the workflow, separated by commas; they are %s. An empty Edit means nobody.",
										  format_list(activities.data)),
								 "workflow has no activity \"%s\"", activity);
		}
	}
}
