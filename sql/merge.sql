-- Approved changes meet what others wrote in the meantime.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_merge;
\c idflow_merge
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_merge SET idflow.notice = off;
CREATE ROLE me_app LOGIN;
CREATE ROLE me_boss LOGIN;
CREATE ROLE me_other LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.person (id int PRIMARY KEY, a text, b text, c text);
INSERT INTO hr.person SELECT i, 'a' || i, 'b' || i, 'c' || i FROM generate_series(1, 20) i;
GRANT SELECT, UPDATE, DELETE ON hr.person TO me_app;
SELECT idflow.require_approval('hr.person', expression => 'SQL:''me_boss''', operations => '{UPDATE,DELETE}');
-- what others write: past the gate
CREATE PROCEDURE public.others(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.bypass('test');
	EXECUTE statement;
	COMMIT;
END$$;
CREATE FUNCTION public.standing(r bigint) RETURNS TABLE (state text, activity text, revision int, votes text) LANGUAGE sql AS $$
	SELECT r.state, r.activity, r.revision,
		(SELECT string_agg(concat_ws(' ', v.vote, v.revision, CASE WHEN v.superseded THEN 'superseded' END), ', ' ORDER BY v.task, v.seq)
		 FROM idflow.vote v WHERE v.request = r.id)
	FROM idflow.request r WHERE r.id = $1 $$;

-- ------------------------------------------------------------ disjoint, equal
\c - me_app
UPDATE hr.person SET a = 'A1' WHERE id = 1;
UPDATE hr.person SET a = 'same', b = 'B2' WHERE id = 2;
UPDATE hr.person SET a = 'A3', b = 'B3' WHERE id = 3;
\c - :me
CALL others('UPDATE hr.person SET b = ''other'', c = NULL WHERE id = 1');
CALL others('UPDATE hr.person SET a = ''same'' WHERE id = 2');
-- all that was drafted is there already
CALL others('UPDATE hr.person SET a = ''A3'', b = ''B3'' WHERE id = 3');
\c - me_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - :me
SELECT * FROM hr.person WHERE id < 4 ORDER BY id;

-- ------------------------------------------------------- a conflict, resolved
\c - me_app
UPDATE hr.person SET a = 'A4', b = 'B4' WHERE id = 4;
SELECT idflow.last_request() AS r4 \gset
UPDATE hr.person SET a = 'A5', b = 'B5' WHERE id = 5;
SELECT idflow.last_request() AS r5 \gset
UPDATE hr.person SET a = 'A6', b = 'B6', c = 'C6' WHERE id = 6;
SELECT idflow.last_request() AS r6 \gset
\c - :me
CALL others('UPDATE hr.person SET a = ''other'', c = ''other'' WHERE id IN (4, 5)');
CALL others('UPDATE hr.person SET a = NULL, b = ''other'' WHERE id = 6');
\c - me_boss
SELECT request, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT count(*) FROM idflow.inbox;
SELECT operation, key, column_name, base, live, draft FROM idflow.change_diff WHERE request IN (:r4, :r5, :r6) ORDER BY request, column_name;
SELECT * FROM public.standing(:r4);
SELECT e.transition, e.data FROM idflow.event e WHERE request = :r4 AND transition = 'Conflict';
\c - :me
SELECT * FROM hr.person WHERE id IN (4, 5, 6) ORDER BY id;
-- who may settle it
\c - me_other
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{"a": "live"}');
\c - me_app
-- mistakes
SELECT idflow.resolve(:r4, 1, '{"a": "live"}');
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{"c": "live"}');
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{"zz": "live"}');
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{"a": "mine"}');
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '["a"]');
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{}');
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, NULL);
SELECT * FROM public.standing(:r4);
-- live: nothing new to review, written at once
SELECT idflow.resolve(:r4, :r4::bigint << 24 | 1, '{"a": "live"}');
SELECT * FROM public.standing(:r4);
-- draft: reviewed again
SELECT idflow.resolve(:r5, :r5::bigint << 24 | 1, '{"a": "draft"}');
SELECT * FROM public.standing(:r5);
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :r5 ORDER BY 1;
-- part of it: still in conflict; base: reviewed again
SELECT idflow.resolve(:r6, :r6::bigint << 24 | 1, '{"a": "base"}');
SELECT * FROM public.standing(:r6);
SELECT idflow.resolve(:r6, :r6::bigint << 24 | 1, '{"b": "live"}');
SELECT * FROM public.standing(:r6);
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :r6 ORDER BY 1;
\c - me_boss
SELECT request, idflow.approve(task, revision => 1) FROM idflow.inbox WHERE request = :r5;
\echo :LAST_ERROR_SQLSTATE
SELECT request, revision, idflow.approve(task, revision => revision) FROM idflow.inbox ORDER BY task;
SELECT * FROM public.standing(:r5);
\c - :me
SELECT * FROM hr.person WHERE id IN (4, 5, 6) ORDER BY id;

