/*-------------------------------------------------------------------------
 *
 * propose.c
 *	  idflow.propose(): asking for a change of a table on which one has no
 *	  privilege.
 *
 * The plain statement is run as the workflow's ApplyAs, so that types,
 * defaults, policies and checks are PostgreSQL's own, and the gate drafts its
 * row.  A statement that doesn't end in a draft is an error, which takes back
 * whatever it did.  Who asks is the actor, as ever; an access rule of the
 * first activity must let him.
 *
 * He who may not read the table must not learn of its rows by asking.  So the
 * rule is looked at before anything else, a row that isn't there is refused in
 * the same words as one that no rule covers, what he names is drafted whether
 * or not it differs from what is there, that other rows are in the way is left
 * to the apply, and errors don't show values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "access.h"
#include "attach.h"
#include "compat.h"
#include "decide.h"
#include "notice.h"
#include "plancache.h"
#include "propose.h"
#include "session.h"
#include "template.h"

PG_FUNCTION_INFO_V1(idflow_propose);

/* What is being proposed; one at a time. */
typedef struct Proposal
{
	Oid			target;
	CmdType		operation;
	Oid			roleid;			/* the ApplyAs */
	const char *role;
	bool		blind;			/* who asks may not read the table */
	List	   *columns;		/* names of those that he gives values for */
	int64		request;		/* once it is drafted */
} Proposal;

static Proposal *proposal = NULL;

/* proposal_is_for: is a row of rel, or of its parents, being proposed? */
bool
proposal_is_for(Relation rel)
{
	if (proposal == NULL || applying_request() != 0)
		return false;
	return RelationGetRelid(rel) == proposal->target ||
		(rel->rd_rel->relispartition &&
		 list_member_oid(get_partition_ancestors(RelationGetRelid(rel)), proposal->target));
}

/* proposal_is_blind: the same, by somebody who may not read the table. */
bool
proposal_is_blind(Relation rel)
{
	return proposal != NULL && proposal->blind && proposal_is_for(rel);
}

/*
 * proposal_touches: attribute numbers of the columns that an UPDATE touches:
 * of a proposal all that it names, too.
 */
Bitmapset *
proposal_touches(Relation rel, Bitmapset *touched)
{
	ListCell   *lc;

	if (!proposal_is_for(rel))
		return touched;
	foreach(lc, proposal->columns)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));

		if (attnum > 0 && TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == '\0')
			touched = bms_add_member(touched, attnum);
	}
	return touched;
}

static void
refuse_row(const char *actor)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("\"%s\" may not ask for this %s on table \"%s\"", actor,
					operation_name(proposal->operation), get_rel_name(proposal->target)),
			 errdetail("No access rule of the workflow's first activity lets him, or there is no such row.")));
}

/*
 * proposal_admit: the row is drafted and nothing else has been looked at.  May
 * the actor ask for it?
 */
void
proposal_admit(Request *req, Workflow *wf, Change *change, const char *actor)
{
	const char *role = workflow_apply_as(wf);
	const char *via;

	if (proposal->request != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_GATE_HAZARD),
				 errmsg("a proposal is about one row of table \"%s\", and its triggers write another",
						get_rel_name(proposal->target))));
	if (role == NULL || strcmp(role, proposal->role) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("changes like this go to workflow \"%s\", which takes no proposals", wf->name),
				 errdetail("It is applied as \"%s\", not as its own ApplyAs.", proposal->role)));

	req->workflow = wf;
	req->position = 1;
	req->activity_state = STATE_ACTION_PENDING;
	req->changes = list_make1(change);
	via = access_permits(req, actor);
	req->workflow = NULL;
	req->position = 0;
	req->activity_state = NULL;
	req->changes = NIL;
	if (via == NULL)
		refuse_row(actor);
	req->acting_via = via;
	req->apply_as_of = wf->id;
	proposal->request = req->id;
}

/* ------------------------------------------------------------ the arguments */

static CmdType
operation_argument(FunctionCallInfo fcinfo)
{
	static const CmdType operations[] = {CMD_INSERT, CMD_UPDATE, CMD_DELETE};
	char	   *name = text_argument(fcinfo, 1);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "operation")));
	for (int i = 0; i < lengthof(operations); i++)
		if (pg_strcasecmp(name, operation_name(operations[i])) == 0)
			return operations[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid operation: \"%s\"", name),
			 errhint("Operations are INSERT, UPDATE and DELETE.")));
	return CMD_UNKNOWN;
}

