/* tenant.h: whose tenant people and requests are of */
#ifndef IDFLOW_TENANT_H
#define IDFLOW_TENANT_H

#include "idflow.h"

extern bool tenant_admits(const char *tenant, const char *principal);
extern void require_tenant(Request *req, const char *principal);
extern char *tenant_of_requester(const char *principal);
extern List *tenants_of(const char *principal);
extern char *place_of(const char *key, const char *tenant);
extern const char *place_key(const char *place);
extern List *actor_places(const char *principal, List *within);

#endif							/* IDFLOW_TENANT_H */
