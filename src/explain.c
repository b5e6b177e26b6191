/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  EXPLAIN ANALYZE says how many rows its statement drafted.
 *
 * What a gate holds shows in no node of the plan: ModifyTable counts what it
 * returns.  The plan's text is core's; the line is added when core ends the
 * explained query, which is the last it does before the line of the execution
 * time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "explain.h"
#include "idflow.h"
#include "wrapper.h"

static ExplainOneQuery_hook_type prev_explain_one_query = NULL;

/* The EXPLAIN ANALYZE at work: where to write, and of which text. */
static ExplainState *explaining = NULL;
static const char *explained_text = NULL;
static int	explaining_depth = 0;

static void
idflow_explain_one_query(Query *query, int cursorOptions, IntoClause *into, ExplainState *es,
						 const char *queryString, ParamListInfo params, QueryEnvironment *queryEnv)
{
	ExplainState *outer = explaining;
	const char *outer_text = explained_text;
	int			outer_depth = explaining_depth;

	explaining = es->analyze ? es : NULL;
	explained_text = queryString;
	explaining_depth = executor_depth();
	PG_TRY();
	{
		if (prev_explain_one_query)
			prev_explain_one_query(query, cursorOptions, into, es, queryString, params, queryEnv);
		else
			explain_one_query(query, cursorOptions, into, es, queryString, params, queryEnv);
	}
	PG_FINALLY();
	{
		explaining = outer;
		explained_text = outer_text;
		explaining_depth = outer_depth;
	}
	PG_END_TRY();
}

/*
 * explain_end: a query ends, before ExecutorEnd.  If it is the explained one
 * and may meet a gate, say how many rows it drafted.
 */
void
explain_end(QueryDesc *query)
{
	int64		rows;

	if (explaining == NULL || query->sourceText != explained_text ||
		executor_depth() != explaining_depth)
		return;
	rows = wrapper_drafted_rows(query);
	if (rows >= 0)
		ExplainPropertyInteger("Drafted Rows", NULL, rows, explaining);
}

void
explain_init(void)
{
	prev_explain_one_query = ExplainOneQuery_hook;
	ExplainOneQuery_hook = idflow_explain_one_query;
}