-- ---------------------------------------------------------- all back to live
\c - me_app
UPDATE hr.person SET a = 'A7' WHERE id = 7;
SELECT idflow.last_request() AS r7 \gset
\c - :me
CALL others('UPDATE hr.person SET a = ''other'' WHERE id = 7');
\c - me_boss
SELECT idflow.approve(task) FROM idflow.inbox;
-- a reviewer may settle it, too
SELECT idflow.resolve(:r7, :r7::bigint << 24 | 1, '{"a": "live"}');
SELECT * FROM public.standing(:r7);

-- -------------------------------------------------------------------- DELETE
\c - me_app
DELETE FROM hr.person WHERE id IN (8, 9, 10);
SELECT idflow.last_request() AS r10 \gset
\c - :me
CALL others('UPDATE hr.person SET b = ''other'' WHERE id IN (8, 9)');
CALL others('DELETE FROM hr.person WHERE id = 10');
\c - me_boss
SELECT request = :r10 AS gone, idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - me_app
SELECT idflow.resolve(:r10 - 2, (:r10::bigint - 2) << 24 | 1, '{"b": "base"}');
SELECT idflow.resolve(:r10 - 2, (:r10::bigint - 2) << 24 | 1, '{"b": "live"}');
SELECT idflow.resolve(:r10 - 1, (:r10::bigint - 1) << 24 | 1, '{"b": "draft"}');
SELECT idflow.resolve(:r10, :r10::bigint << 24 | 1, '{"b": "draft"}');
SELECT idflow.rebase(:r10);
SELECT idflow.resolve(:r10, :r10::bigint << 24 | 1, '{"b": "live"}');
SELECT s.* FROM generate_series(:r10 - 2, :r10) r, LATERAL public.standing(r) s ORDER BY r;
\c - me_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.person WHERE id IN (8, 9, 10) ORDER BY id;

-- -------------------------------------- the row that an UPDATE is for is gone
\c - me_app
UPDATE hr.person SET a = 'A11', b = 'B11' WHERE id = 11;
SELECT idflow.last_request() AS r11 \gset
UPDATE hr.person SET id = 112 WHERE id = 12;
UPDATE hr.person SET a = 'A12' WHERE id = 12;
SELECT idflow.last_request() AS r12 \gset
\c - :me
CALL others('DELETE FROM hr.person WHERE id = 11');
\c - me_boss
SELECT request, idflow.approve(task) FROM idflow.inbox ORDER BY task;
SELECT key, column_name, base, live, draft FROM idflow.change_diff WHERE request IN (:r11, :r12) ORDER BY request, column_name;
\c - me_app
SELECT idflow.rebase(:r11);
SELECT idflow.resolve(:r11, :r11::bigint << 24 | 1, '{"a": "draft", "b": "live"}');
SELECT idflow.resolve(:r11, :r11::bigint << 24 | 1, '{"a": "live", "b": "live"}');
SELECT * FROM public.standing(:r11);
-- by whichever key it has now
SELECT * FROM public.standing(:r12);
\c - :me
SELECT * FROM hr.person WHERE id IN (11, 12, 112);

