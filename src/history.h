/* history.h: events and changes of closed requests, put away by the month */
#ifndef IDFLOW_HISTORY_H
#define IDFLOW_HISTORY_H

#include "idflow.h"

extern bool history_moves(void);
extern List *history_rows(int64 request);

#endif
