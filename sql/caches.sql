-- What a session keeps about a table follows what happens to the table: all of
-- this is one session.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_caches;
\c idflow_caches
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE ca_owner;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO ca_owner;
CREATE TYPE hr.mood AS ENUM ('good', 'bad');
CREATE TABLE hr.team (id bigint PRIMARY KEY, name text UNIQUE, mood hr.mood UNIQUE);
INSERT INTO hr.team VALUES (1, 'one', 'good'), (2, 'two', NULL);
CREATE TABLE hr.person (id int PRIMARY KEY, login text, team bigint, team_name varchar(10), n int, mood hr.mood);
SELECT idflow.require_approval('hr.person', expression => 'SQL:''boss''');
SET idflow.notice = off;
CREATE FUNCTION public.draft(id int, login text, team bigint DEFAULT NULL, team_name text DEFAULT NULL, n int DEFAULT NULL, mood text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('idflow.actor', 'ann', false);
	EXECUTE format('INSERT INTO hr.person VALUES (%L, %L, %L, %L, %L, %L)', id, login, team, team_name, n, mood);
	RETURN idflow.last_request();
END$$;
CREATE FUNCTION public.decide(r bigint) RETURNS text LANGUAGE sql AS $$
	SELECT set_config('idflow.actor', 'boss', false);
	SELECT idflow.approve(task) FROM idflow.request WHERE id = r;
$$;

-- ------------------------------------------------ keys come and go with indexes
SELECT draft(1, 'a'), draft(2, 'b');
ALTER TABLE hr.person ADD CONSTRAINT person_login UNIQUE (login);
SELECT draft(3, 'c') AS r3 \gset
SELECT draft(4, 'c');
ALTER TABLE hr.person DROP CONSTRAINT person_login;
SELECT draft(4, 'c');
CREATE UNIQUE INDEX person_upper ON hr.person (upper(login)) WHERE n > 0;
SELECT draft(5, 'e', n => 1), draft(6, 'E', n => 0);
SELECT draft(7, 'E', n => 2);
DROP INDEX hr.person_upper;
SELECT draft(7, 'E', n => 2);
SELECT decide(1);
SELECT draft(1, 'live');
SELECT draft(2, 'held');
SELECT seq, cardinality(held) AS held, (SELECT count(*) FROM idflow.pending_key k WHERE k.request = c.request) AS keys
FROM idflow.change_data c WHERE request IN (1, 2, :r3) ORDER BY request;

-- --------------------------------------------------------------- foreign keys
ALTER TABLE hr.person ADD CONSTRAINT person_team FOREIGN KEY (team) REFERENCES hr.team;
SELECT draft(11, 'f', team => 9);
INSERT INTO hr.team VALUES (9, 'nine');
SELECT draft(11, 'f', team => 9) > 0 AS drafted;
DELETE FROM hr.team WHERE id = 9;
SELECT draft(12, 'f', team => 9);
-- of other types than the keys they refer to
ALTER TABLE hr.person ADD CONSTRAINT person_team_name FOREIGN KEY (team_name) REFERENCES hr.team (name),
	ADD CONSTRAINT person_n FOREIGN KEY (n) REFERENCES hr.team (id) NOT VALID,
	ADD CONSTRAINT person_mood FOREIGN KEY (mood) REFERENCES hr.team (mood);
SELECT draft(13, 'f', team_name => 'none');
SELECT draft(13, 'f', n => 5);
SELECT draft(13, 'f', mood => 'bad');
SELECT draft(13, 'f', 1, 'two', 2, 'good') > 0 AS drafted;
-- as the owner of the referenced table, who must be allowed to look
ALTER TABLE hr.team OWNER TO ca_owner;
REVOKE SELECT ON hr.team FROM ca_owner;
SELECT draft(14, 'f', team => 1);
GRANT SELECT ON hr.team TO ca_owner;
ALTER TABLE hr.team ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT draft(14, 'f', team => 1) > 0 AS drafted;
ALTER TABLE hr.team NO FORCE ROW LEVEL SECURITY;
ALTER TABLE hr.person DROP CONSTRAINT person_team;
SELECT draft(15, 'f', team => 77) > 0 AS drafted;

-- ------------------------------------------------- columns, between two decisions
SELECT draft(21, 'x'), draft(22, 'x'), draft(23, 'x'), draft(24, 'x', mood => 'good') \gset d
SELECT draft(21, 'x') AS again;
SELECT max(id) AS last FROM idflow.request \gset
SELECT decide(:last - 3);
ALTER TABLE hr.person RENAME login TO account;
ALTER TABLE hr.person ADD COLUMN extra text DEFAULT 'new';
SELECT decide(:last - 2);
ALTER TYPE hr.mood RENAME TO feeling;
SELECT decide(:last);
ALTER TYPE hr.feeling RENAME TO mood;
ALTER TABLE hr.person ALTER n TYPE bigint;
SELECT decide(:last - 1);
ALTER TABLE hr.person ALTER n TYPE int;
SELECT decide(:last - 1);
SELECT id, account, extra, mood FROM hr.person WHERE id > 20 ORDER BY id;

-- ----------------------- the shape that a transaction recorded is gone with it
-- looked up twice in it, because the table changed in between
CREATE TABLE hr.fresh (id int PRIMARY KEY);
SELECT idflow.require_approval('hr.fresh', expression => 'SQL:''boss''');
SELECT set_config('idflow.actor', 'ann', false);
BEGIN;
INSERT INTO hr.fresh VALUES (1);
COMMENT ON TABLE hr.fresh IS 'changed';
INSERT INTO hr.fresh VALUES (2);
ROLLBACK;
INSERT INTO hr.fresh VALUES (3);
SELECT decide(idflow.last_request());

-- ---------------------------------------------- whoever ends lets go of his keys
SELECT set_config('idflow.actor', 'boss', false);
SELECT count(*) FILTER (WHERE idflow.decline(task) <> 'declined') AS not_declined FROM idflow.request WHERE state = 'open';
SELECT count(*) FROM idflow.pending_key;

\c :home :me
DROP DATABASE idflow_caches WITH (FORCE);
DROP ROLE ca_owner;
