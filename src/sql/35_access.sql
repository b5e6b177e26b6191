/*
 * Authority that files bring along: profiles and access rules.  It has no
 * versions: what is in force when somebody acts counts.
 */

CREATE TABLE idflow.profile (
	identifier    text PRIMARY KEY,
	display_name  text,
	labels        jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE idflow.profile IS 'Profiles that definitions name, and what people call them. Who holds them says the directory.';
COMMENT ON COLUMN idflow.profile.labels IS 'DisplayName_L2 to _L16, by attribute.';

CREATE TABLE idflow.access_rule (
	identifier    text PRIMARY KEY,
	display_name  text NOT NULL,
	entity_type   text NOT NULL,
	profile       text NOT NULL,
	elements      jsonb NOT NULL,
	deployed_by   name NOT NULL,
	deployed_at   timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp()
);
COMMENT ON TABLE idflow.access_rule IS
'Which profile may act at which state of an activity, and on which rows. Deploying a rule of the same identifier replaces it.';
COMMENT ON COLUMN idflow.access_rule.elements IS 'The rule''s Entry and Filter elements, with their attributes.';
GRANT SELECT ON idflow.profile, idflow.access_rule TO PUBLIC;

CREATE FUNCTION idflow.access_rule_changed() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'idflow_table_changed';
REVOKE EXECUTE ON FUNCTION idflow.access_rule_changed() FROM PUBLIC;
COMMENT ON FUNCTION idflow.access_rule_changed() IS 'Tells every session to read idflow.access_rule again.';
CREATE TRIGGER access_rule_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON idflow.access_rule
	FOR EACH STATEMENT EXECUTE FUNCTION idflow.access_rule_changed();
ALTER TABLE idflow.access_rule ENABLE ALWAYS TRIGGER access_rule_changed;

CREATE FUNCTION idflow.drop_access_rule(identifier text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM idflow.access_rule r WHERE r.identifier = $1;
	IF NOT FOUND THEN
		RAISE undefined_object USING MESSAGE = format('access rule "%s" does not exist', identifier);
	END IF;
END $$;
REVOKE EXECUTE ON FUNCTION idflow.drop_access_rule(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.drop_access_rule(text) TO idflow_admin;
COMMENT ON FUNCTION idflow.drop_access_rule(text) IS
'Removes an access rule. An activity whose last rule it was is open again to whomever its Actor names. For idflow_admin. Errors: 42704 if there is no such rule.';
