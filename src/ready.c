/*-------------------------------------------------------------------------
 *
 * ready.c
 *		What the library carries of workflows/: the RELAX NG schema and the
 *		ready definitions, put into C by tools/embed.sh.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "errcodes.h"
#include "ready.h"

#include "generated/embedded.h"

const char *const ready_schema = embedded_schema;

PG_FUNCTION_INFO_V1(idflow_ready);

/*
 * Return the ready definition of that name, or NULL.
 */
static const ReadyDefinition *
ready_lookup(const char *name)
{
	for (int i = 0; i < lengthof(embedded_definitions); i++)
	{
		if (strcmp(embedded_definitions[i].name, name) == 0)
			return &embedded_definitions[i];
	}
	return NULL;
}

/*
 * idflow.ready(name) RETURNS TABLE (name, description, definition): all of
 * them, or the one of that name.
 */
Datum
idflow_ready(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const ReadyDefinition *only = NULL;

	if (!PG_ARGISNULL(0))
	{
		char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

		only = ready_lookup(name);
		if (only == NULL)
		{
			StringInfoData names;

			initStringInfo(&names);
			for (int i = 0; i < lengthof(embedded_definitions); i++)
				appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
								 embedded_definitions[i].name);
			ereport(ERROR,
					(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
					 errmsg("there is no ready definition \"%s\"", name),
					 errhint("The ready definitions are %s.", names.data)));
		}
	}

	InitMaterializedSRF(fcinfo, 0);

	for (int i = 0; i < lengthof(embedded_definitions); i++)
	{
		const ReadyDefinition *ready = &embedded_definitions[i];
		Datum		values[3];
		bool		nulls[3] = {0};

		if (only != NULL && only != ready)
			continue;

		/* xml is stored as text; these files are ASCII and well-formed */
		values[0] = CStringGetTextDatum(ready->name);
		values[1] = CStringGetTextDatum(ready->description);
		values[2] = CStringGetTextDatum(ready->xml);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
