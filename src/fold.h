/* fold.h: several statements about one row of a request */
#ifndef IDFLOW_FOLD_H
#define IDFLOW_FOLD_H

#include "idflow.h"

extern bool fold(Request *req, Change *change, Relation target);
extern List *drafts_of_row(Request *req, Relation rel, char **key, Bitmapset *key_attnums);
extern void fold_value(Request *req, List *drafts, Relation rel, HeapTuple live,
					   AttrNumber attnum, char *value);
extern void fold_done(Request *req, List *drafts, Relation rel);

#endif
