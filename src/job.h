/* job.h: what requests queue for agents outside */
#ifndef IDFLOW_JOB_H
#define IDFLOW_JOB_H

#include "idflow.h"

extern void jobs_provision(Request *req, Activity *activity);

#endif
