/* vote.h: tasks that several people decide */
#ifndef IDFLOW_VOTE_H
#define IDFLOW_VOTE_H

#include "idflow.h"

extern bool activity_has_quota(Activity *activity);
extern Jsonb *vote_open(Request *req, Activity *activity);
extern const char *vote_cast(Request *req, Vote *vote);
extern const char *vote_count(Request *req);
extern bool vote_is_open(Request *req);
extern List *vote_given(Request *req);
extern List *vote_kept_out(Request *req);
extern bool no_actor_escalates(Request *req, Activity *activity);
extern bool no_actor_skips(Request *req, Activity *activity);

#endif							/* IDFLOW_VOTE_H */
