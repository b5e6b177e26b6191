-- The Flexible operators of homonym links, by pg_trgm and by fuzzystrmatch, wherever those are installed.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_homonym_flexible;
\c idflow_homonym_flexible
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION idflow;
ALTER DATABASE idflow_homonym_flexible SET idflow.notice = off;
CREATE SCHEMA hr;
CREATE SCHEMA "Tools";
CREATE TABLE hr.person (id int PRIMARY KEY, name text, company varchar(80));
INSERT INTO hr.person VALUES
	(1, 'Meier', 'Smith and Sons'), (2, 'MEYER', 'Smithson Limited'), (3, 'Meyerhold', 'Sons of Smyth'),
	(4, 'Obermeyer', 'Hopper'), (5, 'Lovelace', 'Analytical Engines'), (6, NULL, NULL);
INSERT INTO idflow.profile_member VALUES ('boss', 'bea');
CREATE FUNCTION public.found(property text, operator text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; hint text; request bigint;
BEGIN
	PERFORM idflow.deploy(format('<ConfigurationFile><Workflow Identifier="Hire" DisplayName_L1="Hire">
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review" HomonymEntityLink="Same"><Actor Profile="boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
	<HomonymEntityLink Identifier="Same" FormEntityType="hr.person"><Filter Property1="%s" Operator1="%s"/></HomonymEntityLink></ConfigurationFile>',
		property, operator)::xml);
	PERFORM idflow.attach('Hire', 'hr.person');
	EXECUTE format('INSERT INTO hr.person (id, %I) VALUES (99, %L)', property, value);
	request := idflow.last_request();
	SELECT string_agg(h.key ->> 'id', ' ' ORDER BY h.key::text) INTO result FROM idflow.homonyms(request) h;
	PERFORM idflow.withdraw(request);
	RETURN coalesce(result, '-');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || SQLERRM || coalesce(' / ' || nullif(hint, ''), '');
END $$;
CREATE VIEW public.operators AS
SELECT o AS operator, public.found('name', o, 'Meyer') AS "name Meyer", public.found('company', o, 'smith') AS "company smith",
	public.found('company', o, 'hoppper') AS "company hoppper"
FROM unnest('{FlexibleEqual,FlexibleContain,FlexibleStartWith,FlexibleEndWith,Auto,13,14,15,16}'::text[]) o;

-- with neither
SELECT * FROM public.operators WHERE operator IN ('FlexibleEqual', '16', 'Auto');
-- with fuzzystrmatch: one letter in four may differ, capitals don't count
CREATE EXTENSION fuzzystrmatch SCHEMA "Tools";
SELECT * FROM public.operators;
SELECT public.found('company', 'FlexibleEqual', repeat('x', 80)) AS long;
-- with pg_trgm, in a schema that no search_path has
CREATE EXTENSION pg_trgm SCHEMA "Tools";
SELECT * FROM public.operators;
-- whoever asks can't loosen or tighten it
SET pg_trgm.similarity_threshold = 1;
SET pg_trgm.word_similarity_threshold = 1;
SET search_path = "Tools", public;
SELECT * FROM public.operators WHERE operator IN ('FlexibleEqual', 'FlexibleContain');
SHOW pg_trgm.similarity_threshold;
RESET search_path;
-- dropped since: the request is refused, with the reason
SELECT public.found('name', 'FlexibleEqual', 'Meyer');
DROP EXTENSION pg_trgm CASCADE;
DROP EXTENSION fuzzystrmatch;
INSERT INTO hr.person VALUES (98, 'Meyer', NULL);

\c :home :me
DROP DATABASE idflow_homonym_flexible WITH (FORCE);
