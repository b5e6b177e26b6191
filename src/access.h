/* access.h: AccessControlRules: who may act at which state, on which rows */
#ifndef IDFLOW_ACCESS_H
#define IDFLOW_ACCESS_H

#include "idflow.h"

extern bool access_restricts(Request *req);
extern const char *access_permits(Request *req, const char *principal);
extern List *access_keys(Request *req, List *actor_keys);
extern List *access_notified_profiles(Request *req, const char *state);

#endif
