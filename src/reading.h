/*-------------------------------------------------------------------------
 *
 * reading.h
 *	  What the files behind the reports share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_READING_H
#define IDFLOW_READING_H

#include "catalog/pg_attribute.h"

#include "column.h"
#include "idflow.h"

/* ------------------------------------------------------------- actor.c */

extern char *actor_lookup(bool *is_explicit);

/* ------------------------------------------------------------ viewer.c */

/* How much of a request somebody may see. */
typedef enum Viewer
{
	VIEWER_NONE,				/* nothing */
	VIEWER_OWN,					/* requester, subject: what he wrote, and what
								 * he may SELECT */
	VIEWER_ALL					/* who decides or decided; auditors */
} Viewer;

extern Viewer viewer_of(int64 request);

/* ----------------------------------------------------------- reading.c */

/*
 * What a viewer may see of one change.  Positions are the layout's, from 1;
 * the arrays are NULL for VIEWER_ALL.
 */
typedef struct Sight
{
	Viewer		viewer;
	bool	   *selectable;		/* may SELECT the column */
	bool	   *written;		/* drafted by the requester himself */
	bool		row_visible;	/* row-level security shows him the row */
	ColumnShow *show;			/* what workflows show of columns; NULL: all */
} Sight;

/* A change of an open request, and how much the one who asks may see of it. */
typedef struct SeenChange
{
	int64		request;
	Viewer		viewer;
	Change	   *change;
} SeenChange;

extern List *reading_stored(int64 request, int seq);
extern List *reading_changes(int64 request, int seq);
extern List *reading_open_changes(Oid relid, int64 request, bool unseen, bool own);
extern bool sight_is_narrow(Request *req, Change *change);
extern Sight *sight_of_columns(Change *change, Viewer viewer);
extern Sight *sight_of(Change *change, Viewer viewer);
extern bool sight_of_draft(Sight *sight, int position);
extern bool sight_of_row(Sight *sight, int position);
extern bool sight_of_masked_draft(Sight *sight, int position);
extern bool sight_of_masked_row(Sight *sight, int position);
extern AttrNumber layout_attribute(Layout *layout, Oid relid, int position);
extern ErrorData *value_read(Oid type, int32 typmod, const char *text, Datum *value);
extern bool drafted_value(int64 request, Form_pg_attribute att, Oid type, int32 typmod,
						  const char *text, Datum *value);

/* -------------------------------------------------------------- live.c */

extern char **live_values(Change *change, bool *exists);
extern bool live_row_visible(Change *change);

/* row_base.c */
extern char **row_base_values(int64 request, Change *change, bool *exists);
extern Oid	table_owner(Oid relid);
extern void append_operator(StringInfo sql, Oid opno);

/* -------------------------------------------------------- image_json.c */

extern Datum json_of_positions(Layout *layout, List *positions, List *values);

#endif							/* IDFLOW_READING_H */
