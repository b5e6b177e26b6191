/*-------------------------------------------------------------------------
 *
 * aspect_change.c
 *	  AddChangeAspect: a computed value for a column of the draft.
 *
 * It is part of the deployed definition and not somebody's edit: the draft
 * keeps its revision, votes stay, nobody becomes an editor.  But the value is
 * checked as every drafted one, and the history shows it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "aspect.h"
#include "attach.h"
#include "edit.h"

/*
 * aspect_position: the position in the change's layout of the column that an
 * attribute of an aspect names; errors if the table lacks it.
 */
int
aspect_position(Aspect *aspect, const char *attribute, Change *change, Relation rel)
{
	const char *binding = element_value(aspect->element, attribute);
	char	   *column = binding_column(binding, RelationGetDescr(rel));

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column for %s=\"%s\"",
						RelationGetRelationName(rel), attribute, binding)));
	return layout_position(change->layout, column);
}

static void
record_value(Request *req, Aspect *aspect, Change *change, int position)
{
	Event	   *event = request_event(req, req->acting, "workflow", "AddChange", NULL);
	JsonbParseState *state = NULL;

	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "aspect");
	json_string(&state, WJB_VALUE, aspect->name);
	json_key(&state, "change");
	json_int64(&state, WJB_VALUE, CHANGE_ID(req->id, change->seq));
	json_key(&state, "column");
	json_string(&state, WJB_VALUE, change->layout->names[position - 1]);
	json_key(&state, "digests");
	json_digests(&state, req);
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/*
 * canonical_text: the text in which a column's type writes the value that it reads from a
 * text; read as the requester, because a domain's checks are somebody's code.
 */
char *
canonical_text(Request *req, Form_pg_attribute att, const char *value)
{
	UserSwitch	save;
	Datum		datum;
	bool		isnull;
	Oid			output;
	bool		varlena;
	char	   *result;

	become(&save, requester_role(req), SECURITY_RESTRICTED_OPERATION);
	datum = row_value(att, value, &isnull);
	getTypeOutputInfo(att->atttypid, &output, &varlena);
	result = isnull ? NULL : OidOutputFunctionCall(output, datum);
	restore_user(&save);
	return result;
}

/*
 * aspect_set_value: a new value, as text or NULL, for a column of the draft.
 * What the draft says already is not set again.  The value is checked as a
 * drafted one is.
 */
void
aspect_set_value(Request *req, Aspect *aspect, Change *change, Relation rel,
				 int position, char *value)
{
	AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
	const char *present;
	int			nest;

	/* a trigger's values are its own */
	if (change->nested)
		return;
	row_load(req, change, rel);
	nest = transmission_modes_begin_for(change->layout);
	present = row_text(rel, change->new_row, attnum);
	value = canonical_text(req, TupleDescAttr(RelationGetDescr(rel), attnum - 1), value);
	if (value == NULL ? present != NULL : present == NULL || strcmp(value, present) != 0)
	{
		require_unwritten(req);
		edit_set(change, rel,
				 change->operation == CMD_UPDATE ? row_find(rel, change, false) : NULL,
				 position, value, false);
		transmission_modes_end(nest);
		edit_done(req, change, rel);
		record_value(req, aspect, change, position);
	}
	else
		transmission_modes_end(nest);
}

/*
 * add_change_run: set the column that Binding names to what Expression yields.
 * Null is ignored, unless AcceptNullValueExpression is true.
 */
void
add_change_run(Request *req, Aspect *aspect, Change *change)
{
	const char *accept_null = element_value(aspect->element, "AcceptNullValueExpression");
	Relation	rel;
	char	   *value;

	if (change->operation == CMD_DELETE || change->nested)
		return;
	value = expression_text(element_value(aspect->element, "Expression"), req->workflow, req,
							change, "Expression");
	if (value == NULL &&
		(accept_null == NULL ||
		 !expression_bool(accept_null, req->workflow, req, change, "AcceptNullValueExpression")))
		return;
	rel = row_open(change, RowShareLock);
	aspect_set_value(req, aspect, change, rel, aspect_position(aspect, "Binding", change, rel), value);
	table_close(rel, NoLock);
}

/*
 * aspect_settable_fits: an aspect that sets the column of its Binding fits the
 * table; errors if not.
 */
void
aspect_settable_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer)
{
	char	   *column;

	element_binding_fits(wf, element, "Binding", rel);
	element_expressions_fit(wf, element, rel, deployer);
	column = binding_column(element_value(element, "Binding"), RelationGetDescr(rel));
	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && att->attgenerated != '\0' &&
			strcmp(NameStr(att->attname), column) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_GENERATED_ALWAYS),
					 errmsg("column \"%s\" of table \"%s\" is generated and can't be set",
							column, RelationGetRelationName(rel)),
					 errdetail("It is the Binding of %s.", element_place(wf, element))));
	}
}
