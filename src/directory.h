/*-------------------------------------------------------------------------
 *
 * directory.h
 *	  The relation that idflow.set_directory() put in place of roles and
 *	  idflow.profile_member.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_DIRECTORY_H
#define IDFLOW_DIRECTORY_H

#include "idflow.h"

/* Columns of idflow.directory, in its order. */
typedef enum DirectoryColumn
{
	DIR_PRINCIPAL,
	DIR_PROFILE,
	DIR_DISPLAY_NAME,
	DIR_EMAIL,
	DIR_LANGUAGE,
	DIR_ACTIVE,
	DIR_MANAGER,
	DIR_TENANT,
	DIR_NCOLUMNS
} DirectoryColumn;

/* The questions that are asked of a relation. */
typedef enum DirectoryQuery
{
	DIR_HOLDS,
	DIR_PROFILES,
	DIR_HOLDERS,
	DIR_PERSON,
	DIR_MEMBERSHIPS,			/* profiles and the tenants within which they are held */
	DIR_ROWS,
	DIR_NQUERIES
} DirectoryQuery;

/* what a directory may know of a principal; NULL: nothing */
extern void directory_person(const char *principal, char **email, char **language);
extern bool directory_is_set(void);
extern bool directory_has_tenants(void);
extern void directory_ask(DirectoryQuery query, const char *arg1, const char *arg2,
						  const char *tenant,
						  void (*each) (HeapTuple tuple, TupleDesc desc, void *state), void *state);

#endif							/* IDFLOW_DIRECTORY_H */
