/* timer.h: what is to happen at a time */
#ifndef IDFLOW_TIMER_H
#define IDFLOW_TIMER_H

#include "idflow.h"

/* who acts where nobody does: automatic steps */
#ifndef ACTOR_SYSTEM
#define ACTOR_SYSTEM	"idflow"
#endif

typedef struct Timer
{
	int64		id;
	const char *kind;
	int64		request;		/* 0: belongs to none */
	int64		task;			/* 0: to none */
	const char *name;
	TimestampTz due_at;
	Jsonb	   *data;
	int			attempts;		/* that have failed so far */
	int			work;			/* set by run: that so much was done, if more than one */
} Timer;

/* timer.c */
extern void timer_add(const char *kind, int64 request, int64 task, const char *name,
					  TimestampTz due_at, Jsonb *data);
extern void timers_drop(int64 request, int64 task, const char *kind);

/* timer_run.c */
extern int	timer_run_one(int64 id, int64 request, bool if_due);

#define TIMER_LEFT_ALONE	0
#define TIMER_STOPS			(-1)

/*
 * A kind: run is called in a subtransaction of its own, with the timer's row
 * locked and, where it has a request, the request locked, too; it loads that
 * with request_load().  Returns when it is due next, 0: done, the row goes.
 * Errors are counted, and after some tries the timer is set aside.
 */
typedef TimestampTz (*timer_run_function) (Timer *timer);

#endif
