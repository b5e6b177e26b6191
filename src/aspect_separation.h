/* aspect_separation.h: rights that exclude one another */
#ifndef IDFLOW_ASPECT_SEPARATION_H
#define IDFLOW_ASPECT_SEPARATION_H

#include "aspect.h"

/* aspect_separation.c */
extern char *separation_conflicts(const DefinitionElement *element, Oid deployer, Oid *relid);
extern char **separation_fields(JsonbContainer *array, int n);

/* separation_review.c */
extern bool separation_reviews(const DefinitionElement *element);
extern void separation_want_review(Request *req, Aspect *aspect, Jsonb *conflicts, const char *comment);

/* separation_violation.c */
extern char *violation_expression(const DefinitionElement *element, Relation rel, Oid deployer);

#endif							/* IDFLOW_ASPECT_SEPARATION_H */
