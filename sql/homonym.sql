-- Homonym links: all operators, filters, tables, drafts, warn and block, and what deploy and attach refuse.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_homonym;
\c idflow_homonym
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_homonym SET idflow.notice = off;
CREATE ROLE ho_app LOGIN;
GRANT SET ON PARAMETER idflow.actor TO ho_app;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO ho_app;
CREATE TABLE hr.person (
	id int PRIMARY KEY, first_name text, last_name varchar(40), grade int, born date);
CREATE TABLE hr.contractor (code uuid PRIMARY KEY, full_name text, grade numeric);
INSERT INTO hr.person VALUES
	(1, 'Ada', 'Lovelace', 5, '1815-12-10'),
	(2, 'Adam', 'Love', 7, '1900-01-01'),
	(3, 'Grace', 'Hopper', 5, NULL),
	(4, 'ada', '100%_pure', NULL, '1815-12-10');
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.person TO ho_app;
INSERT INTO idflow.profile_member VALUES ('boss', 'bea');

-- the 17 operators: which rows each finds for a draft; the Flexible ones, and
-- Auto for text, fall under homonym_flexible
CREATE FUNCTION public.hire(filters text, mode text DEFAULT 'Warn', entity text DEFAULT 'hr.person') RETURNS xml LANGUAGE sql AS $$
SELECT format('<ConfigurationFile><Workflow Identifier="Hire" DisplayName_L1="Hire">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="Action" HomonymEntityLink="Same" Homonyms="%s"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
	<HomonymEntityLink Identifier="Same" FormEntityType="%s">%s</HomonymEntityLink></ConfigurationFile>', mode, entity, filters)::xml
$$;
CREATE FUNCTION public.found(filters text, first text, last text, g int, b date, entity text DEFAULT 'hr.person') RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; hint text; request bigint;
BEGIN
	PERFORM idflow.deploy(public.hire(filters, 'Warn', entity));
	PERFORM idflow.attach('Hire', 'hr.person', '{INSERT,UPDATE,DELETE}');
	INSERT INTO hr.person VALUES (99, first, last, g, b);
	request := idflow.last_request();
	SELECT string_agg(coalesce(h.key ->> 'id', h.key ->> 'code'), ' ' ORDER BY h.key::text) INTO result FROM idflow.homonyms(request) h;
	PERFORM idflow.withdraw(request);
	RETURN coalesce(result, '-');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || SQLERRM || coalesce(' / ' || nullif(hint, ''), '');
END $$;
SELECT n AS number, o AS operator,
	public.found(format('<Filter Property1="first_name" Operator1="%s"/>', o), 'Ada', 'X', 6, '1815-12-10') AS "first_name Ada",
	public.found(format('<Filter Property1="last_name" Operator1="%s"/>', n), 'X', 'Love', 6, NULL) AS "last_name Love",
	CASE WHEN n IN (0, 1, 2, 9, 10, 11, 12) THEN
		public.found(format('<Filter Property1="grade" Operator1="%s"/>', n), 'X', 'Y', 5, NULL) END AS "grade 5",
	CASE WHEN n IN (0, 1, 2, 9, 10, 11, 12) THEN
		public.found(format('<Filter Property1="born" Operator1="%s"/>', o), 'X', 'Y', NULL, '1815-12-10') END AS "born 1815"
FROM unnest('{Auto,NotEqual,Equal,Contain,StartWith,EndWith,NotContain,NotStartWith,NotEndWith,GreaterThan,LessThan,GreaterThanOrEqual,LessThanOrEqual}'::text[])
	WITH ORDINALITY u (o, i), LATERAL (SELECT (i - 1)::int) x (n);

-- letters that patterns know are letters; null and the empty string are like nothing
SELECT public.found('<Filter Property1="last_name" Operator1="Contain"/>', 'X', '%_', NULL, NULL) AS percent,
	public.found('<Filter Property1="last_name" Operator1="StartWith"/>', 'X', '_', NULL, NULL) AS underscore,
	public.found('<Filter Property1="last_name" Operator1="EndWith"/>', 'X', '\', NULL, NULL) AS backslash,
	public.found('<Filter Property1="grade" Operator1="NotEqual"/>', 'X', 'Y', NULL, NULL) AS "null",
	public.found('<Filter Property1="last_name" Operator1="Contain"/>', 'X', '', NULL, NULL) AS empty;
-- comparisons of a filter are ANDed, filters are ORed, reverse names are a filter of their own
SELECT public.found('<Filter Property1="first_name" Property2="last_name"/>', 'Ada', 'Lovelace', 1, NULL) AS both_alike,
	public.found('<Filter Property1="first_name" Property2="last_name"/>', 'Ada', 'Hopper', 1, NULL) AS one_alike,
	public.found('<Filter Property1="first_name"/><Filter Property1="last_name"/>', 'Ada', 'Hopper', 1, NULL) AS either,
	public.found('<Filter Property1="first_name" Property2="last_name"/>
		<Filter Property1="first_name" ComparisonProperty1="last_name" Property2="last_name" ComparisonProperty2="first_name"/>',
		'Hopper', 'Grace', 1, NULL) AS reversed,
	public.found('<Filter Property1="first_name" Property2="last_name" Property3="grade" Property4="born" Property5="id" Operator5="NotEqual"/>',
		'Ada', 'Lovelace', 5, '1815-12-10') AS five,
	public.found('<Filter Property5="first_name" Property3="Person:Person.LastName"/>', 'Ada', 'Lovelace', 5, NULL) AS gaps_and_paths;
-- expressions, over the draft, in the type of the column
SELECT public.found('<Filter Expression1="SQL:initcap(new.first_name)" ComparisonProperty1="first_name"/>', 'ADA', 'X', 1, NULL) AS sql,
	public.found('<Filter Expression1="SQL:new.grade + 2" ComparisonProperty1="grade" Operator1="Equal"/>', 'X', 'X', 5, NULL) AS number,
	public.found('<Filter Expression1="Literal:1900-01-01" ComparisonProperty1="born" Operator1="GreaterThan"/>', 'X', 'X', 5, NULL) AS literal,
	public.found('<Filter Expression1="SQL:new.born" ComparisonProperty1="born"/>', 'X', 'X', 5, NULL) AS "null",
	public.found('<Filter Expression1="SQL:new.first_name" ComparisonProperty1="grade"/>', 'X', 'X', 5, NULL) AS no_number;
-- another table: as the link's, or the filter's; a number is compared with a numeric one as numbers
INSERT INTO hr.contractor VALUES ('00000000-0000-0000-0000-000000000001', 'Ada Lovelace', 5.0);
SELECT public.found('<Filter Expression1="SQL:concat_ws('' '', new.first_name, new.last_name)" ComparisonProperty1="full_name"/>',
		'Ada', 'Lovelace', 1, NULL, 'Contractor') AS "Contractor",
	public.found('<Filter Property1="grade"/>', 'X', 'Y', 5, NULL, 'hr.contractor') AS qualified,
	public.found('<Filter Property1="grade"/><Filter Property1="grade" ComparisonProperty1="hr.contractor:grade" Property2="last_name" ComparisonProperty2="hr.contractor:full_name"/>',
		'X', 'Ada Lovelace', 5, NULL) AS two_tables,
	public.found('<Filter Property1="grade"/>', 'X', 'Y', 5, NULL, 'Workflow_Person:Person') AS path,
	public.found('<Filter Property1="grade"/>', 'X', 'Y', 5, NULL, 'nosuch') AS no_table;

-- what attach refuses
SELECT public.found('<Filter Property1="nosuch"/>', 'X', 'Y', 5, NULL) AS message
	UNION ALL SELECT public.found('<Filter Property1="grade" ComparisonProperty1="nosuch"/>', 'X', 'Y', 5, NULL)
	UNION ALL SELECT public.found('<Filter Property1="grade" Operator1="Contain"/>', 'X', 'Y', 5, NULL)
	UNION ALL SELECT public.found('<Filter Property1="grade" ComparisonProperty1="born"/>', 'X', 'Y', 5, NULL)
	UNION ALL SELECT public.found('<Filter Property1="first_name" Operator1="FlexibleEqual"/>', 'X', 'Y', 5, NULL)
	UNION ALL SELECT public.found('<Filter Expression1="SQL:new.nosuch" ComparisonProperty1="grade"/>', 'X', 'Y', 5, NULL);
-- what deploy refuses
CREATE FUNCTION public.faults(filters text, activity text DEFAULT 'HomonymEntityLink="Same"') RETURNS TABLE (line int, element text, message text, hint text) LANGUAGE sql AS $$
SELECT v.line, v.element, v.message, v.hint FROM idflow.validate(format('<ConfigurationFile><Workflow Identifier="Hire" DisplayName_L1="Hire">
<Activity Identifier="Request" DisplayName_L1="Request" Template="Action" %s/>
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="boss"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
<HomonymEntityLink Identifier="Same" FormEntityType="hr.person">
%s
</HomonymEntityLink></ConfigurationFile>', activity, filters)) v
$$;
\x on
SELECT * FROM public.faults('');
SELECT * FROM public.faults('<Filter/>');
SELECT * FROM public.faults('<Filter Operator1="2"/>');
SELECT * FROM public.faults('<Filter Property1="a" Expression1="SQL:new.a"/>');
SELECT * FROM public.faults('<Filter Expression1="SQL:new.a"/>');
SELECT * FROM public.faults('<Filter Property1="a" Operator1="Alike"/>');
SELECT * FROM public.faults('<Filter Property1="a" Operator1="17"/>');
SELECT * FROM public.faults('<Filter Property1="a" Property6="b"/>');
SELECT * FROM public.faults('<Filter Property1="a" ComparisonProperty1="x:a" Property2="b" ComparisonProperty2="y:b"/>');
SELECT * FROM public.faults('<Filter Property1="a" ComparisonProperty1="x:"/>');
SELECT * FROM public.faults('<Filter Property1="a" ComparisonProperty1="b"/><Filter Property2="c" Expression2="C#:return c;"/>');
SELECT * FROM public.faults('<Filter Property1="a"/>', 'HomonymEntityLink="Other"');
SELECT * FROM public.faults('<Filter Property1="a"/>', 'Homonyms="Block"');
SELECT * FROM public.faults('<Filter Property1="a"/>', 'HomonymEntityLink="Same" Homonyms="Ask"');
SELECT * FROM public.faults('<Filter Property1="a"/></HomonymEntityLink><HomonymEntityLink Identifier="Same" FormEntityType="b"><Filter Property1="a"/>');
SELECT line, element, message, hint FROM idflow.validate('<Workflow Identifier="W" DisplayName_L1="W">
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review" HomonymEntityLink="Same"><Actor Profile="boss"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
\x off

-- Warn: the request goes on, says so, keeps it in its history, and shows what was found
SELECT name FROM idflow.deploy(public.hire('<Filter Property1="first_name" Property2="last_name" Operator2="StartWith"/><Filter Property1="born"/>'));
SELECT idflow.attach('Hire', 'hr.person', '{INSERT,UPDATE,DELETE}');
\c - ho_app
SET idflow.notice = statement;
SET client_min_messages = notice;
\pset format unaligned
SET idflow.actor = 'anna';
\set VERBOSITY terse
INSERT INTO hr.person VALUES (10, 'Ada', 'Love', 5, NULL);
\set VERBOSITY default
SELECT idflow.last_request() AS r \gset
SELECT link, filter, source, target, key, "row", draft_request, hidden FROM idflow.homonyms(:r);
SELECT activity, transition, actor, comment, data - 'digests' AS data, jsonb_array_length(data -> 'digests') AS digests
FROM idflow.event WHERE request = :r AND transition = 'Homonyms';
-- a draft of another request, one of a row of the same statement, and none of its own row
INSERT INTO hr.person VALUES (11, 'Ada', 'Love', 6, NULL), (12, 'Bob', 'Bell', 6, '2000-01-01'), (13, 'Bob', 'Bell', 6, '1815-12-10');
SELECT h.filter, h.source, h.key, h."row" ->> 'grade' AS grade, h.draft_request = :r AS of_first FROM idflow.request r, idflow.homonyms(r.id) h
WHERE r.state = 'open' AND r.id > :r ORDER BY r.id, h.source, h.key;
-- an UPDATE is compared as the row would be; its own row is no homonym of it; a DELETE is compared with nothing
UPDATE hr.person SET first_name = 'Augusta' WHERE id = 1;
SELECT idflow.last_request() AS u \gset
SELECT source, key, draft_request > 0 AS of_a_draft FROM idflow.homonyms(:u) ORDER BY 1, 2;
DELETE FROM hr.person WHERE id = 2;
SELECT count(*) FROM idflow.homonyms(idflow.last_request());
-- things as they stand: what was found goes and comes
RESET idflow.actor;
\c - :me
SET client_min_messages = warning;
BEGIN;
SELECT idflow.bypass('repair');
UPDATE hr.person SET first_name = 'Ida' WHERE id = 1;
INSERT INTO hr.person VALUES (20, 'Ada', 'Lovett', NULL, NULL);
COMMIT;
SET idflow.actor = 'bea';
SELECT source, key FROM idflow.homonyms(:r) ORDER BY 1, 2;
SELECT idflow.approve(r.task) FROM idflow.request r WHERE r.id = :r;
SELECT count(*) AS once_closed FROM idflow.homonyms(:r);
SELECT count(*) AS nonexistent FROM idflow.homonyms(-1);
RESET idflow.actor;

-- Block: the request isn't made, and the error says which
SELECT name FROM idflow.deploy(public.hire('<Filter Property1="first_name" Property2="last_name" Operator2="StartWith"/>', 'Block'));
\c - ho_app
SET idflow.actor = 'anna';
INSERT INTO hr.person VALUES (30, 'Grace', 'Hop', 5, NULL);
SELECT count(*) FROM idflow.request WHERE state = 'open' AND title LIKE '%30%';
INSERT INTO hr.person VALUES (31, 'Ada', 'Lo', 5, NULL);
-- an error of a comparison says which it is
\c - :me
SET client_min_messages = warning;
\set SHOW_CONTEXT always
SELECT name FROM idflow.deploy(public.hire('<Filter Expression1="SQL:new.first_name" ComparisonProperty1="grade"/>'));
INSERT INTO hr.person VALUES (32, 'Ada', 'Lo', 5, NULL);
\set SHOW_CONTEXT never

-- at a later activity: the decision is refused, and the request stays where it is
SELECT name FROM idflow.deploy($$<ConfigurationFile><Workflow Identifier="Hire" DisplayName_L1="Hire">
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist" HomonymEntityLink="Same" Homonyms="Block"/></Workflow>
	<HomonymEntityLink Identifier="Same" FormEntityType="Person"><Filter Property1="first_name"/></HomonymEntityLink></ConfigurationFile>$$);
INSERT INTO hr.person VALUES (40, 'Grace', 'Murray', 5, NULL);
SELECT idflow.last_request() AS r \gset
SET idflow.actor = 'bea';
SELECT key, filter FROM idflow.homonyms(:r);
SELECT idflow.approve(r.task) FROM idflow.request r WHERE r.id = :r;
SELECT state, activity_state, (SELECT count(*) FROM idflow.vote v WHERE v.request = r.id) AS votes FROM idflow.request r WHERE r.id = :r;
RESET idflow.actor;
-- the link is part of the version: what is exported deploys to the same one
SELECT count(DISTINCT w.version) FROM (SELECT version FROM idflow.workflow WHERE name = 'Hire' ORDER BY version DESC LIMIT 1) l,
	LATERAL (SELECT l.version UNION ALL SELECT version FROM idflow.deploy(idflow.export('Hire'))) w;

-- a column that goes, and a partitioned table
ALTER TABLE hr.person RENAME first_name TO given_name;
INSERT INTO hr.person VALUES (50, 'Zoe', 'Zander', 5, NULL);
SELECT idflow.last_request() AS r \gset
SET idflow.actor = 'bea';
SELECT idflow.approve(r.task) FROM idflow.request r WHERE r.id = :r;
RESET idflow.actor;
CREATE TABLE hr.visit (id int, day date, name text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE hr.visit_1 PARTITION OF hr.visit FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE hr.visit_2 PARTITION OF hr.visit FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
INSERT INTO hr.visit VALUES (1, '2020-05-05', 'Ada');
SELECT name FROM idflow.deploy($$<ConfigurationFile><Workflow Identifier="Visit" DisplayName_L1="Visit" VariablesType="Workflow_Visit">
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review" HomonymEntityLink="Same"><Actor Profile="boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
	<HomonymEntityLink Identifier="Same" FormEntityType="Workflow_Visit"><Filter Property1="name"/></HomonymEntityLink></ConfigurationFile>$$);
SELECT idflow.attach('Visit', 'hr.visit', '{INSERT,UPDATE}');
INSERT INTO hr.visit VALUES (2, '2021-05-05', 'Ada');
INSERT INTO hr.visit_2 VALUES (3, '2021-06-06', 'Ada');
SELECT source, target, key FROM idflow.homonyms(idflow.last_request()) ORDER BY 1, 2, 3;
UPDATE hr.visit SET day = '2021-07-07' WHERE id = 1;
SELECT source, target, key FROM idflow.homonyms(idflow.last_request()) ORDER BY 1, 2, 3;

\c :home :me
REVOKE SET ON PARAMETER idflow.actor FROM ho_app;
DROP DATABASE idflow_homonym WITH (FORCE);
DROP ROLE ho_app;
