/*-------------------------------------------------------------------------
 *
 * definition_rules.c
 *		The elements and attributes of the definition language, as tables.
 *
 * The same language is written down in workflows/idflow.rng.  It stands here
 * once more because messages are to say what would be right, which no RELAX
 * NG validator does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "definition.h"

#define LAST_LANGUAGE	16		/* DisplayName_L1 .. _L16 */
#define LAST_PROPERTY	5		/* Property1 .. Property5 of a Filter */

#define REQUIRED		RULE_REQUIRED

#define LOCALISED(name, flags) \
	{name, ATTRIBUTE_LABEL, flags, NULL, "_L", LAST_LANGUAGE}
#define NUMBERED(name, kind, values) \
	{name, kind, 0, values, "", LAST_PROPERTY}
#define END_OF_RULES	{NULL}

#define ASPECTS \
	"AddChangeAspect|AssertValueAspect|AssertValueRequiredAspect|" \
	"BuildUniqueValueAspect|InvokeScriptAspect|InvokeWorkflowAspect|" \
	"NotificationAspect|InvokeFunctionAspect|SeparationAspect"

static const AttributeRule no_attributes[] = {
	END_OF_RULES
};

static const AttributeRule workflow_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	LOCALISED("DisplayName", REQUIRED),
	{"VariablesType", ATTRIBUTE_TEXT, 0},
	{"IdentifierPrefix", ATTRIBUTE_TEXT, 0},
	{"Title", ATTRIBUTE_EXPRESSION, 0},
	{"Subject", ATTRIBUTE_EXPRESSION, 0},
	{"MaxSteps", ATTRIBUTE_COUNT, 0},
	{"Trace", ATTRIBUTE_BOOLEAN, 0},
	{"Bundle", ATTRIBUTE_CHOICE, 0, "row|statement|transaction"},
	{"FourEyes", ATTRIBUTE_BOOLEAN, 0},
	{"Exact", ATTRIBUTE_BOOLEAN, 0},
	{"Nested", ATTRIBUTE_CHOICE, 0, "Separate|Include"},
	{"PendingPolicy", ATTRIBUTE_CHOICE, 0, "Merge|Refuse"},
	{"RepeatedApprover", ATTRIBUTE_CHOICE, 0, "Ask|Auto"},
	{"EffectiveDate", ATTRIBUTE_EXPRESSION, 0},
	{"ExpiryDate", ATTRIBUTE_EXPRESSION, 0},
	{"ApplyAs", ATTRIBUTE_NAME, 0},
	{"Retention", ATTRIBUTE_LABEL, 0},
	END_OF_RULES
};

static const AttributeRule activity_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	LOCALISED("DisplayName", REQUIRED),
	{"Template", ATTRIBUTE_TEMPLATE, REQUIRED},
	{"ArgumentBlockProvisioning", ATTRIBUTE_BOOLEAN, 0},
	{"ArgumentCalledWorkflow", ATTRIBUTE_NAME, 0},
	{"WorkflowOverviewDisable", ATTRIBUTE_BOOLEAN, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	{"Approvals", ATTRIBUTE_QUOTA, 0},
	{"Declines", ATTRIBUTE_QUOTA, 0},
	{"NoActor", ATTRIBUTE_CHOICE, 0, "Refuse|Skip|Escalate"},
	{"EscalateTo", ATTRIBUTE_NAME, 0},
	{"Due", ATTRIBUTE_LABEL, 0},
	{"Calendar", ATTRIBUTE_NAME, 0},
	{"CommentRequired", ATTRIBUTE_BOOLEAN, 0},
	{"Into", ATTRIBUTE_LABEL},
	{"SeparateFrom", ATTRIBUTE_TEXT, 0},
	{"HomonymEntityLink", ATTRIBUTE_IDENTIFIER, 0},
	{"Homonyms", ATTRIBUTE_CHOICE, 0, "Warn|Block"},
	END_OF_RULES
};

static const AttributeRule actor_attributes[] = {
	{"Profile", ATTRIBUTE_NAME, 0},
	{"Principal", ATTRIBUTE_NAME, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, 0},
	{"Approvals", ATTRIBUTE_QUOTA, 0},
	END_OF_RULES
};

