-- Notifications: who is told, in which language, and what the directory adds.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_notification;
\c idflow_notification
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE no_app LOGIN;
CREATE ROLE no_boss LOGIN;
CREATE ROLE no_mate LOGIN;
CREATE ROLE no_mailer LOGIN;
CREATE SCHEMA no;
GRANT USAGE ON SCHEMA no TO PUBLIC;
CREATE TABLE no.person (id int PRIMARY KEY, name text, mail text, manager text);
GRANT SELECT, INSERT, UPDATE, DELETE ON no.person TO no_app;
CREATE TABLE no.people (principal text, profile text, email text, language text);
INSERT INTO no.people VALUES ('no_boss', 'boss', 'boss@example.org', 'de-CH'), ('no_mate', 'mate', NULL, 'fr'), ('no_app', 'user', 'app@example.org', NULL),
	('carol', 'boss', 'carol@example.org', 'en_US.UTF-8'), ('dave', 'watch', 'dave@example.org', 'xx');
SELECT idflow.set_directory('no.people');
GRANT EXECUTE ON FUNCTION idflow.notification_sent(bigint), idflow.notification_failed(bigint, text) TO no_mailer;
ALTER DATABASE idflow_notification SET idflow.languages = 'en, de, fr';
\c -
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
  <Workflow Identifier="Person" DisplayName_L1="A person" Title="SQL:coalesce(new.name, old.name)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Profile="boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
    <Column Name="mail" DisplayName_L1="E-mail address" DisplayName_L2="E-Mail-Adresse"/>
  </Workflow>
  <NotificationAspect Identifier="Asked" SubjectExpression_L1="SQL:'Please review ' || new.name" SubjectExpression_L2="SQL:'Bitte prüfen: ' || new.name"
      BodyExpression_L1="SQL:'Request ' || request.id || ' of ' || request.requester" RazorFile_L1="asked.en.cshtml" RazorFile_L2="asked.de.cshtml" CssFile="mail.css">
    <PointCut Activity="Person:Review" ActivityState="ReviewPending"/>
    <PointCut Activity="Person:Review" ActivityState="RefinePending"/>
    <Recipient Type="Actor"/>
    <Recipient Type="Profile" Profile="watch" IsCC="true"/>
  </NotificationAspect>
  <NotificationAspect Identifier="Decided" SubjectExpression_L1="Literal:It is done" IfExpression="SQL:coalesce(new.name, old.name) &lt;&gt; 'Quiet'">
    <PointCut Activity="Person:Persist" ActivityState="Invoked" Mode="After"/>
    <Recipient Type="Performer" Activity="Person:Review" ActivityState="ReviewPending"/>
    <Recipient Type="Performer" Activity="Request" ActivityState="Action-ActionPending"/>
    <Recipient Type="Binding" Binding="User.Mail"/>
    <Recipient Type="Hardcoded" EmailAddresses="hr@example.org; it@example.org, hr@example.org"/>
    <Recipient Type="Expression" Expression="SQL:ARRAY[coalesce(new.manager, old.manager), 'no_boss']" IsCC="true"/>
  </NotificationAspect>
  <NotificationAspect Identifier="Declined" SubjectExpression_L1="Literal:Declined">
    <PointCut Activity="Person:Review" ActivityState="Declined"/>
    <Recipient Type="Performer" Activity="Person:Request" ActivityState="ActionPending"/>
    <Recipient Type="Actor"/>
  </NotificationAspect>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'no.person', '{INSERT,UPDATE,DELETE}');

\c - no_app
SET idflow.notice = off;
INSERT INTO no.person VALUES (1, 'Ann', 'ann@example.org', 'no_mate');
-- nobody reads another one's
SELECT * FROM idflow.notification;
\c - no_boss
SELECT aspect, principal, address, cc, language, subject, body, template, css FROM idflow.notification;
SELECT idflow.refine(task, 'no_mate') FROM idflow.inbox;
\c - no_mate
SELECT aspect, activity_state, principal, address, subject FROM idflow.notification;
SELECT idflow.execute(task) FROM idflow.inbox;
\c - no_boss
SELECT idflow.approve(task) FROM idflow.inbox;
\c - no_app
SET idflow.notice = off;
INSERT INTO no.person VALUES (2, 'Quiet', NULL, NULL), (3, 'No', NULL, NULL);
\c - no_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE title = 'Quiet';
SELECT idflow.decline(task) FROM idflow.inbox WHERE title = 'No';
\c - :me
SELECT r.title, n.aspect, n.activity, n.activity_state, n.principal, n.address, n.cc, n.language, n.subject FROM idflow.notification n JOIN idflow.request r ON r.id = n.request ORDER BY n.request, n.aspect, n.activity_state, n.principal, n.address, n.id;

