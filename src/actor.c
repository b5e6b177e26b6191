/*-------------------------------------------------------------------------
 *
 * actor.c
 *	  Who acts, and what the database role may.
 *
 * The actor is a principal's name.  It comes from, in this order: the apply
 * that is going on, the setting idflow.actor, the function named by
 * idflow.actor_function, the database role.  The settings are read from the
 * C variables behind them and never by current_setting(): before the library
 * is loaded, a setting of that name is a placeholder that anyone can set.
 *
 *-------------------------------------------------------------------------
 */
#include "idflow.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "reading.h"

PG_FUNCTION_INFO_V1(idflow_actor);
PG_FUNCTION_INFO_V1(idflow_applying);
PG_FUNCTION_INFO_V1(idflow_my_keys);
PG_FUNCTION_INFO_V1(idflow_is_admin);

Request    *applying = NULL;

/* The plan that calls the function named by idflow.actor_function. */
static char *function_called = NULL;
static SPIPlanPtr function_plan = NULL;
static bool function_running = false;

/*
 * The call of the function named by the setting, as a plan of this session.
 *
 * SPI is connected, search_path is pinned.  Errors if the name is not
 * qualified or names no function without arguments.
 */
static SPIPlanPtr
actor_function_plan(void)
{
	List	   *names;
	char	   *sql;
	SPIPlanPtr	plan;

	if (function_plan != NULL && strcmp(function_called, setting_actor_function) == 0)
		return function_plan;

	if (function_plan != NULL)
	{
		SPIPlanPtr	old = function_plan;

		function_plan = NULL;
		SPI_freeplan(old);
	}

	names = textToQualifiedNameList(cstring_to_text(setting_actor_function));
	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("idflow.actor_function must be a function's name with its schema: \"%s\"",
						setting_actor_function),
				 errhint("Write it as schema.function, without parentheses, for example auth.uid.")));

	sql = psprintf("SELECT (%s())::pg_catalog.text",
				   quote_qualified_identifier(strVal(linitial(names)),
											  strVal(lsecond(names))));
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));

	if (function_called != NULL)
		pfree(function_called);
	function_called = NULL;
	function_called = MemoryContextStrdup(TopMemoryContext, setting_actor_function);
	SPI_keepplan(plan);
	function_plan = plan;
	return plan;
}

static void
actor_function_context(void *arg)
{
	errcontext("function \"%s\" named by idflow.actor_function", setting_actor_function);
}

/*
 * What the function named by idflow.actor_function says, in the current
 * memory context; NULL if it says nothing.
 *
 * The function runs as the role that acts (GetOuterUserId): whoever calls may
 * be the extension's owner at this moment, and a function of other people's
 * must not run as him.  Only inside a security-restricted operation the role
 * stays what it is, as everywhere in PostgreSQL.
 */
static char *
actor_from_function(void)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorContextCallback errcallback;
	UserSwitch	save;
	char	   *volatile result = NULL;
	int			nestlevel;

	if (function_running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function \"%s\" asks for the actor that it is to name",
						setting_actor_function),
				 errhint("The function named by idflow.actor_function must not use idflow.actor().")));

	function_running = true;
	errcallback.callback = actor_function_context;
	errcallback.arg = NULL;
	errcallback.previous = error_context_stack;
	error_context_stack = &errcallback;
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		nestlevel = become_pinned(&save, InSecurityRestrictedOperation() ? GetUserId() : GetOuterUserId(), 0);

		if (SPI_execute_plan(actor_function_plan(), NULL, NULL, true, 1) == SPI_OK_SELECT &&
			SPI_processed == 1)
		{
			char	   *value = spi_text(SPI_tuptable->vals[0], 1);

			if (value != NULL && value[0] != '\0')
				result = MemoryContextStrdup(caller, value);
		}

		restore_pinned(&save, nestlevel);
		SPI_finish();
	}
	PG_FINALLY();
	{
		function_running = false;
	}
	PG_END_TRY();
	error_context_stack = errcallback.previous;

	return result;
}

/*
 * The actor's name in the current memory context, and whether anything but the
 * database role named him.  Raises only what the actor function raises.
 */
char *
actor_lookup(bool *is_explicit)
{
	*is_explicit = true;

	if (applying != NULL)
		return pstrdup(applying->requester);
	if (setting_actor != NULL && setting_actor[0] != '\0')
		return pstrdup(setting_actor);
	if (setting_actor_function != NULL && setting_actor_function[0] != '\0')
	{
		char	   *name = actor_from_function();

		if (name != NULL)
			return name;
	}

	*is_explicit = false;
	return GetUserNameFromId(GetOuterUserId(), false);
}

/*
 * The actor's name, in the current memory context.  Errors if
 * idflow.require_actor wants one that is named and there is none.
 */
const char *
actor_name(void)
{
	bool		is_explicit;
	char	   *name = actor_lookup(&is_explicit);

	if (!is_explicit && setting_require_actor)
		ereport(ERROR,
				(errcode(ERRCODE_WF_ACTOR_REQUIRED),
				 errmsg("no actor is set"),
				 errdetail("The setting idflow.require_actor is on, and neither idflow.actor nor idflow.actor_function names the person who acts."),
				 errhint("Begin the transaction with SET LOCAL idflow.actor = '...'.")));
	return name;
}

/* Has the role the privileges of this one?  False if there is none such. */
static bool
role_has(Oid roleid, const char *rolename)
{
	Oid			wanted = get_role_oid(rolename, true);

	return OidIsValid(wanted) && has_privs_of_role(roleid, wanted);
}

/* Is the role idflow_admin's, or a superuser? */
bool
role_is_admin(Oid roleid)
{
	return superuser_arg(roleid) || role_has(roleid, "idflow_admin");
}

/* Is the role idflow_auditor's or idflow_admin's, or a superuser? */
bool
role_is_auditor(Oid roleid)
{
	return role_is_admin(roleid) || role_has(roleid, "idflow_auditor");
}

/*
 * The keys under which a principal stands in idflow.candidate: his own first,
 * then one for each profile that he holds.  In the current memory context.
 */
List *
actor_keys(const char *principal)
{
	List	   *keys = list_make1(psprintf(KEY_PRINCIPAL "%s", principal));
	ListCell   *lc;

	foreach(lc, directory_profiles(principal))
		keys = lappend(keys, psprintf(KEY_PROFILE "%s", (char *) lfirst(lc)));
	return keys;
}

/* idflow.actor() */
Datum
idflow_actor(PG_FUNCTION_ARGS)
{
	bool		is_explicit;

	PG_RETURN_TEXT_P(cstring_to_text(actor_lookup(&is_explicit)));
}

/* applying_request: the number of the request that is applied; 0: none is. */
int64
applying_request(void)
{
	return applying ? applying->id : 0;
}

/* idflow.applying() */
Datum
idflow_applying(PG_FUNCTION_ARGS)
{
	if (applying_request() == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(applying_request());
}

/*
 * idflow.my_keys(): the present actor's candidate keys, and the admins' if the
 * current role is one.
 */
Datum
idflow_my_keys(PG_FUNCTION_ARGS)
{
	bool		is_explicit;
	List	   *keys = actor_keys(actor_lookup(&is_explicit));

	if (role_is_admin(GetUserId()))
		keys = lappend(keys, KEY_ADMIN);
	PG_RETURN_DATUM(text_array_datum(keys));
}

/* idflow.is_admin(): is the current role idflow_admin's, or a superuser? */
Datum
idflow_is_admin(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(role_is_admin(GetUserId()));
}
