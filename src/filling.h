/* filling.h: requests that running statements add to */
#ifndef IDFLOW_FILLING_H
#define IDFLOW_FILLING_H

#include "idflow.h"

struct Before;

/* A request that a running statement adds to. */
typedef struct Filling
{
	Request    *req;
	bool		sends;			/* the statement's end sends it on */
	int			level;			/* of the statement, as in notice.c */
	const char *actor;
	Oid			roleid;
	SubTransactionId subid;		/* that the statement runs in */
	struct Before *before;			/* newest first */
	int			rows;
	bool		mixed;			/* operations or targets differ */
	CmdType		operation;
	Oid			target;
	struct Packing *packing;	/* the pack it is gathering, see pack.c */
	MemoryContext context;		/* of all this */
	struct Filling *next;
} Filling;

extern Filling *filling_of(int64 request);
extern Filling *filling_of_statement(const char *actor);
extern Filling *filling_begin(int64 id, const char *actor);
extern Request *filling_add(Filling *filling);
extern void fillings_forget(SubTransactionId subid);
extern void fillings_hand_up(SubTransactionId subid, SubTransactionId parent);

/* bundle.c */
extern Request *new_request(const char *actor);
extern void bundle_counted(Filling *filling);
extern void bundle_send_on(Request *req, Workflow *wf);
extern Workflow *first_workflow(Request *req);
extern const char *activity_name(Request *req);

#endif
