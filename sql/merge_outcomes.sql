-- What becomes of an approved change when others have written to its row: the
-- table of doc/merge.md, line by line.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_merge_outcomes;
\c idflow_merge_outcomes
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_merge_outcomes SET idflow.notice = off;
ALTER DATABASE idflow_merge_outcomes SET search_path = hr, public;
ALTER DATABASE idflow_merge_outcomes SET session_preload_libraries = 'idflow';
CREATE ROLE mo_app LOGIN;
CREATE ROLE mo_boss LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.item (id int PRIMARY KEY, a text, b text, live text, draft text, next int, tags text[], doc jsonb);
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.item TO mo_app;
SELECT name FROM idflow.deploy('<Workflow Identifier="item" DisplayName_L1="item">
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="r" Template="Review"><Actor Principal="mo_boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/>
	<Column Name="live" Merge="Live"/><Column Name="draft" Merge="Draft"/><Column Name="next" Merge="Next"/>
	<Column Name="tags" Merge="ByKey"/><Column Name="doc" Merge="ByKey"/></Workflow>');
SELECT idflow.attach('item', 'hr.item', '{INSERT,UPDATE,DELETE}');
CREATE TABLE public.first AS VALUES (1, 'a', 'b', 'x', 'x', 10, '{one,two}'::text[], '{"k": 1, "m": 1}'::jsonb);
CREATE TABLE public.outcome (n int, drafted text, others text, outcome text, rows text, columns text, result text);

-- one line: the draft, what others write meanwhile, and what becomes of it
CREATE PROCEDURE public.line(n int, drafted text, others text) LANGUAGE plpgsql AS $$
DECLARE
	r bigint;
	state text;
	found text;
BEGIN
	PERFORM idflow.bypass('the row as it is at first');
	DELETE FROM hr.item;
	INSERT INTO hr.item TABLE public.first;
	COMMIT;
	SET ROLE mo_app;
	EXECUTE drafted;
	r := idflow.last_request();
	COMMIT;
	RESET ROLE;
	PERFORM idflow.bypass('others');
	EXECUTE others;
	COMMIT;
	SET ROLE mo_boss;
	BEGIN
		SELECT idflow.approve(task) INTO state FROM idflow.inbox WHERE request = r;
	EXCEPTION WHEN OTHERS THEN
		state := 'error ' || sqlstate;
	END;
	COMMIT;
	RESET ROLE;
	SELECT string_agg(to_jsonb(i)::text, ' ' ORDER BY id) INTO found FROM hr.item i;
	INSERT INTO public.outcome
	SELECT line.n, line.drafted, line.others, state,
		(SELECT string_agg(value, ',') FROM idflow.event e, jsonb_each_text(e.data -> 'rows') WHERE e.request = r),
		(SELECT string_agg(c, ',') FROM idflow.event e, jsonb_each(e.data -> 'columns') x, jsonb_array_elements_text(x.value) c WHERE e.request = r),
		(SELECT coalesce(string_agg(format('(%s)', concat_ws(', ', i.id, i.a, i.b, i.live, i.draft, i.next, i.tags, i.doc)), ' ' ORDER BY id), 'no row') FROM hr.item i);
	COMMIT;
	IF EXISTS (SELECT FROM idflow.request q WHERE q.id = r AND q.closed_at IS NULL) THEN
		PERFORM idflow.withdraw(r);
	END IF;
	COMMIT;
END$$;
\c
CALL line(1, 'UPDATE item SET a = ''A''', 'UPDATE item SET b = ''B''');
CALL line(2, 'UPDATE item SET a = ''A''', 'UPDATE item SET a = ''A''');
CALL line(3, 'UPDATE item SET a = ''A''', 'UPDATE item SET a = ''other''');
CALL line(4, 'UPDATE item SET a = ''A'', b = ''B''', 'UPDATE item SET a = ''other''');
CALL line(5, 'UPDATE item SET a = NULL', 'UPDATE item SET a = ''other''');
CALL line(6, 'UPDATE item SET live = ''mine''', 'UPDATE item SET live = ''other''');
CALL line(7, 'UPDATE item SET draft = ''mine''', 'UPDATE item SET draft = ''other''');
CALL line(8, 'UPDATE item SET next = next + 5', 'UPDATE item SET next = next + 2');
CALL line(9, 'UPDATE item SET tags = array_append(tags, ''three'')', 'UPDATE item SET tags = array_remove(tags, ''one'')');
CALL line(10, 'UPDATE item SET doc = doc || ''{"k": 2}''', 'UPDATE item SET doc = doc || ''{"m": 2}''');
CALL line(11, 'UPDATE item SET doc = doc || ''{"k": 2}''', 'UPDATE item SET doc = doc || ''{"k": 3}''');
CALL line(12, 'UPDATE item SET a = ''A''', 'DELETE FROM item');
CALL line(13, 'UPDATE item SET a = ''A''', 'DELETE FROM item; INSERT INTO item (id, a) VALUES (1, ''a'')');
CALL line(14, 'UPDATE item SET a = ''A''', 'UPDATE item SET id = 2');
CALL line(15, 'UPDATE item SET a = ''A''', 'UPDATE item SET id = 2, a = ''other''');
CALL line(16, 'UPDATE item SET a = ''A''', 'UPDATE item SET id = 2; INSERT INTO item (id, a) VALUES (1, ''a'')');
CALL line(17, 'UPDATE item SET id = 3', 'UPDATE item SET id = 2');
CALL line(18, 'DELETE FROM item', 'UPDATE item SET b = ''B''');
CALL line(19, 'DELETE FROM item', 'UPDATE item SET live = ''other''');
CALL line(20, 'DELETE FROM item', 'DELETE FROM item');
CALL line(21, 'DELETE FROM item', 'DELETE FROM item; INSERT INTO item TABLE first');
CALL line(22, 'DELETE FROM item', 'UPDATE item SET id = 2');
CALL line(23, 'INSERT INTO item (id, a) VALUES (5, ''mine'')', 'INSERT INTO item (id, a) VALUES (6, ''other'')');
CALL line(24, 'INSERT INTO item (id, a) VALUES (5, ''mine'')', 'INSERT INTO item (id, a) VALUES (5, ''other'')');
\pset null ''
\pset border 2
\pset footer off
SELECT n, drafted, others, outcome, rows, columns FROM public.outcome ORDER BY n;
\pset border 1
SELECT n, result FROM public.outcome ORDER BY n;

-- --------------------------------------------- what is done about each of them
CREATE PROCEDURE public.others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('others');
	EXECUTE statement;
	COMMIT;
END$$;
CALL others('DELETE FROM hr.item; INSERT INTO hr.item (id, a, b) SELECT i, ''a'', ''b'' FROM generate_series(1, 9) i');
\c - mo_app
UPDATE hr.item SET a = 'A1', b = 'B1' WHERE id = 1;
SELECT idflow.last_request() AS r1 \gset
UPDATE hr.item SET a = 'A2' WHERE id = 2;
SELECT idflow.last_request() AS r2 \gset
UPDATE hr.item SET a = 'A3' WHERE id = 3;
SELECT idflow.last_request() AS r3 \gset
UPDATE hr.item SET a = 'A4' WHERE id = 4;
SELECT idflow.last_request() AS r4 \gset
BEGIN;
SELECT idflow.begin_request('two rows') AS r5 \gset
UPDATE hr.item SET a = 'A5' WHERE id = 5;
UPDATE hr.item SET a = 'A6' WHERE id = 6;
SELECT idflow.submit(:r5);
COMMIT;
UPDATE hr.item SET a = 'A7' WHERE id = 7;
SELECT idflow.last_request() AS r7 \gset
UPDATE hr.item SET a = 'A9' WHERE id = 9;
SELECT idflow.last_request() AS r9 \gset
\c - :me
-- another row in the place of 1; 2 moves, 3 moves twice; 4 moves and is changed
CALL others('DELETE FROM hr.item WHERE id IN (1, 7, 9)');
CALL others('INSERT INTO hr.item (id, a, b) VALUES (1, ''a'', ''b''), (7, ''a'', ''b''), (9, ''a'', ''b'')');
CALL others('UPDATE hr.item SET id = id * 10 WHERE id IN (2, 3)');
CALL others('UPDATE hr.item SET id = 300 WHERE id = 30');
CALL others('UPDATE hr.item SET id = 40, a = ''other'' WHERE id = 4');
CALL others('UPDATE hr.item SET id = 50 WHERE id = 5');
CALL others('UPDATE hr.item SET id = 60, a = ''other'' WHERE id = 6');
\c - mo_boss
SELECT title, idflow.approve(task) FROM idflow.inbox ORDER BY request;
\c - mo_app
SELECT id, a, b FROM hr.item ORDER BY id;
SELECT request - :r1 AS n, transition, data -> 'rows' AS rows, data -> 'columns' AS columns FROM idflow.event WHERE data ? 'rows' ORDER BY request, seq;
-- what is known of a row that has moved is under its new key
SELECT request - :r1 AS n, key, column_name, base, live, draft FROM idflow.change_diff WHERE request >= :r1 ORDER BY request, change, column_name;
-- another row: all columns at once, and reviewed again
SELECT idflow.resolve(:r1, :r1::bigint << 24 | 1, '{"a": "draft"}');
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.resolve(:r1, :r1::bigint << 24 | 1, '{"a": "draft", "b": "live"}');
SELECT idflow.resolve(:r7, :r7::bigint << 24 | 1, '{"a": "live"}');
SELECT idflow.rebase(:r9);
SELECT data FROM idflow.event WHERE request = :r9 AND transition = 'Rebase';
-- moved and changed
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{"a": "draft"}');
SELECT idflow.rebase(:r5);
SELECT data FROM idflow.event WHERE request = :r5 AND transition = 'Rebase';
\c - mo_boss
SELECT r.id - :r1 AS n, r.state, r.revision FROM idflow.request r WHERE r.id >= :r1 ORDER BY 1;
SELECT request - :r1 AS n, idflow.approve(task) FROM idflow.inbox ORDER BY request;
\c - mo_app
SELECT id, a, b FROM hr.item ORDER BY id;
-- and an undo finds its row under the new key
SELECT idflow.undo(:r3) > 0 AS undone;
\c - mo_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY request;
\c - mo_app
SELECT id, a FROM hr.item WHERE id = 300;

-- rebase shows what moved, before anybody approves
UPDATE hr.item SET a = 'A8' WHERE id = 8;
SELECT idflow.last_request() AS r8 \gset
\c - :me
CALL others('UPDATE hr.item SET id = 80 WHERE id = 8');
\c - mo_app
SELECT idflow.rebase(:r8);
SELECT data -> 'moved' AS moved FROM idflow.event WHERE request = :r8 AND transition = 'Rebase';
SELECT key FROM idflow.change WHERE request = :r8;
SELECT idflow.rebase(:r8);
SELECT count(*) FROM idflow.event WHERE request = :r8 AND transition = 'Rebase';

-- a table that is written anew tells nothing about who was inserted
\c - :me
CALL others('DELETE FROM hr.item; INSERT INTO hr.item (id, a) VALUES (1, ''a'')');
\c - mo_app
UPDATE hr.item SET a = 'A' WHERE id = 1;
\c - :me
ALTER TABLE hr.item ADD COLUMN more timestamptz NOT NULL DEFAULT clock_timestamp();
VACUUM FREEZE hr.item;
\c - mo_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY request DESC LIMIT 1;
-- nor is a row another one for having been frozen
\c - mo_app
UPDATE hr.item SET a = 'AA' WHERE id = 1;
\c - :me
VACUUM FREEZE hr.item;
\c - mo_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY request DESC LIMIT 1;

\c :home :me
DROP DATABASE idflow_merge_outcomes WITH (FORCE);
DROP ROLE mo_app, mo_boss;
