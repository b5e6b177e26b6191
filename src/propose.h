/* propose.h: asking for a change without a privilege on its table */
#ifndef IDFLOW_PROPOSE_H
#define IDFLOW_PROPOSE_H

#include "idflow.h"

/* apply_as.c: the role that a workflow's proposals are drafted and applied as */
extern const char *workflow_apply_as(Workflow *wf);
extern void apply_as_deployable(const char *role, const char *workflow, const char *deployer);
extern void apply_as_fits(Workflow *wf, Relation rel, List *operations);
extern Oid	apply_as_role(Workflow *wf);
extern void apply_as_still(Request *req);
extern void apply_as_trusts(Workflow *wf, Relation rel);
extern bool apply_as_hides(Request *req);
extern bool table_is_open(Oid relid);

/* propose.c */
extern bool proposal_is_for(Relation rel);
extern bool proposal_is_blind(Relation rel);
extern void proposal_admit(Request *req, Workflow *wf, Change *change, const char *actor);
extern Bitmapset *proposal_touches(Relation rel, Bitmapset *touched);

#endif
