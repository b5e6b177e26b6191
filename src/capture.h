/* capture.h: the gate's core */
#ifndef IDFLOW_CAPTURE_H
#define IDFLOW_CAPTURE_H

#include "idflow.h"
#include "statement.h"

extern Bitmapset *touched_attributes(TupleDesc desc, TupleTableSlot *old, TupleTableSlot *new);
extern Change *change_like(Relation target, CmdType operation, const char *workflow,
						   StatementInfo *info);
extern Change *capture_change(Relation rel, CmdType operation, TupleTableSlot *old,
							  TupleTableSlot *new, const char *workflow, StatementInfo *info);
extern void gate_capture(Relation rel, CmdType operation, TupleTableSlot *old,
						 TupleTableSlot *new, const char *workflow, StatementInfo *info);
extern void record_bypass(Relation rel, CmdType operation, TupleTableSlot *old,
						  TupleTableSlot *new, const char *workflow, StatementInfo *info);

#endif
