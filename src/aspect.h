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

#include "compat.h"
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

/* aspect_change.c */
extern char *canonical_text(Request *req, Form_pg_attribute att, const char *value);
extern int	aspect_position(Aspect *aspect, const char *attribute, Change *change, Relation rel);
extern void aspect_set_value(Request *req, Aspect *aspect, Change *change, Relation rel,
							 int position, char *value);
extern void aspect_settable_fits(Workflow *wf, const DefinitionElement *element, Relation rel,
								 Oid deployer);
extern void add_change_run(Request *req, Aspect *aspect, Change *change);

/* aspect_assert.c */
extern void assert_value_run(Request *req, Aspect *aspect, Change *change);
extern void assert_value_required_run(Request *req, Aspect *aspect, Change *change);
does_not_return extern void aspect_refuse(Request *req, Aspect *aspect, const char *message);

/* aspect_unique.c */
extern void build_unique_value_run(Request *req, Aspect *aspect, Change *change);
extern void build_unique_value_fits(Workflow *wf, const DefinitionElement *element, Relation rel,
									Oid deployer);

/* aspect_separation.c */
extern void separation_run(Request *req, Aspect *aspect, Change *change);
extern void separation_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer);

/* notification.c */
extern void notification_run(Request *req, Aspect *aspect, Change *change);

/* job.c */
extern void invoke_script_run(Request *req, Aspect *aspect, Change *change);

/* aspect_invoke.c */
extern void invoke_function_run(Request *req, Aspect *aspect, Change *change);
extern void invoke_function_fits(Workflow *wf, const DefinitionElement *element, Relation rel,
								 Oid deployer);
extern void invoke_workflow_run(Request *req, Aspect *aspect, Change *change);
extern bool request_is_invoking(int64 request);
extern int64 invoking_request(int *depth);
extern void aspects_run(Request *req, const char *state, bool after);

#endif							/* IDFLOW_ASPECT_H */
