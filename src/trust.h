/* trust.h: whose functions a statement with a role's rights may call */
#ifndef IDFLOW_TRUST_H
#define IDFLOW_TRUST_H

#include "postgres.h"

#include "executor/spi.h"
#include "nodes/parsenodes.h"

extern void trust_check_query(Query *query, Oid roleid, const char *what);
extern void trust_check_plan(SPIPlanPtr plan, Oid roleid, const char *what);

#endif