/*
 * The columns that a jsonb object names, in its order; NIL: null, which is fine
 * unless it is required.
 */
static List *
object_columns(FunctionCallInfo fcinfo, int argument, const char *name, Relation rel)
{
	Jsonb	   *object = PG_ARGISNULL(argument) ? NULL : PG_GETARG_JSONB_P(argument);
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;
	List	   *result = NIL;

	if (object == NULL)
		return NIL;
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be an object of columns and values", name)));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *column;
		AttrNumber	attnum;

		if (token != WJB_KEY)
			continue;
		column = pnstrdup(value.val.string.val, value.val.string.len);
		attnum = get_attnum(RelationGetRelid(rel), column);
		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist", column,
							RelationGetRelationName(rel))));
		result = lappend(result, column);
	}
	return result;
}

/* The key must name the row's: then it is about one row, and asks no others. */
static void
check_key(Relation rel, List *columns)
{
	Bitmapset  *key = row_key_attnums(rel, NULL);
	Bitmapset  *given = NULL;
	StringInfoData names;
	int			attnum = -1;
	ListCell   *lc;

	foreach(lc, columns)
		given = bms_add_member(given, get_attnum(RelationGetRelid(rel), lfirst(lc)));
	if (key && bms_equal(key, given))
		return;
	initStringInfo(&names);
	while ((attnum = bms_next_member(key, attnum)) >= 0)
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" must name the key of table \"%s\"", "key", RelationGetRelationName(rel)),
			 key ? errdetail("Its key is: %s.", names.data) : errdetail("It has none.")));
}

/*
 * The first workflow, in the order of the gates, that takes proposals of this
 * operation; errors if there is none.
 */
static Workflow *
proposal_workflow(Relation rel, CmdType operation)
{
	int			n = rel->trigdesc ? rel->trigdesc->numtriggers : 0;
	List	   *names = NIL;
	ListCell   *lc;

	/* looking for workflows may rebuild the relcache entry */
	for (int i = 0; i < n; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger_is_gate(trigger) && trigger->tgenabled != TRIGGER_DISABLED &&
			(trigger->tgtype & operation_trigger_event(operation)) && trigger_workflow(trigger))
			names = lappend(names, pstrdup(trigger_workflow(trigger)));
	}
	foreach(lc, names)
	{
		Workflow   *wf = workflow_current(lfirst(lc), true);

		if (wf && workflow_apply_as(wf))
			return wf;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table \"%s\" takes no proposals of %s", RelationGetRelationName(rel),
					operation_name(operation)),
			 errdetail("No gate that is on belongs to a workflow with ApplyAs.")));
	return NULL;
}

/* Nothing of the present transaction's may get between the statement and its gate. */
static void
require_plain_transaction(void)
{
	if (proposal != NULL || applying_request() || collecting_request() || bypass_reason())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot propose a change here"),
				 errdetail("This transaction proposes, collects or applies another request, or bypasses the gates."),
				 errhint("A proposal is a request of its own.")));
}

/*
 * Objects in the session's temporary schema would be found by what runs as the
 * role, under names that it doesn't qualify.
 */
static void
refuse_temporary_objects(void)
{
	static StorePlan plan = {
		"SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) $1"
		" UNION ALL SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace OPERATOR(pg_catalog.=) $1"
		" LIMIT 1",
		1, {OIDOID}
	};
	Oid			temp;
	Oid			temp_toast;
	Datum		values[1];

	GetTempNamespaceState(&temp, &temp_toast);
	if (!OidIsValid(temp))
		return;
	values[0] = ObjectIdGetDatum(temp);
	if (store_finds(&plan, values, true))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot propose a change in a session that has temporary objects"),
				 errdetail("What runs with the rights of another role could take them for its own."),
				 errhint("DISCARD TEMP drops them.")));
}

/* ------------------------------------------------------------ the statement */

