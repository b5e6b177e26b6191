/*-------------------------------------------------------------------------
 *
 * column.c
 *	  What workflows say of single columns: the Column element.
 *
 * A change is under the workflows whose gates it met; where they differ, the
 * one that shows least counts.  What is shown is authority: the versions that
 * are in force count, not the one that a request began with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "attach.h"
#include "column.h"
#include "definition.h"

const char	column_mask[] = "***";

static ColumnShow
show_of(const DefinitionElement *column)
{
	const char *show = column ? element_value(column, "Show") : NULL;

	if (show == NULL || strcmp(show, "Yes") == 0)
		return COLUMN_SHOWN;
	return strcmp(show, "Masked") == 0 ? COLUMN_MASKED : COLUMN_HIDDEN;
}

/*
 * workflow_column: what a workflow says of a column; NULL if nothing.
 */
DefinitionElement *
workflow_column(Workflow *wf, const char *name)
{
	ListCell   *lc;

	foreach(lc, wf->element->children)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);

		if (strcmp(element->name, "Column") == 0 &&
			strcmp(element_value(element, "Name"), name) == 0)
			return element;
	}
	return NULL;
}

/*
 * workflow_hides_columns: does a workflow show any column less than fully?
 */
bool
workflow_hides_columns(Workflow *wf)
{
	ListCell   *lc;

	foreach(lc, wf->element->children)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);

		if (strcmp(element->name, "Column") == 0 && show_of(element) != COLUMN_SHOWN)
			return true;
	}
	return false;
}

/*
 * change_hides_columns: does any of a change's workflows?
 */
bool
change_hides_columns(Change *change)
{
	ListCell   *lc;

	foreach(lc, change->gates)
	{
		Workflow   *wf = workflow_current(lfirst(lc), true);

		if (wf && workflow_hides_columns(wf))
			return true;
	}
	return false;
}

/*
 * column_show: how much of a column's values may be shown.
 */
ColumnShow
column_show(Change *change, const char *name)
{
	ColumnShow	result = COLUMN_SHOWN;
	ListCell   *lc;

	foreach(lc, change->gates)
	{
		Workflow   *wf = workflow_current(lfirst(lc), true);

		if (wf)
			result = Max(result, show_of(workflow_column(wf, name)));
	}
	return result;
}

/*
 * columns_show: the same for all positions of the change's layout, from 1, in
 * the current memory context; NULL if all of them are shown.
 */
ColumnShow *
columns_show(Change *change)
{
	ColumnShow *result;

	if (!change_hides_columns(change))
		return NULL;
	result = (ColumnShow *) palloc0((change->layout->ncolumns + 1) * sizeof(ColumnShow));
	for (int p = 1; p <= change->layout->ncolumns; p++)
		result[p] = column_show(change, change->layout->names[p - 1]);
	return result;
}

/*
 * column_label: what people call a column: the DisplayName of the first of the
 * change's workflows that has one for it, in a principal's language, else its
 * name.
 */
const char *
column_label(Change *change, const char *name, const char *principal)
{
	ListCell   *lc;

	foreach(lc, change->gates)
	{
		Workflow   *wf = workflow_current(lfirst(lc), true);
		DefinitionElement *column = wf ? workflow_column(wf, name) : NULL;
		const char *label = column ? element_text(column, "DisplayName", principal) : NULL;

		if (label)
			return label;
	}
	return name;
}

/* What one workflow says becomes of a touched column that others have changed. */
static ColumnMerge
workflow_merge(Workflow *wf, const char *name)
{
	DefinitionElement *column = workflow_column(wf, name);
	const char *merge = column ? element_value(column, "Merge") : NULL;

	if (merge == NULL || strcmp(merge, "Conflict") == 0)
		return MERGE_CONFLICT;
	return strcmp(merge, "Live") == 0 ? MERGE_LIVE :
		strcmp(merge, "Draft") == 0 ? MERGE_DRAFT :
		strcmp(merge, "Next") == 0 ? MERGE_NEXT : MERGE_BY_KEY;
}

/*
 * The workflows that have a say in a change: those whose gates it met, and the
 * one that the request is in, in the version that it runs.
 */
static List *
change_workflows(Request *req, Change *change)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (req->workflow)
		result = lappend(result, req->workflow);
	foreach(lc, change->gates)
	{
		Workflow   *wf;

		if (req->workflow && strcmp(lfirst(lc), req->workflow->name) == 0)
			continue;
		wf = workflow_current(lfirst(lc), true);
		if (wf)
			result = lappend(result, wf);
	}
	return result;
}

