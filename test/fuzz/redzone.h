/*
 * redzone.h
 *	  Put before every file that is fuzzed: the memory that it takes from
 *	  PostgreSQL is followed by bytes that AddressSanitizer guards, which inside
 *	  of PostgreSQL's own blocks it couldn't.
 */
#ifndef IDFLOW_REDZONE_H
#define IDFLOW_REDZONE_H

#include "postgres.h"

extern void *redzone_palloc(Size size);
extern void *redzone_palloc0(Size size);
extern void *redzone_repalloc(void *pointer, Size size);
extern void redzone_pfree(void *pointer);

#ifndef IDFLOW_REDZONE_C
#define palloc(size)			redzone_palloc(size)
#define palloc0(size)			redzone_palloc0(size)
#define repalloc(pointer, size) redzone_repalloc(pointer, size)
#define pfree(pointer)			redzone_pfree(pointer)
#endif

#endif							/* IDFLOW_REDZONE_H */