/* jsonb_to_record($n) AS alias(columns with their types) */
static void
append_record(StringInfo sql, Relation rel, List *columns, int argument, const char *alias)
{
	ListCell   *lc;

	appendStringInfo(sql, "pg_catalog.jsonb_to_record($%d) AS %s(", argument, alias);
	foreach(lc, columns)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

		appendStringInfo(sql, "%s%s %s", foreach_current_index(lc) ? ", " : "",
						 quote_identifier(lfirst(lc)),
						 format_type_extended(att->atttypid, att->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	}
	appendStringInfoChar(sql, ')');
}

static void
append_columns(StringInfo sql, List *columns, const char *alias)
{
	ListCell   *lc;

	foreach(lc, columns)
		appendStringInfo(sql, "%s%s%s", foreach_current_index(lc) ? ", " : "", alias,
						 quote_identifier(lfirst(lc)));
}

static char *
proposal_sql(Relation rel, List *columns, List *key)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	if (proposal->operation == CMD_INSERT)
	{
		appendStringInfo(&sql, "INSERT INTO %s", table_sql(rel, false));
		if (columns == NIL)
		{
			appendStringInfoString(&sql, " DEFAULT VALUES");
			return sql.data;
		}
		appendStringInfoString(&sql, " (");
		append_columns(&sql, columns, "");
		appendStringInfoString(&sql, ") SELECT ");
		append_columns(&sql, columns, "n.");
		appendStringInfoString(&sql, " FROM ");
		append_record(&sql, rel, columns, 1, "n");
		return sql.data;
	}

	appendStringInfo(&sql, "%s %s AS o ", proposal->operation == CMD_UPDATE ? "UPDATE" : "DELETE FROM",
					 table_sql(rel, true));
	if (proposal->operation == CMD_UPDATE)
	{
		foreach(lc, columns)
			appendStringInfo(&sql, "%s%s = n.%s", foreach_current_index(lc) ? ", " : "SET ",
							 quote_identifier(lfirst(lc)), quote_identifier(lfirst(lc)));
		appendStringInfoString(&sql, " FROM ");
		append_record(&sql, rel, columns, 1, "n");
		appendStringInfoString(&sql, ", ");
	}
	else
		appendStringInfoString(&sql, "USING ");
	append_record(&sql, rel, key, 2, "k");
	foreach(lc, key)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));

		appendStringInfo(&sql, "%so.%s %s k.%s", foreach_current_index(lc) ? " AND " : " WHERE ",
						 quote_identifier(lfirst(lc)),
						 equality_operator(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid),
						 quote_identifier(lfirst(lc)));
	}
	return sql.data;
}

/* Are the values acceptable to their types?  Says so in the types' own words. */
static void
try_values(Relation rel, List *columns, int argument, Datum *values)
{
	Oid			types[2] = {JSONBOID, JSONBOID};
	StringInfoData sql;

	if (columns == NIL)
		return;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, columns, "n.");
	appendStringInfoString(&sql, " FROM ");
	append_record(&sql, rel, columns, argument, "n");
	if (SPI_execute_with_args(sql.data, 2, types, values, NULL, false, 1) < 0)
		elog(ERROR, "could not read what is proposed");
}

/*
 * In a PG_CATCH(): go on with an error, without what it may tell of rows.
 * What is about the server, the request or the proposal itself stays as it is.
 */
static void
rethrow_unseen(void)
{
	ErrorData  *error;

	MemoryContextSwitchTo(TopTransactionContext);
	error = CopyErrorData();
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INTERNAL_ERROR:
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):
			PG_RE_THROW();
		case MAKE_SQLSTATE('W', 'F', '0', '0', '0'):
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
			FlushErrorState();
			error->context = NULL;
			ReThrowError(error);
	}
	FlushErrorState();
	error->detail_log = psprintf("It was: %s%s%s", error->message, error->detail ? " " : "",
								 error->detail ? error->detail : "");
	if (error->sqlerrcode != ERRCODE_NOT_NULL_VIOLATION && error->sqlerrcode != ERRCODE_CHECK_VIOLATION)
		error->message = psprintf("the change can't be made to table \"%s\"", get_rel_name(proposal->target));
	error->detail = NULL;
	error->hint = NULL;
	error->context = NULL;
	ReThrowError(error);
}

