/*-------------------------------------------------------------------------
 *
 * expression_parse.h
 *		The text of expressions: prefixes, and the syntax of SQL ones.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_EXPRESSION_PARSE_H
#define IDFLOW_EXPRESSION_PARSE_H

#include "postgres.h"

#include "nodes/nodes.h"

typedef enum ExpressionLanguage
{
	EXPRESSION_SQL,				/* SQL: */
	EXPRESSION_LITERAL,			/* Literal: */
	EXPRESSION_XPATH,			/* XPath: */
	EXPRESSION_CSHARP,			/* C#:, refused by deploy */
	EXPRESSION_UNKNOWN			/* no prefix, or another one */
} ExpressionLanguage;

extern ExpressionLanguage expression_language(const char *value, const char **body);
extern Node *expression_parse(const char *text);

#endif							/* IDFLOW_EXPRESSION_PARSE_H */
