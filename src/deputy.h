/* deputy.h: who stands in for whom */
#ifndef IDFLOW_DEPUTY_H
#define IDFLOW_DEPUTY_H

#include "idflow.h"

/* Somebody for whom a person may act, or who may act for him. */
typedef struct StandIn
{
	char	   *principal;
	char	   *workflow;		/* only in this one; NULL: in all */
	int			links;			/* deputies of deputies: how far away */
} StandIn;

extern List *stand_ins(const char *name, bool up, const char *workflow, List *barred, bool latest);
extern void deputy_place_arrays(const char *actor, Datum *places, Datum *workflows, Datum *people);
extern List *deputy_barred(Request *req);
extern const char *deputy_authority(Request *req, const char *actor, const char **on_behalf_of);

#endif							/* IDFLOW_DEPUTY_H */
