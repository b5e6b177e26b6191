/*-------------------------------------------------------------------------
 *
 * definition_names.c
 *		Names in definitions: lists of them, and which of some is the nearest
 *		to what somebody wrote.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/varlena.h"

#include "definition.h"

/*
 * Is the name one of "A|B|C"?
 */
bool
name_in_list(const char *name, const char *list)
{
	size_t		len = strlen(name);

	while (list != NULL && *list != '\0')
	{
		const char *end = list + strcspn(list, "|");

		if (end - list == len && strncmp(list, name, len) == 0)
			return true;
		list = *end ? end + 1 : end;
	}
	return false;
}

/*
 * Return a list as it is written in an attribute, "A, B C", as "A|B|C" in the
 * current memory context.
 */
char *
definition_list(const char *value)
{
	StringInfoData buf;

	initStringInfo(&buf);
	while (*(value += strspn(value, ", ")) != '\0')
	{
		size_t		len = strcspn(value, ", ");

		if (buf.len > 0)
			appendStringInfoChar(&buf, '|');
		appendBinaryStringInfo(&buf, value, len);
		value += len;
	}
	return buf.data;
}

/*
 * Return "A|B|C" as "A, B, C" in the current memory context.
 */
char *
format_list(const char *list)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = list; p && *p; p++)
	{
		if (*p == '|')
			appendStringInfoString(&buf, ", ");
		else
			appendStringInfoChar(&buf, *p);
	}
	return buf.data;
}

/*
 * How far is a candidate from what was written?  Letter case counts little.
 */
static int
name_distance(const char *name, const char *candidate)
{
	if (pg_strcasecmp(name, candidate) == 0)
		return 0;
	return varstr_levenshtein(name, strlen(name), candidate, strlen(candidate),
							  1, 1, 1, true);
}

/*
 * Keep the candidate in *best if it is nearer to the name than what is there.
 */
static void
consider_name(const char *name, const char *candidate,
			  const char **best, int *best_distance)
{
	int			distance;
	int			limit;

	if (strlen(name) >= NAMEDATALEN)
		return;
	distance = name_distance(name, candidate);
	limit = Max(strlen(name), strlen(candidate)) / 3;
	if (distance <= limit && (*best == NULL || distance < *best_distance))
	{
		*best = candidate;
		*best_distance = distance;
	}
}

/*
 * Return the attribute of the element whose name is nearest to the given one,
 * or NULL if none is near.
 */
const char *
nearest_attribute(const ElementRule *element, const char *name)
{
	const char *best = NULL;
	int			distance = 0;

	for (const AttributeRule *rule = element->attributes; rule->name; rule++)
	{
		if (rule->last == 0)
			consider_name(name, rule->name, &best, &distance);
		else
		{
			/* DisplayName is meant as DisplayName_L1 */
			if (pg_strcasecmp(name, rule->name) == 0)
				return psprintf("%s%s1", rule->name, rule->suffix);
			for (int i = 1; i <= rule->last; i++)
				consider_name(name,
							  psprintf("%s%s%d", rule->name, rule->suffix, i),
							  &best, &distance);
		}
	}
	return best;
}

/*
 * Return the name of "A|B|C" that is nearest to the given one, in the current
 * memory context, or NULL if none is near.
 */
const char *
nearest_name(const char *name, const char *list)
{
	const char *best = NULL;
	int			distance = 0;

	while (list != NULL && *list != '\0')
	{
		const char *end = list + strcspn(list, "|");

		consider_name(name, pnstrdup(list, end - list), &best, &distance);
		list = *end ? end + 1 : end;
	}
	return best;
}
