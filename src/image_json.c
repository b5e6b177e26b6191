/*-------------------------------------------------------------------------
 *
 * image_json.c
 *	  Images shown as jsonb.
 *
 * An image holds output text.  Numbers, booleans, json and arrays of built-in
 * types are given as what they are; everything else as a string.  No input
 * function but those of built-in types is called for it, and nothing that an
 * image can hold makes this fail: one odd value must not hide a whole inbox.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "column.h"
#include "idflow.h"
#include "reading.h"

PG_FUNCTION_INFO_V1(idflow_key_json);

/* Names of built-in types and their oids, which never change. */
typedef struct BuiltinType
{
	char		name[NAMEDATALEN];	/* hash key */
	Oid			typid;
} BuiltinType;

static HTAB *builtin_types = NULL;

/*
 * The base type behind a type's name as a layout has it; InvalidOid unless it
 * is built in.
 */
static Oid
builtin_base_type(const char *name)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		result;
	Oid			typid;
	BuiltinType   *entry;

	if (builtin_types == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = NAMEDATALEN;
		ctl.entrysize = sizeof(BuiltinType);
		builtin_types = hash_create("idflow built-in types", 32, &ctl, HASH_ELEM | HASH_STRINGS);
	}
	if (strlen(name) < NAMEDATALEN)
	{
		entry = hash_search(builtin_types, name, HASH_FIND, NULL);
		if (entry != NULL)
			return entry->typid;
	}

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(name);
	fcinfo->args[0].isnull = false;
	result = to_regtype(fcinfo);
	if (fcinfo->isnull)
		return InvalidOid;

	typid = getBaseType(DatumGetObjectId(result));
	if (typid >= FirstNormalObjectId)
		return InvalidOid;
	if (DatumGetObjectId(result) == typid && strlen(name) < NAMEDATALEN)
	{
		entry = hash_search(builtin_types, name, HASH_ENTER, NULL);
		entry->typid = typid;
	}
	return typid;
}

/*
 * Can text that json accepted be put into jsonb?  \u escapes may name what no
 * text can hold, and a number may be too large for numeric.
 */
static bool
json_fits_jsonb(const char *json)
{
	int			digits = 0;
	bool		in_string = false;

	for (const char *p = json; *p; p++)
	{
		if (in_string)
		{
			if (*p == '\\')
			{
				p++;
				if (*p == 'u')
					return false;
			}
			else if (*p == '"')
				in_string = false;
		}
		else if (*p == '"')
			in_string = true;
		else if ((*p == 'e' || *p == 'E') && digits > 0 &&
				 strspn(p + 1, "+-0123456789") > 4)
			return false;
		else if (*p >= '0' && *p <= '9')
		{
			if (++digits > 10000)
				return false;
			continue;
		}
		else if (*p == '.')
			continue;
		digits = 0;
	}
	return true;
}

/* Is the text a JSON number?  NaN and Infinity are none. */
static bool
is_json_number(const char *value)
{
	const char *p = value[0] == '-' ? value + 1 : value;

	return *p >= '0' && *p <= '9';
}

/* Append a value of a built-in type that is no array. */
static void
add_scalar(StringInfo buf, Oid typid, const char *value)
{
	switch (typid)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			if (is_json_number(value))
				appendStringInfoString(buf, value);
			else
				escape_json(buf, value);
			break;
		case BOOLOID:
			appendStringInfoString(buf, value[0] == 't' ? "true" : "false");
			break;
		case JSONBOID:
			appendStringInfoString(buf, value);
			break;
		case JSONOID:
			if (json_fits_jsonb(value))
				appendStringInfoString(buf, value);
			else
				escape_json(buf, value);
			break;
		default:
			escape_json(buf, value);
	}
}

/* Append one dimension of an array; *next is the element to come. */
static void
add_dimension(StringInfo buf, Oid elemtype, int ndim, const int *dims,
			  Datum *elems, bool *nulls, int *next)
{
	appendStringInfoChar(buf, '[');
	for (int i = 0; i < dims[0]; i++)
	{
		if (i > 0)
			appendStringInfoChar(buf, ',');
		if (ndim > 1)
			add_dimension(buf, elemtype, ndim - 1, dims + 1, elems, nulls, next);
		else
		{
			if (nulls[*next])
				appendStringInfoString(buf, "null");
			else
				add_scalar(buf, elemtype, TextDatumGetCString(elems[*next]));
			(*next)++;
		}
	}
	appendStringInfoChar(buf, ']');
}

/*
 * Append an array's output text.  It is read as an array of text, which calls
 * no input function of its elements' type.
 */
static void
add_array(StringInfo buf, Oid elemtype, const char *value)
{
	FmgrInfo	flinfo;
	ArrayType  *array;
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	int			next = 0;

	fmgr_info(F_ARRAY_IN, &flinfo);
	array = DatumGetArrayTypeP(InputFunctionCall(&flinfo, unconstify(char *, value), TEXTOID, -1));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &nelems);
	if (nelems == 0)
		appendStringInfoString(buf, "[]");
	else
		add_dimension(buf, elemtype, ARR_NDIM(array), ARR_DIMS(array), elems, nulls, &next);
}

/*
 * json_add_value: append a value as JSON text.  type is its type's name as
 * the layout has it; value NULL is null.
 */
static void
json_add_value(StringInfo buf, const char *type, const char *value)
{
	Oid			typid;
	Oid			elemtype;

	if (value == NULL)
	{
		appendStringInfoString(buf, "null");
		return;
	}

	typid = builtin_base_type(type);
	elemtype = OidIsValid(typid) ? get_element_type(typid) : InvalidOid;

	/*
	 * Of all types only box has another delimiter than the comma; int2vector
	 * and its like have elements, and are written otherwise.
	 */
	if (OidIsValid(elemtype) && elemtype != BOXOID && get_array_type(elemtype) == typid)
		add_array(buf, elemtype, value);
	else
		add_scalar(buf, typid, value);
}

/*
 * json_of_positions: a jsonb object of columns of a layout and their values;
 * the lists are of the same length.  NULL, as a pointer, if there are none.
 */
Datum
json_of_positions(Layout *layout, List *positions, List *values)
{
	StringInfoData buf;
	ListCell   *lc;
	ListCell   *lv;

	if (positions == NIL)
		return (Datum) 0;

	initStringInfo(&buf);
	forboth(lc, positions, lv, values)
	{
		int			p = lfirst_int(lc);

		appendStringInfoChar(&buf, buf.len == 0 ? '{' : ',');
		escape_json(&buf, layout->names[p - 1]);
		appendStringInfoChar(&buf, ':');
		json_add_value(&buf, lfirst(lv) == (void *) column_mask ? "text" : layout->types[p - 1],
					   lfirst(lv));
	}
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/*
 * idflow.key_json(layout, columns, key): a key as the inbox shows it.
 */
Datum
idflow_key_json(PG_FUNCTION_ARGS)
{
	Layout	   *layout;
	Image	   *key;
	List	   *positions = NIL;
	List	   *values = NIL;
	Datum		result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();

	layout = layout_by_id(PG_GETARG_INT64(0));
	key = image_from_arrays(PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1),
							PG_GETARG_DATUM(2), false);
	for (int i = 0; i < key->n; i++)
	{
		int			p = image_position(key, i);

		if (p < 1 || p > layout->ncolumns)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("layout " INT64_FORMAT " has no column %d", layout->id, p)));
		positions = lappend_int(positions, p);
		values = lappend(values, key->values[i]);
	}
	result = json_of_positions(layout, positions, values);
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
