/* edit.h: what the verbs that change drafts share */
#ifndef IDFLOW_EDIT_H
#define IDFLOW_EDIT_H

#include "idflow.h"

/* change ids are made of the request's number and the change's */
#define CHANGE_ID(request, seq) (((request) << 24) | (seq))

extern Change *change_by_id(Request *req, int64 id);
extern int	layout_find_position(Layout *layout, const char *name);
extern int	layout_position(Layout *layout, const char *name);
extern List *object_keys(Jsonb *object);
extern void require_unwritten(Request *req);
extern void next_revision(Request *req);
extern void edit_set(Change *change, Relation rel, HeapTuple live, int position, char *value,
					 bool own);
extern void edit_done(Request *req, Change *change, Relation rel);

#endif
