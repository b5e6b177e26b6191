/* worker.h: the background worker */
#ifndef IDFLOW_WORKER_H
#define IDFLOW_WORKER_H

extern void worker_init(void);

#endif							/* IDFLOW_WORKER_H */
