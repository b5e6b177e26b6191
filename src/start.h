/* start.h: requests that dates in the data start */
#ifndef IDFLOW_START_H
#define IDFLOW_START_H

#include "idflow.h"

/* A row that is due, as a scan finds it. */
typedef struct StartRow
{
	List	   *key;			/* of char *: output text, as the key's columns stand */
	TimestampTz due;
} StartRow;

/* start_query.c */
typedef struct StartScan StartScan;
extern Interval *start_interval(const char *text);
extern void start_fits(Workflow *wf, const DefinitionElement *start, Relation rel, Oid deployer);
extern Relation start_target(Workflow *wf, const DefinitionElement *start, LOCKMODE lockmode);
extern StartScan *start_scan_begin(const DefinitionElement *start, Relation rel, Oid deployer);
extern List *start_scan_next(StartScan *scan);
extern TimestampTz start_next_due(const DefinitionElement *start, Relation rel, Oid deployer);

/* start_open.c */
extern int64 start_open(Workflow *wf, const DefinitionElement *start, Relation rel, StartRow *row,
						bool *applies);

/* start.c */
extern void starts_deployed(const char *workflow);

#endif
