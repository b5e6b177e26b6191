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
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "apply.h"
#include "attach.h"
#include "compat.h"
#include "idflow.h"
#include "notice.h"
#include "plancache.h"
#include "probe.h"
#include "statement.h"
#include "subxact.h"

/* has_other_triggers: whether a BEFORE ROW trigger other than a gate may alter the row. */
bool
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
 * The index that a foreign key refers to; InvalidOid for a constraint that is
 * not checked here: one that stands beneath another because the referenced
 * table is partitioned, where the other one counts; one of periods, which
 * several rows may fill together: the apply sees to it.
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
	if (constraint_has_period(form))
		indexid = InvalidOid;
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
check_foreign_key(Request *req, Change *change, Relation rel, TupleTableSlot *slot,
				  ForeignKeyCacheInfo *fk)
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
	int			seq = 0;
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
				same_datum(own, values[i], att->attbyval, att->attlen);
		}
	}
	if (self)
		return;
	indexid = referenced_index(fk->conoid, fk->confrelid);
	if (!OidIsValid(indexid))
		return;

	pk = table_open(fk->confrelid, AccessShareLock);
	if (reference_probe(pk, indexid, fk, types, values) == PROBE_FOUND)
	{
		table_close(pk, AccessShareLock);
		return;
	}
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

	/* a draft that is edited has its place among the request's */
	if (!found)
		seq = pending_key_of_request(req->id, indexid, fk->nkeys, types, collations, values);
	if (!found && (seq == 0 || (change->seq != 0 && seq > change->seq)))
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
				 seq ?
				 errdetail("Key (%s)=(%s) of table \"%s\" is drafted by a later change of the request.",
						   columns.data, shown.data, RelationGetRelationName(pk)) :
				 errdetail("Key (%s)=(%s) is not present in table \"%s\".",
						   columns.data, shown.data, RelationGetRelationName(pk)),
				 seq ?
				 errhint("Changes are written in the order in which they were made: delete this draft and write it anew.") :
				 errhint("A row that is only drafted can be referred to in the same request; see idflow.begin_request()."),
				 errtableconstraint(rel, constraint)));
	}
	table_close(pk, AccessShareLock);
}

static void
check_foreign_keys(Request *req, Change *change, Relation rel, TupleTableSlot *slot,
				   Bitmapset *touched)
{
	ListCell   *lc;

	/* the list belongs to the relcache and may go when queries run */
	foreach(lc, copyObject(RelationGetFKeyList(rel)))
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);
		bool		relevant = (touched == NULL);

		for (int i = 0; !relevant && i < fk->nkeys; i++)
			relevant = bms_is_member(fk->conkey[i], touched);
		if (relevant && foreign_key_enforced(fk))
			check_foreign_key(req, change, rel, slot, fk);
	}
}

/* What an executor has of a table, made for one row; the caller frees *estate. */
static ResultRelInfo *
own_executor(Relation rel, EState **estate)
{
	ResultRelInfo *rri;

	*estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 0, NULL, 0);
	return rri;
}

/* The policies that the running statement brings along. */
static void
check_policies(ResultRelInfo *rri, EState *estate, TupleTableSlot *slot, CmdType operation)
{
	if (rri->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(operation == CMD_UPDATE ? WCO_RLS_UPDATE_CHECK : WCO_RLS_INSERT_CHECK,
							 rri, slot, estate);
}

/*
 * Generated columns, row-level security, NOT NULL, CHECK and partition bounds,
 * in that order, as core does it for a row that it writes.  Uses what the
 * running statement has of the table; without that, something made for this
 * row, which knows no policies.  Without strict only the generated columns are
 * computed, and with policies those are asked.
 */
static void
check_row(Relation rel, ResultRelInfo *rri, EState *estate, TupleTableSlot *slot,
		  CmdType operation, bool direct_leaf, bool strict, bool policies)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	EState	   *own = NULL;

	if (rri == NULL)
	{
		if (constr == NULL && !direct_leaf)
			return;
		rri = own_executor(rel, &own);
		estate = own;
	}
	if (constr && constr->has_generated_stored)
		ExecComputeStoredGenerated(rri, estate, slot, operation);
	if (policies)
		check_policies(rri, estate, slot, operation);
	if (strict && constr)
		ExecConstraints(rri, slot, estate);
	if (strict && direct_leaf)
		ExecPartitionCheck(rri, slot, estate, true);
	if (own)
		FreeExecutorState(own);
}

