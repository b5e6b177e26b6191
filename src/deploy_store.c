/*-------------------------------------------------------------------------
 *
 * deploy_store.c
 *		What a deploy writes beside the row of a version: its activities and
 *		elements, profiles and access rules.
 *
 * Called within SPI, as the owner of the extension.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "definition.h"
#include "deploy.h"
#include "idflow.h"

static Datum actors_datum(List *actors);
static void insert_element(int64 workflow_id, int position, const char *activity,
						   DefinitionElement *element);

/*
 * Put a profile or an access rule into force, in the place of the one that has
 * its identifier.
 */
void
deploy_authority(DefinitionElement *element, const char *deployer)
{
	static StorePlan profile_plan = {
		"INSERT INTO idflow.profile (identifier, display_name, labels) VALUES ($1, $2, $3)"
		" ON CONFLICT (identifier) DO UPDATE SET display_name = excluded.display_name, labels = excluded.labels",
		3, {TEXTOID, TEXTOID, JSONBOID}
	};
	static StorePlan rule_plan = {
		"INSERT INTO idflow.access_rule (identifier, display_name, entity_type, profile, elements, deployed_by)"
		" VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (identifier) DO UPDATE SET display_name = excluded.display_name,"
		" entity_type = excluded.entity_type, profile = excluded.profile, elements = excluded.elements,"
		" deployed_by = excluded.deployed_by, deployed_at = pg_catalog.statement_timestamp()",
		6, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, NAMEOID}
	};
	Datum		values[6];
	char		nulls[7] = "      ";
	StringInfoData json;

	initStringInfo(&json);
	values[0] = CStringGetTextDatum(element_value(element, "Identifier"));
	values[1] = text_datum(element_value(element, "DisplayName_L1"), &nulls[1]);
	if (strcmp(element->name, "Profile") == 0)
	{
		attributes_json(&json, element->attributes);
		values[2] = JsonbPGetDatum(json_from_text(json.data));
		store_exec(&profile_plan, values, nulls, false);
		return;
	}
	values[2] = CStringGetTextDatum(element_value(element, "EntityType"));
	values[3] = CStringGetTextDatum(element_value(element, "Profile"));
	elements_json(&json, element->children);
	values[4] = JsonbPGetDatum(json_from_text(json.data));
	values[5] = DirectFunctionCall1(namein, CStringGetDatum(deployer));
	store_exec(&rule_plan, values, nulls, false);
}

/*
 * Write a new version's activities.
 */
void
deploy_activities(int64 workflow_id, WorkflowDefinition *workflow)
{
	Oid			argtypes[8] = {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, JSONBOID, JSONBOID};
	SPIPlanPtr	plan;
	ListCell   *lc;
	int			position = 0;

	plan = SPI_prepare("INSERT INTO idflow.activity"
					   " (workflow, position, name, display_name, template,"
					   "  if_expression, actors, options)"
					   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
					   8, argtypes);
	if (plan == NULL)
		elog(ERROR, "could not prepare an insert into idflow.activity");

	foreach(lc, workflow->activities)
	{
		ActivityDefinition *activity = (ActivityDefinition *) lfirst(lc);
		Datum		args[8];
		char		nulls[9] = "        ";

		args[0] = Int64GetDatum(workflow_id);
		args[1] = Int32GetDatum(++position);
		args[2] = CStringGetTextDatum(activity->name);
		args[3] = CStringGetTextDatum(activity->display_name);
		args[4] = CStringGetTextDatum(activity->template->name);
		args[5] = text_datum(activity->if_expression, &nulls[5]);
		args[6] = actors_datum(activity->actors);
		args[7] = deploy_options(activity->options);
		if (SPI_execute_plan(plan, args, nulls, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not write idflow.activity");
	}
	SPI_freeplan(plan);
}

/*
 * Write what a new version has beside its activities: children of the
 * workflow, which have no activity, and of activities.
 */
void
deploy_elements(int64 workflow_id, WorkflowDefinition *workflow)
{
	int			position = 0;
	ListCell   *lc;

	foreach(lc, workflow->elements)
		insert_element(workflow_id, ++position, NULL, (DefinitionElement *) lfirst(lc));
	foreach(lc, workflow->activities)
	{
		ActivityDefinition *activity = (ActivityDefinition *) lfirst(lc);
		ListCell   *le;

		foreach(le, activity->elements)
			insert_element(workflow_id, ++position, activity->name,
						   (DefinitionElement *) lfirst(le));
	}
}

static void
insert_element(int64 workflow_id, int position, const char *activity,
			   DefinitionElement *element)
{
	static StorePlan plan = {
		"INSERT INTO idflow.workflow_element"
		" (workflow, position, element, name, activity, attributes, children)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		7, {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID}
	};
	Datum		values[7];
	char		nulls[8] = "       ";
	StringInfoData json;

	values[0] = Int64GetDatum(workflow_id);
	values[1] = Int32GetDatum(position);
	values[2] = CStringGetTextDatum(element->name);
	values[3] = text_datum(element_identifier(element), &nulls[3]);
	values[4] = text_datum(activity, &nulls[4]);
	initStringInfo(&json);
	attributes_json(&json, element->attributes);
	values[5] = JsonbPGetDatum(json_from_text(json.data));
	resetStringInfo(&json);
	elements_json(&json, element->children);
	values[6] = JsonbPGetDatum(json_from_text(json.data));
	store_exec(&plan, values, nulls, false);
}

/*
 * Return options as a jsonb object.
 */
Datum
deploy_options(List *options)
{
	StringInfoData json;
	ListCell   *lc;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	foreach(lc, options)
	{
		DefinitionOption *option = (DefinitionOption *) lfirst(lc);

		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		escape_json(&json, option->name);
		appendStringInfoChar(&json, ':');
		if (option->is_boolean)
			appendStringInfoString(&json, option->value);
		else
			escape_json(&json, option->value);
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/*
 * Return actors as a jsonb array of objects with one key each.
 */
static Datum
actors_datum(List *actors)
{
	StringInfoData json;
	ListCell   *lc;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(lc, actors)
	{
		ActorDefinition *actor = (ActorDefinition *) lfirst(lc);

		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		appendStringInfo(&json, "{\"%s\":",
						 actor->profile ? "profile" :
						 actor->principal ? "principal" : "expression");
		escape_json(&json, actor->profile ? actor->profile :
					actor->principal ? actor->principal : actor->expression);
		if (actor->approvals)
		{
			appendStringInfoString(&json, ",\"approvals\":");
			escape_json(&json, actor->approvals);
		}
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}
