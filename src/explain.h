/* explain.h: what EXPLAIN ANALYZE says of drafts */
#ifndef IDFLOW_EXPLAIN_H
#define IDFLOW_EXPLAIN_H

#include "executor/execdesc.h"

extern void explain_init(void);
extern void explain_end(QueryDesc *query);

#endif