static const AttributeRule timeout_attributes[] = {
	{"After", ATTRIBUTE_LABEL, REQUIRED},
	{"Do", ATTRIBUTE_CHOICE, REQUIRED, "Notify|Escalate|Approve|Decline|Abort"},
	{"Profile", ATTRIBUTE_NAME, 0},
	{"Principal", ATTRIBUTE_NAME, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, 0},
	{"Repeat", ATTRIBUTE_LABEL, 0},
	{"Calendar", ATTRIBUTE_NAME, 0},
	{"Replace", ATTRIBUTE_BOOLEAN, 0},
	LOCALISED("Message", 0),
	END_OF_RULES
};

static const AttributeRule transition_attributes[] = {
	{"On", ATTRIBUTE_CHOICE, REQUIRED,
	"Executed|Approved|Invoked|Declined|Aborted|Purged"},
	{"To", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	END_OF_RULES
};

static const AttributeRule column_attributes[] = {
	{"Name", ATTRIBUTE_NAME, REQUIRED},
	LOCALISED("DisplayName", 0),
	{"Show", ATTRIBUTE_CHOICE, 0, "Yes|Masked|No"},
	{"Edit", ATTRIBUTE_TEXT, 0},
	{"Merge", ATTRIBUTE_CHOICE, 0, "Conflict|Live|Draft|Next|ByKey"},
	END_OF_RULES
};

static const AttributeRule start_attributes[] = {
	{"Target", ATTRIBUTE_NAME, REQUIRED},
	{"Operation", ATTRIBUTE_CHOICE, 0, "UPDATE|DELETE"},
	{"Date", ATTRIBUTE_LABEL, REQUIRED},
	{"Offset", ATTRIBUTE_LABEL, 0},
	{"Within", ATTRIBUTE_LABEL, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	END_OF_RULES
};

static const AttributeRule set_attributes[] = {
	{"Column", ATTRIBUTE_NAME, REQUIRED},
	{"Expression", ATTRIBUTE_EXPRESSION, REQUIRED},
	END_OF_RULES
};

static const AttributeRule profile_attributes[] = {
	{"Identifier", ATTRIBUTE_NAME, REQUIRED},
	LOCALISED("DisplayName", 0),
	END_OF_RULES
};

static const AttributeRule add_change_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Binding", ATTRIBUTE_NAME, REQUIRED},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, 0},
	{"AcceptNullValueExpression", ATTRIBUTE_CONDITION, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule assert_value_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Binding", ATTRIBUTE_NAME, REQUIRED},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"Expression", ATTRIBUTE_CONDITION, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	LOCALISED("Message", 0),
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule assert_value_required_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Binding", ATTRIBUTE_NAME, REQUIRED},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	LOCALISED("Message", 0),
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule build_unique_value_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Binding", ATTRIBUTE_NAME, REQUIRED},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, 0},
	{"SqlBuildExpression", ATTRIBUTE_TEXT, 0},
	{"SqlCheckExpression", ATTRIBUTE_TEXT, 0},
	{"IterationsCount", ATTRIBUTE_INTEGER, 0},
	{"HistorizeBinding", ATTRIBUTE_TEXT, 0},
	{"HistorizeSeparator", ATTRIBUTE_TEXT, 0},
	{"OnlyIfNew", ATTRIBUTE_BOOLEAN, 0},
	{"SimulationExpression", ATTRIBUTE_EXPRESSION, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	LOCALISED("Message", 0),
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule unicity_check_attributes[] = {
	{"SourceBinding", ATTRIBUTE_TEXT, 0},
	{"SourceExpression", ATTRIBUTE_EXPRESSION, 0},
	{"TargetEntityType", ATTRIBUTE_NAME, REQUIRED},
	{"TargetBinding", ATTRIBUTE_TEXT, 0},
	{"TargetExpression", ATTRIBUTE_EXPRESSION, 0},
	END_OF_RULES
};

static const AttributeRule invoke_script_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Agent", ATTRIBUTE_TEXT, 0},
	{"ScriptFile", ATTRIBUTE_TEXT, 0},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule invoke_workflow_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Workflow", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule invoke_function_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Function", ATTRIBUTE_NAME, REQUIRED},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule notification_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Binding", ATTRIBUTE_TEXT, 0},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"CssFile", ATTRIBUTE_TEXT, 0},
	LOCALISED("RazorFile", 0),
	{"BodyExpression", ATTRIBUTE_EXPRESSION, 0, NULL, "_L", LAST_LANGUAGE},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	{"SubjectExpression", ATTRIBUTE_EXPRESSION, 0, NULL, "_L", LAST_LANGUAGE},
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule recipient_attributes[] = {
	{"Type", ATTRIBUTE_CHOICE, REQUIRED,
	"Actor|Performer|Binding|Hardcoded|Expression|Profile"},
	{"Activity", ATTRIBUTE_TEXT, 0},
	{"ActivityState", ATTRIBUTE_TEXT, 0},
	{"Binding", ATTRIBUTE_TEXT, 0},
	{"EmailAddresses", ATTRIBUTE_TEXT, 0},
	{"Profile", ATTRIBUTE_NAME, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, 0},
	{"IsCC", ATTRIBUTE_BOOLEAN, 0},
	END_OF_RULES
};

static const AttributeRule separation_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"Binding", ATTRIBUTE_NAME, REQUIRED},
	{"ExpressionBinding", ATTRIBUTE_TEXT, 0},
	{"Right", ATTRIBUTE_NAME, 0},
	{"Expression", ATTRIBUTE_EXPRESSION, REQUIRED},
	{"Conflicts", ATTRIBUTE_NAME, REQUIRED},
	{"Do", ATTRIBUTE_CHOICE, 0, "Refuse|Review"},
	{"Profile", ATTRIBUTE_NAME, 0},
	{"IfExpression", ATTRIBUTE_CONDITION, 0},
	LOCALISED("Message", 0),
	{"Priority", ATTRIBUTE_INTEGER, 0},
	END_OF_RULES
};

static const AttributeRule point_cut_attributes[] = {
	{"Activity", ATTRIBUTE_NAME, REQUIRED},
	{"ActivityState", ATTRIBUTE_NAME, REQUIRED},
	{"Mode", ATTRIBUTE_CHOICE, 0, "Before|After|0|1"},
	END_OF_RULES
};

static const AttributeRule homonym_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	{"FormEntityType", ATTRIBUTE_NAME, REQUIRED},
	END_OF_RULES
};

