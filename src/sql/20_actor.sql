/*
 * Who acts, and who holds which profile.
 */

-- ---------------------------------------------------------------- the actor

CREATE FUNCTION idflow.actor() RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_actor'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.actor() IS
'Name of the person who acts: the requester while a change is applied, else the setting idflow.actor, else what the function named by idflow.actor_function gives, else the database role (SET ROLE counts, SECURITY DEFINER does not). Never null.';

CREATE FUNCTION idflow.applying() RETURNS bigint
	AS 'MODULE_PATHNAME', 'idflow_applying'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.applying() IS
'Number of the request whose approved changes are being written at this moment; null otherwise. For triggers that must tell an approved write from another.';

CREATE FUNCTION idflow.my_keys() RETURNS text[]
	AS 'MODULE_PATHNAME', 'idflow_my_keys'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.my_keys() IS
'Keys under which the present actor stands in idflow.candidate: u:name for himself, p:name for each profile that he holds.';

CREATE FUNCTION idflow.my_places() RETURNS text[]
	AS 'MODULE_PATHNAME', 'idflow_my_places'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.my_places() IS
'The present actor''s candidate keys within his tenants. The inbox is read by them.';

CREATE FUNCTION idflow.deputy_places() RETURNS text[]
	AS 'MODULE_PATHNAME', 'idflow_deputy_places'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.deputy_places() IS
'Places of the people for whom the present actor stands in now, within the tenants that he is of himself.';

CREATE FUNCTION idflow.stands_in_at(places text[], workflow text, barred text[],
									voted text[] DEFAULT '{}', claimed_by text DEFAULT '') RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_stands_in_at'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION idflow.stands_in_at(text[], text, text[], text[], text) IS
'For whom among a task''s places the present actor stands in, by no link through the barred ones; null for nobody. He and the other one are both of the tenant. For nobody who has voted, and first for who has claimed the task. Part of idflow.inbox and of access reviews.';

