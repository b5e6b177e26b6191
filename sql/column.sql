-- The Column element: labels, what is shown of a column's values, who edits
-- them, and how they merge with what others write meanwhile.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_column;
\c idflow_column
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE co_app LOGIN;
CREATE ROLE co_boss LOGIN;
CREATE ROLE co_admin LOGIN IN ROLE idflow_admin;
CREATE SCHEMA co;
GRANT USAGE ON SCHEMA co TO PUBLIC;
CREATE TABLE co.account (
	id        int PRIMARY KEY,
	login     text UNIQUE,
	hash      text CHECK (hash NOT LIKE 'bad%'),
	pin       int,
	phone     text,
	token     text UNIQUE,
	version   int NOT NULL DEFAULT 1,
	touched   timestamptz,
	note      text,
	settings  jsonb,
	groups    text[],
	numbers   int[]
);
GRANT SELECT, INSERT, UPDATE, DELETE ON co.account TO co_app;
GRANT INSERT, UPDATE ON co.account TO co_boss;
CREATE FUNCTION public.decide() RETURNS SETOF text LANGUAGE sql AS
$$SELECT a.state || coalesce(': ' || a.message, '') FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a$$;
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Account" DisplayName_L1="An account" Title="SQL:'account ' || coalesce(new.login, old.login)">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="co_boss"/></Activity>
  <Activity Identifier="Second" DisplayName_L1="Second" Template="Review"><Actor Principal="co_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  <Column Name="login" DisplayName_L1="Login name" Edit="Review, Second"/>
  <Column Name="hash" Show="No" Edit=""/>
  <Column Name="token" Show="No"/>
  <Column Name="pin" Show="Masked"/>
  <Column Name="phone" Show="Masked" DisplayName_L1="Telephone" Edit="Second"/>
  <Column Name="version" Merge="Next"/>
  <Column Name="touched" Merge="Live"/>
  <Column Name="note" Merge="Draft"/>
  <Column Name="settings" Merge="ByKey"/>
  <Column Name="groups" Merge="ByKey"/>
  <Column Name="numbers" Merge="ByKey"/>
</Workflow>$$);
SELECT idflow.attach('Account', 'co.account', '{INSERT,UPDATE,DELETE}');

-- ------------------------------------------------------------------- who sees
\c - co_app
SET idflow.notice = off;
INSERT INTO co.account (id, login, hash, pin, phone, token) VALUES (1, 'one', 's3cret-hash', 471147114, 's3cret-phone', 's3cret-token');
-- not the requester
SELECT new_row FROM idflow.change;
SELECT column_name, label, base, live, draft FROM idflow.change_diff;
SELECT login, hash, pin, phone, token FROM idflow.drafts(NULL::co.account);
SELECT login, hash, pin, phone, token FROM idflow.preview(NULL::co.account);
-- nor who decides
\c - co_boss
SELECT key, title FROM idflow.inbox;
SELECT new_row FROM idflow.change;
SELECT column_name, label, base, live, draft FROM idflow.change_diff;
SELECT public.decide();
SELECT public.decide();
-- nor an admin; the apply alone reads it
\c - co_admin
SELECT new_row FROM idflow.change;
SELECT login, hash, pin FROM idflow.drafts(NULL::co.account);
\c - :me
SELECT * FROM co.account;
-- a secret is nowhere in what anybody can read
CREATE FUNCTION public.leaks(secret text) RETURNS TABLE (source text) LANGUAGE plpgsql AS $$
DECLARE v text; n bigint;
BEGIN
	FOR v IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'idflow'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND c.relname <> 'directory' ORDER BY 1 LOOP
		BEGIN
			EXECUTE format('SELECT count(*) FROM idflow.%I x WHERE x::text LIKE %L', v, '%' || secret || '%') INTO n;
			IF n > 0 THEN source := v; RETURN NEXT; END IF;
		EXCEPTION WHEN insufficient_privilege THEN NULL;
		END;
	END LOOP;
