/*-------------------------------------------------------------------------
 *
 * aspect_invoke.c
 *	  InvokeFunctionAspect and InvokeWorkflowAspect: what a workflow sets off
 *	  in the transaction of its transition.
 *
 * Requests that come of either have this one as their parent.  While it is
 * half way through a step nothing else may move it; and what invokes itself is
 * stopped by the length of the chain of parents, see request_create().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "aspect.h"
#include "attach.h"
#include "compat.h"
#include "trust.h"

/* Requests whose aspects invoke something at this moment, innermost first. */
typedef struct Invoking
{
	int64		request;
	struct Invoking *outer;
} Invoking;

static Invoking *invoking = NULL;

/*
 * request_is_invoking: is a request half way through a step, in which one of
 * its aspects invokes something?
 */
bool
request_is_invoking(int64 request)
{
	for (Invoking *i = invoking; i; i = i->outer)
		if (i->request == request)
			return true;
	return false;
}

/*
 * invoking_request: the request whose aspect invokes what runs now, 0 if none;
 * *depth is how many do, one within the other.  None of them is stored yet.
 */
int64
invoking_request(int *depth)
{
	*depth = 0;
	for (Invoking *i = invoking; i; i = i->outer)
		(*depth)++;
	return invoking ? invoking->request : 0;
}

/* ---------------------------------------------------------------- functions */

/*
 * The call of an aspect's function over a table's rows; *nargs is 4 or 1.
 * Called as the deployer; errors if there is no such function.
 */
static char *
function_call(const DefinitionElement *element, Oid rowtype, int *nargs)
{
	const char *name = element_value(element, "Function");
	List	   *names = qualified_names(name);
	Oid			types[4] = {INT8OID, TEXTOID, rowtype, rowtype};

	if (OidIsValid(LookupFuncName(names, 4, types, true)))
		*nargs = 4;
	else if (OidIsValid(LookupFuncName(names, 1, types, true)))
		*nargs = 1;
	else
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist in a form that an aspect can call", name),
				 errhint("Make it %s(request bigint, operation text, old %s, new %s), or %s(request bigint).",
						 name, format_type_be(rowtype), format_type_be(rowtype), name)));
	return psprintf("SELECT %s(%s)", quote_qualified_identifier(list_length(names) > 1 ? strVal(linitial(names)) : NULL,
																strVal(llast(names))),
					*nargs == 4 ? "$1, $2, $3, $4" : "$1");
}

static SPIPlanPtr
prepare_call(const DefinitionElement *element, Oid rowtype, Oid deployer, int *nargs)
{
	Oid			types[4] = {INT8OID, TEXTOID, rowtype, rowtype};
	char	   *sql = function_call(element, rowtype, nargs);
	SPIPlanPtr	plan = SPI_prepare(sql, *nargs, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", sql);
	trust_check_plan(plan, deployer, psprintf("aspect \"%s\"", element_identifier(element)));
	return plan;
}

static Datum
row_datum(HeapTuple row, Relation rel, char *isnull)
{
	*isnull = row ? ' ' : 'n';
	return row ? heap_copy_tuple_as_datum(row, RelationGetDescr(rel)) : (Datum) 0;
}

static void
call_function(Request *req, Aspect *aspect, Change *change, Relation rel)
{
	Oid			deployer = deployer_role(req->workflow);
	UserSwitch	save;
	SPIPlanPtr	plan;
	Datum		values[4];
	char		nulls[5] = "    ";
	int			nargs;
	int			nest;
	int			rc;

	values[0] = Int64GetDatum(req->id);
	values[1] = CStringGetTextDatum(operation_name(change->operation));
	values[2] = row_datum(change->old_row, rel, &nulls[2]);
	values[3] = row_datum(change->new_row, rel, &nulls[3]);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);
	plan = prepare_call(aspect->element, rel->rd_rel->reltype, deployer, &nargs);
	rc = SPI_execute_plan(plan, values, nulls, false, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not call a function: %s", SPI_result_code_string(rc));
	restore_pinned(&save, nest);
	SPI_finish();
}

/*
 * invoke_function_run: call the function, as the role that deployed the
 * workflow.  What it returns is not looked at.
 */
void
invoke_function_run(Request *req, Aspect *aspect, Change *change)
{
	Invoking	me = {req->id, invoking};
	Relation	rel = row_open(change, AccessShareLock);

	row_load(req, change, rel);

	invoking = &me;
	PG_TRY();
	{
		call_function(req, aspect, change, rel);
	}
	PG_FINALLY();
	{
		invoking = me.outer;
	}
	PG_END_TRY();
	table_close(rel, NoLock);
}

/*
 * invoke_function_fits: the function is there, and nobody but the deployer or
 * a superuser can change it; errors if not.
 */
void
invoke_function_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer)
{
	UserSwitch	save;
	int			nargs;
	int			nest;

	element_fits(wf, element, rel, deployer);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);
	SPI_freeplan(prepare_call(element, rel->rd_rel->reltype, deployer, &nargs));
	restore_pinned(&save, nest);
	SPI_finish();
}

