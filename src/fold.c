/*-------------------------------------------------------------------------
 *
 * fold.c
 *	  Several statements about one row of a request that collects changes.
 *
 * Plain DML reads the table and not the drafts.  So a column that the request
 * touches already can't be touched again, since the statement has computed its
 * value from the one that the table has; what it does to others joins the
 * draft.  A DELETE takes the place of UPDATEs.  Whoever writes through a
 * preview view has seen the drafts, and changes those.
 *
 * Changes are written in the order in which they were made.  A later change
 * joins an earlier one of its row only where the order between rows doesn't
 * matter: not if it writes a column of a unique key or of a foreign key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "edit.h"
#include "fold.h"
#include "idflow.h"

/*
 * Attribute numbers of the columns of which the order between rows may matter:
 * those of unique and exclusion constraints and of foreign keys.
 */
static Bitmapset *
ordered_columns(Relation rel)
{
	Bitmapset  *result = NULL;
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *fk = lfirst_node(ForeignKeyCacheInfo, lc);

		for (int i = 0; i < fk->nkeys; i++)
			result = bms_add_member(result, fk->conkey[i]);
	}
	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indisunique || index->rd_index->indisexclusion)
		{
			IndexInfo  *info = BuildIndexInfo(index);
			Bitmapset  *used = NULL;
			int			member = -1;

			for (int k = 0; k < info->ii_NumIndexKeyAttrs; k++)
				if (info->ii_IndexAttrNumbers[k] > 0)
					result = bms_add_member(result, info->ii_IndexAttrNumbers[k]);
			pull_varattnos((Node *) info->ii_Expressions, 1, &used);
			pull_varattnos((Node *) info->ii_Predicate, 1, &used);
			while ((member = bms_next_member(used, member)) >= 0)
				result = bms_add_member(result, Max(member + FirstLowInvalidHeapAttributeNumber, 0));
		}
		index_close(index, AccessShareLock);
	}
	return result;
}

/* Does a change write one of these columns?  0 among them is any. */
static bool
writes_any(Change *change, Relation rel, Bitmapset *attnums)
{
	if (bms_is_member(0, attnums))
		return true;
	for (int i = 0; i < change->new_image->n; i++)
		if (bms_is_member(row_attnum(change->layout, rel, change->new_image->columns[i], false), attnums))
			return true;
	return false;
}

/* Put a later UPDATE of the row into an earlier one. */
static void
join_update(Request *req, Change *earlier, Change *change, Relation rel)
{
	ListCell   *lc;

	for (int i = 0; i < change->new_image->n; i++)
	{
		const char *name = change->layout->names[change->new_image->columns[i] - 1];
		int			position = layout_position(earlier->layout, name);

		image_set(earlier->old_image, position, change->old_image->values[i]);
		image_set(earlier->new_image, position, change->new_image->values[i]);
		earlier->others = bms_is_member(change->new_image->columns[i], change->others) ?
			bms_add_member(earlier->others, position) : bms_del_member(earlier->others, position);
	}
	foreach(lc, change->gates)
		if (!strings_contain(earlier->gates, lfirst(lc)))
			earlier->gates = lappend(earlier->gates, lfirst(lc));
	edit_done(req, earlier, rel);
}

/*
 * fold: a row operation on target, and what the request already has on the
 * row.  Returns true if there is nothing left to add.
 */
