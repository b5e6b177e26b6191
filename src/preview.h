/*-------------------------------------------------------------------------
 *
 * preview.h
 *	  What the files behind the preview share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_PREVIEW_H
#define IDFLOW_PREVIEW_H

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
	int64		request;		/* whose change is looked at */
} DraftSet;

/* A row that is being written through a preview view. */
typedef struct Write
{
	Relation	view;
	Relation	rel;			/* the table */
	TupleDesc	desc;			/* the table's */
	AttrNumber *attnums;		/* the table's columns by the view's, from 0 */
	bool		known;			/* which columns the statement names */
	Bitmapset  *named;			/* the table's columns that it does */
	bool		returning;		/* may the statement want the row back? */
	Datum	   *values;			/* the new row, by the table's columns */
	bool	   *nulls;
	Datum	   *old_values;		/* the row that the view showed */
	bool	   *old_nulls;
} Write;

/* preview_set.c */
extern DraftSet *draft_set(Relation rel, int64 request, bool own);
extern DraftRow *draft_of_key(DraftSet *set, const char *key);
extern char *key_of_row(DraftSet *set, Datum *values, bool *nulls);
extern SPIPlanPtr find_plan(Relation rel, Bitmapset *columns, Bitmapset *key);

/* preview.c */
extern int64 preview_only_draft(Relation rel, Datum *values, bool *nulls);

/* preview_fold.c */
extern bool preview_fold(Write *write, CmdType operation, Bitmapset *columns, bool *written);

/* preview_view.c */
extern void write_open(Write *write);
extern void write_look(Write *write, CmdType operation);
extern void write_from_row(Write *write, HeapTuple tuple, Datum **values, bool **nulls);
extern HeapTuple write_to_row(Write *write, Datum *values, bool *nulls);

#endif							/* IDFLOW_PREVIEW_H */
