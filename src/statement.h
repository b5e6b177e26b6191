/* statement.h: what the statement that fired a gate does to its table */
#ifndef IDFLOW_STATEMENT_H
#define IDFLOW_STATEMENT_H

#include "idflow.h"
#include "wrapper.h"

typedef struct StatementInfo
{
	Wrapper    *wrapper;		/* its ModifyTable at work, and ... */
	ResultRelInfo *rri;			/* ... what that has of the table; or NULL */
	bool		known;			/* the statement's plan is at hand */
	Oid			named;			/* the table it names: this one or an ancestor */
	bool		inserts;		/* it has an action that inserts into it ... */
	bool		updates;		/* ... that updates it, and may move rows */
	bool		deletes;
	Bitmapset  *inserted;		/* attribute numbers of the named table */
	Oid			as_user;		/* through a view with this role's rights */
	bool		view_check;		/* through a view with CHECK OPTION */
	bool		blind;			/* who asks must not learn of other rows */
} StatementInfo;

extern void statement_info(Relation rel, Wrapper *wrapper, ResultRelInfo *rri, StatementInfo *info);

/* check.c */
extern void check_proposed(Relation rel, StatementInfo *info, TupleTableSlot *new);

#endif
