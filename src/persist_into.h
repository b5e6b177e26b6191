/* persist_into.h: rows that are written before they are approved */
#ifndef IDFLOW_PERSIST_INTO_H
#define IDFLOW_PERSIST_INTO_H

#include "idflow.h"

extern Oid	into_relid(const char *into, Oid target);
extern Form_pg_attribute into_column(Relation rel, const char *name);
extern void persist_into_fits(Workflow *wf, Relation rel);
extern void persist_into_operations(Workflow *wf, Relation rel, List *operations);
extern Jsonb *persist_into(Request *req, Activity *activity);
extern void resources_end(Request *req);
extern bool change_is_kept(Change *change);
extern Image *kept_update(Change *change, Image *image, Relation rel, HeapTuple live);

#endif