static const AttributeRule homonym_filter_attributes[] = {
	NUMBERED("Property", ATTRIBUTE_TEXT, NULL),
	NUMBERED("ComparisonProperty", ATTRIBUTE_TEXT, NULL),
	NUMBERED("Expression", ATTRIBUTE_EXPRESSION, NULL),
	NUMBERED("Operator", ATTRIBUTE_CHOICE,
			 "Auto|NotEqual|Equal|Contain|StartWith|EndWith|NotContain|"
			 "NotStartWith|NotEndWith|GreaterThan|LessThan|"
			 "GreaterThanOrEqual|LessThanOrEqual|FlexibleEqual|"
			 "FlexibleContain|FlexibleStartWith|FlexibleEndWith|"
			 "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16"),
	END_OF_RULES
};

static const AttributeRule access_rule_attributes[] = {
	{"Identifier", ATTRIBUTE_IDENTIFIER, REQUIRED},
	LOCALISED("DisplayName", REQUIRED),
	{"EntityType", ATTRIBUTE_NAME, REQUIRED},
	{"Profile", ATTRIBUTE_NAME, REQUIRED},
	END_OF_RULES
};

static const AttributeRule access_entry_attributes[] = {
	{"Permission", ATTRIBUTE_NAME, REQUIRED},
	{"CanExecute", ATTRIBUTE_BOOLEAN, 0},
	{"FullAccessProperties", ATTRIBUTE_BOOLEAN, 0},
	{"IsPreCondition", ATTRIBUTE_BOOLEAN, 0},
	{"IsPostCondition", ATTRIBUTE_BOOLEAN, 0},
	{"Notify", ATTRIBUTE_BOOLEAN, 0},
	{"Priority", ATTRIBUTE_INTEGER, 0},
	{"PropertyGroup", ATTRIBUTE_TEXT, 0},
	END_OF_RULES
};

static const AttributeRule access_filter_attributes[] = {
	{"Binding", ATTRIBUTE_NAME, REQUIRED},
	{"Value", ATTRIBUTE_TEXT, 0},
	{"CurrentUser", ATTRIBUTE_BOOLEAN, 0},
	{"Dimension", ATTRIBUTE_TEXT, 0},
	{"Category", ATTRIBUTE_BOOLEAN, 0},
	{"CompositeRole", ATTRIBUTE_BOOLEAN, 0},
	{"SingleRole", ATTRIBUTE_BOOLEAN, 0},
	{"ResourceType", ATTRIBUTE_BOOLEAN, 0},
	{"Group", ATTRIBUTE_TEXT, 0},
	{"Operator", ATTRIBUTE_CHOICE, 0, "Equals|NotEquals|0|1"},
	END_OF_RULES
};

