/* timeout.h: deadlines of tasks */
#ifndef IDFLOW_TIMEOUT_H
#define IDFLOW_TIMEOUT_H

#include "idflow.h"
#include "timer.h"

#define TIMER_TIMEOUT	"timeout"

/* timeout.c */
extern bool activity_has_deadline(Activity *activity);
extern TimestampTz timeout_due(Activity *activity, TimestampTz opened_at);
extern void timeouts_set(Request *req, Activity *activity, TimestampTz opened_at);
extern void timeouts_end(Request *req);
extern void timeouts_resume(Request *req);
extern TimestampTz timeout_run(Timer *timer);

/* calendar.c */
extern TimestampTz time_after(TimestampTz since, const char *duration, const char *calendar);

#endif
