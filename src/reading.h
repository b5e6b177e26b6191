/*-------------------------------------------------------------------------
 *
 * reading.h
 *	  What the files behind the reports share: actor.c, directory.c,
 *	  reading.c, image_json.c, diff.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_READING_H
#define IDFLOW_READING_H

#include "idflow.h"

/* ------------------------------------------------------------- actor.c */

extern char *actor_lookup(bool *is_explicit);

#endif							/* IDFLOW_READING_H */
