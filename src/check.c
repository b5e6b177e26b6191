/*-------------------------------------------------------------------------
 *
 * check.c
 *	  What the table would say to a draft, said when the draft is made and in
 *	  the table's own words.
 *
 * Where nothing but constraints stands between a draft and its row, they are
 * checked one by one.  Where triggers or row-level security have a say, or
 * another partition, the row is written for real and rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "apply.h"
#include "attach.h"
#include "idflow.h"
#include "notice.h"
#include "plancache.h"

/* Whether a BEFORE ROW trigger other than a gate may alter the row. */
static bool
has_other_triggers(Relation rel, CmdType operation)
{
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc && i < desc->numtriggers; i++)
	{
		Trigger    *trigger = &desc->triggers[i];

		if (!TRIGGER_FOR_ROW(trigger->tgtype) || !TRIGGER_FOR_BEFORE(trigger->tgtype) ||
			trigger->tgenabled == TRIGGER_DISABLED || trigger_is_gate(trigger))
			continue;
		if (operation == CMD_INSERT ? TRIGGER_FOR_INSERT(trigger->tgtype) :
			TRIGGER_FOR_UPDATE(trigger->tgtype))
			return true;
	}
	return false;
}

/*
 * The index that a foreign key refers to; InvalidOid for a constraint that
 * stands beneath another because the referenced table is partitioned: it is
 * the other one that counts.
 */
static Oid
referenced_index(Oid constraint, Oid confrelid)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;
	Oid			indexid;
	Oid			parent;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	indexid = form->conindid;
	parent = form->conparentid;
	ReleaseSysCache(tuple);

	if (OidIsValid(parent))
	{
		tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(parent));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for constraint %u", parent);
		if (((Form_pg_constraint) GETSTRUCT(tuple))->confrelid != confrelid)
			indexid = InvalidOid;
		ReleaseSysCache(tuple);
	}
	return indexid;
}

/*
 * One foreign key: the row it refers to must be there, or drafted by the same
 * request.  The look is taken with the rights of the referenced table's
 * owner, as referential integrity itself does.
 */
static void
check_foreign_key(Request *req, Relation rel, TupleTableSlot *slot, ForeignKeyCacheInfo *fk)
{
	Relation	pk;
	Datum		values[INDEX_MAX_KEYS];
	char		nulls[INDEX_MAX_KEYS + 1];
	Oid			types[INDEX_MAX_KEYS];
	Oid			collations[INDEX_MAX_KEYS];
	SPIPlanPtr	plan;
	UserSwitch	save;
	Oid			indexid;
	bool		found;
	bool		self = fk->confrelid == RelationGetRelid(rel);
	char	   *name;

	for (int i = 0; i < fk->nkeys; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), fk->conkey[i] - 1);
		bool		isnull;

		values[i] = slot_getattr(slot, fk->conkey[i], &isnull);
		if (isnull)
			return;				/* MATCH FULL's mixed nulls are left to the apply */
		nulls[i] = ' ';
		types[i] = att->atttypid;
		if (self)
		{
			/* a row may refer to itself */
			Datum		own = slot_getattr(slot, fk->confkey[i], &isnull);
			Form_pg_attribute own_att = TupleDescAttr(RelationGetDescr(rel), fk->confkey[i] - 1);

			self = !isnull && own_att->atttypid == att->atttypid &&
				datum_image_eq(own, values[i], att->attbyval, att->attlen);
		}
	}
	if (self)
		return;
	indexid = referenced_index(fk->conoid, fk->confrelid);
	if (!OidIsValid(indexid))
		return;

	pk = table_open(fk->confrelid, AccessShareLock);
	for (int i = 0; i < fk->nkeys; i++)
		collations[i] = TupleDescAttr(RelationGetDescr(pk), fk->confkey[i] - 1)->attcollation;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	become(&save, pk->rd_rel->relowner, SECURITY_NOFORCE_RLS | SECURITY_RESTRICTED_OPERATION);
	name = psprintf("foreign key %u", fk->conoid);
	plan = plan_lookup(RelationGetRelid(rel), name);
	if (plan == NULL)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "SELECT 1 FROM %s t WHERE ", table_sql(pk, true));
		for (int i = 0; i < fk->nkeys; i++)
			appendStringInfo(&sql, "%st.%s %s $%d", i > 0 ? " AND " : "",
							 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(pk),
																   fk->confkey[i] - 1)->attname)),
							 operator_sql(fk->conpfeqop[i]), i + 1);
		plan = SPI_prepare(sql.data, fk->nkeys, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\"", sql.data);
		plan_keep(RelationGetRelid(rel), name, plan);
	}
	if (SPI_execute_plan(plan, values, nulls, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up a referenced row");
	found = SPI_processed > 0;
	restore_user(&save);
	SPI_finish();

	if (!found &&
		!pending_key_of_request(req->id, indexid,
								fk->nkeys, types, collations, values))
	{
		char	   *constraint = get_constraint_name(fk->conoid);
		StringInfoData columns;
		StringInfoData shown;

		initStringInfo(&columns);
		initStringInfo(&shown);
		for (int i = 0; i < fk->nkeys; i++)
		{
			Oid			output;
			bool		varlena;

			getTypeOutputInfo(types[i], &output, &varlena);
			appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "",
							 NameStr(TupleDescAttr(RelationGetDescr(rel), fk->conkey[i] - 1)->attname));
			appendStringInfo(&shown, "%s%s", i > 0 ? ", " : "",
							 OidOutputFunctionCall(output, values[i]));
		}
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
						RelationGetRelationName(rel), constraint),
				 errdetail("Key (%s)=(%s) is not present in table \"%s\".",
						   columns.data, shown.data, RelationGetRelationName(pk)),
				 errhint("A row that is only drafted can be referred to in the same request; see idflow.begin_request()."),
				 errtableconstraint(rel, constraint)));
	}
	table_close(pk, AccessShareLock);
}

