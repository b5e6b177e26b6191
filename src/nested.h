/* nested.h: what triggers write, as changes of the request whose apply fires them */
#ifndef IDFLOW_NESTED_H
#define IDFLOW_NESTED_H

#include "commands/trigger.h"

#include "idflow.h"
#include "statement.h"

/* An apply, or a try, whose triggers may write to gated tables. */
typedef struct NestedScope
{
	Request    *req;
	bool		trying;
	struct NestedScope *outer;
} NestedScope;

extern void nested_enter(NestedScope *scope, Request *req, bool trying);
extern void nested_leave(NestedScope *scope);
extern bool nested_passes(TriggerData *trigdata, CmdType operation, TupleTableSlot *old,
						  TupleTableSlot *new, StatementInfo *info);
extern List *nested_others(Request *req);
extern void nested_draft(Request *req);
extern void nested_written(Request *req);
extern void nested_require_not(Change *change);
extern void nested_forget(SubTransactionId subid);
extern void nested_hand_up(SubTransactionId subid, SubTransactionId parent);

#endif
