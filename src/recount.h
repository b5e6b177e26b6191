/* recount.h: votes that are counted again */
#ifndef IDFLOW_RECOUNT_H
#define IDFLOW_RECOUNT_H

#include "idflow.h"
#include "timer.h"

#define TIMER_RECOUNT	"recount"

extern void recount_set(Request *req);
extern void recount_end(Request *req);
extern TimestampTz recount_run(Timer *timer);

#endif