static void
check_foreign_keys(Request *req, Relation rel, TupleTableSlot *slot, Bitmapset *touched)
{
	ListCell   *lc;

	/* the list belongs to the relcache and may go when queries run */
	foreach(lc, copyObject(RelationGetFKeyList(rel)))
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);
		bool		relevant = (touched == NULL);

		for (int i = 0; !relevant && i < fk->nkeys; i++)
			relevant = bms_is_member(fk->conkey[i], touched);
		if (relevant)
			check_foreign_key(req, rel, slot, fk);
	}
}

/* Generated columns, NOT NULL, CHECK and partition bounds. */
static void
check_constraints(Relation rel, TupleTableSlot *slot, CmdType operation, bool direct_leaf)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	EState	   *estate;
	ResultRelInfo *rri;

	if (constr == NULL && !direct_leaf)
		return;
	estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 0, NULL, 0);
	if (constr && constr->has_generated_stored)
		ExecComputeStoredGenerated(rri, estate, slot, operation);
	if (constr)
		ExecConstraints(rri, slot, estate);
	if (direct_leaf)
		ExecPartitionCheck(rri, slot, estate, true);
	FreeExecutorState(estate);
}

/* Whether an UPDATE takes a row to another partition, or to none. */
static bool
row_moves(Relation rel, Change *change, TupleTableSlot *new)
{
	EState	   *estate;
	ResultRelInfo *rri;
	bool		fits;

	if (change->operation != CMD_UPDATE || !rel->rd_rel->relispartition ||
		change->target == RelationGetRelid(rel))
		return false;
	estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 0, NULL, 0);
	fits = ExecPartitionCheck(rri, new, estate, false);
	FreeExecutorState(estate);
	return !fits;
}

/*
 * draft_check: check a draft against the table; errors are the table's own.
 * rel is the table whose gate fired, old and new its rows, touched the
 * attribute numbers that an UPDATE changes (NULL for INSERT).  Computes the
 * stored generated columns in new, which must be the caller's own slot.
 * Unique keys are left to pending_keys_add(), whose look at live rows is not
 * needed if this returns true: then the table itself has spoken.
 */
bool
draft_check(Request *req, Change *change, Relation rel,
			TupleTableSlot *old, TupleTableSlot *new, Bitmapset *touched)
{
	if (change->operation == CMD_DELETE || statement_rows() >= setting_check_limit)
		return false;

	if (check_enable_rls(change->target, InvalidOid, true) == RLS_ENABLED ||
		has_other_triggers(rel, change->operation) ||
		row_moves(rel, change, new))
	{
		/* with what the request drafted before, since it may be built upon */
		apply_try(req, lappend(list_copy(request_changes(req)), change));
		return true;
	}

	check_constraints(rel, new, change->operation,
					  rel->rd_rel->relispartition &&
					  change->target == RelationGetRelid(rel));
	check_foreign_keys(req, rel, new, touched);
	return false;
}
