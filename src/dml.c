/*-------------------------------------------------------------------------
 *
 * dml.c
 *	  The statement that writes one change to its table.
 *
 * It runs as the requester and must need no more rights than the statement
 * that made the draft: INSERT on the columns that one named, UPDATE on the
 * touched columns, DELETE.  It names every column, finds its row by ctid and
 * returns what was written, all of which would ask for more; so its range
 * table entry is put right after parse analysis, before row-level security
 * looks at it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"

#include "apply.h"
#include "compat.h"
#include "idflow.h"
#include "plancache.h"

/*
 * The text of the statement of ours that is being prepared or executed.  It
 * is known by its place in memory, which no other code's statement can share:
 * that holds for analysis again of a kept plan, too, and stays true where
 * somebody reads the text in an error's context and writes the same.
 */
static const char *current_text = NULL;

/* The leading comment; the numbers of an INSERT's columns follow. */
#define MARKER "/* idflow"

/*
 * dml_is_ours: whether a statement in execution is the one that
 * dml_execute() executes.
 */
bool
dml_is_ours(QueryDesc *query)
{
	return query && current_text && query->sourceText == current_text;
}

/*
 * apply_edit_query: called for every statement after parse analysis; puts the
 * privileges of ours right.  The columns to insert are in the statement's
 * leading comment, so that planning it again needs nothing else.
 */
void
apply_edit_query(const char *source, Query *query)
{
	RangeTblEntry *rte;
	RTE_PERMS  *perms;

	if (current_text == NULL || source != current_text || query->resultRelation == 0)
		return;

	rte = rt_fetch(query->resultRelation, query->rtable);
	perms = query_rte_perms(query, rte);
	perms->requiredPerms &= ~ACL_SELECT;
	perms->selectedCols = NULL;
	if (query->commandType == CMD_INSERT)
	{
		const char *p = source + strlen(MARKER);

		perms->insertedCols = NULL;
		while (*p == ' ')
		{
			char	   *end;
			long		attnum = strtol(p + 1, &end, 10);

			if (end == p + 1)
				break;			/* the comment's end */
			perms->insertedCols = bms_add_member(perms->insertedCols,
												 attnum - FirstLowInvalidHeapAttributeNumber);
			p = end;
		}
	}
}

/* A column that the table fills when a statement doesn't name it. */
static bool
column_fills_itself(Form_pg_attribute att)
{
	return att->atthasdef || att->attidentity != '\0' || att->attgenerated != '\0';
}

/*
 * change_touches: whether the requester wrote this column himself, as far as
 * is known: for an INSERT the columns that its statement named, else those
 * that have a value and no default; for an UPDATE every column of the image.
 */
bool
change_touches(Change *change, Form_pg_attribute att, int position, const char *value)
{
	if (change->operation != CMD_INSERT)
		return true;
	if (change->written_known)
		return bms_is_member(position, change->written);
	return value != NULL && !column_fills_itself(att);
}

/*
 * dml_prepare: make, or find, the plan that writes a change, and its
 * arguments.  The caller is connected to SPI, is the requester and holds no
 * pinned settings.  live is the row for UPDATE and DELETE.
 */
