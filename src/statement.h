/* statement.h: what the statement that fired a gate does to its table */
#ifndef IDFLOW_STATEMENT_H
#define IDFLOW_STATEMENT_H

#include "idflow.h"

typedef struct StatementInfo
{
	bool		known;			/* the statement is at hand */
	Oid			named;			/* the table it names: this one or an ancestor */
	bool		inserts;		/* it has an action that inserts into it ... */
	bool		updates;		/* ... that updates it, and may move rows */
	bool		deletes;
	Bitmapset  *inserted;		/* attribute numbers of the named table */
} StatementInfo;

extern void statement_info(Relation rel, StatementInfo *info);

#endif
