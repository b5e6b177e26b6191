/*-------------------------------------------------------------------------
 *
 * template.h
 *		Activity templates: fixed state machines, as data.
 *
 * State names are interned: what template_state() and template_transition()
 * return may be compared by pointer with the STATE_* constants and with
 * ActivityTemplate.initial_state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_TEMPLATE_H
#define IDFLOW_TEMPLATE_H

#include "postgres.h"

/* the states, by their short names */
extern const char STATE_ACTION_PENDING[];
extern const char STATE_REFINE_PENDING[];
extern const char STATE_REVIEW_PENDING[];
extern const char STATE_EXECUTED[];
extern const char STATE_APPROVED[];
extern const char STATE_INVOKED[];
extern const char STATE_DECLINED[];
extern const char STATE_ABORTED[];
extern const char STATE_PURGED[];

/* what a state means for the request */
typedef enum TemplateStateKind
{
	TEMPLATE_STATE_PENDING,		/* waits for somebody */
	TEMPLATE_STATE_PROCEED,		/* Executed, Approved, Invoked: next activity */
	TEMPLATE_STATE_CLOSE		/* Declined, Aborted, Purged: request ends */
} TemplateStateKind;

typedef struct TemplateTransition
{
	const char *from;			/* state, short name */
	const char *verb;
	const char *to;				/* state, short name */
} TemplateTransition;

typedef struct ActivityTemplate
{
	const char *name;
	const char *initial_state;	/* state in which an activity starts */
	bool		is_interactive; /* waits for people */
	bool		is_review;		/* decided by Approve and Decline */
	int			ntransitions;
	const TemplateTransition *transitions;	/* in the order of their states */
} ActivityTemplate;

extern const ActivityTemplate *template_lookup(const char *name);
extern const char *template_state(const ActivityTemplate *t, const char *state);
extern const char *template_transition(const ActivityTemplate *t,
									   const char *state, const char *verb);
extern TemplateStateKind template_state_kind(const char *state);
extern char *template_states(const ActivityTemplate *t);
extern char *template_verbs(const ActivityTemplate *t, const char *state);
extern char *template_state_name(const ActivityTemplate *t, const char *state);
extern char *template_transition_name(const ActivityTemplate *t,
									  const char *state, const char *verb);
extern char *template_names(void);

#endif							/* IDFLOW_TEMPLATE_H */
