/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Every difference between the supported majors of PostgreSQL (15 to 18).
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_COMPAT_H
#define IDFLOW_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "idflow needs PostgreSQL 15 or later"
#endif

#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/regproc.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM < 170000
#include "executor/instrument.h"
#include "tcop/tcopprot.h"
#endif
#include "commands/explain.h"

/* The ExecutorRun hook lost its execute_once argument in 18. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_PASS queryDesc, direction, count
#else
#define EXECUTOR_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_PASS queryDesc, direction, count, execute_once
#endif

/*
 * Permissions of a range table entry: in the entry itself up to 15, in an
 * RTEPermissionInfo of their own since 16.
 */
#if PG_VERSION_NUM >= 160000
#define RTE_PERMS RTEPermissionInfo
static inline RTEPermissionInfo *
query_rte_perms(Query *query, RangeTblEntry *rte)
{
	return getRTEPermissionInfo(query->rteperminfos, rte);
}
static inline Bitmapset *
planned_inserted_cols(PlannedStmt *stmt, RangeTblEntry *rte)
{
	if (rte->perminfoindex == 0)
		return NULL;
	return getRTEPermissionInfo(stmt->permInfos, rte)->insertedCols;
}
static inline Oid
planned_check_as_user(PlannedStmt *stmt, RangeTblEntry *rte)
{
	if (rte->perminfoindex == 0)
		return InvalidOid;
	return getRTEPermissionInfo(stmt->permInfos, rte)->checkAsUser;
}
static inline Bitmapset *
planned_updated_cols(PlannedStmt *stmt, RangeTblEntry *rte)
{
	if (rte->perminfoindex == 0)
		return NULL;
	return getRTEPermissionInfo(stmt->permInfos, rte)->updatedCols;
}
#else
#define RTE_PERMS RangeTblEntry
static inline RangeTblEntry *
query_rte_perms(Query *query, RangeTblEntry *rte)
{
	return rte;
}
static inline Bitmapset *
planned_inserted_cols(PlannedStmt *stmt, RangeTblEntry *rte)
{
	return rte->insertedCols;
}
static inline Oid
planned_check_as_user(PlannedStmt *stmt, RangeTblEntry *rte)
{
	return rte->checkAsUser;
}
static inline Bitmapset *
planned_updated_cols(PlannedStmt *stmt, RangeTblEntry *rte)
{
	return rte->updatedCols;
}
#endif

/*
 * same_datum: whether two values, not null, are the same to the bit.  Where
 * they are passed by value, datum_image_eq() of older minor releases, such as
 * 16.6 and 17.2, compares what is beyond their length too, and there a large oid
 * from a row differs from the one that was read from text.
 *
 * A value that an UPDATE leaves in the table's TOAST table is the same pointer
 * before and after: it need not be read to know that.
 */
static inline bool
same_datum(Datum a, Datum b, bool byval, int len)
{
	if (!byval)
	{
		if (len == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(a)) &&
			VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(b)) &&
			memcmp(DatumGetPointer(a), DatumGetPointer(b),
				   VARSIZE_EXTERNAL(DatumGetPointer(a))) == 0)
			return true;
		return datum_image_eq(a, b, false, len);
	}
	switch (len)
	{
		case sizeof(char):
			return DatumGetChar(a) == DatumGetChar(b);
		case sizeof(int16):
			return DatumGetInt16(a) == DatumGetInt16(b);
		case sizeof(int32):
			return DatumGetInt32(a) == DatumGetInt32(b);
		default:
			return a == b;
	}
}

/* 18 lets the caller name the tuple that doesn't count as a conflict. */
#if PG_VERSION_NUM >= 180000
#define check_index_constraints(rri, slot, estate, conflict, self, indexes) \
	ExecCheckIndexConstraints(rri, slot, estate, conflict, self, indexes)
#else
#define check_index_constraints(rri, slot, estate, conflict, self, indexes) \
	ExecCheckIndexConstraints(rri, slot, estate, conflict, indexes)
#endif

/* simple_heap_update() tells since 16 which indexes need an entry. */
#if PG_VERSION_NUM >= 160000
#define heap_update_simply(rel, tid, tuple) \
	do { TU_UpdateIndexes update_indexes_; simple_heap_update(rel, tid, tuple, &update_indexes_); } while (0)
#else
#define heap_update_simply(rel, tid, tuple) simple_heap_update(rel, tid, tuple)
#endif

