/* column.h: what workflows say of columns: who sees, who edits, how they merge */
#ifndef IDFLOW_COLUMN_H
#define IDFLOW_COLUMN_H

#include "compat.h"
#include "idflow.h"

/* what reports show in the place of a value that is masked */
extern const char column_mask[];

/* In the order of strictness. */
typedef enum ColumnShow
{
	COLUMN_SHOWN,
	COLUMN_MASKED,				/* that there is a value, and that it changes */
	COLUMN_HIDDEN				/* not even that */
} ColumnShow;

typedef enum ColumnMerge
{
	MERGE_CONFLICT,
	MERGE_LIVE,
	MERGE_DRAFT,
	MERGE_NEXT,
	MERGE_BY_KEY
} ColumnMerge;

extern bool workflow_hides_columns(Workflow *wf);
extern DefinitionElement *workflow_column(Workflow *wf, const char *name);
extern ColumnShow column_show(Change *change, const char *name);
extern ColumnShow *columns_show(Change *change);
extern const char *column_label(Change *change, const char *name, const char *principal);
extern void column_require_editable(Request *req, Change *change, const char *name);
extern ColumnMerge column_merge(Request *req, Change *change, const char *name);
extern bool change_is_exact(Request *req, Change *change);
extern void column_fits(Workflow *wf, const DefinitionElement *column, Relation rel);

extern bool change_hides_columns(Change *change);
does_not_return extern void rethrow_without_values(void);

/* merge_column.c */
extern bool merge_column(ColumnMerge merge, Form_pg_attribute att, const char *base,
						 const char *live, const char *draft, char **merged);

#endif							/* IDFLOW_COLUMN_H */
