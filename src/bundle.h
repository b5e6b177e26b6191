/* bundle.h: which request a drafted row goes into, and when that is sent on */
#ifndef IDFLOW_BUNDLE_H
#define IDFLOW_BUNDLE_H

#include "idflow.h"

/* What becomes one request: idflow.bundle, or what the workflow says. */
typedef enum BundleMode
{
	BUNDLE_UNSAID = -1,			/* the workflow leaves it to the session */
	BUNDLE_ROW,
	BUNDLE_STATEMENT,
	BUNDLE_TRANSACTION
} BundleMode;

extern int	setting_bundle;

extern BundleMode bundle_mode(const char *name);
extern Request *bundle_request(Workflow *wf, Relation rel, const char *actor);
extern void bundle_added(Request *req, Workflow *wf, Change *change, const char *actor);
extern MemoryContext bundle_context(Request *req);
extern void bundle_statement_end(int depth);
extern bool bundle_is_filled(int64 request);
extern Request *bundle_collecting(const char *actor);

extern void bundle_forget_all(void);
extern void bundle_forget(SubTransactionId subid);
extern void bundle_hand_up(SubTransactionId subid, SubTransactionId parent);

#endif