/* Filter stands twice: which one is meant depends on its parent. */
static const ElementRule element_rules[] = {
	{"ConfigurationFile", 0,
		"Workflow|" ASPECTS "|HomonymEntityLink|AccessControlRule|Profile",
	no_attributes},
	{"Workflow", 0, "Activity|Column|Start", workflow_attributes},
	{"Activity", 0, "Actor|Timeout|Transition", activity_attributes},
	{"Actor", 0, NULL, actor_attributes},
	{"Timeout", 0, NULL, timeout_attributes},
	{"Transition", 0, NULL, transition_attributes},
	{"Column", 0, NULL, column_attributes},
	{"Start", 0, "Set", start_attributes},
	{"Set", 0, NULL, set_attributes},
	{"Profile", 0, NULL, profile_attributes},
	{"AddChangeAspect", 0, "PointCut", add_change_attributes},
	{"AssertValueAspect", 0, "PointCut", assert_value_attributes},
	{"AssertValueRequiredAspect", 0, "PointCut", assert_value_required_attributes},
	{"BuildUniqueValueAspect", 0, "PointCut|UnicityCheckRule", build_unique_value_attributes},
	{"InvokeScriptAspect", 0, "PointCut", invoke_script_attributes},
	{"InvokeWorkflowAspect", 0, "PointCut", invoke_workflow_attributes},
	{"NotificationAspect", 0, "PointCut|Recipient", notification_attributes},
	{"InvokeFunctionAspect", 0, "PointCut", invoke_function_attributes},
	{"SeparationAspect", 0, "PointCut", separation_attributes},
	{"PointCut", 0, NULL, point_cut_attributes},
	{"UnicityCheckRule", 0, NULL, unicity_check_attributes},
	{"Recipient", 0, NULL, recipient_attributes},
	{"HomonymEntityLink", 0, "Filter", homonym_attributes},
	{"AccessControlRule", 0, "Entry|Filter", access_rule_attributes},
	{"Entry", 0, NULL, access_entry_attributes},
	{"Filter", 0, NULL, access_filter_attributes},
	{"Filter", 0, NULL, homonym_filter_attributes}
};

/*
 * Return the rule for an element of that name under that parent (NULL: the
 * root), or NULL if the language has no such element.  Whether the parent may
 * have such a child is not looked at.
 */
const ElementRule *
element_rule(const char *name, const DefinitionElement *parent)
{
	bool		in_homonym = parent != NULL &&
		strcmp(parent->name, "HomonymEntityLink") == 0;

	for (int i = 0; i < lengthof(element_rules); i++)
	{
		const ElementRule *rule = &element_rules[i];

		if (strcmp(rule->name, name) != 0)
			continue;
		if (in_homonym && rule->attributes == access_filter_attributes)
			continue;
		return rule;
	}
	return NULL;
}

/*
 * Return the rule for an attribute, or NULL if the element has no attribute
 * of that name.
 */
const AttributeRule *
attribute_rule(const ElementRule *element, const char *name)
{
	for (const AttributeRule *rule = element->attributes; rule->name; rule++)
	{
		if (rule->last == 0)
		{
			if (strcmp(rule->name, name) == 0)
				return rule;
		}
		else
		{
			for (int i = 1; i <= rule->last; i++)
			{
				char		numbered[NAMEDATALEN];

				snprintf(numbered, sizeof(numbered), "%s%s%d",
						 rule->name, rule->suffix, i);
				if (strcmp(numbered, name) == 0)
					return rule;
			}
		}
	}
	return NULL;
}

/*
 * Return the names of the elements that may stand in an element, separated by
 * ", ", or NULL if there are none.
 */
char *
element_children(const ElementRule *element)
{
	return element->children ? format_list(element->children) : NULL;
}

/*
 * Return the names of an element's attributes, separated by ", ".
 */
char *
element_attributes(const ElementRule *element)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const AttributeRule *rule = element->attributes; rule && rule->name; rule++)
	{
		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		if (rule->last == 0)
			appendStringInfoString(&buf, rule->name);
		else
			appendStringInfo(&buf, "%s%s1 to %s%d", rule->name, rule->suffix,
							 rule->suffix, rule->last);
	}
	return buf.data;
}

/*
 * Return the names of the elements in which an element may stand, as <A>, <B>,
 * or NULL if it can only be the root.
 */
char *
element_parents(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(element_rules); i++)
	{
		if (name_in_list(name, element_rules[i].children))
			appendStringInfo(&buf, "%s<%s>", buf.len > 0 ? ", " : "",
							 element_rules[i].name);
	}
	return buf.len > 0 ? buf.data : NULL;
}
