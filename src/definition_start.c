/*-------------------------------------------------------------------------
 *
 * definition_start.c
 *		Checks of a definition by meaning: <Start>.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "definition.h"
#include "errcodes.h"
#include "expression_parse.h"
#include "start.h"

/* Is it an interval?  The input function reads no table, and holds nothing but memory. */
static Interval *
read_interval(const char *value)
{
	MemoryContext cxt = CurrentMemoryContext;
	Interval   *volatile result = NULL;

	PG_TRY();
	{
		result = start_interval(value);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}

/*
 * definition_check_duration: an attribute that is an interval, if it is there;
 * returns it, or NULL.
 */
Interval *
definition_check_duration(Definition *def, DefinitionElement *start, const char *name, bool is_positive)
{
	DefinitionAttribute *attribute = definition_attribute(start, name);
	Interval   *interval;

	if (attribute == NULL)
		return NULL;
	interval = read_interval(attribute->value);
	if (interval == NULL ||
		(is_positive && (interval->month < 0 || interval->day < 0 || interval->time < 0 ||
						 interval->month + interval->day + interval->time <= 0)))
		definition_error(def, ERRCODE_WF_DEFINITION, attribute->line, start->name,
						 is_positive ? "Write a duration such as P31D." :
						 "Write a duration such as P7D, or -P7D for seven days before.",
						 "attribute %s must be a %sduration, not \"%s\"", name,
						 is_positive ? "positive " : "", attribute->value);
	return interval;
}

static void
check_start(Definition *def, DefinitionElement *start)
{
	DefinitionAttribute *date = definition_attribute(start, "Date");
	const char *operation = element_value(start, "Operation");
	const char *target = element_value(start, "Target");
	const char *body;
	ListCell   *lc;

	/* it is looked up where no search_path is anybody's */
	if (target && strchr(target, '.') == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, start->line, start->name,
						 "Name the table with its schema, such as hr.person.",
						 "attribute Target names no schema: \"%s\"", target);
	if (date)
		switch (expression_language(date->value, &body))
		{
			case EXPRESSION_SQL:
				definition_check_sql(def, start, date, body);
				break;
			case EXPRESSION_UNKNOWN:
				break;
			default:
				definition_error(def, ERRCODE_WF_DEFINITION, date->line, start->name,
								 "Name a column, or write an expression over a row: SQL:new.leaves_on.",
								 "attribute Date must be a column or an SQL expression, not \"%s\"",
								 date->value);
		}
	(void) definition_check_duration(def, start, "Offset", false);
	(void) definition_check_duration(def, start, "Within", true);
	foreach(lc, start->children)
	{
		DefinitionElement *set = (DefinitionElement *) lfirst(lc);
		const char *column = element_value(set, "Column");

		if (strcmp(set->name, "Set") != 0)
			continue;
		if (operation && strcmp(operation, "DELETE") == 0)
		{
			definition_error(def, ERRCODE_WF_DEFINITION, set->line, set->name,
							 "Remove it, or write Operation=\"UPDATE\".",
							 "a row that is deleted has no values to set");
			break;
		}
		for (int i = 0; column && i < foreach_current_index(lc); i++)
		{
			DefinitionElement *other = (DefinitionElement *) list_nth(start->children, i);
			const char *other_column = element_value(other, "Column");

			if (other_column && strcmp(other_column, column) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, set->line, set->name,
								 psprintf("The first one is in line %d.", other->line),
								 "column \"%s\" is set twice", column);
				break;
			}
		}
	}
}

/*
 * Check what a workflow says of requests that dates start.
 */
void
definition_check_starts(Definition *def, DefinitionElement *workflow)
{
	ListCell   *lc;

	foreach(lc, element_children_named(workflow, "Start"))
		check_start(def, (DefinitionElement *) lfirst(lc));
}
