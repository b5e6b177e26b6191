/* progress.h: how far an apply has come */
#ifndef IDFLOW_PROGRESS_H
#define IDFLOW_PROGRESS_H

#include "idflow.h"

extern void progress_begin(Request *req, List *changes);
extern void progress_change(Change *change);
extern void progress_settling(void);
extern void progress_end(void);

#endif
