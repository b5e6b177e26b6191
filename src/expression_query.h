/* expression_query.h: what an SQL expression may do */
#ifndef IDFLOW_EXPRESSION_QUERY_H
#define IDFLOW_EXPRESSION_QUERY_H

#include "postgres.h"

#include "nodes/parsenodes.h"

extern void expression_check_query(Query *query, Oid deployer);
extern Expr *expression_simple(Query *query);

#endif