-- ------------------------------------------------------- the mailer, and what is due
SELECT idflow.run_due(3), idflow.run_due(), idflow.run_due();
SELECT count(*) FILTER (WHERE announced_at IS NULL) AS new, count(*) FILTER (WHERE sent_at IS NULL) AS unsent FROM idflow.notification;
\c - no_mailer
SELECT idflow.notification_failed(1, 'no such host');
SELECT idflow.notification_sent(1);
SELECT idflow.notification_sent(1);
SELECT idflow.run_due();
\c - no_app
SELECT idflow.notification_sent(2);
\c - :me
SELECT sent_at IS NOT NULL AS sent, attempts, error FROM idflow.notification WHERE id = 1;
-- a lease that ran out is due, too
INSERT INTO idflow.job (request, kind, payload, state, attempts, taken_by, leased_until) VALUES (1, 'x', '{}', 'running', 1, 'gone', now() - interval '1 h'),
	(1, 'x', '{}', 'running', 8, 'gone', now() - interval '1 h');
SELECT idflow.run_due();
SELECT state, attempts, error FROM idflow.job ORDER BY id;

-- ------------------------------------------------------------------ too many
SET idflow.notification_limit = 1;
SET idflow.notice = off;
INSERT INTO no.person VALUES (4, 'Crowd', NULL, NULL);
SELECT count(*) FROM idflow.notification n JOIN idflow.request r ON r.id = n.request WHERE r.title = 'Crowd';
SELECT comment FROM idflow.event WHERE transition = 'NotificationLimit';
RESET idflow.notification_limit;

-- ------------------------------------------------------- languages elsewhere
\c - no_boss
SELECT DISTINCT label FROM idflow.change_diff WHERE column_name = 'mail';
\c - no_app
SELECT DISTINCT label FROM idflow.change_diff WHERE column_name = 'mail';
SET idflow.language = 'de';
SELECT DISTINCT label FROM idflow.change_diff WHERE column_name = 'mail';
SET idflow.languages = 'en';
-- workflows and activities
\c - :me
SELECT count(*) FROM idflow.deploy(replace(idflow.export('Person')::text, 'DisplayName_L1="Review"', 'DisplayName_L1="Review" DisplayName_L2="Freigabe"')::xml);
\c - no_boss
SELECT idflow.my_language(), idflow.label('Person'), idflow.label('Person', 'Review'), idflow.label('Person', 'Review', 1), idflow.label('Person', 'Nowhere');
\c - no_app
SELECT idflow.my_language(), idflow.label('Person', 'Review'), idflow.label('Nothing');
\c - :me
SELECT count(idflow.actor());
SET idflow.languages = 'a,,b';
SELECT set_config('idflow.languages', string_agg('l' || i, ','), false) FROM generate_series(1, 17) i;

-- ------------------------------------------------------------------ bad input
CREATE FUNCTION public.note(children text, attributes text DEFAULT 'SubjectExpression_L1="Literal:x"') RETURNS text LANGUAGE sql AS $$
SELECT '<ConfigurationFile><Workflow Identifier="Bad" DisplayName_L1="Bad">
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="x"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
<NotificationAspect Identifier="N" ' || attributes || '><PointCut Activity="Bad:Review" ActivityState="Approved"/>' || children || '</NotificationAspect></ConfigurationFile>' $$;
SELECT c, v.line, v.element, v.message, v.hint FROM unnest(ARRAY['', '<Recipient Type="Performer"/>', '<Recipient Type="Binding"/>', '<Recipient Type="Hardcoded"/>',
	'<Recipient Type="Expression"/>', '<Recipient Type="Profile"/>', '<Recipient Type="Everybody"/>']) WITH ORDINALITY u (c, o), LATERAL idflow.validate(public.note(c)) v ORDER BY o, 2;
SELECT v.line, v.element, v.message, v.hint FROM idflow.validate(public.note('<Recipient Type="Actor"/>', '')) v;
CREATE TABLE no.bad (id int PRIMARY KEY);
SELECT count(*) FROM idflow.deploy(public.note('<Recipient Type="Binding" Binding="User.Mail"/>')::xml);
SELECT idflow.attach('Bad', 'no.bad');
SELECT count(*) FROM idflow.deploy(public.note('<Recipient Type="Expression" Expression="SQL:new.nosuch"/>')::xml);
SELECT idflow.attach('Bad', 'no.bad');

\c :home :me
DROP DATABASE idflow_notification;
DROP ROLE no_app, no_boss, no_mate, no_mailer;
