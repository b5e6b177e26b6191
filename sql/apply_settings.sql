-- Settings around an apply: the requester's are restored for it, and nothing
-- that the table's code sets then stays in the approver's session.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_database() AS home \gset
CREATE DATABASE apply_settings;
\c apply_settings
SET client_min_messages = warning;
CREATE EXTENSION idflow;
CREATE ROLE aps_app LOGIN;
CREATE SCHEMA aps;
CREATE SCHEMA aps_evil;
GRANT USAGE ON SCHEMA aps, aps_evil TO aps_app;
CREATE TABLE aps.t (id int PRIMARY KEY, v text, seen text);
GRANT INSERT, SELECT ON aps.t TO aps_app;
GRANT SET ON PARAMETER idflow.actor TO aps_app;
CREATE FUNCTION aps.sets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF idflow.applying() IS NOT NULL THEN
		NEW.seen := current_setting('search_path') || ' ' || current_setting('TimeZone') || ' ' || current_user || ' ' || idflow.actor();
		PERFORM set_config('search_path', 'aps_evil', false), set_config('app.role', 'chief', false),
			set_config('TimeZone', 'Asia/Tokyo', true);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER sets BEFORE INSERT ON aps.t FOR EACH ROW EXECUTE FUNCTION aps.sets();
SELECT idflow.require_approval('aps.t', expression => '''boss''');

SET ROLE aps_app;
SET idflow.notice = off;
SET idflow.actor = 'anna';
SET search_path = aps, public;
SET TimeZone = 'Europe/Berlin';
INSERT INTO t (id, v) VALUES (1, 'x');
RESET search_path;
RESET TimeZone;
SET TimeZone = 'America/Lima';
SET idflow.actor = 'boss';
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT * FROM aps.t;
SHOW search_path;
SHOW TimeZone;
SELECT current_setting('app.role', true) AS app_role, idflow.actor(), idflow.applying();
RESET ROLE;
RESET idflow.actor;
\c :home
SET client_min_messages = warning;
DROP DATABASE apply_settings;
REVOKE SET ON PARAMETER idflow.actor FROM aps_app;
DROP ROLE aps_app;
