-- deputies: what they see, that they are told, and that they settle conflicts
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_deputy_sight;
\c idflow_deputy_sight
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
ALTER DATABASE idflow_deputy_sight SET idflow.notice = off;
ALTER DATABASE idflow_deputy_sight SET idflow.languages = 'en, de';
CREATE ROLE ds_app LOGIN;
CREATE ROLE ds_boss LOGIN;
CREATE ROLE ds_dep LOGIN;
CREATE ROLE ds_through LOGIN;
CREATE ROLE ds_free LOGIN;
CREATE ROLE ds_admin LOGIN IN ROLE idflow_admin;
CREATE SCHEMA ds;
GRANT USAGE ON SCHEMA ds TO PUBLIC;
CREATE TABLE ds.person (id int PRIMARY KEY, name text, salary int);
GRANT SELECT (id), INSERT, UPDATE ON ds.person TO PUBLIC;
GRANT SELECT ON ds.person TO ds_boss;
INSERT INTO ds.person VALUES (1, 'Ann', 100);
CREATE TABLE ds.people (principal text, profile text, language text);
INSERT INTO ds.people VALUES ('ds_boss', 'none', 'en'), ('ds_dep', 'none', 'de-CH');
SELECT idflow.set_directory('ds.people');
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
<Workflow Identifier="Pay" DisplayName_L1="Pay">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="ds_boss"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>
<AddChangeAspect Identifier="Salary" Binding="salary" Expression="Literal:4711">
  <PointCut Activity="Pay:Request" ActivityState="Executed" Mode="After"/>
</AddChangeAspect>
<NotificationAspect Identifier="Asked" SubjectExpression_L1="Literal:please" SubjectExpression_L2="Literal:bitte">
  <PointCut Activity="Pay:Review" ActivityState="ReviewPending"/><Recipient Type="Actor"/>
</NotificationAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Pay', 'ds.person', '{INSERT,UPDATE}');
CREATE FUNCTION public.sees(r bigint) RETURNS TABLE (request bigint, inbox bigint, new_row jsonb, decides bigint) LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM idflow.request WHERE id = r), (SELECT count(*) FROM idflow.inbox i WHERE i.request = r),
		(SELECT c.new_row FROM idflow.change c WHERE c.request = r),
		(SELECT count(*) FROM idflow.decider d WHERE d.request = r AND d.vote IS NULL) $$;
-- ds_boss -> ds_dep; ds_boss -> ds_app -> ds_through: who stands in through the requester
SELECT count(idflow.add_deputy(p, d, tstzrange(NULL, NULL)))
FROM (VALUES ('ds_boss', 'ds_dep'), ('ds_boss', 'ds_app'), ('ds_app', 'ds_through')) v (p, d);
\c - ds_app
INSERT INTO ds.person (id, name) VALUES (2, 'Bob');
SELECT idflow.last_request() AS bob \gset
SELECT * FROM public.sees(:bob);
\c - ds_dep
SELECT * FROM public.sees(:bob);
-- not through the requester
\c - ds_through
SELECT * FROM public.sees(:bob);
SELECT idflow.drafts(NULL::ds.person);
SELECT transition FROM idflow.event WHERE request = :bob;
-- another way to the same person
\c - ds_boss
SELECT idflow.add_deputy('ds_boss', 'ds_through', tstzrange(NULL, NULL)) AS link \gset
\c - ds_through
SELECT * FROM public.sees(:bob);
SELECT idflow.drop_deputy(:link);
SELECT * FROM public.sees(:bob);
-- of somebody else's request the way through ds_app is one
\c - ds_free
INSERT INTO ds.person (id, name) VALUES (3, 'Cy');
SELECT idflow.last_request() AS cy \gset
\c - ds_through
SELECT * FROM public.sees(:cy);
-- whoever was asked was told, and who stands in for him, each in his language; nobody whom four eyes keeps out
\c - :me
SELECT request = :bob AS bob, principal, language, subject FROM idflow.notification ORDER BY request, principal;
-- given back to the requester: who stands in for him has no say in a review
\c - ds_boss
SELECT idflow.refine(task) FROM idflow.inbox WHERE request = :cy;
\c - ds_free
SELECT idflow.add_deputy('ds_free', 'ds_through', tstzrange(NULL, NULL)) > 0 AS added;
\c - ds_through
SELECT * FROM public.sees(:cy);
\c - ds_free
SELECT idflow.execute(task) FROM idflow.inbox WHERE request = :cy;
-- overridden: told in their languages, too
\c - ds_admin
SELECT idflow.override(:cy, 'urgent', 'Decline');
SELECT principal, subject = 'Request ' || :cy || ' was overridden' AS english, subject = 'Antrag ' || :cy || ' wurde an Ihrer Stelle entschieden' AS german, body
FROM idflow.notification WHERE aspect = 'Override' ORDER BY principal;

-- conflicts
\c - ds_app
UPDATE ds.person SET name = 'Anna' WHERE id = 1;
SELECT idflow.last_request() AS ann \gset
\c - :me
ALTER TABLE ds.person DISABLE TRIGGER USER;
UPDATE ds.person SET name = 'Anne', salary = 90 WHERE id = 1;
ALTER TABLE ds.person ENABLE TRIGGER USER;
\c - ds_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :ann;
SELECT change AS c FROM idflow.change_diff WHERE request = :ann AND column_name = 'name' \gset
-- through the requester
\c - ds_through
SELECT count(*) FROM idflow.request WHERE id = :ann;
SELECT idflow.resolve(:ann, :c, '{"name": "live"}');
\c - ds_dep
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :ann ORDER BY 1;
SELECT idflow.resolve(:ann, :c, '{"name": "live", "salary": "draft"}');
SELECT actor, on_behalf_of, via, transition FROM idflow.event WHERE request = :ann AND transition = 'Resolve';
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :ann;
\c - :me
SELECT * FROM ds.person ORDER BY id;
\c :home :me
DROP DATABASE idflow_deputy_sight;
DROP ROLE ds_app, ds_boss, ds_dep, ds_through, ds_free, ds_admin;