-- -------------------------------------------------------------------- rebase
\c - me_app
UPDATE hr.person SET a = 'A13', b = 'B13' WHERE id = 13;
SELECT idflow.last_request() AS r13 \gset
UPDATE hr.person SET a = 'A14' WHERE id = 14;
SELECT idflow.last_request() AS r14 \gset
SELECT idflow.rebase(:r13);
SELECT * FROM public.standing(:r13);
\c - :me
CALL others('UPDATE hr.person SET a = ''other'', c = ''other'' WHERE id IN (13, 14)');
\c - me_app
-- of an open request
SELECT idflow.rebase(:r13);
SELECT * FROM public.standing(:r13);
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :r13 ORDER BY 1;
\c - me_boss
SELECT request, revision, idflow.approve(task, revision => 1) FROM idflow.inbox WHERE request = :r13;
SELECT request = :r13 AS rebased, idflow.approve(task) FROM idflow.inbox ORDER BY task;
-- of one in conflict
\c - me_other
SELECT idflow.rebase(:r14);
\c - me_app
SELECT idflow.rebase(:r14);
SELECT * FROM public.standing(:r14);
SELECT transition, data -> 'moved' AS moved FROM idflow.event WHERE request = :r14 ORDER BY seq;
SELECT idflow.rebase(:r13);
\c - me_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - :me
SELECT * FROM hr.person WHERE id IN (13, 14) ORDER BY id;

-- -------------------------------------------------- in conflict: what else goes
\c - me_app
UPDATE hr.person SET a = 'A15' WHERE id = 15;
SELECT idflow.last_request() AS r15 \gset
\c - :me
CALL others('UPDATE hr.person SET a = ''other'' WHERE id = 15');
\c - me_boss
SELECT task AS t15 FROM idflow.inbox \gset
SELECT idflow.approve(:t15);
SELECT idflow.approve(:t15);
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.retry(:r15);
-- the conflict has gone away by itself
\c - :me
CALL others('UPDATE hr.person SET a = ''a15'' WHERE id = 15');
\c - me_app
SELECT idflow.resolve(:r15, :r15::bigint << 24 | 1, '{}');
SELECT * FROM public.standing(:r15);
SELECT * FROM hr.person WHERE id = 15;

-- to leave out a column that is not in conflict is reviewed again
UPDATE hr.person SET a = 'A18', b = 'B18', c = 'C18' WHERE id = 18;
SELECT idflow.last_request() AS r18 \gset
\c - :me
CALL others('UPDATE hr.person SET a = ''other'' WHERE id = 18');
\c - me_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - me_app
SELECT idflow.resolve(:r18, :r18::bigint << 24 | 1, '{"b": "live"}');
SELECT idflow.resolve(:r18, :r18::bigint << 24 | 1, '{"a": "live"}');
SELECT * FROM public.standing(:r18);
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :r18 ORDER BY 1;
SELECT idflow.withdraw(:r18);

-- --------------------- sessions that print bytes differently mean the same ones
\c - :me
CREATE TABLE hr.picture (id int PRIMARY KEY, bytes bytea);
INSERT INTO hr.picture VALUES (1, '\x00ff');
GRANT SELECT, UPDATE ON hr.picture TO me_app;
SELECT idflow.require_approval('hr.picture', expression => 'SQL:''me_boss''', operations => '{UPDATE}');
\c - me_app
SET bytea_output = 'hex';
UPDATE hr.picture SET bytes = '\x01fe' WHERE id = 1;
\c - me_boss
SET bytea_output = 'escape';
SELECT idflow.approve(task) FROM idflow.inbox;
\c - me_app
SELECT * FROM hr.picture;

-- ------------------------ a bundle: all or nothing, and each change for itself
BEGIN;
SELECT idflow.begin_request('two rows') AS r16 \gset
UPDATE hr.person SET a = 'A16' WHERE id = 16;
UPDATE hr.person SET a = 'A17' WHERE id = 17;
SELECT idflow.submit(:r16);
COMMIT;
\c - :me
CALL others('UPDATE hr.person SET a = ''other'' WHERE id = 17');
\c - me_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - me_app
SELECT * FROM hr.person WHERE id IN (16, 17) ORDER BY id;
SELECT idflow.resolve(:r16, :r16::bigint << 24 | 2, '{"a": "live"}');
SELECT * FROM hr.person WHERE id IN (16, 17) ORDER BY id;
SELECT * FROM public.standing(:r16);

\c :home :me
DROP DATABASE idflow_merge WITH (FORCE);
DROP ROLE me_app, me_boss, me_other;
