/*
 * Definitions: the language's templates, deploying, validating, exporting.
 */

CREATE FUNCTION idflow.activity_templates()
RETURNS TABLE (template text, state text, verb text, to_state text, transition text)
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idflow_activity_templates';

COMMENT ON FUNCTION idflow.activity_templates() IS
'The activity templates: a row for each transition. state and to_state are short names; a state''s full name is template-state; transition is the full name, template-state-verb.';

CREATE FUNCTION idflow.ready(name text DEFAULT NULL)
RETURNS TABLE (name text, description text, definition xml)
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idflow_ready';

COMMENT ON FUNCTION idflow.ready(text) IS
'The definitions that come with idflow. name: only this one. Errors: WF002 if there is none of that name.';

CREATE FUNCTION idflow.validate(definition text)
RETURNS TABLE (severity text, line int, element text, message text, hint text)
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idflow_validate';

COMMENT ON FUNCTION idflow.validate(text) IS
'What idflow.deploy() would say about a definition: a row for each error and warning, none if all is well. definition: XML with the root Workflow or ConfigurationFile. Errors: 22004 if it is null.';

CREATE FUNCTION idflow.deploy(definition xml)
RETURNS SETOF idflow.workflow
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idflow_deploy';

COMMENT ON FUNCTION idflow.deploy(xml) IS
'Makes each workflow of a definition a new version and returns it; a workflow whose newest version says the same already is returned as it is. The expressions of a version run with the rights of the role that deployed it. Errors: WF001 if the definition is not valid, 0A000 if it uses what this version does not support, 54000 if it is too large, 22004 if it is null.';

CREATE FUNCTION idflow.export(workflow text, version int DEFAULT NULL)
RETURNS xml
LANGUAGE C STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'idflow_export';

COMMENT ON FUNCTION idflow.export(text, int) IS
'The definition of a workflow as it was deployed. version: NULL means the newest. Errors: WF002 if there is no such workflow or version, 22004 if workflow is null.';

CREATE FUNCTION idflow.workflow_changed()
RETURNS trigger
LANGUAGE C
AS 'MODULE_PATHNAME', 'idflow_table_changed';

COMMENT ON FUNCTION idflow.workflow_changed() IS
'Trigger of idflow.workflow: makes every session read definitions again.';

REVOKE ALL ON FUNCTION idflow.deploy(xml) FROM PUBLIC;
REVOKE ALL ON FUNCTION idflow.workflow_changed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.deploy(xml) TO idflow_admin;

/* ALWAYS: sessions of a subscriber cache definitions, too. */
CREATE TRIGGER workflow_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON idflow.workflow
	FOR EACH STATEMENT EXECUTE FUNCTION idflow.workflow_changed();
ALTER TABLE idflow.workflow ENABLE ALWAYS TRIGGER workflow_changed;