/* 18 renamed the marker; the older one works before a declaration, too. */
#if PG_VERSION_NUM >= 180000
#define does_not_return pg_noreturn
#else
#define does_not_return pg_attribute_noreturn()
#endif

/* 18 hands an index scan somewhere to count. */
#if PG_VERSION_NUM >= 180000
#define begin_index_scan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define begin_index_scan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#endif

/* 18 asks whether a deferrable primary key counts, which ours are not. */
#if PG_VERSION_NUM >= 180000
#define primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/*
 * project_returning: a RETURNING list for a row that is not written, evaluated
 * as ModifyTable does; 18 knows OLD and NEW.
 */
static inline TupleTableSlot *
project_returning(EState *estate, ResultRelInfo *rri, CmdType operation, TupleTableSlot *old,
				  TupleTableSlot *new, TupleTableSlot *joined)
{
	ProjectionInfo *projection = rri->ri_projectReturning;
	ExprContext *econtext = projection->pi_exprContext;

	econtext->ecxt_scantuple = operation == CMD_DELETE ? old : new;
	econtext->ecxt_scantuple->tts_tableOid = RelationGetRelid(rri->ri_RelationDesc);
	econtext->ecxt_outertuple = joined;
#if PG_VERSION_NUM >= 180000
	projection->pi_state.flags &= ~(EEO_FLAG_OLD_IS_NULL | EEO_FLAG_NEW_IS_NULL);
	if (old == NULL)
		projection->pi_state.flags |= EEO_FLAG_OLD_IS_NULL;
	if (new == NULL)
		projection->pi_state.flags |= EEO_FLAG_NEW_IS_NULL;
	econtext->ecxt_oldtuple = old ? old :
		projection->pi_state.flags & EEO_FLAG_HAS_OLD ? ExecGetAllNullSlot(estate, rri) : NULL;
	econtext->ecxt_newtuple = new ? new :
		projection->pi_state.flags & EEO_FLAG_HAS_NEW ? ExecGetAllNullSlot(estate, rri) : NULL;
#endif
	return ExecProject(projection);
}

/* 18 gives the state and the format of EXPLAIN headers of their own. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* What EXPLAIN does where no hook is in its place; 17 exports it. */
#if PG_VERSION_NUM >= 170000
#define explain_one_query standard_ExplainOneQuery
#else
static inline void
explain_one_query(Query *query, int cursor_options, IntoClause *into, ExplainState *es,
				  const char *text, ParamListInfo params, QueryEnvironment *env)
{
	instr_time	start;
	instr_time	duration;
	BufferUsage before = pgBufferUsage;
	BufferUsage used;
	PlannedStmt *plan;

	INSTR_TIME_SET_CURRENT(start);
	plan = pg_plan_query(query, text, cursor_options, params);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	memset(&used, 0, sizeof(used));
	BufferUsageAccumDiff(&used, &pgBufferUsage, &before);
	ExplainOnePlan(plan, into, es, text, params, env, &duration, es->buffers ? &used : NULL);
}
#endif

/* Since 17 MERGE says which of its actions is at work. */
#if PG_VERSION_NUM >= 170000
#define merge_action(mtstate) \
	((mtstate)->mt_merge_action ? (mtstate)->mt_merge_action->mas_action->commandType : CMD_UNKNOWN)
#else
#define merge_action(mtstate) CMD_UNKNOWN
#endif

/* Since 16 SET ROLE is an option of a membership, and schemas are asked as any object. */
#if PG_VERSION_NUM >= 160000
#define role_may_become(member, role) member_can_set_role(member, role)
#define schema_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#else
#define role_may_become(member, role) is_member_of_role(member, role)
#define schema_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#endif

/* 18 has foreign keys that nobody enforces, and such of periods, which are more than equality. */
#if PG_VERSION_NUM >= 180000
#define foreign_key_enforced(fk) ((fk)->conenforced)
#define constraint_has_period(form) ((form)->conperiod)
#else
#define foreign_key_enforced(fk) true
#define constraint_has_period(form) false
#endif

/* Since 16 a name in text can be refused softly; ours are errors. */
#if PG_VERSION_NUM >= 160000
#define qualified_names(text) stringToQualifiedNameList(text, NULL)
#else
#define qualified_names(text) stringToQualifiedNameList(text)
#endif

/* A backend's entry in the copy of what pg_stat_activity shows, from 1; NULL: none. */
#if PG_VERSION_NUM >= 160000
#define backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif

#endif							/* IDFLOW_COMPAT_H */
