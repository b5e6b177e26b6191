-- Who holds which profile.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_directory;
\c idflow_directory
CREATE EXTENSION idflow;
CREATE ROLE dir_anna;
CREATE ROLE dir_bert;
CREATE ROLE dir_team;
CREATE ROLE dir_manager;
CREATE ROLE dir_noinherit NOINHERIT;
CREATE ROLE dir_admin;
CREATE ROLE dir_app;
GRANT dir_team TO dir_anna;
GRANT dir_manager TO dir_team;
GRANT dir_manager TO dir_noinherit;
GRANT idflow_admin TO dir_admin;
GRANT SET ON PARAMETER idflow.actor TO dir_app;

-- the default: roles, however far, whether inherited or not
SET ROLE dir_anna;
SELECT idflow.my_keys();
SET ROLE dir_noinherit;
SELECT idflow.my_keys();
SET ROLE dir_bert;
SELECT idflow.my_keys();
RESET ROLE;
-- a superuser holds no profile by that
SELECT idflow.my_keys() = ARRAY['u:' || idflow.actor(), 'a:idflow_admin'] AS only_himself;

-- and rows, for people who are no roles
SET ROLE dir_admin;
INSERT INTO idflow.profile_member (profile, principal)
	VALUES ('dir_manager', 'mia@example.com'), ('payroll', 'mia@example.com'), ('payroll', 'dir_bert');
SELECT principal, profile, active FROM idflow.directory WHERE principal ~ '^dir_|@' ORDER BY 1, 2;
SET ROLE dir_app;
SET idflow.actor = 'mia@example.com';
SELECT idflow.my_keys();
SET idflow.actor = 'dir_bert';
SELECT idflow.my_keys();
SET idflow.actor = 'dir_anna';
SELECT idflow.my_keys();
-- in force at the next statement
SET ROLE dir_admin;
DELETE FROM idflow.profile_member WHERE profile = 'payroll';
SET ROLE dir_app;
SET idflow.actor = 'mia@example.com';
SELECT idflow.my_keys();
-- who may look at it, and who may write
RESET idflow.actor;
SELECT * FROM idflow.directory;
SELECT * FROM idflow.directory_rows();
SELECT * FROM idflow.profile_member;
SELECT * FROM idflow.directory_source;
INSERT INTO idflow.profile_member VALUES ('dir_manager', 'mallory');
SELECT idflow.set_directory(NULL);
RESET ROLE;

-- a directory of the organisation's own
CREATE SCHEMA org;
CREATE TABLE org.grants (
	principal varchar(80), profile name, display_name text, active boolean, valid daterange, manager text
);
INSERT INTO org.grants VALUES
	('mia@example.com', 'hr_manager', 'Mia', true, NULL, 'tom@example.com'),
	('tom@example.com', 'hr_manager', 'Tom', false, NULL, NULL),
	('una@example.com', 'hr_manager', 'Una', NULL, NULL, NULL),
	('mia@example.com', 'payroll', 'Mia', true, NULL, NULL);
-- checked
CREATE TABLE org.no_profile (principal text);
CREATE TABLE org.odd_active (principal text, profile text, active int);
CREATE TYPE org.composite AS (principal text, profile text);
CREATE TEMP TABLE temporary (principal text, profile text);
SELECT idflow.set_directory('org.no_profile');
SELECT idflow.set_directory('org.odd_active');
SELECT idflow.set_directory('org.composite');
DO $$ BEGIN PERFORM idflow.set_directory('pg_temp.temporary');
EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', SQLSTATE, regexp_replace(SQLERRM, 'pg_temp_\d+', 'pg_temp'); END $$;
SELECT idflow.set_directory('idflow.directory');
SELECT idflow.set_directory('org.nothing');
SELECT idflow.set_directory(4294967295::oid::regclass);
-- who sets it must be able to read it
SET ROLE dir_admin;
SELECT idflow.set_directory('org.grants');
RESET ROLE;
GRANT USAGE ON SCHEMA org TO dir_admin;
GRANT SELECT (principal, profile) ON org.grants TO dir_admin;
SET ROLE dir_admin;
SELECT idflow.set_directory('org.grants');
RESET ROLE;
GRANT SELECT ON org.grants TO dir_admin;
SET ROLE dir_admin;
SELECT idflow.set_directory('org.grants');
RESET ROLE;
SELECT relation, relation_name, set_by FROM idflow.directory_source;
-- it replaces the default entirely, and active counts
SET ROLE dir_admin;
SELECT * FROM idflow.directory ORDER BY 1, 2;
SET ROLE dir_anna;
SELECT idflow.my_keys();
SET ROLE dir_app;
SET idflow.actor = 'mia@example.com';
SELECT idflow.my_keys();
SET idflow.actor = 'tom@example.com';
SELECT idflow.my_keys();
SET idflow.actor = 'una@example.com';
SELECT idflow.my_keys();
RESET ROLE;
UPDATE org.grants SET active = true WHERE principal = 'tom@example.com';
SET ROLE dir_app;
SET idflow.actor = 'tom@example.com';
SELECT idflow.my_keys();
RESET ROLE;
-- the relation changes its shape
ALTER TABLE org.grants DROP COLUMN active;
SET ROLE dir_app;
SET idflow.actor = 'una@example.com';
SELECT idflow.my_keys();
RESET ROLE;
ALTER TABLE org.grants RENAME TO memberships;
SELECT idflow.my_keys();
ALTER TABLE org.memberships RENAME COLUMN profile TO role;
SELECT idflow.my_keys();
ALTER TABLE org.memberships RENAME COLUMN role TO profile;
SELECT idflow.my_keys();
-- the role that set it loses its right
REVOKE SELECT ON org.memberships FROM dir_admin;
SELECT idflow.my_keys();
GRANT SELECT ON org.memberships TO dir_admin;
SELECT idflow.my_keys();
RESET idflow.actor;
-- in a transaction that is rolled back nothing has changed, also for a later reader
BEGIN;
SELECT idflow.set_directory(NULL);
SET LOCAL ROLE dir_anna;
SELECT idflow.my_keys();
ROLLBACK;
SET ROLE dir_anna;
SELECT idflow.my_keys();
RESET ROLE;
-- the relation is dropped
BEGIN;
DROP TABLE org.memberships;
SELECT idflow.my_keys();
ROLLBACK;