/*
 * Whether an UPDATE takes a row to another partition, or to none.  rri and
 * estate as for check_row().
 */
static bool
row_moves(Relation rel, ResultRelInfo *rri, EState *estate, Change *change, TupleTableSlot *new)
{
	EState	   *own = NULL;
	bool		fits;

	if (change->operation != CMD_UPDATE || !rel->rd_rel->relispartition ||
		change->target == RelationGetRelid(rel))
		return false;
	if (rri == NULL)
		rri = own_executor(rel, &own);
	fits = ExecPartitionCheck(rri, new, own ? own : estate, false);
	if (own)
		FreeExecutorState(own);
	return !fits;
}

/*
 * check_proposed: what core checks of a row before it asks whether another is
 * in its way; for one that ON CONFLICT then leaves alone.
 */
void
check_proposed(Relation rel, StatementInfo *info, TupleTableSlot *new)
{
	if (!has_other_triggers(rel, CMD_INSERT))
		check_row(rel, info->rri, wrapper_estate(info->wrapper), new, CMD_INSERT,
				  rel->rd_rel->relispartition && info->named == RelationGetRelid(rel), true, true);
}

/*
 * A row as the table took it when it was tried, put into a slot of the table
 * whose gate holds it: all its columns, or the generated ones only.  Columns
 * go by name, because a partition may have them in another order.
 */
static void
take_tried(Change *change, Relation rel, HeapTuple row, TupleTableSlot *slot, bool generated_only)
{
	Relation	target = table_open(change->target, NoLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AttrNumber	attnum = att->attnum;

		/* the slot may own the tuple that they point into */
		nulls[i] = slot->tts_isnull[i];
		values[i] = nulls[i] ? (Datum) 0 : datumCopy(slot->tts_values[i], att->attbyval, att->attlen);
		if (att->attisdropped || att->attgenerated == 'v' ||
			(generated_only && att->attgenerated == '\0'))
			continue;
		if (rel != target)
			attnum = get_attnum(change->target, NameStr(att->attname));
		if (attnum > 0)
			values[i] = heap_getattr(row, attnum, RelationGetDescr(target), &nulls[i]);
	}
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, desc->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, desc->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	ExecMaterializeSlot(slot);
	slot->tts_tableOid = RelationGetRelid(rel);
	table_close(target, NoLock);
}

/*
 * What only the statement knows, and an apply doesn't ask again, on the row as
 * the table would have it: a view's CHECK OPTION, and, with policies, those
 * that RETURNING or the view's owner brings along.
 */
static void
check_options(Change *change, Relation rel, StatementInfo *info, TupleTableSlot *new,
			  HeapTuple tried, bool policies)
{
	EState	   *estate;
	TupleTableSlot *slot = new;

	if (info->rri == NULL)
	{
		if (info->view_check)
			ereport(ERROR,
					(errcode(ERRCODE_WF_GATE_HAZARD),
					 errmsg("can't check the new row against the view's CHECK OPTION"),
					 errdetail("The library was loaded by the statement that writes through the view."),
					 errhint("Run the statement again, or load the library first: session_preload_libraries = 'idflow'.")));
		return;
	}
	if (info->rri->ri_WithCheckOptions == NIL)
		return;
	if (tried)
	{
		slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
		ExecForceStoreHeapTuple(ExecCopySlotHeapTuple(new), slot, true);
		take_tried(change, rel, tried, slot, false);
	}
	estate = wrapper_estate(info->wrapper);
	if (policies)
		check_policies(info->rri, estate, slot, change->operation);
	ExecWithCheckOptions(WCO_VIEW_CHECK, info->rri, slot, estate);
	if (tried)
		ExecDropSingleTupleTableSlot(slot);
}

/*
 * A statement through a view may have the rights of the view's owner.  What is
 * approved is written to the table itself by the role that asked: let it know
 * now if it may not.
 */
