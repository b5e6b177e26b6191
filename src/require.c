/*-------------------------------------------------------------------------
 *
 * require.c
 *		idflow.require_approval(): a workflow for one table in one call.
 *
 * It writes a definition like anybody could, hands it to idflow.deploy() and
 * attaches the result.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/xml.h"

#include "attach.h"
#include "expression_parse.h"
#include "idflow.h"

static char *approval_name(Relation rel);
static char *identifier_from(const char *name);
static bool attached_elsewhere(const char *workflow, Oid relid);
static void append_attribute(StringInfo buf, const char *name, const char *value);
static char *approval_definition(const char *name, Relation rel,
								 const char *profile, const char *expression);
static void deploy_definition(const char *definition);
static char *argument_text(FunctionCallInfo fcinfo, int n, const char *name);

PG_FUNCTION_INFO_V1(idflow_require_approval);

/*
 * idflow.require_approval(target regclass, profile text, expression text,
 *						   operations text[], condition text,
 *						   columns name[]) RETURNS text
 *
 * Returns the workflow's name.
 */
Datum
idflow_require_approval(PG_FUNCTION_ARGS)
{
	char	   *profile = argument_text(fcinfo, 1, "profile");
	char	   *expression = argument_text(fcinfo, 2, "expression");
	char	   *condition = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	List	   *columns = PG_ARGISNULL(5) ? NIL : attach_columns(PG_GETARG_DATUM(5));
	List	   *operations;
	Oid			relid;
	Relation	rel;
	char	   *name;
	char	   *definition;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target must not be null")));
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("operations must not be null")));
	relid = PG_GETARG_OID(0);
	operations = attach_operations(PG_GETARG_DATUM(3));

	/*
	 * The lock that deploy takes comes before the table's, as it does in a
	 * transaction that deploys and then attaches; and nobody else may choose
	 * the name that we are about to choose.
	 */
	LockRelationOid(extension_relid("workflow"), ShareRowExclusiveLock);

	/* What is wrong with the table is said before anything is deployed. */
	rel = attach_open_target(relid);
	attach_check_target(rel, operations);
	name = approval_name(rel);
	definition = approval_definition(name, rel, profile, expression);
	table_close(rel, NoLock);

	deploy_definition(definition);

	/* What was deployed is to be seen by reads under the active snapshot. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	attach_workflow(name, relid, operations, condition, columns);
	PopActiveSnapshot();

	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * A text argument as C string, NULL for NULL.  Errors if it is empty.
 */
static char *
argument_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	char	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (value[strspn(value, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name),
				 errhint("Leave it out, or NULL, to have none.")));
	return value;
}

/*
 * The name of the table's workflow: <table>_approval, with the schema before
 * it if another table has that one.
 */
static char *
approval_name(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	char	   *table = identifier_from(RelationGetRelationName(rel));
	char	   *schema = identifier_from(get_namespace_name(RelationGetNamespace(rel)));
	char	   *name = fitting_name("", table, "_approval");

	if (!attached_elsewhere(name, relid))
		return name;

	name = fitting_name("", psprintf("%s_%s", schema, table), "_approval");
	if (attached_elsewhere(name, relid))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("workflow \"%s\" is attached to another table", name),
				 errhint("Deploy a workflow of another name with idflow.deploy() and attach it.")));
	return name;
}

/*
 * A name with everything but letters, digits and underscores replaced, so
 * that it can stand in an Identifier, in a state's name and in a path.
 */
static char *
identifier_from(const char *name)
{
	char	   *result = pstrdup(name);

	for (char *p = result; *p; p++)
	{
		if (!IS_HIGHBIT_SET(*p) && *p != '_' &&
			!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
			!(*p >= '0' && *p <= '9'))
			*p = '_';
	}
	return result;
}

/*
 * Is a workflow of this name attached to another table than this one?
 */
