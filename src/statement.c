/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  What the statement that fired a gate does to its table.
 *
 * A row trigger is told the row and the event, but not which table the
 * statement named, which columns it gave, nor whether an INSERT on a partition
 * is half of an UPDATE that moves a row.  The statement's plan tells.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/partition.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "compat.h"
#include "idflow.h"
#include "statement.h"

static bool
is_self_or_ancestor(Oid relid, Relation rel, List *ancestors)
{
	return relid == RelationGetRelid(rel) || list_member_oid(ancestors, relid);
}

static void
look_at_plan(Plan *plan, PlannedStmt *stmt, Relation rel, List *ancestors, StatementInfo *info)
{
	ModifyTable *mt = (ModifyTable *) plan;
	RangeTblEntry *rte;
	ListCell   *lc;

	/* a ModifyTable is at the top of a plan, never inside one */
	if (plan == NULL || !IsA(plan, ModifyTable))
		return;
	rte = rt_fetch(mt->nominalRelation, stmt->rtable);
	if (rte->rtekind != RTE_RELATION || !is_self_or_ancestor(rte->relid, rel, ancestors))
		return;

	info->known = true;
	info->named = rte->relid;
	info->as_user = planned_check_as_user(stmt, rte);
	foreach(lc, mt->withCheckOptionLists)
	{
		ListCell   *lo;

		foreach(lo, (List *) lfirst(lc))
			info->view_check |= lfirst_node(WithCheckOption, lo)->kind == WCO_VIEW_CHECK;
	}
	switch (mt->operation)
	{
		case CMD_INSERT:
			info->inserts = true;
			break;
		case CMD_UPDATE:
			info->updates = true;
			break;
		case CMD_DELETE:
			info->deletes = true;
			break;
		default:
			{
				/* MERGE: its actions, a list per result relation */
				ListCell   *la;

				foreach(lc, mt->mergeActionLists)
					foreach(la, (List *) lfirst(lc))
				{
					CmdType		action = lfirst_node(MergeAction, la)->commandType;

					info->inserts |= action == CMD_INSERT;
					info->updates |= action == CMD_UPDATE;
					info->deletes |= action == CMD_DELETE;
				}
			}
			break;
	}
	if (info->inserts)
	{
		Bitmapset  *columns = planned_inserted_cols(stmt, rte);
		int			member = -1;

		while ((member = bms_next_member(columns, member)) >= 0)
			if (member + FirstLowInvalidHeapAttributeNumber > 0)
				info->inserted = bms_add_member(info->inserted,
												member + FirstLowInvalidHeapAttributeNumber);
	}
}

/*
 * statement_info: what is known of the statement that fired a trigger on rel.
 * wrapper and rri are what wrapper_running() has found.
 */
void
statement_info(Relation rel, Wrapper *wrapper, ResultRelInfo *rri, StatementInfo *info)
{
	PlannedStmt *stmt = executing_statement();
	List	   *ancestors = rel->rd_rel->relispartition ?
		get_partition_ancestors(RelationGetRelid(rel)) : NIL;
	ListCell   *lc;

	memset(info, 0, sizeof(StatementInfo));
	info->named = RelationGetRelid(rel);
	info->wrapper = wrapper;
	info->rri = rri;
	if (stmt == NULL)
		return;
	if (stmt->commandType == CMD_UTILITY)
	{
		/* COPY: rows come to the table that it names, with columns unknown */
		CopyStmt   *copy = (CopyStmt *) stmt->utilityStmt;

		if (copy && IsA(copy, CopyStmt) && copy->relation)
			info->known = info->inserts = true;
		return;
	}
	if (info->wrapper)
	{
		/* the statement may have others, in its WITH */
		look_at_plan(wrapper_plan(info->wrapper), stmt, rel, ancestors, info);
		return;
	}
	look_at_plan(stmt->planTree, stmt, rel, ancestors, info);
	foreach(lc, stmt->subplans)
		look_at_plan(lfirst(lc), stmt, rel, ancestors, info);
}
