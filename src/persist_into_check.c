/*-------------------------------------------------------------------------
 *
 * persist_into_check.c
 *	  Whether a workflow's Into fits a table: what attach asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "idflow.h"
#include "persist_into.h"
#include "plancache.h"

/* into_relid: the table that Into names, in the target's schema if in none; 0: none there. */
Oid
into_relid(const char *into, Oid target)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(into));

	if (list_length(names) == 1)
		return get_relname_relid(strVal(linitial(names)), get_rel_namespace(target));
	return RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
}

/* into_column: the column of a relation that has a name; NULL if there is none. */
Form_pg_attribute
into_column(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return TupleDescAttr(desc, i);
	return NULL;
}

/*
 * persist_into_fits: the tables that a workflow's activities name in Into are
 * there and take the rows of a table; errors if not.
 */
void
persist_into_fits(Workflow *wf, Relation rel)
{
	for (int i = 1; i <= wf->nactivities; i++)
	{
		Activity   *activity = workflow_activity(wf, i);
		const char *into = element_value(activity->element, "Into");
		Oid			relid;
		Relation	other;
		TupleDesc	desc;
		Bitmapset  *key = row_key_attnums(rel, NULL);
		int			attnum = -1;

		if (into == NULL)
			continue;
		relid = into_relid(into, RelationGetRelid(rel));
		if (!OidIsValid(relid))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table \"%s\" does not exist", into),
					 errdetail("Activity \"%s\" of workflow \"%s\" names it in Into.",
							   activity->name, wf->name)));
		other = table_open(relid, AccessShareLock);
		desc = RelationGetDescr(other);
		if (other->rd_rel->relkind != RELKIND_RELATION &&
			other->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a table", into),
					 errdetail("Activity \"%s\" of workflow \"%s\" names it in Into.",
							   activity->name, wf->name)));
		if (key == NULL || row_key_attnums(other, NULL) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" has no key by which a row could be found again",
							RelationGetRelationName(key ? other : rel)),
					 errdetail("Activity \"%s\" of workflow \"%s\" writes into it.",
							   activity->name, wf->name),
					 errhint("Add a primary key.")));
		while ((attnum = bms_next_member(key, attnum)) >= 0)
		{
			const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);

			if (into_column(other, name) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("table \"%s\" has no column \"%s\"", into, name),
						 errdetail("It is part of the key by which table \"%s\" is written into it by activity \"%s\" of workflow \"%s\".",
								   RelationGetRelationName(rel), activity->name, wf->name)));
		}
		for (int a = 0; a < desc->natts; a++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, a);
			Form_pg_attribute own;

			if (att->attisdropped || att->attgenerated != '\0')
				continue;
			own = into_column(rel, NameStr(att->attname));
			if (own == NULL && att->attnotnull && !att->atthasdef && att->attidentity == '\0')
				ereport(ERROR,
						(errcode(ERRCODE_NOT_NULL_VIOLATION),
						 errmsg("column \"%s\" of table \"%s\" would get no value",
								NameStr(att->attname), into),
						 errdetail("Table \"%s\", which activity \"%s\" of workflow \"%s\" writes into it, has no such column.",
								   RelationGetRelationName(rel), activity->name, wf->name),
						 errhint("Give it a default.")));
			if (own != NULL && own->atttypid != att->atttypid)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("column \"%s\" of table \"%s\" has another type than that of table \"%s\"",
								NameStr(att->attname), into, RelationGetRelationName(rel)),
						 errdetail("Activity \"%s\" of workflow \"%s\" writes the one into the other.",
								   activity->name, wf->name)));
		}
		table_close(other, NoLock);
	}
}

/*
 * persist_into_operations: a row that is there already can't be written
 * before it is approved, nor one that is to go; errors where a gate would
 * want that.
 */
void
persist_into_operations(Workflow *wf, Relation rel, List *operations)
{
	for (int i = 1; i <= wf->nactivities; i++)
	{
		Activity   *activity = workflow_activity(wf, i);
		const char *into = element_value(activity->element, "Into");

		if (into == NULL)
			continue;
		if (list_member_int(operations, CMD_DELETE) ||
			(list_member_int(operations, CMD_UPDATE) &&
			 into_relid(into, RelationGetRelid(rel)) == RelationGetRelid(rel)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("activity \"%s\" of workflow \"%s\" can't write %s into table \"%s\" before it is approved",
							activity->name, wf->name,
							list_member_int(operations, CMD_DELETE) ? "DELETE" : "UPDATE", into),
					 errhint("Attach the workflow for INSERT, and another one without Into for the rest.")));
	}
}
