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

/* Add a column that the statement writes; touched: the requester wrote it himself. */
static void
add_column(Dml *dml, StringInfo name, AttrNumber attnum, bool touched)
{
	dml->attnums[dml->nargs++] = attnum;
	appendStringInfoChar(name, ' ');
	append_int(name, attnum);
	if (touched)
		dml->touched = bms_add_member(dml->touched, attnum);
	else
		appendStringInfoChar(name, 'd');
}

static void
append_columns(StringInfo sql, Dml *dml, Relation rel)
{
	for (int i = 0; i < dml->nargs; i++)
		appendStringInfo(sql, "%s%s", i == 0 ? "" : ", ",
						 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel),
															   dml->attnums[i] - 1)->attname)));
}

/* The statement's text; rows: it inserts those of DRAFTED_ROWS. */
static char *
dml_text(Dml *dml, Relation rel, CmdType operation, bool rows)
{
	StringInfoData sql;
	int			attnum = -1;

	initStringInfo(&sql);
	appendStringInfoString(&sql, MARKER);
	while (operation == CMD_INSERT && (attnum = bms_next_member(dml->touched, attnum)) >= 0)
		appendStringInfo(&sql, " %d", attnum);
	appendStringInfoString(&sql, " */ ");

	switch (operation)
	{
		case CMD_INSERT:
			appendStringInfo(&sql, "INSERT INTO %s", table_sql(rel, false));
			if (dml->nargs == 0 && !rows)
			{
				appendStringInfoString(&sql, " DEFAULT VALUES");
				break;
			}
			appendStringInfoString(&sql, " (");
			append_columns(&sql, dml, rel);
			appendStringInfoString(&sql, ") OVERRIDING SYSTEM VALUE ");
			if (rows)
			{
				appendStringInfoString(&sql, "SELECT ");
				append_columns(&sql, dml, rel);
				appendStringInfoString(&sql, " FROM " DRAFTED_ROWS);
				break;
			}
			appendStringInfoString(&sql, "VALUES (");
			for (int i = 0; i < dml->nargs; i++)
				appendStringInfo(&sql, "%s$%d", i == 0 ? "" : ", ", i + 1);
			appendStringInfoChar(&sql, ')');
			break;
		case CMD_UPDATE:
			appendStringInfo(&sql, "UPDATE %s SET ", table_sql(rel, true));
			for (int i = 0; i < dml->nargs; i++)
			{
				appendStringInfo(&sql, "%s%s = ", i == 0 ? "" : ", ",
								 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel),
																	   dml->attnums[i] - 1)->attname)));
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
	if (operation != CMD_INSERT)
		/* tid and oid equality are the system's own */
		appendStringInfo(&sql, " WHERE ctid OPERATOR(pg_catalog.=) $%d"
						 " AND tableoid OPERATOR(pg_catalog.=) $%d", dml->nargs + 1, dml->nargs + 2);
	return sql.data;
}

/* The plan of that name for the table, or a new one of a text. */
static SPIPlanPtr
dml_plan(Relation rel, const char *name, char *sql, int nargs, Oid *types)
{
	const char *outer_text = current_text;
	SPIPlanPtr	plan;

	current_text = sql;
	PG_TRY();
	{
		plan = SPI_prepare(sql, nargs, types);
	}
	PG_FINALLY();
	{
		current_text = outer_text;
	}
	PG_END_TRY();
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	plan_keep(RelationGetRelid(rel), name, plan);
	return plan;
}

static void
dml_begin(Dml *dml, int max)
{
	memset(dml, 0, sizeof(Dml));
	dml->attnums = palloc(max * sizeof(AttrNumber));
	dml->values = palloc0(max * sizeof(Datum));
	dml->nulls = palloc0(max + 1);
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

	dml_begin(dml, max);
	initStringInfo(&name);
	appendStringInfoString(&name, operation_name(change->operation));
	appendStringInfoString(&name, " dml");
	nest = transmission_modes_begin_for(change->layout);
	for (int i = 0; image && i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool		isnull;

		if (att->attgenerated != '\0')
			continue;
		types[dml->nargs] = att->atttypid;
		dml->values[dml->nargs] = layout_value(change->layout, rel, position, image->values[i], &isnull);
		dml->nulls[dml->nargs] = isnull ? 'n' : ' ';
		/* an UPDATE has no OVERRIDING SYSTEM VALUE */
		if (change->operation == CMD_UPDATE && att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			dml->defaulted = bms_add_member(dml->defaulted, dml->nargs);
		add_column(dml, &name, attnum, change_touches(change, att, position, image->values[i]));
	}
	transmission_modes_end(nest);

	dml->plan = plan_lookup(RelationGetRelid(rel), name.data);
	if (dml->plan == NULL)
	{
		int			nargs = dml->nargs;
		char	   *sql = psprintf("%s RETURNING *", dml_text(dml, rel, change->operation, false));

		if (change->operation != CMD_INSERT)
		{
			types[nargs++] = TIDOID;
			types[nargs++] = OIDOID;
		}
		dml->plan = dml_plan(rel, name.data, sql, nargs, types);
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
 * dml_prepare_rows: the same for the rows of a pack, which the statement takes
 * from the relation DRAFTED_ROWS that the caller has registered.  has_value: the
 * positions in which some row has a value.  returning: what is written is to be
 * returned.  Values are the caller's to put.
 */
void
dml_prepare_rows(Dml *dml, Change *pack, Relation rel, Bitmapset *has_value, bool returning)
{
	StringInfoData name;

	dml_begin(dml, pack->layout->ncolumns + 1);
	initStringInfo(&name);
	appendStringInfoString(&name, returning ? "rows returned" : "rows");
	for (int p = 1; p <= pack->layout->ncolumns; p++)
	{
		AttrNumber	attnum = row_attnum(pack->layout, rel, p, false);
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

		if (att->attgenerated == '\0')
			add_column(dml, &name, attnum,
					   change_touches(pack, att, p, bms_is_member(p, has_value) ? "" : NULL));
	}
	dml->plan = plan_lookup(RelationGetRelid(rel), name.data);
	if (dml->plan == NULL)
		dml->plan = dml_plan(rel, name.data,
							 psprintf("%s%s", dml_text(dml, rel, CMD_INSERT, true),
									  returning ? " RETURNING *" : ""),
							 0, NULL);
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
