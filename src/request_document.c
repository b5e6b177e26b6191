/*-------------------------------------------------------------------------
 *
 * request_document.c
 *	  A request as an XML document, which XPath expressions see.
 *
 * Elements and namespace are those of WSO2's workflow request, so that its
 * conditions can be taken over: a parameter for each column.  The row before
 * stands in elements of another name, which no path to a parameter meets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/xml.h"

#include "decide.h"
#include "edit.h"
#include "xpath.h"

PG_FUNCTION_INFO_V1(idflow_request_document);

/*
 * Append text, escaped.  What XML can't hold, control characters, becomes a
 * question mark.
 */
static void
append_text(StringInfo xml, const char *text)
{
	char	   *copy = NULL;

	for (const char *p = text; *p; p++)
	{
		unsigned char c = (unsigned char) *p;

		/* in every server encoding such a byte is a character of its own */
		if (c >= 0x20 || c == '\t' || c == '\n' || c == '\r')
			continue;
		if (copy == NULL)
			copy = pstrdup(text);
		copy[p - text] = '?';
	}
	if (GetDatabaseEncoding() == PG_UTF8)
	{
		const char *p = copy ? copy : text;

		/* U+FFFE and U+FFFF */
		while ((p = strstr(p, "\xef\xbf")) != NULL)
		{
			if ((unsigned char) p[2] >= 0xbe)
			{
				if (copy == NULL)
				{
					copy = pstrdup(text);
					p = copy + (p - text);
				}
				memcpy(copy + (p - copy), "???", 3);
			}
			p += 2;
		}
	}
	/* a carriage return, raw, would be read as a line feed */
	for (char *p = escape_xml(copy ? copy : text); *p; p++)
	{
		if (*p == '"')
			appendStringInfoString(xml, "&quot;");
		else
			appendStringInfoChar(xml, *p);
	}
}

static void
append_element(StringInfo xml, const char *name, const char *text)
{
	appendStringInfo(xml, "<p:%s>", name);
	if (text)
		append_text(xml, text);
	appendStringInfo(xml, "</p:%s>", name);
}

static void
append_item(StringInfo xml, const char *name, const char *text)
{
	appendStringInfoString(xml, "<p:itemValue");
	if (name)
	{
		appendStringInfoString(xml, " itemName=\"");
		append_text(xml, name);
		appendStringInfoChar(xml, '"');
	}
	appendStringInfoChar(xml, '>');
	append_text(xml, text);
	appendStringInfoString(xml, "</p:itemValue>");
}

static void
append_array(StringInfo xml, Datum value, Oid element)
{
	int16		len;
	bool		byval;
	char		align;
	Oid			output;
	bool		varlena;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	get_typlenbyvalalign(element, &len, &byval, &align);
	getTypeOutputInfo(element, &output, &varlena);
	deconstruct_array(DatumGetArrayTypeP(value), element, len, byval, align, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			append_item(xml, NULL, OidOutputFunctionCall(output, values[i]));
}

/* The text of a member: a string itself, null as the first system writes it. */
static char *
member_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "Null";
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		default:
			{
				Jsonb	   *jsonb = JsonbValueToJsonb(value);

				return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
			}
	}
}

/* A JSON object is a map, an array a list, anything else one value. */
static void
append_json(StringInfo xml, Jsonb *jsonb)
{
	JsonbIterator *it = JsonbIteratorInit(&jsonb->root);
	JsonbValue	v;
	JsonbIteratorToken token;
	char	   *key = NULL;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE || token == WJB_ELEM)
			append_item(xml, key, member_text(&v));
	}
}

static void
append_value(StringInfo xml, Datum value, Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);
	Oid			output;
	bool		varlena;
	char	   *text;

	if (OidIsValid(element))
	{
		append_array(xml, value, element);
		return;
	}
	if (base == JSONBOID)
	{
		append_json(xml, DatumGetJsonbP(value));
		return;
	}
	getTypeOutputInfo(type, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	if (base == JSONOID)
		append_json(xml, json_from_text(text));
	else
		append_item(xml, NULL, text);
}

/*
 * Append a row's columns; row NULL: without their values.
 */
