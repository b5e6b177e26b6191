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
