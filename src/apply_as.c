/*-------------------------------------------------------------------------
 *
 * apply_as.c
 *	  ApplyAs: the role as which a workflow's proposals are drafted, checked
 *	  and written.
 *
 * Whoever lends a role's rights must have them: who deploys the workflow, and
 * who attaches it to a table, whose triggers will run as that role.  The first
 * is asked again each time the role is used, so that rights end with the
 * membership; who owned the table then is on record in its gates, because the
 * triggers are his, and nobody has agreed to the next owner's.  That the role
 * may write to the table is for the table's owner to grant, and PostgreSQL asks
 * it of every statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "attach.h"
#include "compat.h"
#include "plancache.h"
#include "propose.h"
#include "reading.h"

/* workflow_apply_as: the role's name; NULL: the workflow lends none. */
const char *
workflow_apply_as(Workflow *wf)
{
	return element_value(wf->element, "ApplyAs");
}

/* The role, if it may be lent at all. */
static Oid
lendable_role(const char *role, const char *workflow)
{
	Oid			roleid = get_role_oid(role, true);

	if (!OidIsValid(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", role),
				 errdetail("It is the ApplyAs of workflow \"%s\".", workflow)));
	if (superuser_arg(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("ApplyAs of workflow \"%s\" must not be a superuser", workflow),
				 errdetail("\"%s\" is one.", role),
				 errhint("Make a role that holds the privileges that the workflow's changes need, and no more.")));
	return roleid;
}

/*
 * apply_as_deployable: may a role deploy a workflow with this ApplyAs?
 */
void
apply_as_deployable(const char *role, const char *workflow, const char *deployer)
{
	Oid			roleid = lendable_role(role, workflow);

	if (!role_may_become(get_role_oid(deployer, false), roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be able to SET ROLE \"%s\" to deploy workflow \"%s\"", role, workflow),
				 errdetail("Its ApplyAs lends the rights of that role.")));
}

/*
 * apply_as_role: the role of a workflow that has one, as long as the one who
 * deployed it may lend it.
 */
Oid
apply_as_role(Workflow *wf)
{
	const char *role = workflow_apply_as(wf);
	Oid			roleid = lendable_role(role, wf->name);

	if (!role_may_become(deployer_role(wf), roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("workflow \"%s\" can't lend the rights of role \"%s\" any more", wf->name, role),
				 errdetail("\"%s\", who deployed version %d, can't SET ROLE to it.",
						   wf->deployed_by, wf->version),
				 errhint("Grant the role, or have somebody deploy the workflow who has it; requests in flight keep their version.")));
	return roleid;
}

/*
 * apply_as_still: may a request that was proposed still be drafted and written
 * as its role?
 */
void
apply_as_still(Request *req)
{
	if (req->apply_as_of)
		(void) apply_as_role(workflow_by_id(req->apply_as_of));
}

/* The owner whom the attacher of a workflow has let use its ApplyAs; NULL: none. */
static const char *
trusted_owner(Workflow *wf, Relation rel)
{
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger_is_gate(trigger) && trigger->tgnargs > GATE_ARG_OWNER &&
			strcmp(trigger->tgargs[GATE_ARG_WORKFLOW], wf->name) == 0)
			return trigger->tgargs[GATE_ARG_OWNER];
	}
	return NULL;
}

/*
 * apply_as_trusts: do the triggers of a table, and of its partitions, belong to
 * whom they belonged to when the workflow was attached?  They would run with
 * the rights of its ApplyAs.
 */
void
apply_as_trusts(Workflow *wf, Relation rel)
{
	const char *trusted = trusted_owner(wf, rel);
	List	   *relids = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL) : list_make1_oid(RelationGetRelid(rel));
	ListCell   *lc;

	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);
		char	   *owner = GetUserNameFromId(table_owner(relid), false);

		if (trusted && strcmp(owner, trusted) == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the triggers of table \"%s\" may not run with the rights of role \"%s\"",
						get_rel_name(relid), workflow_apply_as(wf)),
				 trusted ? errdetail("It belongs to \"%s\". When workflow \"%s\" was attached, \"%s\" was the owner.",
									 owner, wf->name, trusted) :
				 errdetail("Workflow \"%s\" was attached to it without its ApplyAs.", wf->name),
				 relid != RelationGetRelid(rel) ? errhint("Give the partition to \"%s\".", trusted) :
				 errhint("Attach the workflow again, as somebody who can SET ROLE \"%s\".", workflow_apply_as(wf))));
	}
	list_free(relids);
}

/*
 * apply_as_hides: was the request proposed, and may whoever asks not read all
 * of a table that it writes?  Then what an apply would say is not for him.
 */
bool
apply_as_hides(Request *req)
{
	ListCell   *lc;

	if (req->apply_as_of == 0)
		return false;
	foreach(lc, request_stored(req))
		if (!table_is_open(((Change *) lfirst(lc))->target))
			return true;
	return false;
}

/* table_is_open: may the current role read all of a table, without policies? */
bool
table_is_open(Oid relid)
{
	return get_rel_relkind(relid) != '\0' &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, GetUserId(), true) != RLS_ENABLED;
}

/* Has the role the privilege for an operation on the table, or on a column? */
static bool
may_write(Relation rel, CmdType operation, Oid roleid)
{
	AclMode		mode = operation_privilege(operation);
	Oid			relid = RelationGetRelid(rel);

	return pg_class_aclcheck(relid, roleid, mode) == ACLCHECK_OK ||
		(operation != CMD_DELETE &&
		 pg_attribute_aclcheck_all(relid, roleid, mode, ACLMASK_ANY) == ACLCHECK_OK);
}

/*
 * apply_as_fits: may the one who attaches the workflow let the table's triggers
 * run as its ApplyAs, and may that role write to the table?
 */
void
apply_as_fits(Workflow *wf, Relation rel, List *operations)
{
	const char *role = workflow_apply_as(wf);
	Oid			roleid;
	ListCell   *lc;

	if (role == NULL)
		return;
	roleid = apply_as_role(wf);
	if (!role_may_become(GetUserId(), roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be able to SET ROLE \"%s\" to attach workflow \"%s\"", role, wf->name),
				 errdetail("Its ApplyAs lets the triggers of table \"%s\" run with the rights of that role.",
						   RelationGetRelationName(rel))));
	foreach(lc, operations)
	{
		CmdType		operation = (CmdType) lfirst_int(lc);

		if (!may_write(rel, operation, roleid))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("role \"%s\" has no %s privilege on table \"%s\"", role,
							operation_name(operation), RelationGetRelationName(rel)),
					 errdetail("It is the ApplyAs of workflow \"%s\": what is proposed would be written as it.",
							   wf->name),
					 errhint("The table's owner grants it: GRANT %s ON %s TO %s.", operation_name(operation),
							 table_sql(rel, false), quote_identifier(role))));
	}
}
