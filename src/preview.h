/*-------------------------------------------------------------------------
 *
 * preview.h
 *	  What the files behind the preview share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_PREVIEW_H
#define IDFLOW_PREVIEW_H

#include "nodes/parsenodes.h"
#include "utils/hsearch.h"

#include "idflow.h"

/* A row that drafts make, change or delete. */
typedef struct DraftRow
{
	int64		request;		/* the last that drafts it */
	bool		live;			/* it stands in the table, and he sees it */
	bool		deleted;
	char	   *key;			/* of the live row, as text */
	HeapTuple	before;			/* the live row */
	Datum	   *values;			/* as it would be */
	bool	   *nulls;
	Bitmapset  *known;			/* columns that may be shown */
	Bitmapset  *drafted;		/* columns that drafts have changed */
	struct DraftRow *next;		/* of the same hash */
} DraftRow;

/* The drafted rows of a table, for whoever asks. */
typedef struct DraftSet
{
	Relation	rel;
	TupleDesc	desc;
	Bitmapset  *selectable;		/* columns that he may SELECT */
	bool		all_selectable;
	Bitmapset  *key;			/* the table's key; NULL if he can't tell rows
								 * by it */
	FmgrInfo   *output;			/* by attnum - 1, of the key's columns */
	List	   *rows;			/* of DraftRow */
	HTAB	   *by_key;
	List	   *maps;			/* of LayoutMap */
	List	   *generated;		/* of Generated */
} DraftSet;

/* preview_set.c */
extern DraftSet *draft_set(Relation rel, int64 request);
extern DraftRow *draft_of_key(DraftSet *set, const char *key);
extern char *key_of_row(DraftSet *set, Datum *values, bool *nulls);
extern SPIPlanPtr find_plan(Relation rel, Bitmapset *columns, Bitmapset *key);
extern char *alias_for(Relation rel);

/* preview.c */
extern int64 preview_only_draft(Relation rel, Datum *values, bool *nulls);

/* preview_view.c */
extern AttrNumber preview_column(Query *query, int column, Oid *relid);

#endif							/* IDFLOW_PREVIEW_H */
