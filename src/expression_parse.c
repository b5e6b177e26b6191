/*-------------------------------------------------------------------------
 *
 * expression_parse.c
 *		The text of expressions: prefixes, and the syntax of SQL ones.
 *
 * An SQL expression comes from a definition and is later put into a query as
 * "SELECT (\n<text>\n)".  That is safe because what passes here is one
 * expression and nothing else: no second target, no clause, no statement, no
 * parameter that would mean one of the query's own, no data-modifying WITH.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/elog.h"

#include "expression_parse.h"

static void expression_error_callback(void *arg);
static bool is_plain_select(SelectStmt *stmt);
static bool refuse_walker(Node *node, void *context);

/*
 * Say which language an expression is written in.  *body, if wanted, is set
 * to what follows the prefix (to the text itself if there is none).
 */
ExpressionLanguage
expression_language(const char *value, const char **body)
{
	static const struct
	{
		const char *prefix;
		ExpressionLanguage language;
	}			prefixes[] = {
		{"SQL:", EXPRESSION_SQL},
		{"Literal:", EXPRESSION_LITERAL},
		{"XPath:", EXPRESSION_XPATH},
		{"C#:", EXPRESSION_CSHARP}
	};

	for (int i = 0; i < lengthof(prefixes); i++)
	{
		size_t		len = strlen(prefixes[i].prefix);

		if (strncmp(value, prefixes[i].prefix, len) == 0)
		{
			if (body)
				*body = value + len;

			return prefixes[i].language;
		}
	}
	if (body)
		*body = value;

	return EXPRESSION_UNKNOWN;
}

/*
 * Parse one SQL expression (without its prefix) and return its raw parse tree
 * in the current memory context.  Anything but exactly one expression is a
 * syntax error, reported with the expression as context.
 */
Node *
expression_parse(const char *text)
{
	ErrorContextCallback errcallback;
	List	   *parsetree;
	SelectStmt *stmt;
	ResTarget  *target;
	char	   *query;

	errcallback.callback = expression_error_callback;
	errcallback.arg = unconstify(char *, text);
	errcallback.previous = error_context_stack;
	error_context_stack = &errcallback;

	parsetree = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	Assert(list_length(parsetree) == 1);
	stmt = (SelectStmt *) linitial_node(RawStmt, parsetree)->stmt;

	if (!IsA(stmt, SelectStmt) || !is_plain_select(stmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression has a clause of its own"),
				 errhint("Write one expression, or a subquery in parentheses.")));
	if (stmt->targetList == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression is empty"),
				 errhint("Write an SQL expression after SQL:.")));
	if (list_length(stmt->targetList) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression has more than one part"),
				 errhint("Write one expression, or a subquery in parentheses.")));

	target = linitial_node(ResTarget, stmt->targetList);
	if (target->name != NULL || target->indirection != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression must not be given a name"),
				 errhint("Remove AS and the name after it.")));
	if (IsA(target->val, ColumnRef) &&
		IsA(llast(((ColumnRef *) target->val)->fields), A_Star))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression must not be a list of columns"),
				 errhint("Name one column instead of \"*\".")));
	refuse_walker(target->val, NULL);

	/*
	 * The proof of the pudding: between parentheses, too, it is one statement
	 * with one target.
	 */
	query = psprintf("SELECT (\n%s\n)", text);
	parsetree = raw_parser(query, RAW_PARSE_DEFAULT);
	stmt = list_length(parsetree) == 1 ?
		(SelectStmt *) linitial_node(RawStmt, parsetree)->stmt : NULL;
	if (stmt == NULL || !IsA(stmt, SelectStmt) || !is_plain_select(stmt) ||
		list_length(stmt->targetList) != 1 ||
		!equal(linitial_node(ResTarget, stmt->targetList)->val, target->val))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression does not stand on its own"),
				 errhint("Write one expression, or a subquery in parentheses.")));
	pfree(query);

	error_context_stack = errcallback.previous;

	return target->val;
}

/*
 * Show the expression with an error about it.
 */
static void
expression_error_callback(void *arg)
{
	const char *text = (const char *) arg;
	int			pos = geterrposition();

	if (pos > 0)
	{
		errposition(0);
		internalerrposition(pos);
		internalerrquery(text);
	}
	errcontext("expression \"%s\"", text);
}

/*
 * Is the statement nothing but a target list?
 */
static bool
is_plain_select(SelectStmt *stmt)
{
	return stmt->distinctClause == NIL &&
		stmt->intoClause == NULL &&
		stmt->fromClause == NIL &&
		stmt->whereClause == NULL &&
		stmt->groupClause == NIL &&
		stmt->havingClause == NULL &&
		stmt->windowClause == NIL &&
		stmt->valuesLists == NIL &&
		stmt->sortClause == NIL &&
		stmt->limitOffset == NULL &&
		stmt->limitCount == NULL &&
		stmt->lockingClause == NIL &&
		stmt->withClause == NULL &&
		stmt->op == SETOP_NONE;
}

/*
 * Refuse, anywhere in the expression, what must not stand in one.  Always
 * returns false.
 */
static bool
refuse_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;

	if (IsA(node, ParamRef))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression must not use the parameter $%d",
						((ParamRef *) node)->number),
				 errhint("Use the columns of new, old and request.")));
	if (IsA(node, InsertStmt) || IsA(node, UpdateStmt) ||
		IsA(node, DeleteStmt) || IsA(node, MergeStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expression must not change data"),
				 errhint("Expressions only read.")));
	if (IsA(node, SelectStmt))
	{
		SelectStmt *stmt = (SelectStmt *) node;

		if (stmt->intoClause != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("expression must not use SELECT INTO"),
					 errhint("Expressions only read.")));
		if (stmt->lockingClause != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("expression must not lock rows"),
					 errhint("Expressions only read: remove FOR UPDATE, FOR SHARE and their like.")));
	}
	return raw_expression_tree_walker(node, refuse_walker, context);
}
