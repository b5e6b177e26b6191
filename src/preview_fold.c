/*-------------------------------------------------------------------------
 *
 * preview_fold.c
 *	  Writing through a preview view to a row that the request being collected
 *	  drafts.
 *
 * No statement on the table could do that: the row is not there yet, or the
 * statement would count on what the table has.  Whoever writes through the
 * view has seen the draft; so the draft itself is changed, with the privileges
 * that the statement would need and the checks that a new draft gets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "bundle.h"
#include "fold.h"
#include "idflow.h"
#include "preview.h"

/* A value of the view's row as output text; the caller holds transmission modes. */
static char *
value_text(Write *write, AttrNumber attnum, Datum *values, bool *nulls)
{
	Oid			output;
	bool		varlena;

	if (nulls[attnum - 1])
		return NULL;
	getTypeOutputInfo(TupleDescAttr(write->desc, attnum - 1)->atttypid, &output, &varlena);
	return OidOutputFunctionCall(output, values[attnum - 1]);
}

/* What a statement on the table would need. */
static void
require_privilege(Write *write, AttrNumber attnum, AclMode mode)
{
	Oid			relid = RelationGetRelid(write->rel);

	if (pg_class_aclcheck(relid, GetUserId(), mode) != ACLCHECK_OK &&
		(attnum == InvalidAttrNumber ||
		 pg_attribute_aclcheck(relid, attnum, GetUserId(), mode) != ACLCHECK_OK))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(write->rel));
}

/*
 * The view has shown what the draft was when the statement began.  If it is
 * something else by now, the new value may have been computed from that.
 */
static void
require_unchanged(Write *write, List *drafts, AttrNumber attnum)
{
	const char *name = NameStr(TupleDescAttr(write->desc, attnum - 1)->attname);
	char	   *shown = value_text(write, attnum, write->old_values, write->old_nulls);
	ListCell   *lc;

	foreach(lc, drafts)
	{
		Change	   *change = lfirst(lc);
		const char *value;
		bool		found = false;

		for (int p = 1; p <= change->layout->ncolumns; p++)
			if (strcmp(change->layout->names[p - 1], name) == 0)
			{
				value = image_value(change->new_image, p, &found);
				break;
			}
		if (!found)
			continue;
		if ((value == NULL) != (shown == NULL) || (value && strcmp(value, shown) != 0))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update"),
					 errdetail("The draft of a row of table \"%s\" has been changed since the statement on view \"%s\" began.",
							   RelationGetRelationName(write->rel), RelationGetRelationName(write->view)),
					 errhint("Run the statement again, if it is not the statement that meets the row twice.")));
		return;
	}
}

/* Errors as the table has them for columns that nobody may write. */
static void
refuse_generated(Write *write, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(write->desc, attnum - 1);

	if (att->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" can only be updated to DEFAULT", NameStr(att->attname)),
				 errdetail("Column \"%s\" is a generated column.", NameStr(att->attname))));
	if (att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" can only be updated to DEFAULT", NameStr(att->attname)),
				 errdetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", NameStr(att->attname))));
}

/* Change the drafts of the row; the row as the view then shows it is in write->values. */
static void
update_drafts(Write *write, Request *req, List *drafts, Bitmapset *columns)
{
	Change	   *change = llast(drafts);
	HeapTuple	live = change->operation == CMD_UPDATE ? row_find(write->rel, change, false) : NULL;
	int			attnum = -1;
	int			nest = transmission_modes_begin();

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		refuse_generated(write, attnum);
		require_privilege(write, attnum, ACL_UPDATE);
		/* an approved INSERT writes the value in the requester's name */
		if (change->operation == CMD_INSERT)
			require_privilege(write, attnum, ACL_INSERT);
		require_unchanged(write, drafts, attnum);
		fold_value(req, drafts, write->rel, live, attnum,
				   value_text(write, attnum, write->values, write->nulls));
	}
	transmission_modes_end(nest);
	fold_done(req, drafts, write->rel);

	/* what the table computes of the row's new values */
	for (int i = 0; change->new_row && i < write->desc->natts; i++)
		if (TupleDescAttr(write->desc, i)->attgenerated == ATTRIBUTE_GENERATED_STORED)
			write->values[i] = heap_getattr(change->new_row, i + 1, write->desc, &write->nulls[i]);
}

/* The key that the row has in the table, in the place of the drafted one. */
static void
look_by_base_key(Write *write, Change *change)
{
	int			nest = transmission_modes_begin_for(change->layout);

	for (int i = 0; i < change->key->n; i++)
	{
		AttrNumber	attnum = row_attnum(change->layout, write->rel, change->key->columns[i], false);

		write->old_values[attnum - 1] = layout_value(change->layout, write->rel, change->key->columns[i],
													 change->key->values[i], &write->old_nulls[attnum - 1]);
	}
	transmission_modes_end(nest);
}

/*
 * preview_fold: an UPDATE of these columns (none: to themselves), or a DELETE,
 * of a row of the view.  Returns whether that was all there is to do, as the
 * request being collected drafts the row; *written then says whether it counts.
 * Else the statement is to be run on the table, with what is in write now.
 */
bool
preview_fold(Write *write, CmdType operation, Bitmapset *columns, bool *written)
{
	const char *actor = actor_name();
	Bitmapset  *key_attnums = row_key_attnums(write->rel, NULL);
	Request    *req = key_attnums ? bundle_collecting(actor) : NULL;
	char	  **key;
	List	   *drafts;
	Change	   *change;
	int			attnum = -1;
	int			n = 0;
	int			nest;

	if (req == NULL)
		return false;
	key = palloc(bms_num_members(key_attnums) * sizeof(char *));
	nest = transmission_modes_begin();
	while ((attnum = bms_next_member(key_attnums, attnum)) >= 0)
		key[n++] = value_text(write, attnum, write->old_values, write->old_nulls);
	transmission_modes_end(nest);
	drafts = drafts_of_row(req, write->rel, key, key_attnums);
	if (drafts == NIL)
	{
		/* they were read; there may be any number */
		req->changes = NIL;
		req->changes_loaded = false;
		return false;
	}

	change = llast(drafts);
	req->acting = req->requester;
	*written = true;
	if (operation == CMD_UPDATE && columns)
		update_drafts(write, req, drafts, columns);
	else if (operation == CMD_DELETE && change->operation == CMD_INSERT)
	{
		require_privilege(write, InvalidAttrNumber, ACL_DELETE);
		change_drop(req, change->seq);
	}
	else if (operation == CMD_DELETE)
	{
		/* the gate drafts that, and drops the UPDATEs */
		look_by_base_key(write, change);
		req->changes = NIL;
		req->changes_loaded = false;
		return false;
	}
	bundle_added(req, NULL, change, actor);
	return true;
}