/*
 * column_require_editable: errors if the people of the activity at hand may
 * not save the column: Edit lists the activities whose people may.
 */
void
column_require_editable(Request *req, Change *change, const char *name)
{
	Activity   *activity = request_activity(req);
	ListCell   *lc;

	foreach(lc, change_workflows(req, change))
	{
		Workflow   *wf = (Workflow *) lfirst(lc);
		DefinitionElement *column = workflow_column(wf, name);
		const char *edit = column ? element_value(column, "Edit") : NULL;

		if (edit == NULL ||
			(wf == req->workflow && activity && name_in_list(activity->name, definition_list(edit))))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("column \"%s\" can't be saved in activity \"%s\"", name,
						activity ? activity->name : ""),
				 edit[strspn(edit, " ")] == '\0' ?
				 errdetail("Workflow \"%s\" lets nobody edit it.", wf->name) :
				 errdetail("Workflow \"%s\" lets it be edited in: %s.", wf->name, edit)));
	}
}

/*
 * change_is_exact: must what is written be what was reviewed?  Unless all of
 * its workflows say Exact="false".
 */
bool
change_is_exact(Request *req, Change *change)
{
	ListCell   *lc;

	foreach(lc, change_workflows(req, change))
		if (((Workflow *) lfirst(lc))->exact)
			return true;
	return false;
}

/*
 * column_merge: what becomes of a touched column that others have changed.  If
 * the change's workflows say different things, it is a conflict; one that says
 * nothing leaves it to the others.
 */
ColumnMerge
column_merge(Request *req, Change *change, const char *name)
{
	ColumnMerge result = MERGE_CONFLICT;
	bool		said = false;
	ListCell   *lc;

	foreach(lc, change_workflows(req, change))
	{
		Workflow   *wf = (Workflow *) lfirst(lc);
		DefinitionElement *column = workflow_column(wf, name);
		ColumnMerge merge = workflow_merge(wf, name);

		if (column == NULL || element_value(column, "Merge") == NULL)
			continue;
		if (said && merge != result)
			return MERGE_CONFLICT;
		result = merge;
		said = true;
	}
	return result;
}
/*
 * column_fits: whether what a workflow says of a column can be done to that
 * column of a table; errors if not.
 */
void
column_fits(Workflow *wf, const DefinitionElement *column, Relation rel)
{
	const char *name = element_value(column, "Name");
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);
	ColumnMerge merge = workflow_merge(wf, name);
	Form_pg_attribute att;
	Oid			type;

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
						RelationGetRelationName(rel)),
				 errdetail("It is named by %s.", element_place(wf, column))));
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	type = getBaseType(att->atttypid);
	if (show_of(column) != COLUMN_SHOWN &&
		bms_is_member(attnum, row_key_attnums(rel, NULL)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of table \"%s\" is part of the key and can't be hidden", name,
						RelationGetRelationName(rel)),
				 errdetail("Nobody could tell which row is meant by %s.", element_place(wf, column)),
				 errhint("Give the table a key that is no secret.")));
	if (merge == MERGE_NEXT && type != INT2OID && type != INT4OID && type != INT8OID && type != NUMERICOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("Merge=\"Next\" needs a whole or numeric column, not \"%s\" of type %s", name,
						format_type_be(att->atttypid)),
				 errdetail("It is in %s.", element_place(wf, column)),
				 errhint("Use Merge=\"Live\" or Merge=\"Draft\".")));
	if (merge == MERGE_BY_KEY && type != JSONBOID && !OidIsValid(get_element_type(type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("Merge=\"ByKey\" needs a jsonb or array column, not \"%s\" of type %s", name,
						format_type_be(att->atttypid)),
				 errdetail("It is in %s.", element_place(wf, column)),
				 errhint("Use Merge=\"Live\" or Merge=\"Draft\".")));
	if (merge != MERGE_CONFLICT && att->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" of table \"%s\" is generated and is not merged", name,
						RelationGetRelationName(rel)),
				 errdetail("It is in %s.", element_place(wf, column))));
}

/*
 * rethrow_without_values: in a PG_CATCH(): throw the error again without the
 * parts in which PostgreSQL shows values of rows, for the client and for the
 * server's log.
 */
void
rethrow_without_values(void)
{
	ErrorData  *error;

	MemoryContextSwitchTo(TopTransactionContext);
	error = CopyErrorData();
	FlushErrorState();
	error->detail = NULL;
	error->detail_log = NULL;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION)
		error->message = "a value is not valid for its column";
	ReThrowError(error);
}
