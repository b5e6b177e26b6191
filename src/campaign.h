/* campaign.h: access reviews */
#ifndef IDFLOW_CAMPAIGN_H
#define IDFLOW_CAMPAIGN_H

#include "idflow.h"
#include "timer.h"

#define TIMER_CAMPAIGN	"campaign"

typedef struct Campaign
{
	int64		id;
	Oid			target;
	char	   *target_name;	/* as it was when it was started */
	char	   *workflow;
	char	   *condition;		/* NULL: all rows */
	char	   *reviewer;		/* NULL: idflow_admin */
	char	   *starter;
	char	   *tenant;			/* its starter's, when he started it; NULL: none */
	char	   *role;
	char	   *gone;			/* whose name, of these two, is another's now; NULL: none */
	char	   *title;
} Campaign;

/* campaign.c */
extern Campaign *campaign_load(int64 id);
extern Relation campaign_open_target(Campaign *campaign, Oid *role);
extern TimestampTz campaign_run(Timer *timer);

/* campaign_row.c */
extern char *campaign_reviewer_key(const char *reviewer);
extern void campaign_fill(Campaign *campaign);

#endif