bool
fold(Request *req, Change *change, Relation target)
{
	Change	   *into = NULL;
	bool		moved = false;
	ListCell   *lc;

	if (req->nchanges == 0 || req->stands_alone || change->operation == CMD_INSERT)
		return false;
	foreach(lc, changes_on_row(req, change))
	{
		Change	   *earlier = lfirst(lc);

		if (earlier->operation == CMD_DELETE)
		{
			if (change->operation == CMD_DELETE)
				return true;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("request " INT64_FORMAT " already deletes this row", req->id)));
		}
		if (earlier->operation != CMD_UPDATE)
			continue;
		if (change->operation == CMD_DELETE)
		{
			change_drop(req, earlier->seq);
			continue;
		}
		for (int i = 0; i < earlier->new_image->n; i++)
		{
			const char *name = earlier->layout->names[earlier->new_image->columns[i] - 1];
			bool		found;

			(void) image_value(change->new_image, layout_position(change->layout, name), &found);
			if (found)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("request " INT64_FORMAT " already changes column \"%s\" of this row",
								req->id, name),
						 errdetail("The statement computed its value from the table, not from the draft."),
						 errhint("Write through a preview view, which shows the draft (idflow.create_preview()), or submit the request first.")));
		}
		into = earlier;
		moved |= writes_any(earlier, target, row_key_attnums(target, NULL));
	}

	/* where the earlier one gives the row another key, that row is not found again */
	if (into == NULL || (!moved && writes_any(change, target, ordered_columns(target))))
		return false;
	join_update(req, into, change, target);
	return true;
}

/* ------------------------------------------- through a preview view: see there */

/* The value of a column that a change leaves its row with, if it says so. */
static const char *
left_value(Change *change, AttrNumber attnum, Relation rel, bool *found)
{
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
	const char *value;
	int			position = layout_find_position(change->layout, name);

	*found = false;
	if (position == 0)
		return NULL;
	value = image_value(change->new_image, position, found);
	if (!*found && change->operation == CMD_UPDATE)
		value = image_value(change->key, position, found);
	return value;
}

static bool
leaves_key(Change *change, Relation rel, char **key, Bitmapset *key_attnums)
{
	int			attnum = -1;

	for (int i = 0; (attnum = bms_next_member(key_attnums, attnum)) >= 0; i++)
	{
		bool		found;
		const char *value = left_value(change, attnum, rel, &found);

		if (!found || value == NULL || key[i] == NULL || strcmp(value, key[i]) != 0)
			return false;
	}
	return true;
}

/*
 * drafts_of_row: the changes by which a request makes the row that has a key
 * then, which is given as output text in the order of its columns: an INSERT,
 * or UPDATEs.  NIL if it makes no such row.
 */
List *
drafts_of_row(Request *req, Relation rel, char **key, Bitmapset *key_attnums)
{
	Change	   *last = NULL;
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);

		if (change->target == RelationGetRelid(rel) && change->operation != CMD_DELETE &&
			leaves_key(change, rel, key, key_attnums))
			last = change;
	}
	if (last == NULL)
		return NIL;
	return last->operation == CMD_INSERT ? list_make1(last) : changes_on_row(req, last);
}

/*
 * fold_value: a new value, as output text, for a column of a drafted row: in
 * the change that has the column, else in the last.  live is the row as it is
 * now, of an UPDATE.  fold_done() must follow.
 */
void
fold_value(Request *req, List *drafts, Relation rel, HeapTuple live, AttrNumber attnum, char *value)
{
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
	Change	   *change = NULL;
	const char *base;
	int			position;
	ListCell   *lc;
	bool		found;

	foreach(lc, drafts)
	{
		Change	   *draft = lfirst(lc);

		if (draft->operation == CMD_DELETE)
			continue;
		change = draft;
		(void) image_value(draft->new_image, layout_position(draft->layout, name), &found);
		if (found)
			break;
	}
	position = layout_position(change->layout, name);
	edit_set(change, rel, live, position, value, !applying_request() && !InSecurityRestrictedOperation());
	if (change->operation == CMD_INSERT)
		return;
	/* back to what the row has: the draft doesn't touch it any more */
	base = image_value(change->old_image, position, &found);
	if (base == value || (base && value && strcmp(base, value) == 0))
	{
		image_remove(change->old_image, position);
		image_remove(change->new_image, position);
	}
}

/* fold_done: values of drafts were set; a draft that is left with nothing goes. */
void
fold_done(Request *req, List *drafts, Relation rel)
{
	ListCell   *lc;

	foreach(lc, drafts)
	{
		Change	   *change = lfirst(lc);

		if (change->operation == CMD_UPDATE && change->new_image->n == 0)
			change_drop(req, change->seq);
		else if (change->operation != CMD_DELETE)
			edit_done(req, change, rel);
	}
}
