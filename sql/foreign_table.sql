-- Tables of another database, by postgres_fdw: a trigger that writes there, and a
-- gated table that is written from there.
SELECT count(*) = 0 AS is_missing FROM pg_available_extensions WHERE name = 'postgres_fdw' \gset
\if :is_missing
\quit
\endif
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_foreign;
\c idflow_foreign
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_foreign SET session_preload_libraries = 'idflow';
ALTER DATABASE idflow_foreign SET idflow.notice = off;
ALTER DATABASE idflow_foreign SET client_min_messages = warning;
CREATE ROLE fo_app LOGIN;
CREATE ROLE fo_boss LOGIN;
CREATE SCHEMA fo;
GRANT USAGE ON SCHEMA fo TO fo_app, fo_boss;
CREATE FUNCTION public.gate(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO fo_app, fo_boss', target);
	PERFORM idflow.require_approval(target, expression => 'SQL:''fo_boss''', operations => '{INSERT,UPDATE,DELETE}');
END$$;
CREATE FUNCTION public.approve_all() RETURNS TABLE (state text, sqlstate text, message text, n bigint) LANGUAGE sql AS $$
	SELECT state, sqlstate, message, count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3$$;

-- a trigger's remote write is done at the apply, as the requester, and not before
CREATE EXTENSION postgres_fdw;
CREATE TABLE fo.far (id int PRIMARY KEY, v text, by name DEFAULT current_user);
GRANT SELECT, INSERT, UPDATE, DELETE ON fo.far TO fo_app;
DO $$BEGIN EXECUTE format('CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database()); END$$;
CREATE USER MAPPING FOR fo_app SERVER loop OPTIONS (user 'fo_app', password_required 'false');
CREATE FOREIGN TABLE fo.far_there (id int, v text) SERVER loop OPTIONS (schema_name 'fo', table_name 'far');
GRANT SELECT, INSERT ON fo.far_there TO fo_app;
CREATE TABLE fo.near (id int PRIMARY KEY, v text);
CREATE FUNCTION fo.send() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO fo.far_there VALUES (new.id, new.v); RETURN NULL; END';
CREATE TRIGGER send AFTER INSERT ON fo.near FOR EACH ROW EXECUTE FUNCTION fo.send();
SELECT public.gate('fo.near');
\c - fo_app
INSERT INTO fo.near VALUES (1, 'one'), (2, 'two');
\c - :me
SELECT count(*) FROM fo.far;
-- a remote row in the way: that approval fails, and nothing is half written
INSERT INTO fo.far VALUES (2, 'in the way');
\c - fo_boss
SELECT * FROM public.approve_all();
\c - :me
SELECT * FROM fo.near ORDER BY id;
SELECT id, v, by = 'fo_app' AS by_requester FROM fo.far ORDER BY id;
-- the gated table is the remote one: what is written to it makes requests there
SELECT public.gate('fo.far');
\c - fo_app
\set QUIET off
INSERT INTO fo.far_there VALUES (3, 'three'), (4, 'four');
\set QUIET on
BEGIN;
INSERT INTO fo.far_there VALUES (5, 'five');
ROLLBACK;
SELECT c.operation, r.requester, c.new_row FROM idflow.change c JOIN idflow.request r ON r.id = c.request AND r.state = 'open' WHERE c.target = 'fo.far'::regclass ORDER BY c.request;
\c - fo_boss
SELECT state, n FROM public.approve_all() WHERE state = 'committed';
\c - :me
SELECT count(*) FROM fo.far WHERE id > 2;
-- the foreign table itself can't be gated
SELECT idflow.require_approval('fo.far_there');

\c :home :me
DROP DATABASE idflow_foreign WITH (FORCE);
DROP ROLE fo_app, fo_boss;
