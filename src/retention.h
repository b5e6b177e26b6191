/* retention.h: what is forgotten of requests, and when */
#ifndef IDFLOW_RETENTION_H
#define IDFLOW_RETENTION_H

#include "timer.h"

#define TIMER_RETENTION	"retention"
#define TIMER_ERASURE	"erasure"

/* retention.c */
extern void retention_set(Request *req);
extern TimestampTz retention_run(Timer *timer);
extern void request_blank(Request *req);
extern void blank_exec(StorePlan *plan, Datum *values);
extern bool has_unfinished_jobs(int64 request);

/* erase.c */
extern TimestampTz erasure_run(Timer *timer);

#endif
