/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Building the data of events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "idflow.h"

Jsonb *
json_from_text(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/*
 * json_open, json_close: begin and end an object or an array, WJB_BEGIN_OBJECT
 * and so on.  The last json_close() returns the whole.
 */
void
json_open(JsonbParseState **state, JsonbIteratorToken what)
{
	(void) pushJsonbValue(state, what, NULL);
}

JsonbValue *
json_close(JsonbParseState **state, JsonbIteratorToken what)
{
	return pushJsonbValue(state, what, NULL);
}

/*
 * json_string: add a string, not copied, as WJB_KEY, WJB_VALUE or WJB_ELEM.
 */
void
json_string(JsonbParseState **state, JsonbIteratorToken as, const char *value)
{
	JsonbValue	string;

	string.type = jbvString;
	string.val.string.val = unconstify(char *, value);
	string.val.string.len = strlen(value);
	(void) pushJsonbValue(state, as, &string);
}

/*
 * json_strings: add an array of a List of strings as the value of a key.
 */
void
json_strings(JsonbParseState **state, List *values)
{
	ListCell   *lc;

	json_open(state, WJB_BEGIN_ARRAY);
	foreach(lc, values)
		json_string(state, WJB_ELEM, (const char *) lfirst(lc));
	(void) json_close(state, WJB_END_ARRAY);
}

void
json_int64(JsonbParseState **state, JsonbIteratorToken as, int64 value)
{
	JsonbValue	number;

	number.type = jbvNumeric;
	number.val.numeric = int64_to_numeric(value);
	(void) pushJsonbValue(state, as, &number);
}

/*
 * json_binding: a binding of principal.c, null for none.
 */
void
json_binding(JsonbParseState **state, JsonbIteratorToken as, int64 binding)
{
	JsonbValue	none = {.type = jbvNull};

	if (binding)
		json_int64(state, as, binding);
	else
		(void) pushJsonbValue(state, as, &none);
}

void
json_key(JsonbParseState **state, const char *key)
{
	json_string(state, WJB_KEY, key);
}

/*
 * append_int: append a number; a fraction of the cost of "%d".
 */
void
append_int(StringInfo buf, int value)
{
	char		digits[12];

	pg_ltoa(value, digits);
	appendStringInfoString(buf, digits);
}

/*
 * json_pair: append "name": "value", or null, with a comma where needed.
 */
void
json_pair(StringInfo buf, const char *name, const char *value)
{
	if (buf->len > 0 && buf->data[buf->len - 1] != '{')
		appendStringInfoString(buf, ", ");
	escape_json(buf, name);
	appendStringInfoString(buf, ": ");
	if (value)
		escape_json(buf, value);
	else
		appendStringInfoString(buf, "null");
}
