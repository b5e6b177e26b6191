-- Merge="ByKey" of arrays: as sets, and a conflict where that would lose something.
SELECT current_database() AS home \gset
CREATE DATABASE idflow_merge_array;
\c idflow_merge_array
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_merge_array SET idflow.notice = off;
ALTER DATABASE idflow_merge_array SET session_preload_libraries = 'idflow';
\c
CREATE DOMAIN labels AS text[];
CREATE TABLE item (id int PRIMARY KEY, tags text[], labels labels, n int[], boxes box[]);
SELECT name FROM idflow.deploy('<Workflow Identifier="item" DisplayName_L1="item">
	<Activity Identifier="Request" DisplayName_L1="r" Template="Action"/>
	<Activity Identifier="Review" DisplayName_L1="r" Template="Review"><Actor Principal="ma_boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="p" Template="Persist"/>
	<Column Name="tags" Merge="ByKey"/><Column Name="labels" Merge="ByKey"/>
	<Column Name="n" Merge="ByKey"/><Column Name="boxes" Merge="ByKey"/></Workflow>');
SELECT idflow.attach('item', 'item', '{UPDATE}');
CREATE TABLE outcome (n serial, col text, base text, draft text, live text, outcome text, result text);
-- a column is drafted, others write it, and the draft is approved
CREATE PROCEDURE line(col text, base text, draft text, live text) LANGUAGE plpgsql AS $$
DECLARE
	state text;
	result text;
BEGIN
	PERFORM idflow.bypass('the row as it is at first');
	DELETE FROM item;
	EXECUTE format('INSERT INTO item (id, %I) VALUES (1, %L)', col, base);
	COMMIT;
	PERFORM set_config('idflow.actor', 'ma_app', false);
	EXECUTE format('UPDATE item SET %I = %L', col, draft);
	COMMIT;
	PERFORM idflow.bypass('others');
	EXECUTE format('UPDATE item SET %I = %L', col, live);
	COMMIT;
	PERFORM set_config('idflow.actor', 'ma_boss', false);
	BEGIN
		SELECT idflow.approve(task) INTO state FROM idflow.inbox;
	EXCEPTION WHEN OTHERS THEN
		state := sqlerrm;
	END;
	EXECUTE format('SELECT %I::text FROM item', col) INTO result;
	INSERT INTO outcome (col, base, draft, live, outcome, result) VALUES (col, base, draft, live, state, result);
	COMMIT;
	PERFORM set_config('idflow.actor', 'ma_app', false);
	PERFORM idflow.withdraw(id) FROM idflow.request WHERE closed_at IS NULL;
	COMMIT;
END$$;
CALL line('tags', '{a,b}', '{a,c}', '{a,b,d}');
CALL line('labels', '{a,b}', '{a,c}', '{a,b,d}');
CALL line('n', '{}', '{1}', '{2}');
-- null is an element like any other
CALL line('tags', '{a,NULL}', '{a,NULL,x}', '{a,NULL,y}');
CALL line('tags', '{a}', '{a,x}', '{a,NULL,y}');
CALL line('tags', '{a}', '{a,NULL}', '{a,y}');
CALL line('tags', '{a,NULL}', '{a}', '{a,NULL,y}');
-- order and number are nothing to a set
CALL line('tags', '{a,b}', '{b,a}', '{a,b,c}');
CALL line('tags', '{a,a}', '{a}', '{a,a,b}');
CALL line('tags', '{a,NULL}', '{NULL,a}', '{a,NULL,b}');
-- nor are these sets of elements
CALL line('n', '{{1,2},{3,4}}', '{{1,2},{3,5}}', '{{1,2},{7,4}}');
CALL line('n', '{1}', '{1,2}', '{{1,3}}');
CALL line('boxes', '{(1,1),(0,0)}', '{(1,1),(0,0);(2,2),(1,1)}', '{(1,1),(0,0);(3,3),(1,1)}');
SELECT * FROM outcome ORDER BY n;
\c :home
DROP DATABASE idflow_merge_array;