static bool
attached_elsewhere(const char *workflow, Oid relid)
{
	static StorePlan plan = {
		"SELECT FROM idflow.gate_trigger t"
		" WHERE t.function OPERATOR(pg_catalog.=) 'gate'"
		" AND t.tgparentid OPERATOR(pg_catalog.=) 0"
		" AND t.tgrelid OPERATOR(pg_catalog.<>) $2"
		" AND idflow.trigger_argument(t.tgargs, 1) OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, OIDOID}
	};
	Datum		values[2];
	UserSwitch	save;
	bool		result;

	store_begin(&save);
	values[0] = CStringGetTextDatum(workflow);
	values[1] = ObjectIdGetDatum(relid);
	result = store_exec_latest(&plan, values) > 0;
	store_end(&save);
	return result;
}

/*
 * Append an attribute.  What core's escape_xml() leaves to element content is
 * escaped here: quotes, and white space that would be normalised.
 */
static void
append_attribute(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, " %s=\"", name);
	for (const char *p = escape_xml(value); *p; p++)
	{
		switch (*p)
		{
			case '"':
				appendStringInfoString(buf, "&quot;");
				break;
			case '\n':
				appendStringInfoString(buf, "&#10;");
				break;
			case '\t':
				appendStringInfoString(buf, "&#9;");
				break;
			default:
				appendStringInfoChar(buf, *p);
		}
	}
	appendStringInfoChar(buf, '"');
}

/*
 * The definition: who changes the table requests, the holders of the profile
 * or whom the expression yields review, then it is written.
 */
static char *
approval_definition(const char *name, Relation rel,
					const char *profile, const char *expression)
{
	StringInfoData buf;
	char	   *table = psprintf("%s.%s",
								 get_namespace_name(RelationGetNamespace(rel)),
								 RelationGetRelationName(rel));

	initStringInfo(&buf);
	appendStringInfoString(&buf, "<Workflow");
	append_attribute(&buf, "Identifier", name);
	append_attribute(&buf, "DisplayName_L1", psprintf("Approval of %s", table));
	appendStringInfoString(&buf,
						   ">\n"
						   "  <Activity Identifier=\"Request\" DisplayName_L1=\"Request\" Template=\"ActionWithRefine\"/>\n"
						   "  <Activity Identifier=\"Review\" DisplayName_L1=\"Review\" Template=\"ReviewWithFeedback\"");
	if (profile == NULL && expression == NULL)
		appendStringInfoString(&buf, "/>\n");
	else
	{
		appendStringInfoString(&buf, ">\n");
		if (profile != NULL)
		{
			appendStringInfoString(&buf, "    <Actor");
			append_attribute(&buf, "Profile", profile);
			appendStringInfoString(&buf, "/>\n");
		}
		if (expression != NULL)
		{
			if (expression_language(expression, NULL) == EXPRESSION_UNKNOWN)
				expression = psprintf("SQL:%s", expression);
			appendStringInfoString(&buf, "    <Actor");
			append_attribute(&buf, "Expression", expression);
			appendStringInfoString(&buf, "/>\n");
		}
		appendStringInfoString(&buf, "  </Activity>\n");
	}
	appendStringInfoString(&buf,
						   "  <Activity Identifier=\"Persist\" DisplayName_L1=\"Persist\" Template=\"Persist\"/>\n"
						   "</Workflow>");
	return buf.data;
}

/*
 * Deploy a definition as the current user, whose role its expressions will
 * run as.
 */
static void
deploy_definition(const char *definition)
{
	Oid			argtypes[1] = {TEXTOID};
	Datum		values[1];
	int			rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	values[0] = CStringGetTextDatum(definition);
	rc = SPI_execute_with_args("SELECT FROM idflow.deploy($1::pg_catalog.xml)", 1,
							   argtypes, values, NULL, false, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not call idflow.deploy(): %s", SPI_result_code_string(rc));
	SPI_finish();
}