END $$;
\c - co_app
SET idflow.notice = off;
UPDATE co.account SET hash = 's3cret-2', pin = 471147115, phone = 's3cret-phone-2', note = 'n' WHERE id = 1;
DELETE FROM co.account WHERE id = 1;
SELECT new_row, old_row FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY c.id;
SELECT operation, column_name, base, live, draft FROM idflow.change_diff d JOIN idflow.request r ON r.id = d.request WHERE r.state = 'open' ORDER BY change, column_name;
SELECT public.leaks('s3cret'), public.leaks('471147');
\c - co_boss
SELECT public.leaks('s3cret'), public.leaks('471147');
\c - co_admin
SELECT public.leaks('s3cret'), public.leaks('471147');
-- the superuser reads tables
\c - :me
SELECT public.leaks('s3cret');
-- ------------------------------------------------------------- errors, too
\c - co_app
SET idflow.notice = off;
INSERT INTO co.account (id, hash) VALUES (2, 'bad s3cret');
INSERT INTO co.account (id, token) VALUES (2, 's3cret-token');
INSERT INTO co.account (id, hash, version) VALUES (2, 's3cret', NULL);
INSERT INTO co.account (id, login, token) VALUES (2, 'two', 's3cret-other');
\c - :me
SET session_replication_role = replica;
INSERT INTO co.account (id, token) VALUES (3, 's3cret-other');
RESET session_replication_role;
\c - co_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account two';
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account two';
-- ------------------------------------------------------------------ who edits
\c - co_app
SET idflow.notice = off;
SELECT idflow.withdraw(id) FROM idflow.request WHERE state = 'open' ORDER BY id;
INSERT INTO co.account (id, login, note) VALUES (4, 'four', 'x');
\c - co_boss
SELECT idflow.save(task, '{"hash": "mine"}') FROM idflow.inbox;
SELECT idflow.save(task, '{"phone": "mine"}') FROM idflow.inbox;
SELECT idflow.save(task, '{"note": "mine", "login": "vier"}') FROM idflow.inbox;
SELECT new_row ->> 'login' AS login, new_row ->> 'note' AS note FROM idflow.change JOIN idflow.inbox USING (request);
-- ----------------------------------------------------------- how they merge
\c - :me
SET session_replication_role = replica;
INSERT INTO co.account (id, login, version, touched, note, settings, groups, numbers)
	VALUES (10, 'ten', 5, '2026-01-01', 'base', '{"a": 1, "b": 2, "c": 3, "o": {"x": 1}}', '{a,b,c}', '{1,2,3}');
RESET session_replication_role;
\c - co_app
SET idflow.notice = off;
UPDATE co.account SET version = version + 1, touched = '2026-02-02', note = 'draft', settings = '{"a": 10, "c": 3, "d": 4, "o": {"x": 1}}',
	groups = '{a,c,new}', numbers = '{3,2,1,9}' WHERE id = 10;
\c - :me
SET session_replication_role = replica;
UPDATE co.account SET version = 9, touched = '2026-03-03', note = 'live', settings = '{"a": 1, "b": 2, "c": 30, "o": {"x": 2}}',
	groups = '{a,b,c,live}', numbers = '{1,3,7}' WHERE id = 10;
RESET session_replication_role;
\c - co_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account ten';
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account ten';
\c - :me
SET timezone = 'UTC';
SELECT version, touched, note, settings, groups, numbers FROM co.account WHERE id = 10;
-- the same member changed on both sides is a conflict, and so is null
\c - co_app
SET idflow.notice = off;
UPDATE co.account SET settings = settings || '{"a": 11}', login = 'zehn' WHERE id = 10;
\c - :me
SET session_replication_role = replica;
UPDATE co.account SET settings = settings || '{"a": 12}' WHERE id = 10;
RESET session_replication_role;
\c - co_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account zehn';
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account zehn';
\c - co_app
SELECT idflow.resolve(request, change, '{"settings": "live"}') FROM idflow.change_diff WHERE column_name = 'settings' AND request = (SELECT id FROM idflow.request WHERE state = 'conflict');
\c - :me
SELECT login, settings -> 'a' AS a FROM co.account WHERE id = 10;
-- a row that changed only in such columns can be deleted
\c - co_app
SET idflow.notice = off;
DELETE FROM co.account WHERE id = 10;
\c - :me
SET session_replication_role = replica;
UPDATE co.account SET touched = now(), version = 99 WHERE id = 10;
RESET session_replication_role;
\c - co_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account zehn';
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account zehn';
-- what a trigger makes of a Live column is its business
\c - :me
CREATE FUNCTION co.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.touched := now(); RETURN new; END';
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON co.account FOR EACH ROW EXECUTE FUNCTION co.touch();
\c - co_app
SET idflow.notice = off;
INSERT INTO co.account (id, login, touched) VALUES (11, 'eleven', '2026-01-01');
\c - co_boss
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account eleven';
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE title = 'account eleven';
-- ------------------------------------------------------------------ bad input
\c - :me
CREATE FUNCTION public.with_columns(columns text) RETURNS xml LANGUAGE sql AS $$
SELECT ('<Workflow Identifier="Bad" DisplayName_L1="Bad">
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="x"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
' || columns || '</Workflow>')::xml $$;
SELECT c, v.line, v.element, v.message, v.hint FROM unnest(ARRAY['<Column Name="a"/><Column Name="a"/>', '<Column Name="a" Edit="Review, Nowhere"/>',
	'<Column Show="No"/>', '<Column Name="a" Show="no"/>', '<Column Name="a" Merge="Newest"/>']) c, idflow.validate(public.with_columns(c)::text) v;
CREATE TABLE co.bad (id int PRIMARY KEY, a text, g int GENERATED ALWAYS AS (id) STORED);
CREATE FUNCTION public.try(columns text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(public.with_columns(columns));
	PERFORM idflow.attach('Bad', 'co.bad');
	RETURN 'attached';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT c, public.try(c) FROM unnest(ARRAY['<Column Name="nosuch"/>', '<Column Name="id" Show="No"/>', '<Column Name="id" Show="Masked"/>',
	'<Column Name="a" Merge="Next"/>', '<Column Name="a" Merge="ByKey"/>', '<Column Name="g" Merge="Live"/>']) c;

\c :home :me
DROP DATABASE idflow_column;
DROP ROLE co_app, co_boss, co_admin;
