/* plancache.h: saved plans on other people's tables */
#ifndef IDFLOW_PLANCACHE_H
#define IDFLOW_PLANCACHE_H

#include "idflow.h"

extern SPIPlanPtr plan_lookup(Oid relid, const char *name);
extern void plan_bury(SPIPlanPtr plan);
extern void plan_free_dead(void);
extern void plan_keep(Oid relid, const char *name, SPIPlanPtr plan);

/* row.c */
extern char *operator_sql(Oid oprid);
extern char *equality_operator(Oid type);
extern char *table_sql(Relation rel, bool with_only);
extern char *alias_for(Relation rel);

#endif
