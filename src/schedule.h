/* schedule.h: requests that wait for their date, end with one, or start by one */
#ifndef IDFLOW_SCHEDULE_H
#define IDFLOW_SCHEDULE_H

#include "idflow.h"
#include "timer.h"

#define TIMER_EFFECTIVE	"effective"
#define TIMER_EXPIRY	"expiry"
#define TIMER_START		"start"

/* schedule.c */
extern void schedule_ask(Request *req, const TimestampTz *effective_at, const TimestampTz *expires_at);
extern void schedule_by_settings(Request *req);
extern void schedule_enter(Request *req);
extern void schedule_again(Request *req);
extern bool schedule_wait(Request *req, char **held_by, Change **held_change);
extern Jsonb *schedule_save(Request *req, Jsonb *edits, const char *actor, bool *narrowed);
extern void schedule_fits(Workflow *wf, Oid relid, Oid deployer);
extern const char *date_text(TimestampTz date);

/* due.c */
extern char *due_try(Request *req, Change **held_change);
extern const char *due_apply(int64 request, const char *via, int attempts);
extern TimestampTz effective_run(Timer *timer);

/* expiry.c */
extern void expiry_set(Request *req);
extern TimestampTz expiry_run(Timer *timer);

/* start.c */
extern TimestampTz start_run(Timer *timer);

/* reverse.c */
extern Request *reverse_make(Request *original, const char *requester, const char *role,
							 List **moot, List **gone);

#endif
