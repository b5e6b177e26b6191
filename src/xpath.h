/*-------------------------------------------------------------------------
 *
 * xpath.h
 *	  Expressions in XPath 1.0 over the document of a request.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_XPATH_H
#define IDFLOW_XPATH_H

#include "idflow.h"

#define REQUEST_NAMESPACE	"http://schema.bpel.mgt.workflow.carbon.wso2.org/"

/* xpath.c */
extern char *xpath_syntax_error(const char *expression);
extern List *xpath_evaluate(const char *expression, ExpressionKind kind, const char *document);

/* request_document.c */
extern char *request_document(Request *req, Workflow *wf, Change *change, Relation rel);
extern char *request_document_skeleton(Relation rel);

#endif							/* IDFLOW_XPATH_H */
