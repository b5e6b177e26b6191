/* separation_review.h: positions of reviews that a workflow doesn't lead to */
#ifndef IDFLOW_SEPARATION_REVIEW_H
#define IDFLOW_SEPARATION_REVIEW_H

#include "idflow.h"

/* A position: which reviews are to be had, and where the request goes on. */
#define FURTHER_SHIFT				10	/* there are at most 1000 activities */
#define FURTHER_LIMIT				20	/* reviews of a workflow */
#define FURTHER_POSITION(reviews, next)	(((reviews) << FURTHER_SHIFT) | (next))
#define FURTHER_REVIEWS(position)	((position) >> FURTHER_SHIFT)
#define FURTHER_NEXT(position)		((position) & ((1 << FURTHER_SHIFT) - 1))

extern void further_index(Workflow *wf);
extern Activity *further_activity(Workflow *wf, int position);

#endif							/* IDFLOW_SEPARATION_REVIEW_H */
