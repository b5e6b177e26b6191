/*-------------------------------------------------------------------------
 *
 * binding.c
 *	  Which column of a table a position of a layout stands for, and how its
 *	  text is read.
 *
 * What was found for a table is kept with the layout until the table, a type
 * or a schema changes.  A callback only marks; the next use looks again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "idflow.h"

/* How text of a column is read; fn_oid is invalid where that isn't kept. */
typedef struct BoundInput
{
	FmgrInfo	input;
	Oid			ioparam;
	int32		typmod;
} BoundInput;

struct LayoutBinding
{
	Oid			relid;			/* the table; invalid: look again */
	AttrNumber *attnums;		/* by position; 0 where there is no such column */
	BoundInput *inputs;			/* by position */
	List	   *row_types;		/* relations of the columns' composite types */
	struct LayoutBinding *next;
};

/* All bindings.  They live as long as their layouts, which is for ever. */
static LayoutBinding *bindings = NULL;

/* Counts what the callbacks were told, so that none is missed while binding. */
static uint32 changes_seen = 0;

/*
 * layout_unbind: a relation changed, or with InvalidOid anything may have.
 * Called by the relcache callback of layout.c.
 */
void
layout_unbind(Oid relid)
{
	changes_seen++;
	for (LayoutBinding *binding = bindings; binding; binding = binding->next)
		if (!OidIsValid(relid) || binding->relid == relid ||
			list_member_oid(binding->row_types, relid))
			binding->relid = InvalidOid;
}

/* A type or a schema changed, maybe by a new name. */
static void
binding_syscache_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	layout_unbind(InvalidOid);
}

/* As row_attnum(), from the catalogs. */
static AttrNumber
find_attnum(Layout *layout, Relation rel, int position, bool missing_ok)
{
	TupleDesc	desc = RelationGetDescr(rel);
	const char *name = layout->names[position - 1];
	const char *type = layout->types[position - 1];
	const char *problem = NULL;
	Form_pg_attribute att = NULL;
	AttrNumber	attnum = 0;

	/* the place where it was is the likeliest */
	if (layout->attnums[position - 1] <= desc->natts)
	{
		att = TupleDescAttr(desc, layout->attnums[position - 1] - 1);
		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			attnum = att->attnum;
	}
	for (int i = 0; attnum == 0 && i < desc->natts; i++)
	{
		att = TupleDescAttr(desc, i);
		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			attnum = att->attnum;
	}

	if (attnum == 0)
		problem = "was dropped or renamed";
	else if (layout->relid == RelationGetRelid(rel) && attnum != layout->attnums[position - 1])
		problem = "is a new column of the same name";
	else if (layout->output == NULL &&
			 (layout->type_oids == NULL || layout->typmods == NULL ||
			  layout->type_oids[position - 1] != att->atttypid ||
			  layout->typmods[position - 1] != att->atttypmod))
	{
		/*
		 * A stored layout, so the type may have changed.  Where it was made in
		 * this database the type is the same whatever it is called by now.
		 */
		char	   *now = format_type_extended(att->atttypid, att->atttypmod,
											   FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);

		if (strcmp(now, type) != 0)
			problem = psprintf("was of type %s and is of type %s", type, now);
		pfree(now);
	}
	if (problem == NULL && layout->output == NULL && layout->type_oids != NULL &&
		layout->shapes != NULL && layout->shapes[position - 1] != NULL)
	{
		List	   *row_types = NIL;
		char	   *now = type_shape(att->atttypid, &row_types);

		/* its text has the attributes by their order only */
		if (now == NULL || strcmp(now, layout->shapes[position - 1]) != 0)
			problem = psprintf("is of type %s, whose attributes have changed",
							   format_type_be_qualified(att->atttypid));
	}
	if (problem == NULL)
		return attnum;
	if (missing_ok)
		return 0;
	ereport(ERROR,
			(errcode(ERRCODE_WF_LAYOUT),
			 errmsg("column \"%s\" of the draft does not fit table \"%s\" any more",
					name, RelationGetRelationName(rel)),
			 errdetail("The column %s.", problem),
			 errhint("Withdraw the request and make it again.")));
	return 0;
}

/*
 * The input function of a column, if it may be kept: a built-in base type's.
 * Of any other type the function may keep in its turn what depends on who
 * called it first, such as the checks of a domain.
 */