static void
check_own_rights(Change *change, StatementInfo *info)
{
	AclMode		mode = operation_privilege(change->operation);
	Oid			roleid = GetUserId();
	Image	   *image = change->operation == CMD_DELETE ? NULL : change->new_image;
	bool		enough;

	if (!OidIsValid(info->as_user) || info->as_user == roleid ||
		pg_class_aclcheck(change->target, roleid, mode) == ACLCHECK_OK)
		return;
	enough = image != NULL && image->n > 0;
	for (int i = 0; enough && i < image->n; i++)
	{
		int			position = image_position(image, i);

		/* an INSERT asks for the columns that it names */
		if (change->operation == CMD_INSERT && change->written_known &&
			!bms_is_member(position, change->written))
			continue;
		enough = pg_attribute_aclcheck(change->target, change->layout->attnums[position - 1],
									   roleid, mode) == ACLCHECK_OK;
	}
	if (!enough)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(change->target)),
				 errdetail("The statement goes through a view with the rights of its owner, but an approved change is written to the table by role \"%s\".",
						   GetUserNameFromId(roleid, false)),
				 errhint("Grant %s on the table to the role.", operation_name(change->operation))));
}

/*
 * Try a change whose requester must not learn of other rows: that one of them
 * is in the way, or missing, is left to the apply.
 */
static HeapTuple
try_blindly(Request *req, List *changes)
{
	HeapTuple	volatile tried = NULL;
	SubXact		sub;

	subxact_begin(&sub);
	PG_TRY();
	{
		tried = apply_try(req, changes);
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		ErrorData  *error = subxact_error(&sub);

		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION &&
			error->sqlerrcode != ERRCODE_FOREIGN_KEY_VIOLATION &&
			error->sqlerrcode != ERRCODE_EXCLUSION_VIOLATION)
			ReThrowError(error);
	}
	PG_END_TRY();
	return tried;
}

/*
 * draft_check: check a draft against the table; errors are the table's own.
 * rel is the table whose gate fired, old and new its rows, touched the
 * attribute numbers that an UPDATE changes (NULL for INSERT).  info is what is
 * known of the statement, NULL for an edit of a draft.  Computes the stored
 * generated columns in new, which must be the caller's own slot.  Unique keys
 * are left to pending_keys_add(), whose look at live rows is not needed if
 * this returns true: then the table itself has spoken.
 */
bool
draft_check(Request *req, Change *change, Relation rel, StatementInfo *info,
			TupleTableSlot *old, TupleTableSlot *new, Bitmapset *touched)
{
	ResultRelInfo *rri = info ? info->rri : NULL;
	EState	   *estate = rri ? wrapper_estate(info->wrapper) : NULL;
	bool		strict = statement_rows() < setting_check_limit;
	bool		others;
	bool		shown;
	bool		policies = false;
	HeapTuple	tried = NULL;

	if (info)
		check_own_rights(change, info);
	if (change->operation == CMD_DELETE)
		return false;

	/* the policies of what RETURNING shows are not put off */
	shown = rri && rri->ri_projectReturning && rri->ri_WithCheckOptions != NIL;

	/*
	 * Policies are asked as the statement would ask them, or, where that is
	 * not at hand or asks for another role's, by trying.
	 */
	others = has_other_triggers(rel, change->operation);
	if ((strict || (shown && others)) &&
		(others || row_moves(rel, rri, estate, change, new) ||
		 ((rri == NULL || OidIsValid(info->as_user)) &&
		  check_enable_rls(change->target, InvalidOid, true) == RLS_ENABLED)))
	{
		/* with what the request drafted before, where it may be built upon */
		List	   *changes = lappend(req->stands_alone ? NIL : list_copy(request_changes(req)),
									  change);

		tried = info && info->blind ? try_blindly(req, changes) : apply_try(req, changes);
		policies = true;
		if (tried == NULL && info && info->blind)
			check_row(rel, rri, estate, new, change->operation, false, false, false);
		if (tried && RelationGetDescr(rel)->constr && RelationGetDescr(rel)->constr->has_generated_stored)
			take_tried(change, rel, tried, new, true);
	}
	else if (strict || (rri && !others))
		check_row(rel, rri, estate, new, change->operation,
				  rel->rd_rel->relispartition && change->target == RelationGetRelid(rel),
				  strict, strict || shown);
	if (strict && tried == NULL && !(info && info->blind))
		check_foreign_keys(req, change, rel, new, touched);
	if (info)
		check_options(change, rel, info, new, tried, policies);
	return tried != NULL;
}
