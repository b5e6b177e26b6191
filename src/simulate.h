/* simulate.h: what would become of a request or a statement */
#ifndef IDFLOW_SIMULATE_H
#define IDFLOW_SIMULATE_H

#include "nodes/execnodes.h"

#include "reading.h"

/* Is a simulation running, so that nothing of what happens now will last? */
extern bool simulating(void);

/* a request was made; request.c tells */
extern void simulation_request_made(int64 request);

/* A row of the result; what is NULL or 0 is null. */
typedef struct Finding
{
	int64		request;
	int64		change;
	const char *kind;
	const char *activity;
	const char *actor;
	const char *sqlstate;
	const char *message;
	const char *detail;
} Finding;

/* A change as it was when its request began to be followed. */
typedef struct KnownChange
{
	int			seq;
	bool		row_visible;	/* row-level security shows its row to whoever
								 * asks */
	Image	   *draft;
} KnownChange;

/* simulate_report.c */
extern void simulation_report_to(ReturnSetInfo *rsinfo);
extern void simulation_report(Finding *finding);
extern void simulation_report_request(Request *req, Viewer viewer);
extern void simulation_report_events(Request *req, int after);
extern void simulation_report_task(Request *req);
extern List *simulation_known(Request *req, Viewer viewer);
extern void simulation_report_changes(Request *req, Viewer viewer, List *known);
extern void simulation_report_error(Request *req, Viewer viewer, List *known, ErrorData *error);
extern void simulation_report_conflicts(Request *req, Viewer viewer);

#endif
