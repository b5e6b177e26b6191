/* notice.h: the one NOTICE per statement */
#ifndef IDFLOW_NOTICE_H
#define IDFLOW_NOTICE_H

#include "idflow.h"

extern void notice_add(int64 request, const char *state, const char *activity,
					   CmdType operation, Oid relid, bool unfinished);
extern void notice_count(void);
extern void notice_outcome(int64 request, const char *state, const char *activity,
						   CmdType operation, Oid relid, bool mixed, int rows);
extern void notice_statement_end(int depth);
extern void notice_flush(void);
extern void notice_forget(SubTransactionId subid);
extern void notice_hand_up(SubTransactionId subid, SubTransactionId parent);
extern bool notice_suspend(bool on);
extern int	notice_join(void);
extern void notice_part(int before);
extern bool notice_joined(void);
extern int	statement_level(void);
extern int	statement_rows(void);

#endif