static void
bind_input(BoundInput *bound, Form_pg_attribute att)
{
	Oid			input;

	bound->input.fn_oid = InvalidOid;
	if (att->atttypid >= FirstNormalObjectId || get_typtype(att->atttypid) != TYPTYPE_BASE ||
		OidIsValid(get_element_type(att->atttypid)))
		return;
	getTypeInputInfo(att->atttypid, &input, &bound->ioparam);
	bound->typmod = att->atttypmod;
	fmgr_info_cxt(input, &bound->input, TopMemoryContext);
}

/*
 * Whether a layout is bound to a table; binds it to its own one.  A partition
 * of that is looked at each time.  The caller holds a lock on the table.
 */
static bool
is_bound(Layout *layout, Relation rel)
{
	static bool callbacks_registered = false;
	LayoutBinding *binding = layout->binding;
	uint32		seen = changes_seen;
	List	   *row_types = NIL;
	MemoryContext oldcxt;

	if (binding && binding->relid == RelationGetRelid(rel))
		return true;
	if (!layout->lasting || layout->target != RelationGetRelid(rel))
		return false;
	if (!callbacks_registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, binding_syscache_callback, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, binding_syscache_callback, (Datum) 0);
		callbacks_registered = true;
	}
	if (binding == NULL)
	{
		int			n = Max(layout->ncolumns, 1);

		binding = MemoryContextAllocZero(TopMemoryContext, sizeof(LayoutBinding) +
										 n * (sizeof(BoundInput) + sizeof(AttrNumber)));
		binding->inputs = (BoundInput *) (binding + 1);
		binding->attnums = (AttrNumber *) (binding->inputs + n);
		binding->next = bindings;
		bindings = layout->binding = binding;
	}
	binding->relid = InvalidOid;
	for (int p = 1; p <= layout->ncolumns; p++)
	{
		AttrNumber	attnum = find_attnum(layout, rel, p, true);

		binding->attnums[p - 1] = attnum;
		if (attnum != 0)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

			(void) type_shape(att->atttypid, &row_types);
			bind_input(&binding->inputs[p - 1], att);
		}
	}
	oldcxt = MemoryContextSwitchTo(TopMemoryContext);
	list_free(binding->row_types);
	binding->row_types = NIL;
	binding->row_types = list_copy(row_types);
	MemoryContextSwitchTo(oldcxt);
	if (seen != changes_seen)
		return false;
	binding->relid = RelationGetRelid(rel);
	return true;
}

/*
 * row_attnum: the column of the table that a position of a layout stands
 * for.  In the database where the layout was made, name and number must
 * agree; after a restore elsewhere numbers are new and the name decides.
 * Errors if the column is gone, another one, or of another type; with
 * missing_ok returns 0 instead.
 */
AttrNumber
row_attnum(Layout *layout, Relation rel, int position, bool missing_ok)
{
	if (is_bound(layout, rel) && layout->binding->attnums[position - 1] != 0)
		return layout->binding->attnums[position - 1];
	return find_attnum(layout, rel, position, missing_ok);
}

/*
 * row_value: a column's value from its output text; the caller holds
 * transmission modes and is the requester.
 */
Datum
row_value(Form_pg_attribute att, const char *text, bool *isnull)
{
	Oid			input;
	Oid			ioparam;

	*isnull = (text == NULL);
	getTypeInputInfo(att->atttypid, &input, &ioparam);
	return OidInputFunctionCall(input, unconstify(char *, text), ioparam, att->atttypmod);
}

/*
 * layout_value: the same for a position of a layout.
 */
Datum
layout_value(Layout *layout, Relation rel, int position, const char *text, bool *isnull)
{
	AttrNumber	attnum = row_attnum(layout, rel, position, false);

	if (is_bound(layout, rel))
	{
		BoundInput *bound = &layout->binding->inputs[position - 1];

		if (OidIsValid(bound->input.fn_oid))
		{
			*isnull = (text == NULL);
			return InputFunctionCall(&bound->input, unconstify(char *, text),
									 bound->ioparam, bound->typmod);
		}
	}
	return row_value(TupleDescAttr(RelationGetDescr(rel), attnum - 1), text, isnull);
}
