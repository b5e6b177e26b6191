/*-------------------------------------------------------------------------
 *
 * ready.h
 *		What the library carries of workflows/.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_READY_H
#define IDFLOW_READY_H

typedef struct ReadyDefinition
{
	const char *name;
	const char *description;	/* first paragraph of its first comment */
	const char *xml;
} ReadyDefinition;

extern const char *const ready_schema;	/* workflows/idflow.rng */

#endif							/* IDFLOW_READY_H */