/* ---------------------------------------------------------------- workflows */

static Image *
empty_image(void)
{
	Image	   *image = (Image *) palloc0(sizeof(Image));

	image->columns = (int16 *) palloc0(sizeof(int16));
	image->values = (char **) palloc0(sizeof(char *));
	return image;
}

/*
 * What the invoked workflow works on: the row of the change, as it will be
 * found then, nothing of it touched; or the deletion itself where the row has
 * gone already.
 */
static Change *
invoked_change(Request *req, Change *change, const char *workflow)
{
	Change	   *copy = (Change *) palloc0(sizeof(Change));
	bool		gone = change->operation == CMD_DELETE && req->persisted;

	if (change->key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s has no key by which workflow \"%s\" could find the row again",
						change->target_name, workflow),
				 errhint("Add a primary key to the table.")));
	copy->target = change->target;
	copy->target_name = change->target_name;
	copy->operation = gone ? CMD_DELETE : CMD_UPDATE;
	copy->layout = change->layout;
	copy->gates = list_make1(pstrdup(workflow));
	copy->key = image_copy(change->key);
	copy->old_image = gone ? image_copy(change->old_image) : empty_image();
	copy->new_image = gone ? NULL : empty_image();
	copy->context = change->context;
	return copy;
}

/*
 * invoke_workflow_run: a request of its own in another workflow, on the rows
 * of this one's changes, by the same requester.
 */
void
invoke_workflow_run(Request *req, Aspect *aspect, Change *change)
{
	Invoking	me = {req->id, invoking};
	Workflow   *wf = workflow_current(element_value(aspect->element, "Workflow"), false);
	Request    *child;
	ListCell   *lc;

	invoking = &me;
	PG_TRY();
	{
		child = request_create(req->requester);
		child->requester_binding = req->requester_binding;
		child->tenant = req->tenant;
		child->role = req->role;
		child->role_binding = req->role_binding;
		child->workflow = wf;
		child->acting = req->acting;
		child->acting_via = req->acting_via;
		child->subject = req->subject;
		child->subject_binding = req->subject_binding;
		foreach(lc, governed_changes(req))
		{
			Change	   *copy = invoked_change(req, (Change *) lfirst(lc), wf->name);

			child->persisted |= copy->operation == CMD_DELETE;
			change_add(child, copy);
			change_store(child, copy);
		}
		request_name(child, (Change *) linitial(child->changes));
		engine_start(child, wf);
		request_write(child);
	}
	PG_FINALLY();
	{
		invoking = me.outer;
	}
	PG_END_TRY();
	request_event(req, req->acting, "workflow", "InvokeWorkflow",
				  psprintf("request " INT64_FORMAT " in workflow %s", child->id, wf->name));
}
