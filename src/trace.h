/* trace.h: what each expression of a workflow gave */
#ifndef IDFLOW_TRACE_H
#define IDFLOW_TRACE_H

#include "idflow.h"

extern void trace_step(Request *req, Workflow *wf, Change *change, const char *what,
					   const char *expression, ExpressionKind kind, List *result);
extern void trace_write(Request *req);

#endif