-- a view runs as who set it, and so with nobody else's functions
CREATE ROLE dir_mallory;
GRANT USAGE, CREATE ON SCHEMA org TO dir_mallory;
GRANT USAGE ON SCHEMA org TO dir_app;
SET ROLE dir_mallory;
CREATE FUNCTION org.spy() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RAISE NOTICE 'spy: current_user %, search_path %', current_user, current_setting('search_path');
	BEGIN
		SET ROLE dir_app;
		RAISE NOTICE 'spy: could set role';
	EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'spy: refused, %', SQLSTATE;
	END;
	BEGIN
		EXECUTE 'ALTER ROLE dir_mallory SUPERUSER';
		RAISE NOTICE 'spy: could become superuser';
	EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'spy: refused, %', SQLSTATE;
	END;
	BEGIN
		EXECUTE 'CREATE TEMP TABLE pg_class (x int)';
		RAISE NOTICE 'spy: could make a temporary table';
	EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'spy: refused, %', SQLSTATE;
	END;
	RETURN 'spied';
END$$;
CREATE VIEW org.spied AS SELECT 'dir_anna'::text AS principal, org.spy() AS profile;
GRANT SELECT ON org.spied TO dir_admin;
SET ROLE dir_admin;
SELECT idflow.set_directory('org.spied');
SET ROLE dir_anna;
SELECT idflow.my_keys();
SELECT count(*) FROM idflow.visible();
-- a view that asks for what it is to answer
SET ROLE dir_mallory;
CREATE OR REPLACE VIEW org.spied AS SELECT 'dir_anna'::text AS principal, idflow.my_keys()::text AS profile;
SET ROLE dir_anna;
SELECT idflow.my_keys();
-- names that need quotes
RESET ROLE;
CREATE SCHEMA "Org Chart";
CREATE TABLE "Org Chart"."who""holds; DROP" (principal text, profile text);
INSERT INTO "Org Chart"."who""holds; DROP" VALUES ('dir_anna', 'it''s "quoted"');
SELECT idflow.set_directory('"Org Chart"."who""holds; DROP"');
SET ROLE dir_anna;
SELECT idflow.my_keys();
RESET ROLE;
-- the role that set it is gone
GRANT USAGE ON SCHEMA org TO dir_admin;
SET ROLE dir_admin;
SELECT idflow.set_directory('org.memberships');
RESET ROLE;
BEGIN;
DROP OWNED BY dir_admin;
DROP ROLE dir_admin;
SELECT idflow.my_keys();
ROLLBACK;
-- back to the default
SET ROLE dir_admin;
SELECT idflow.set_directory(NULL);
SET ROLE dir_anna;
SELECT idflow.my_keys();
RESET ROLE;

-- another session notices
\c
SELECT idflow.set_directory('org.memberships');
SET ROLE dir_app;
SET idflow.actor = 'mia@example.com';
SELECT idflow.my_keys();
RESET ROLE;

\c :home
DROP DATABASE idflow_directory;
DROP OWNED BY dir_app;
REVOKE SET ON PARAMETER idflow.actor FROM dir_app;
DROP ROLE dir_anna, dir_bert, dir_team, dir_manager, dir_noinherit, dir_admin, dir_app, dir_mallory;
