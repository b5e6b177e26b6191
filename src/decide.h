/* decide.h: what the verbs share */
#ifndef IDFLOW_DECIDE_H
#define IDFLOW_DECIDE_H

#include "fmgr.h"

#include "idflow.h"

extern int64 int64_argument(FunctionCallInfo fcinfo, int n, const char *name);
extern char *text_argument(FunctionCallInfo fcinfo, int n);
extern Request *load_task(int64 task);
extern const char *require_authority_for(Request *req, const char *actor, const char *verb,
										 const char **to);

extern void require_four_eyes(Request *req, const char *actor);

/* verbs.c */
extern Request *load_request(int64 id);
extern void refuse_applying(Request *req);
extern void require_own(Request *req, const char *actor, const char *what);
extern Datum request_done(Request *req);

#endif
