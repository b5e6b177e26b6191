/* task.h: who may act on a task */
#ifndef IDFLOW_TASK_H
#define IDFLOW_TASK_H

#include "idflow.h"

/* candidates that were put in the place of others, or beside them */
#define SOURCE_ESCALATED	"Escalated"
#define SOURCE_TIMEOUT		"Timeout"	/* beside those of the rules */
#define SOURCE_TAKEN_OVER	"TakenOver" /* in their place, by a Timeout */

extern void task_move(Request *req, const char *to_actor);
extern void task_candidates_again(Request *req);
extern void task_add_candidate(Request *req, const char *principal);
extern void task_escalate(Request *req, List *keys, bool instead);
extern List *candidate_rule_keys(Request *req, Activity *activity, const char **source);
extern List *candidate_keys(Request *req, Activity *activity, ActorRule *only);
extern List *candidate_added_keys(Request *req);
extern List *candidate_expression_keys(Request *req, Activity *activity, const char *expression,
									   const char *what);
extern List *candidate_escalated_keys(Request *req, bool *instead);
extern bool candidate_taken_over(Request *req);
extern List *task_asked_keys(Request *req);
extern List *candidate_people(Request *req, List *keys);
extern char *task_claimant(Request *req);
extern bool task_asked_former(Request *req, const char *principal);
extern int64 key_binding(Request *req, const char *key);

/* repeated.c */
extern bool repeated_approve(Request *req);
extern const char *task_authority(Request *req, const char *principal);

#endif