static void
append_row(StringInfo xml, const char *name, Relation rel, HeapTuple row)
{
	TupleDesc	desc = RelationGetDescr(rel);

	appendStringInfo(xml, "<p:%ss>", name);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool		isnull = true;
		Datum		value = 0;

		if (att->attisdropped)
			continue;
		CHECK_FOR_INTERRUPTS();
		appendStringInfo(xml, "<p:%s name=\"", name);
		append_text(xml, NameStr(att->attname));
		appendStringInfoString(xml, "\"><p:value>");
		if (row)
			value = heap_getattr(row, i + 1, desc, &isnull);
		if (!isnull)
			append_value(xml, value, att->atttypid);
		appendStringInfo(xml, "</p:value></p:%s>", name);
	}
	appendStringInfo(xml, "</p:%ss>", name);
}

/* The activities in which people act, and who they are by name. */
static void
append_configuration(StringInfo xml, Workflow *wf, const char *title)
{
	appendStringInfoString(xml, "<p:configuration>");
	for (int i = 1; i <= wf->nactivities; i++)
	{
		Activity   *activity = workflow_activity(wf, i);
		ListCell   *lc;

		if (!activity->template->is_interactive)
			continue;
		appendStringInfoString(xml, "<p:approvalStep>");
		append_element(xml, "stepName", activity->name);
		appendStringInfoString(xml, "<p:humanTask>");
		append_element(xml, "humanTaskSubject", title);
		append_element(xml, "humanTaskDescription", activity->display_name);
		appendStringInfoString(xml, "</p:humanTask>");
		foreach(lc, activity->actors)
			if (((ActorRule *) lfirst(lc))->principal)
				append_element(xml, "user", ((ActorRule *) lfirst(lc))->principal);
		foreach(lc, activity->actors)
			if (((ActorRule *) lfirst(lc))->profile)
				append_element(xml, "role", ((ActorRule *) lfirst(lc))->profile);
		appendStringInfoString(xml, "</p:approvalStep>");
	}
	appendStringInfoString(xml, "</p:configuration>");
}

static void
begin_document(StringInfo xml)
{
	initStringInfo(xml);
	appendStringInfoString(xml, "<p:ProcessRequest xmlns:p=\"" REQUEST_NAMESPACE "\">");
}

/*
 * request_document: the document for one change of a request, in the server's
 * encoding and the current memory context.  The change's rows are loaded.
 */
char *
request_document(Request *req, Workflow *wf, Change *change, Relation rel)
{
	StringInfoData xml;
	int			nest = transmission_modes_begin_for(change->layout);

	begin_document(&xml);
	append_element(&xml, "uuid", psprintf(INT64_FORMAT, req->id));
	append_element(&xml, "eventType", operation_name(change->operation));
	append_element(&xml, "taskInitiator", req->requester);
	append_row(&xml, "parameter", rel, change->new_row ? change->new_row : change->old_row);
	if (change->operation == CMD_UPDATE)
		append_row(&xml, "oldParameter", rel, change->old_row);
	append_configuration(&xml, wf, req->title);
	appendStringInfoString(&xml, "</p:ProcessRequest>");
	transmission_modes_end(nest);
	return xml.data;
}

/*
 * request_document_skeleton: the document for a table, without values: what is
 * to be evaluated over requests is tried on it.
 */
char *
request_document_skeleton(Relation rel)
{
	StringInfoData xml;

	begin_document(&xml);
	append_element(&xml, "uuid", NULL);
	append_element(&xml, "eventType", NULL);
	append_element(&xml, "taskInitiator", NULL);
	append_row(&xml, "parameter", rel, NULL);
	append_row(&xml, "oldParameter", rel, NULL);
	appendStringInfoString(&xml, "</p:ProcessRequest>");
	return xml.data;
}

/*
 * idflow.request_document(request bigint, change bigint) RETURNS xml: what
 * XPath sees of a request: of the change, or of its first.  idflow_admin.
 */
Datum
idflow_request_document(PG_FUNCTION_ARGS)
{
	int64		id = int64_argument(fcinfo, 0, "request");
	Request    *req = request_read(id);
	Change	   *change;
	Relation	rel;
	char	   *document;

	if (req == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_REQUEST),
				 errmsg("request " INT64_FORMAT " does not exist", id)));
	if (request_changes(req) == NIL || req->workflow == NULL)
		PG_RETURN_NULL();
	change = PG_ARGISNULL(1) ? (Change *) linitial(req->changes) :
		change_by_id(req, PG_GETARG_INT64(1));
	rel = row_open(change, AccessShareLock);
	row_load(req, change, rel);
	document = request_document(req, req->workflow, change, rel);
	table_close(rel, NoLock);
	PG_RETURN_XML_P(cstring_to_text(document));
}
