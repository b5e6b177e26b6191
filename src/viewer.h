/* viewer.h: who asks, in statements that read requests */
#ifndef IDFLOW_VIEWER_H
#define IDFLOW_VIEWER_H

#include "idflow.h"
#include "reading.h"

/*
 * Is the one who asks of the tenant of r?  Where the directory knows no tenants
 * $7 is empty.
 */
#define IN_TENANT(r) \
	"CASE WHEN pg_catalog.cardinality($7) OPERATOR(pg_catalog.=) 0 THEN " r ".tenant IS NULL" \
	" ELSE coalesce(" r ".tenant, '') OPERATOR(pg_catalog.=) ANY ($7) END"

/* The same of the request that a row is of, whoever wrote that row. */
#define ACTED_IN_TENANT(o) \
	"(pg_catalog.cardinality($7) OPERATOR(pg_catalog.=) 0 OR EXISTS (SELECT FROM idflow.request t" \
	" WHERE t.id OPERATOR(pg_catalog.=) " o ".request AND coalesce(t.tenant, '') OPERATOR(pg_catalog.=) ANY ($7)))"

/*
 * In review nobody decides through whom four eyes keeps out: the requester, the
 * subject and editors of r.
 */
#define BARRED \
	"(SELECT CASE WHEN coalesce(r.four_eyes, w.four_eyes) AND pg_catalog.starts_with(t.activity_state, 'Review')" \
	" THEN pg_catalog.array_remove(ARRAY[r.requester, r.subject] OPERATOR(pg_catalog.||) r.editors, NULL)" \
	" ELSE '{}'::pg_catalog.text[] END" \
	" FROM idflow.task t JOIN idflow.workflow w ON w.id OPERATOR(pg_catalog.=) t.workflow_id" \
	" WHERE t.id OPERATOR(pg_catalog.=) r.task)"

/*
 * May somebody act as a deputy on the open task of r, where a candidate is one
 * of those for whom he stands in?  The ways to them are asked for anew only
 * where somebody barred is among $6, through whom they may lead.
 */
#define DEPUTY_MAY \
	"(NOT coalesce(" BARRED " OPERATOR(pg_catalog.&&) $6, false)" \
	" OR idflow.stands_in_at(ARRAY(SELECT s.place FROM idflow.candidate s WHERE s.task OPERATOR(pg_catalog.=) r.task AND " KEY_IS_BOUND("s") ")," \
	" r.workflow, " BARRED ") IS NOT NULL)"

#define DEPUTY_OF(which) \
	"(r.requester OPERATOR(pg_catalog.<>) $2 AND r.subject IS DISTINCT FROM $2" \
	" AND EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5)) d (place, workflow)" \
	" JOIN idflow.candidate c ON c.place OPERATOR(pg_catalog.=) d.place" \
	" WHERE c.task OPERATOR(pg_catalog.=) r.task AND " KEY_IS_BOUND("c") " AND " which \
	" AND (d.workflow IS NULL OR d.workflow OPERATOR(pg_catalog.=) r.workflow))" \
	" AND " DEPUTY_MAY ")"

/*
 * May somebody settle the conflict of r as a deputy of one who has decided about it?
 */
#define DEPUTY_SETTLES \
	"(r.state OPERATOR(pg_catalog.=) ANY ('{conflict,failed}')" \
	" AND EXISTS (SELECT FROM idflow.vote v WHERE v.request OPERATOR(pg_catalog.=) r.id" \
	" AND v.principal OPERATOR(pg_catalog.=) ANY ($6) AND v.principal OPERATOR(pg_catalog.<>) $2" \
	" AND " IS_BOUND("v.principal", "v.binding") ")" \
	" AND idflow.stands_in_at(ARRAY(SELECT idflow.place('" KEY_PRINCIPAL "' OPERATOR(pg_catalog.||) v.principal, r.tenant) FROM idflow.vote v" \
	" WHERE v.request OPERATOR(pg_catalog.=) r.id AND " IS_BOUND("v.principal", "v.binding") "), r.workflow," \
	" (SELECT CASE WHEN coalesce(r.four_eyes, w.four_eyes)" \
	" THEN pg_catalog.array_remove(ARRAY[r.requester, r.subject] OPERATOR(pg_catalog.||) r.editors, NULL)" \
	" ELSE '{}'::pg_catalog.text[] END FROM idflow.workflow w" \
	" WHERE w.name OPERATOR(pg_catalog.=) r.workflow AND w.version OPERATOR(pg_catalog.=) r.version)) IS NOT NULL)"

/*
 * What the one who asks has to do with r: he made it or it is about him, has
 * acted on it, does or did decide it, may act on it, may do what it asks of its
 * requester.  $2 is the actor, $3 his places; $4 and $5 those of the people for
 * whom he stands in, and the workflows in which he does; $6 these people and
 * himself; $7 his tenants.  A deputy of its requester sees no more of it than that one.
 */
#define VIEWER_FLAGS \
	"r.requester OPERATOR(pg_catalog.=) $2 AND " IS_BOUND("r.requester", "r.requester_binding") \
	" OR coalesce(r.subject OPERATOR(pg_catalog.=) $2 AND " IS_BOUND("r.subject", "r.subject_binding") \
	" AND " IN_TENANT("r") ", false)," \
	" EXISTS (SELECT FROM idflow.participant p WHERE p.request OPERATOR(pg_catalog.=) r.id" \
	" AND p.principal OPERATOR(pg_catalog.=) $2 AND p.acted AND " IS_BOUND("p.principal", "p.binding") \
	" AND " IN_TENANT("r") ")," \
	" EXISTS (SELECT FROM idflow.candidate c WHERE c.task OPERATOR(pg_catalog.=) r.task" \
	" AND c.place OPERATOR(pg_catalog.=) ANY ($3) AND " KEY_IS_BOUND("c") \
	" AND c.source OPERATOR(pg_catalog.=) ANY ('{Actor,Added}'))" \
	" OR EXISTS (SELECT FROM idflow.vote v WHERE v.request OPERATOR(pg_catalog.=) r.id" \
	" AND v.principal OPERATOR(pg_catalog.=) $2 AND " IS_BOUND("v.principal", "v.binding") \
	" AND " IN_TENANT("r") ")," \
	" EXISTS (SELECT FROM idflow.candidate c WHERE c.task OPERATOR(pg_catalog.=) r.task" \
	" AND c.place OPERATOR(pg_catalog.=) ANY ($3) AND " KEY_IS_BOUND("c") ") OR " DEPUTY_SETTLES " OR " \
	DEPUTY_OF("(c.source OPERATOR(pg_catalog.=) ANY ('{Actor,Added}')" \
			  " OR c.key OPERATOR(pg_catalog.<>) ('" KEY_PRINCIPAL "' OPERATOR(pg_catalog.||) r.requester)" \
			  " AND c.key IS DISTINCT FROM ('" KEY_PRINCIPAL "' OPERATOR(pg_catalog.||) r.subject))") "," \
	DEPUTY_OF("true")

#define VIEWER_TYPES	TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID

extern void viewer_arguments(Datum *values);
extern Viewer viewer_by_flags(HeapTuple row, int column);

#endif							/* IDFLOW_VIEWER_H */
