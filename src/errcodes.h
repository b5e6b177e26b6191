/*-------------------------------------------------------------------------
 *
 * errcodes.h
 *		SQLSTATEs of class WF: what a workflow refuses.
 *
 * Where PostgreSQL has a code that fits (42501, 23xxx, 40001, 55000), that
 * one is used instead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_ERRCODES_H
#define IDFLOW_ERRCODES_H

#include "utils/elog.h"

/* the definition is not valid */
#define ERRCODE_WF_DEFINITION			MAKE_SQLSTATE('W','F','0','0','1')
/* no workflow, or no version of it, has this name */
#define ERRCODE_WF_UNDEFINED_WORKFLOW	MAKE_SQLSTATE('W','F','0','0','2')
/* no request has this number */
#define ERRCODE_WF_UNDEFINED_REQUEST	MAKE_SQLSTATE('W','F','0','0','3')
/* no task has this number */
#define ERRCODE_WF_UNDEFINED_TASK		MAKE_SQLSTATE('W','F','0','0','4')
/* the task is closed */
#define ERRCODE_WF_TASK_CLOSED			MAKE_SQLSTATE('W','F','0','0','5')
/* somebody else has claimed the task */
#define ERRCODE_WF_TASK_CLAIMED			MAKE_SQLSTATE('W','F','0','0','6')
/* nobody approves what he requested, edited or is the subject of */
#define ERRCODE_WF_FOUR_EYES			MAKE_SQLSTATE('W','F','0','0','7')
/* idflow.require_actor is on and no actor is set */
#define ERRCODE_WF_ACTOR_REQUIRED		MAKE_SQLSTATE('W','F','0','0','8')
/* the activity's state has no such transition */
#define ERRCODE_WF_TRANSITION			MAKE_SQLSTATE('W','F','0','0','9')
/* the statement would lose a row at a gate */
#define ERRCODE_WF_GATE_HAZARD			MAKE_SQLSTATE('W','F','0','1','0')
/* DDL that would open a gate */
#define ERRCODE_WF_GATE_PROTECTED		MAKE_SQLSTATE('W','F','0','1','1')
/* an approved change could not be written as it was approved */
#define ERRCODE_WF_APPLY				MAKE_SQLSTATE('W','F','0','1','2')
/* the table's shape no longer fits the draft */
#define ERRCODE_WF_LAYOUT				MAKE_SQLSTATE('W','F','0','1','3')
/* an expression of a definition cannot be used */
#define ERRCODE_WF_EXPRESSION			MAKE_SQLSTATE('W','F','0','1','4')
/* open requests stand in the way */
#define ERRCODE_WF_OPEN_REQUESTS		MAKE_SQLSTATE('W','F','0','1','5')
/* the request's state does not allow this */
#define ERRCODE_WF_REQUEST_STATE		MAKE_SQLSTATE('W','F','0','1','6')
/* an aspect of the workflow refuses the transition */
#define ERRCODE_WF_ASPECT				MAKE_SQLSTATE('W','F','0','1','7')
/* the drafts are like other rows, and the workflow lets no homonym pass */
#define ERRCODE_WF_HOMONYM				MAKE_SQLSTATE('W','F','0','1','8')
/* separation of duties refuses */
#define ERRCODE_WF_SEPARATION			MAKE_SQLSTATE('W','F','0','2','0')

/* a date is not acceptable */
#define ERRCODE_WF_DATE					MAKE_SQLSTATE('W','F','0','2','1')
/* an access review refuses */
#define ERRCODE_WF_CAMPAIGN				MAKE_SQLSTATE('W','F','0','2','2')

/* nobody can decide an activity, and its workflow refuses that */
#define ERRCODE_WF_NO_ACTOR				MAKE_SQLSTATE('W','F','0','1','9')

#endif							/* IDFLOW_ERRCODES_H */
