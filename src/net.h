/* net.h: what a request does to each row, all in all */
#ifndef IDFLOW_NET_H
#define IDFLOW_NET_H

#include "idflow.h"

/* The steps of a request on one row, as one change. */
typedef struct NetChange
{
	Change	   *change;			/* key: the row's before the first step */
	Image	   *key;			/* and after the last; a DELETE's: as before */
	List	   *steps;			/* numbers (seq) of its changes, last first */
	bool		nothing;		/* inserts a row and deletes it: nothing */
} NetChange;

extern List *net_changes(List *changes);

#endif
