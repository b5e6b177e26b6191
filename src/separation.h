/* separation.h: who may not act because of what he did before */
#ifndef IDFLOW_SEPARATION_H
#define IDFLOW_SEPARATION_H

#include "idflow.h"

extern bool separated_from(Request *req, const char *principal);
extern List *separated_principals(int64 request, Activity *activity, const char *activity_state);
extern List *separated_now(Request *req);
extern void require_separation(Request *req, const char *principal);

#endif							/* IDFLOW_SEPARATION_H */
