/* change.h: drafted changes as they are stored */
#ifndef IDFLOW_CHANGE_H
#define IDFLOW_CHANGE_H

#include "idflow.h"

/* A change's id has 24 bits for its number; see edit.h. */
#define MAX_CHANGES ((1 << 24) - 1)

extern int	next_change(Request *req);
extern void change_number(Request *req, Change *change);
extern void change_replace(Request *req, Change *pack, List *rows);

#endif