void
dml_prepare(Dml *dml, Change *change, Relation rel, HeapTuple live)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Image	   *image = change->operation == CMD_DELETE ? NULL : change->new_image;
	int			max = (image ? image->n : 0) + 2;
	Oid		   *types = palloc(max * sizeof(Oid));
	StringInfoData name;
	int			nest;

	dml->attnums = palloc(max * sizeof(AttrNumber));
	dml->values = palloc(max * sizeof(Datum));
	dml->nulls = palloc0(max + 1);
	dml->nargs = 0;
	dml->defaulted = NULL;

	initStringInfo(&name);
	appendStringInfoString(&name, operation_name(change->operation));
	appendStringInfoString(&name, " dml");
	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; image && i < image->n; i++)
	{
		int			position = image->columns ? image->columns[i] : i + 1;
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool		isnull;

		if (att->attgenerated != '\0')
			continue;
		dml->attnums[dml->nargs] = attnum;
		types[dml->nargs] = att->atttypid;
		dml->values[dml->nargs] = layout_value(change->layout, rel, position, image->values[i], &isnull);
		dml->nulls[dml->nargs] = isnull ? 'n' : ' ';
		/* an UPDATE has no OVERRIDING SYSTEM VALUE */
		if (change->operation == CMD_UPDATE && att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			dml->defaulted = bms_add_member(dml->defaulted, dml->nargs);
		appendStringInfoChar(&name, ' ');
		append_int(&name, attnum);
		if (!change_touches(change, att, position, image->values[i]))
			appendStringInfoChar(&name, 'd');
		dml->nargs++;
	}
	transmission_modes_end(nest);

	dml->plan = plan_lookup(RelationGetRelid(rel), name.data);
	if (dml->plan == NULL)
	{
		StringInfoData sql;
		int			nargs = dml->nargs;
		const char *outer_text = current_text;

		initStringInfo(&sql);
		appendStringInfoString(&sql, MARKER);
		for (int i = 0; change->operation == CMD_INSERT && image && i < image->n; i++)
		{
			int			position = image->columns ? image->columns[i] : i + 1;
			AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
			Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);

			if (att->attgenerated == '\0' &&
				change_touches(change, att, position, image->values[i]))
				appendStringInfo(&sql, " %d", attnum);
		}
		appendStringInfoString(&sql, " */ ");

		switch (change->operation)
		{
			case CMD_INSERT:
				appendStringInfo(&sql, "INSERT INTO %s", table_sql(rel, false));
				for (int i = 0; i < nargs; i++)
					appendStringInfo(&sql, "%s%s", i == 0 ? " (" : ", ",
									 quote_identifier(NameStr(TupleDescAttr(desc, dml->attnums[i] - 1)->attname)));
				if (nargs == 0)
					appendStringInfoString(&sql, " DEFAULT VALUES");
				else
				{
					appendStringInfoString(&sql, ") OVERRIDING SYSTEM VALUE VALUES (");
					for (int i = 0; i < nargs; i++)
						appendStringInfo(&sql, "%s$%d", i == 0 ? "" : ", ", i + 1);
					appendStringInfoChar(&sql, ')');
				}
				break;
			case CMD_UPDATE:
				appendStringInfo(&sql, "UPDATE %s SET ", table_sql(rel, true));
				for (int i = 0; i < nargs; i++)
				{
					appendStringInfo(&sql, "%s%s = ", i == 0 ? "" : ", ",
									 quote_identifier(NameStr(TupleDescAttr(desc, dml->attnums[i] - 1)->attname)));
					if (bms_is_member(i, dml->defaulted))
						appendStringInfoString(&sql, "DEFAULT");
					else
						appendStringInfo(&sql, "$%d", i + 1);
				}
				break;
			default:
				appendStringInfo(&sql, "DELETE FROM %s", table_sql(rel, true));
				break;
		}
		if (change->operation != CMD_INSERT)
		{
			/* tid and oid equality are the system's own */
			appendStringInfo(&sql, " WHERE ctid OPERATOR(pg_catalog.=) $%d"
							 " AND tableoid OPERATOR(pg_catalog.=) $%d", nargs + 1, nargs + 2);
			types[nargs++] = TIDOID;
			types[nargs++] = OIDOID;
		}
		appendStringInfoString(&sql, " RETURNING *");

		current_text = sql.data;
		PG_TRY();
		{
			dml->plan = SPI_prepare(sql.data, nargs, types);
		}
		PG_FINALLY();
		{
			current_text = outer_text;
		}
		PG_END_TRY();
		if (dml->plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql.data,
				 SPI_result_code_string(SPI_result));
		plan_keep(RelationGetRelid(rel), name.data, dml->plan);
	}
	if (change->operation != CMD_INSERT)
	{
		ItemPointer tid = palloc(sizeof(ItemPointerData));

		*tid = live->t_self;
		dml->values[dml->nargs] = PointerGetDatum(tid);
		dml->nulls[dml->nargs] = ' ';
		dml->values[dml->nargs + 1] = ObjectIdGetDatum(live->t_tableOid);
		dml->nulls[dml->nargs + 1] = ' ';
	}
}

/*
 * dml_execute: write the change.  Returns what SPI does.
 */
int
dml_execute(Dml *dml)
{
	const char *outer_text = current_text;
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(dml->plan));
	int			rc;

	current_text = source->query_string;
	PG_TRY();
	{
		rc = SPI_execute_plan(dml->plan, dml->values, dml->nulls, false, 0);
	}
	PG_FINALLY();
	{
		current_text = outer_text;
	}
	PG_END_TRY();
	return rc;
}
