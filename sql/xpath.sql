-- Conditions in XPath over the document of a request, as the first of the
-- systems that idflow replaces has it.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_xpath;
\c idflow_xpath
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE xp_app LOGIN;
CREATE ROLE xp_boss LOGIN;
CREATE SCHEMA xp;
GRANT USAGE ON SCHEMA xp TO PUBLIC;
CREATE TYPE xp.mood AS ENUM ('sad', 'happy');
CREATE TABLE xp.account (
	id      int PRIMARY KEY,
	login   text,
	salary  numeric,
	roles   text[],
	claims  jsonb,
	settings json,
	mood    xp.mood,
	gone    int,
	"odd & <name>" text,
	owner   text
);
ALTER TABLE xp.account DROP COLUMN gone;
GRANT SELECT, INSERT, UPDATE, DELETE ON xp.account TO xp_app;
CREATE FUNCTION public.decide() RETURNS SETOF text LANGUAGE sql AS
$$SELECT a.state || coalesce(': ' || a.message, '') FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox ORDER BY task)) a$$;

SELECT name, version FROM idflow.deploy($$
<Workflow Identifier="Account" DisplayName_L1="An account"
          Title="XPath:concat('account ', //p:parameter[@name='login']/p:value/p:itemValue)"
          Subject="XPath://p:parameter[@name='owner']/p:value/p:itemValue">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"
            IfExpression="XPath:boolean(//*[local-name()='parameter'][@name='login']/*[local-name()='value']/*[local-name()='itemValue'][contains(text(),'sys')])">
    <Actor Principal="xp_boss"/>
  </Activity>
  <Activity Identifier="Salary" DisplayName_L1="Salary" Template="Review"
            IfExpression="XPath://p:parameter[@name='salary']/p:value/p:itemValue &gt; 1000">
    <Actor Expression="XPath://p:parameter[@name='roles']/p:value/p:itemValue"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Account', 'xp.account', '{INSERT,UPDATE,DELETE}');

-- the document, as it is
\c - xp_app
SET idflow.notice = off;
INSERT INTO xp.account VALUES (1, 'sys "one" <&>', 2000.50, '{xp_boss,auditor,NULL}', '{"mail": "a@b", "fax": null, "n": 1, "l": [1, 2]}',
	'["x", true]', 'happy', E'tab\there', 'xp_app');
INSERT INTO xp.account VALUES (2, 'two', NULL, NULL, NULL, NULL, NULL, E'control \x01', NULL);
SELECT id, title, subject, state, activity FROM idflow.request ORDER BY id;
SELECT * FROM idflow.request_document(1);
\c - :me
SELECT regexp_split_to_table(xmlserialize(CONTENT idflow.request_document(1) AS text), '(?=<p:(?:parameter|configuration|approvalStep|uuid|eventType|taskInitiator))') AS document;
SELECT count(*) FROM unnest(xpath('//p:parameter', idflow.request_document(1),
	'{{p,http://schema.bpel.mgt.workflow.carbon.wso2.org/}}'));
SELECT idflow.request_document(99);
SELECT idflow.request_document(NULL);

-- both reviews, the second one by those whom the roles name
\c - xp_boss
SELECT r.title, i.activity FROM idflow.inbox i JOIN idflow.request r ON r.id = i.request;
SELECT public.decide();
SELECT r.title, i.activity FROM idflow.inbox i JOIN idflow.request r ON r.id = i.request;
SELECT public.decide();
\c - xp_app
SET idflow.notice = off;
SELECT id, state FROM idflow.request ORDER BY id;
-- an update: the row before has names of its own
UPDATE xp.account SET login = 'sysop' WHERE id = 2;
\c - :me
SELECT unnest(xpath('//p:parameter[@name="login"]//text()', d, ns)) AS new, unnest(xpath('//p:oldParameter[@name="login"]//text()', d, ns)) AS old
	FROM idflow.request_document(3) d, (VALUES ('{{p,http://schema.bpel.mgt.workflow.carbon.wso2.org/}}'::text[])) n(ns);
\c - xp_boss
SELECT public.decide();
-- a deletion: the parameters are the row that goes
\c - xp_app
SET idflow.notice = off;
DELETE FROM xp.account WHERE id = 1;
SELECT title, state FROM idflow.request ORDER BY id DESC LIMIT 1;

-- ---------------------------------------------------------------- bad input
\c - :me
CREATE FUNCTION public.one(condition text) RETURNS xml LANGUAGE sql AS $$
SELECT format('<Workflow Identifier="One" DisplayName_L1="One"><Activity Identifier="Request" DisplayName_L1="Request" Template="Action" />
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review" IfExpression="%s"><Actor Profile="x"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>',
	replace(replace(replace(condition, '&', '&amp;'), '<', '&lt;'), '"', '&quot;'))::xml $$;
-- the syntax is found at deploy, with line and element
SELECT e AS expression, v.line, v.element, v.message, v.hint
FROM unnest(ARRAY['XPath:', 'XPath://', 'XPath:a b', 'XPath:"', 'XPath:a[', 'XPath:)', 'XPath:$', 'XPath://a | ']) e,
	idflow.validate(public.one(e)::text) v;
-- what the syntax doesn't say is found at attach
CREATE TABLE xp.other (id int PRIMARY KEY);
CREATE FUNCTION public.try(condition text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(public.one(condition));
	PERFORM idflow.attach('One', 'xp.other');
	RETURN 'attached';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT e AS expression, public.try(e) FROM unnest(ARRAY['XPath:nosuch(1)', 'XPath:q:a', 'XPath:$v', 'XPath:count(1)',
	'XPath:document("/etc/passwd")', 'XPath:system-property("x")', 'XPath:true()']) e;
SELECT idflow.detach('One', 'xp.other');
-- a path that would take for ever is stopped by the number of its operations
SELECT count(*) FROM idflow.deploy(public.one('XPath:count(//*[count(//*[count(//*[count(//*[count(//*[count(//*[count(//*) > 0]) > 0]) > 0]) > 0]) > 0]) > 0]) > 0'));
SELECT idflow.attach('One', 'xp.account');
-- and deep nesting by its depth
SELECT left(public.try('XPath:' || repeat('(', 20000) || '1' || repeat(')', 20000)), 80);
SELECT length(public.try('XPath:' || repeat('a[', 5000) || '1' || repeat(']', 5000))) > 0;

-- six hundred evaluations in one session, good and bad, leave nothing behind
DO $$
DECLARE before bigint; after bigint;
BEGIN
	FOR i IN 1..30 LOOP PERFORM public.try('XPath:nosuch(1)'), public.try('XPath:true()'); END LOOP;
	before := (SELECT sum(total_bytes) FROM pg_backend_memory_contexts);
	FOR i IN 1..300 LOOP PERFORM public.try('XPath:nosuch(1)'), public.try('XPath:true()'); END LOOP;
	after := (SELECT sum(total_bytes) FROM pg_backend_memory_contexts);
	IF after > before + 20000000 THEN RAISE NOTICE 'grew by % bytes', after - before; END IF;
END $$;

\c :home :me
DROP DATABASE idflow_xpath;

-- ------------------------------------------------- another encoding than UTF-8
CREATE DATABASE idflow_xpath TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
\c idflow_xpath
SET client_encoding = 'UTF8';
CREATE EXTENSION idflow;
CREATE TABLE public.person (id int PRIMARY KEY, "prénom" text);
SELECT count(*) FROM idflow.deploy($$
<Workflow Identifier="Latin" DisplayName_L1="Latin" Title="XPath://p:parameter[@name='prénom']/p:value/p:itemValue">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review" IfExpression="XPath:contains(//p:itemValue[2], 'é') or contains(., 'é')"><Actor Principal="xp_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$::xml);
SELECT idflow.attach('Latin', 'person');
SET idflow.notice = off;
INSERT INTO person VALUES (1, 'André'), (2, 'Andre');
SELECT title, state FROM idflow.request ORDER BY id;
\c :home :me
DROP DATABASE idflow_xpath;
DROP ROLE xp_app, xp_boss;