CREATE FUNCTION idflow.claim_stands(task bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_claim_stands'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.claim_stands(bigint) IS
'Part of the view idflow.inbox: whether somebody has claimed a task who may still act on it; false where one may not see the request.';

CREATE FUNCTION idflow.is_admin() RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_is_admin'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION idflow.is_admin() IS
'True if the current database role has the privileges of idflow_admin or is a superuser. An actor''s name never gives them.';

-- ------------------------------------------------------------ whose a name is

CREATE FUNCTION idflow.binding(name text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'idflow_binding'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.binding(text) IS
'The database role that has a name now, as idflow notes it beside the names of people: its oid, and above it a mark of this database, outside of which that means nothing. Null if no role has the name.';

CREATE FUNCTION idflow.is_bound(name text, binding bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_is_bound'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION idflow.is_bound(text, bigint) IS
'Is a name still that of the role that it was when idflow.binding() noted it? True where nothing was noted, or in another database. False: the role was dropped, and whoever has the name now inherits nothing.';

CREATE FUNCTION idflow.place_is_bound(place text, binding bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_place_is_bound'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.place_is_bound(text, bigint) IS
'idflow.is_bound() of the name in a place of idflow.candidate, so that its index has all that the inbox asks for.';

CREATE FUNCTION idflow.key_bindings(keys text[]) RETURNS bigint[]
	AS 'MODULE_PATHNAME', 'idflow_key_bindings'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idflow.key_bindings(text[]) IS
'idflow.binding() of the names in candidate keys, one for each; null if there is none at all.';

CREATE FUNCTION idflow.asks(places text[], bindings bigint[], mine text[]) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idflow_asks'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION idflow.asks(text[], bigint[], text[]) IS
'Is one of the places mine, and its name still whose it was by the binding that stands for it? Part of access reviews.';

CREATE FUNCTION idflow.bound_keys(keys text[], asked text[], bindings bigint[]) RETURNS text[]
	AS 'MODULE_PATHNAME', 'idflow_bound_keys'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION idflow.bound_keys(text[], text[], bigint[]) IS
'The keys, out of those asked, whose names are still whose they were by the bindings of those asked. Part of access reviews.';

CREATE FUNCTION idflow.bind_member() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.binding := idflow.binding(NEW.principal);
	IF TG_OP = 'INSERT' THEN
		-- the row of another role that had the name is in nobody's way
		DELETE FROM idflow.profile_member m
		WHERE m.profile = NEW.profile AND m.principal = NEW.principal AND NOT idflow.is_bound(m.principal, m.binding);
	END IF;
	RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION idflow.bind_member() FROM PUBLIC;
COMMENT ON FUNCTION idflow.bind_member() IS 'Notes whose the names in idflow.profile_member are.';

CREATE TRIGGER bind_member
	BEFORE INSERT OR UPDATE OF principal ON idflow.profile_member
	FOR EACH ROW EXECUTE FUNCTION idflow.bind_member();

-- ------------------------------------------------------------- the directory

CREATE INDEX profile_member_principal ON idflow.profile_member (principal, profile);
GRANT SELECT, INSERT, UPDATE, DELETE ON idflow.profile_member TO idflow_admin;
COMMENT ON TABLE idflow.profile_member IS
'Who holds which profile, beside the memberships of PostgreSQL roles. Not read while idflow.set_directory() has put another relation in place.';
COMMENT ON COLUMN idflow.profile_member.binding IS
'Whose the name is, see idflow.binding(); a row is that of the role which had the name when it was written. Inserting the row again gives it to who has the name now.';

CREATE FUNCTION idflow.set_directory(relation regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'idflow_set_directory'
	LANGUAGE C VOLATILE;
REVOKE EXECUTE ON FUNCTION idflow.set_directory(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.set_directory(regclass) TO idflow_admin;
COMMENT ON FUNCTION idflow.set_directory(regclass) IS
'Makes a relation the directory: columns principal and profile, optionally display_name, email, language, active (boolean), manager and tenant. A row with a tenant gives the profile within that tenant only: a request is of its requester''s tenant as it was when the request was made, and only people of that tenant have a part in it; in requests of no tenant only people of none, which are those whose rows have none and those without a row. Roles idflow_admin and idflow_auditor see all. It is read with the rights of the role that calls this and replaces roles and idflow.profile_member entirely; NULL returns to them. Errors if a column is missing or the role may not read the relation.';

CREATE FUNCTION idflow.directory_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'idflow_table_changed'
	LANGUAGE C;
REVOKE EXECUTE ON FUNCTION idflow.directory_changed() FROM PUBLIC;
COMMENT ON FUNCTION idflow.directory_changed() IS
'Tells every session to read idflow.directory_source again.';

-- ALWAYS: a subscriber of logical replication must notice, too
CREATE TRIGGER directory_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON idflow.directory_source
	FOR EACH STATEMENT EXECUTE FUNCTION idflow.directory_changed();
ALTER TABLE idflow.directory_source ENABLE ALWAYS TRIGGER directory_changed;

CREATE FUNCTION idflow.directory_rows(OUT principal text, OUT profile text, OUT display_name text,
									  OUT email text, OUT language text, OUT active boolean, OUT manager text,
									  OUT tenant text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_directory_rows'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
REVOKE EXECUTE ON FUNCTION idflow.directory_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.directory_rows() TO idflow_admin, idflow_auditor;
COMMENT ON FUNCTION idflow.directory_rows() IS 'The rows of idflow.directory.';

CREATE VIEW idflow.directory AS
	SELECT d.principal, d.profile, d.display_name, d.email, d.language, d.active, d.manager, d.tenant
	FROM idflow.directory_rows() d;
GRANT SELECT ON idflow.directory TO idflow_admin, idflow_auditor;
COMMENT ON VIEW idflow.directory IS
'Who holds which profile, as it is in force: the relation set by idflow.set_directory(), else members of PostgreSQL roles and rows of idflow.profile_member.';
