/* wrapper.h: the statement around a gate, and what its client is told */
#ifndef IDFLOW_WRAPPER_H
#define IDFLOW_WRAPPER_H

#include "nodes/execnodes.h"

#include "idflow.h"

/* A ModifyTable of a gated table in execution; wrapper.c knows what is in it. */
typedef struct Wrapper Wrapper;

extern void wrapper_start(QueryDesc *query);
extern void wrapper_end(QueryDesc *query);
extern int64 wrapper_drafted_rows(QueryDesc *query);
extern Wrapper *wrapper_running(Relation rel, ResultRelInfo **rri);
extern EState *wrapper_estate(Wrapper *wrapper);
extern Plan *wrapper_plan(Wrapper *wrapper);
extern CmdType wrapper_action(Wrapper *wrapper, CmdType event);
extern OnConflictAction wrapper_on_conflict(Wrapper *wrapper);
extern void wrapper_conflicting(Wrapper *wrapper);
extern bool wrapper_seen(Wrapper *wrapper, Relation rel, ItemPointer tid);
extern void wrapper_drafted(Wrapper *wrapper, ResultRelInfo *rri, CmdType operation,
							TupleTableSlot *old, TupleTableSlot *new);
extern void wrapper_expect_update(Wrapper *wrapper, TupleTableSlot *slot);

#endif
