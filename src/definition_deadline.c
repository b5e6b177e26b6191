/*-------------------------------------------------------------------------
 *
 * definition_deadline.c
 *		Checks of a definition by meaning: Due and <Timeout>.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "definition.h"
#include "errcodes.h"

/* A duration by a calendar is one of days and hours. */
static void
check_duration(Definition *def, DefinitionElement *element, const char *name, bool has_calendar)
{
	Interval   *interval = definition_check_duration(def, element, name, true);

	if (interval && has_calendar && interval->month != 0)
		definition_error(def, ERRCODE_WF_DEFINITION, definition_attribute(element, name)->line,
						 element->name, "Write working days and hours, such as P10D or PT8H.",
						 "attribute %s counts months, which a calendar does not", name);
}

/* An attribute that only some values of Do have a use for. */
static void
check_use(Definition *def, DefinitionElement *timeout, const char *name, const char *values)
{
	DefinitionAttribute *attribute = definition_attribute(timeout, name);
	const char *action = element_value(timeout, "Do");

	if (attribute && action && !name_in_list(action, values))
		definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, timeout->name,
						 psprintf("It belongs to Do=\"%s\".", values[0] == 'N' ? "Notify\" or \"Escalate" : values),
						 "attribute %s has no meaning with Do=\"%s\"", name, action);
}

static void
check_timeout(Definition *def, DefinitionElement *activity, DefinitionElement *timeout,
			  const ActivityTemplate *t)
{
	static const char *const whom[] = {"Profile", "Principal", "Expression"};
	const char *action = element_value(timeout, "Do");
	DefinitionAttribute *first = NULL;

	if (!t->is_interactive)
	{
		definition_error(def, ERRCODE_WF_DEFINITION, timeout->line, timeout->name,
						 "Move it to an activity whose template is Action, ActionWithRefine, Review or ReviewWithFeedback.",
						 "nobody is waited for in an activity whose template is %s", t->name);
		return;
	}
	check_duration(def, timeout, "After", element_value(timeout, "Calendar") || element_value(activity, "Calendar"));
	check_duration(def, timeout, "Repeat", element_value(timeout, "Calendar") || element_value(activity, "Calendar"));
	for (int i = 0; i < lengthof(whom); i++)
	{
		DefinitionAttribute *attribute = definition_attribute(timeout, whom[i]);

		check_use(def, timeout, whom[i], "Notify|Escalate");
		if (attribute && first)
			definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, timeout->name,
							 "Write a <Timeout> for each.",
							 "the attributes %s and %s exclude each other", first->name, attribute->name);
		if (attribute)
			first = attribute;
	}
	check_use(def, timeout, "Repeat", "Notify|Escalate");
	check_use(def, timeout, "Message_L1", "Notify|Escalate");
	check_use(def, timeout, "Replace", "Escalate");
	if (action == NULL)
		return;
	if (strcmp(action, "Escalate") == 0 && first == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, timeout->line, timeout->name,
						 "Name them: Profile=\"...\", Principal=\"...\" or Expression=\"...\".",
						 "Do=\"Escalate\" does not say to whom");
	if (!t->is_review && name_in_list(action, "Approve|Decline"))
		definition_error(def, ERRCODE_WF_DEFINITION, timeout->line, timeout->name,
						 "Possible are Notify, Escalate and Abort.",
						 "Do=\"%s\" has no meaning in an activity whose template is %s", action, t->name);
	else if (strcmp(action, "Approve") == 0)
		definition_warning(def, timeout->line, timeout->name,
						   "Do=\"Escalate\" asks somebody else instead.",
						   "what nobody has decided by then is approved, and nobody may have looked at it");
}

/*
 * Check what an activity says of its tasks' deadlines.
 */
void
definition_check_deadlines(Definition *def, DefinitionElement *activity, const ActivityTemplate *t)
{
	List	   *timeouts = element_children_named(activity, "Timeout");
	DefinitionAttribute *calendar = definition_attribute(activity, "Calendar");
	ListCell   *lc;

	check_duration(def, activity, "Due", calendar != NULL);
	if (calendar && timeouts == NIL && definition_attribute(activity, "Due") == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, calendar->line, activity->name,
						 "Write Due=\"...\" or a <Timeout>, or remove it.",
						 "attribute Calendar has nothing to count");
	foreach(lc, timeouts)
		check_timeout(def, activity, (DefinitionElement *) lfirst(lc), t);
}