/* Become the role, under a search_path that the one who asks can't write to. */
static int
become_role(UserSwitch *save, Relation rel, Oid asking)
{
	Oid			schema = RelationGetNamespace(rel);
	int			nest = become_pinned(save, proposal->roleid, 0);

	if (schema_aclcheck(schema, asking, ACL_CREATE) != ACLCHECK_OK)
		set_if_different("search_path",
						 psprintf("pg_catalog, %s, pg_temp", quote_identifier(get_namespace_name(schema))));
	return nest;
}

static void
set_for_statement(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Draft the row as the role; its request is in the proposal. */
static void
propose_row(Relation rel, List *columns, List *key, Datum *values, const char *nulls,
			const char *comment, const char *actor)
{
	Oid			types[2] = {JSONBOID, JSONBOID};
	Oid			asking = GetUserId();
	UserSwitch	save;
	int			nest;
	int			rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_role(&save, rel, asking);
	if (comment)
		set_for_statement("idflow.comment", comment);
	try_values(rel, columns, 1, values);
	try_values(rel, key, 2, values);

	PG_TRY();
	{
		/* what triggers say is for those who may read the table */
		if (proposal->blind)
			set_for_statement("client_min_messages", "error");
		rc = SPI_execute_with_args(proposal_sql(rel, columns, key), 2, types, values, nulls, false, 0);
		if (rc < 0)
			elog(ERROR, "could not propose: %s", SPI_result_code_string(rc));
		if (proposal->request == 0 && SPI_processed == 0)
			refuse_row(actor);
		if (proposal->request == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("no gate of table \"%s\" holds this %s", RelationGetRelationName(rel),
							operation_name(proposal->operation)),
					 errdetail("It would have been written without approval.")));
	}
	PG_CATCH();
	{
		if (proposal->blind)
			rethrow_unseen();
		PG_RE_THROW();
	}
	PG_END_TRY();
	restore_pinned(&save, nest);
	SPI_finish();
}

/*
 * idflow.propose(target regclass, operation text, new jsonb, key jsonb,
 *				  comment text) RETURNS bigint
 */
Datum
idflow_propose(PG_FUNCTION_ARGS)
{
	Proposal	made;
	CmdType		operation;
	Relation	rel;
	Workflow   *wf;
	List	   *columns;
	List	   *key;
	Datum		values[2];
	char		nulls[3] = "  ";
	const char *actor;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "target")));
	operation = operation_argument(fcinfo);
	PreventCommandDuringRecovery("idflow.propose()");
	actor = actor_name();
	require_plain_transaction();
	refuse_temporary_objects();

	/* with this lock nobody takes the gate away before the statement meets it */
	rel = try_relation_open(PG_GETARG_OID(0), RowExclusiveLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", PG_GETARG_OID(0))));
	wf = proposal_workflow(rel, operation);
	columns = object_columns(fcinfo, 2, "new", rel);
	key = object_columns(fcinfo, 3, "key", rel);
	if (operation == CMD_DELETE ? !PG_ARGISNULL(2) : PG_ARGISNULL(2) || (operation == CMD_UPDATE && columns == NIL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg(operation == CMD_DELETE ? "argument \"%s\" must be null for a %s" :
						"argument \"%s\" must have values for an %s", "new", operation_name(operation))));
	if (operation == CMD_INSERT && !PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be null for an %s", "key", "INSERT")));
	if (operation != CMD_INSERT)
		check_key(rel, key);
	for (int i = 0; i < 2; i++)
	{
		nulls[i] = PG_ARGISNULL(2 + i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(2 + i) ? (Datum) 0 : PG_GETARG_DATUM(2 + i);
	}

	memset(&made, 0, sizeof(made));
	made.target = RelationGetRelid(rel);
	made.operation = operation;
	made.role = workflow_apply_as(wf);
	made.roleid = apply_as_role(wf);
	apply_as_trusts(wf, rel);
	made.columns = columns;
	made.blind = !table_is_open(made.target);
	proposal = &made;
	PG_TRY();
	{
		propose_row(rel, columns, key, values, nulls, text_argument(fcinfo, 4), actor);
	}
	PG_FINALLY();
	{
		proposal = NULL;
	}
	PG_END_TRY();
	table_close(rel, NoLock);
	PG_RETURN_INT64(made.request);
}
