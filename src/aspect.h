/*-------------------------------------------------------------------------
 *
 * aspect.h
 *	  Actions hung on the states of a workflow's activities.
 *
 * aspect.c finds and orders what runs at a state; each kind of aspect has a
 * file of its own, aspect_*.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_ASPECT_H
#define IDFLOW_ASPECT_H

#include "idflow.h"

struct AspectKind;

/* An aspect at one of its pointcuts, as the session holds it. */
typedef struct Aspect
{
	const struct AspectKind *kind;
	DefinitionElement *element;
	const char *name;
	const char *state;			/* interned */
	bool		after;			/* on exit from the state, not on entry */
	int			priority;
} Aspect;

/*
 * What an aspect of a kind does.  One that runs for each change is called for
 * each whose IfExpression is true; any other is called once, with the first
 * such change, if there is one.
 */
typedef struct AspectKind
{
	const char *element;
	bool		each_change;
	void		(*run) (Request *req, Aspect *aspect, Change *change);

	/* whether one fits a table, by ereport; NULL: as element_fits() says */
	void		(*fits) (Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer);
} AspectKind;

extern const AspectKind *aspect_kind(const DefinitionElement *element);

extern void aspects_index(Workflow *wf);
extern void aspects_run(Request *req, const char *state, bool after);

#endif							/* IDFLOW_ASPECT_H */
