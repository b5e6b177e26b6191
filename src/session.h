/* session.h: what a session remembers, and how long */
#ifndef IDFLOW_SESSION_H
#define IDFLOW_SESSION_H

#include "idflow.h"

extern void session_init(void);

/* the request that begin_request() or resume_request() collects into; 0: none */
extern int64 collecting_request(void);
extern void collect_into(int64 request);

/* the bypass of this transaction */
extern const char *bypass_reason(void);
extern int64 bypass_request(void);
extern void bypass_begin(const char *reason);
extern void bypass_set_request(int64 request);

/* an actor's newest request */
extern void remember_request(const char *actor, int64 request);
extern int64 remembered_request(const char *actor);

/* drop.c: what becomes of open requests with their table; idflow.on_drop */
enum
{
	ON_DROP_AUTO,				/* refuse, but let admins end them */
	ON_DROP_REFUSE,
	ON_DROP_END
};

extern int	setting_on_drop;

#endif
