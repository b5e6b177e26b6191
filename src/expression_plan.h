/*-------------------------------------------------------------------------
 *
 * expression_plan.h
 *	  SQL expressions made ready to run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_EXPRESSION_PLAN_H
#define IDFLOW_EXPRESSION_PLAN_H

#include "postgres.h"

#include "executor/spi.h"
#include "utils/plancache.h"

#include "idflow.h"

/* Parameters of every expression: the rows, then the request's fields. */
enum
{
	PARAM_NEW = 1,
	PARAM_OLD,
	PARAM_ID,
	PARAM_REQUESTER,
	PARAM_SUBJECT,
	PARAM_TITLE,
	PARAM_WORKFLOW,
	PARAM_ITERATION,			/* of whoever builds a value */
	PARAM_VALUE,
	NUM_PARAMS = PARAM_VALUE
};

/* An expression as the session keeps it. */
typedef struct ExpressionKey
{
	Oid			relid;
	Oid			deployer;
	int32		kind;
	uint32		hash1;			/* of the text, which the entry holds in full */
	uint32		hash2;
} ExpressionKey;

typedef struct ExpressionEntry
{
	ExpressionKey key;
	bool		valid;
	char	   *expression;
	SPIPlanPtr	plan;

	/* if simple */
	MemoryContext context;
	EState	   *estate;
	ExprState  *state;
	Oid			type;
} ExpressionEntry;

extern SPIPlanPtr expression_prepare(const char *expression, ExpressionKind kind, Oid relid,
									 Oid deployer);
extern CachedPlanSource *expression_plan_source(SPIPlanPtr plan);
extern ExpressionEntry *expression_entry(const char *expression, ExpressionKind kind, Oid relid,
										 Oid deployer);

#endif							/* IDFLOW_EXPRESSION_PLAN_H */
