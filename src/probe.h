/* probe.h: whether an index holds a key */
#ifndef IDFLOW_PROBE_H
#define IDFLOW_PROBE_H

#include "utils/rel.h"
#include "utils/snapshot.h"

typedef enum ProbeResult
{
	PROBE_UNKNOWN,				/* to be asked otherwise */
	PROBE_NOT_FOUND,
	PROBE_FOUND
} ProbeResult;

extern ProbeResult index_probe(Relation rel, Relation index, Snapshot snapshot, Datum *values);
extern ProbeResult reference_probe(Relation pk, Oid indexid, ForeignKeyCacheInfo *fk,
								   Oid *types, Datum *values);

#endif
