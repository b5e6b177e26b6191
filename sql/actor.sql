-- Who acts.  A database of its own, because sessions come and go here.
\set VERBOSITY default
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_actor;
\c idflow_actor
CREATE EXTENSION idflow;
CREATE ROLE actor_app LOGIN;
CREATE ROLE actor_trusted LOGIN;
CREATE ROLE actor_group;
GRANT actor_group TO actor_app;
GRANT CREATE ON SCHEMA public TO actor_app, actor_trusted;

-- the role, when nothing else names the actor
SELECT idflow.actor() = session_user AS is_role;
SELECT idflow.applying();
SET ROLE actor_app;
SELECT idflow.actor();
RESET ROLE;

-- SET ROLE counts, SECURITY DEFINER does not
CREATE FUNCTION public.who_definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT idflow.actor()';
\c - actor_app
SELECT idflow.actor(), public.who_definer();
SET ROLE actor_group;
SELECT idflow.actor(), public.who_definer();
RESET ROLE;

-- the setting is for roles that were given it
SET idflow.actor = 'boss';
SET LOCAL idflow.actor = 'boss';
SELECT set_config('idflow.actor', 'boss', false);
SELECT idflow.actor();

-- impersonation by a placeholder, before the library is loaded
\c - actor_app
SET idflow.actor = 'boss';
SELECT current_setting('idflow.actor');
SELECT idflow.actor();
SELECT current_setting('idflow.actor');
\c - actor_app
BEGIN;
SET LOCAL idflow.actor = 'boss';
SAVEPOINT s;
SET LOCAL idflow.actor = 'bigger boss';
SELECT idflow.actor();
ROLLBACK TO s;
SELECT idflow.actor();
COMMIT;
SELECT idflow.actor();

-- ... by the connection's options
\c -reuse-previous=on "user=actor_app options='-c idflow.actor=boss'"
SELECT current_setting('idflow.actor');
SELECT idflow.actor();
\c -reuse-previous=on "user=actor_app options=''"

-- ... by a setting of his own role
\c - actor_app
ALTER ROLE actor_app SET idflow.actor = 'boss';
SELECT idflow.actor();
ALTER ROLE actor_app SET idflow.actor = 'boss';

-- ... by a function's setting, made before and after the library is loaded
\c - actor_app
CREATE FUNCTION public.who_boss() RETURNS text LANGUAGE sql SET idflow.actor = 'boss' AS 'SELECT idflow.actor()';
SELECT public.who_boss();
SELECT idflow.actor();
SELECT public.who_boss();
DROP FUNCTION IF EXISTS public.who_boss();
CREATE FUNCTION public.who_boss() RETURNS text LANGUAGE sql SET idflow.actor = 'boss' AS 'SELECT idflow.actor()';
SELECT public.who_boss();
DROP FUNCTION IF EXISTS public.who_boss();

-- ... by the other settings
SET idflow.actor_function = 'public.who_am_i';
SET idflow.require_actor = off;

-- ... by shadows of what the library calls
CREATE FUNCTION public.actor() RETURNS text LANGUAGE sql AS $$SELECT 'boss'::text$$;
SET search_path = public, idflow, pg_catalog;
SELECT idflow.actor(), idflow.my_keys();
RESET search_path;
DROP FUNCTION public.actor();

-- an application's role: one database role, many people
\c - :me
GRANT SET ON PARAMETER idflow.actor TO actor_trusted;
\c - actor_trusted
SELECT idflow.actor();
BEGIN;
SET LOCAL idflow.actor = 'alice@example.com';
SELECT idflow.actor(), idflow.my_keys(), public.who_definer();
COMMIT;
SELECT idflow.actor();
-- also where the first statement of a session sets it
\c - actor_trusted
BEGIN;
SET LOCAL idflow.actor = 'alice@example.com';
SELECT idflow.actor();
COMMIT;
SELECT idflow.actor();
-- a name is no right
BEGIN;
SET LOCAL idflow.actor = 'idflow_admin';
SELECT idflow.actor(), idflow.is_admin();
COMMIT;
-- the empty string names nobody
SET idflow.actor = '';
SELECT idflow.actor();

-- the function
\c - :me
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO PUBLIC;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
	AS $$SELECT NULLIF(current_setting('request.sub', true), '')::uuid$$;
CREATE FUNCTION auth.seen() RETURNS text LANGUAGE sql STABLE
	AS $$SELECT format('%s with %s', current_user, current_setting('search_path'))$$;
CREATE FUNCTION auth.hidden() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'hidden'$$;
REVOKE EXECUTE ON FUNCTION auth.hidden() FROM PUBLIC;
CREATE FUNCTION auth.recursive() RETURNS text LANGUAGE plpgsql STABLE AS $$BEGIN RETURN idflow.actor(); END$$;
ALTER DATABASE idflow_actor SET idflow.actor_function = 'auth.uid';
\c - actor_app
SELECT idflow.actor();
SET request.sub = '2c1f1c4e-8a5b-4a62-9f0e-1d0d6a1a7a11';
SELECT idflow.actor();
SELECT idflow.my_keys();
RESET request.sub;
SELECT idflow.actor();
-- idflow.actor comes first
\c - actor_trusted
SET request.sub = '2c1f1c4e-8a5b-4a62-9f0e-1d0d6a1a7a11';
SET idflow.actor = 'alice';
SELECT idflow.actor();
RESET idflow.actor;
SELECT idflow.actor();
-- it runs as the role that acts, never as the owner of idflow or of a function
\c - :me
ALTER DATABASE idflow_actor SET idflow.actor_function = 'auth.seen';
\c - actor_app
SET search_path = public;
SELECT idflow.actor(), public.who_definer();
SHOW search_path;
SELECT count(*) FROM idflow.visible();
-- what can be wrong with it
\c - :me
SET idflow.actor_function = 'uid';
SELECT idflow.actor();
SET idflow.actor_function = 'auth.nobody';
SELECT idflow.actor();
SET idflow.actor_function = 'auth.uid(); DROP TABLE x';
SELECT idflow.actor();
SET idflow.actor_function = 'auth.recursive';
SELECT idflow.actor();
SET idflow.actor_function = '';
SELECT idflow.actor() = session_user AS is_role;
ALTER DATABASE idflow_actor SET idflow.actor_function = 'auth.hidden';
\c - actor_app
SELECT idflow.actor();
\c - :me
ALTER DATABASE idflow_actor RESET idflow.actor_function;
\c - :me

-- idflow.actor() never refuses; whoever asks for a decision will
SET idflow.require_actor = on;
SELECT idflow.actor() = session_user AS is_role;
SELECT idflow.begin_request('a request by nobody in particular');
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SET LOCAL idflow.actor = 'alice';
SELECT idflow.begin_request('a request of hers') IS NOT NULL AS begun;
SELECT requester FROM idflow.request;
ROLLBACK;
RESET idflow.require_actor;

\c :home
DROP DATABASE idflow_actor;
SET client_min_messages = error;
DROP OWNED BY actor_app, actor_trusted;
REVOKE SET ON PARAMETER idflow.actor FROM actor_trusted;
DROP ROLE actor_app, actor_trusted, actor_group;
