-- Aspects: actions at the states of activities.  When they run and in which
-- order, what each kind does, and what is refused.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_aspects;
\c idflow_aspects
CREATE EXTENSION idflow;
CREATE ROLE as_app LOGIN;
CREATE ROLE as_boss LOGIN;
CREATE ROLE as_mate LOGIN;
CREATE SCHEMA hr;
GRANT USAGE ON SCHEMA hr TO PUBLIC;
CREATE TABLE hr.person (
	id        int PRIMARY KEY,
	name      text,
	login     text UNIQUE,
	mail      text,
	grade     int CHECK (grade < 100),
	is_draft  boolean NOT NULL DEFAULT false,
	upper_name text GENERATED ALWAYS AS (upper(name)) STORED
);
GRANT SELECT, INSERT, UPDATE, DELETE ON hr.person TO as_app;
GRANT SELECT ON hr.person TO as_boss, as_mate;
CREATE TABLE hr.log (n int GENERATED ALWAYS AS IDENTITY, what text, op text, old text, new text, acted text);
CREATE FUNCTION hr.note(request bigint, operation text, old hr.person, new hr.person) RETURNS void LANGUAGE plpgsql AS $$
BEGIN INSERT INTO hr.log (what, op, old, new, acted) VALUES ('row', operation, old.name, new.name, idflow.actor()); END $$;
CREATE FUNCTION hr.note(request bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN INSERT INTO hr.log (what) VALUES ('wrong one'); END $$;
CREATE FUNCTION public.decide(verb text DEFAULT 'approve') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE t bigint; s text;
BEGIN
	FOR t IN SELECT task FROM idflow.inbox ORDER BY task LOOP
		EXECUTE format('SELECT idflow.%I($1)', verb) INTO s USING t;
		RETURN NEXT s;
	END LOOP;
END $$;
-- the events of a request, without what differs from run to run
CREATE FUNCTION public.story(request bigint) RETURNS TABLE (activity text, transition text, aspect text, "column" text, comment text) LANGUAGE sql AS
$$SELECT activity, transition, data ->> 'aspect', data ->> 'column', comment FROM idflow.event WHERE event.request = $1 ORDER BY seq$$;

-- ------------------------------------------------------- where and in which order
-- a function at every state of a request's way says so
CREATE TABLE hr.step (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION hr.step(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN INSERT INTO hr.step (what) VALUES (what); RETURN true; END $$;
DO $$
DECLARE
	states text[] := '{Request:ActionPending,Request:Executed,Request:Aborted,Review:ReviewPending,Review:RefinePending,Review:Approved,Review:Declined,Review:Aborted,Review:Purged,Persist:Invoked}';
	x text; m text; aspects text := '';
BEGIN
	FOREACH x IN ARRAY states LOOP
		FOREACH m IN ARRAY '{Before,After}'::text[] LOOP
			EXECUTE format('CREATE FUNCTION hr.%I(request bigint) RETURNS boolean LANGUAGE sql AS $f$SELECT hr.step(%L)$f$',
				translate(m || x, ':', '_'), m || ' ' || x);
			aspects := aspects || format('<InvokeFunctionAspect Identifier="%s" Function="hr.&quot;%s&quot;"><PointCut Activity="Steps:%s" ActivityState="%s" Mode="%s"/></InvokeFunctionAspect>',
				translate(m || x, ':', '_'), translate(m || x, ':', '_'), split_part(x, ':', 1), split_part(x, ':', 2), m);
		END LOOP;
	END LOOP;
	PERFORM idflow.deploy(format('<ConfigurationFile>%s<Workflow Identifier="Steps" DisplayName_L1="Steps">
	<Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
	<Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="as_boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow></ConfigurationFile>', aspects)::xml);
	PERFORM idflow.attach('Steps', 'hr.person');
END $$;
\c - as_app
SET idflow.notice = off;
INSERT INTO hr.person (id, name) VALUES (1, 'One');
\c - as_boss
SELECT idflow.refine(task, 'as_mate') FROM idflow.inbox;
\c - as_mate
SELECT public.decide('execute');
\c - :me
SELECT string_agg(what, ', ' ORDER BY n) AS steps FROM hr.step;
TRUNCATE hr.step;
\c - as_boss
SELECT public.decide();
\c - :me
SELECT string_agg(what, ', ' ORDER BY n) AS steps FROM hr.step;
TRUNCATE hr.step;
\c - as_app
SET idflow.notice = off;
INSERT INTO hr.person (id, name) VALUES (2, 'Two'), (3, 'Three');
SELECT idflow.withdraw(2);
SELECT idflow.purge(2);
\c - as_boss
SELECT public.decide('decline');
\c - :me
SELECT string_agg(what, ', ' ORDER BY n) AS steps FROM hr.step;
SELECT idflow.detach('Steps', 'hr.person');

-- ------------------------------------------------- the kinds, and their priority
SELECT name, version FROM idflow.deploy($$
<ConfigurationFile>
  <!-- the lowest: sees what the others made -->
  <AddChangeAspect Identifier="Mail" Binding="Workflow_User:User.Mail" ExpressionBinding="Workflow_User:User" Expression="SQL:new.login || '@example.org'" Priority="-1">
    <PointCut Activity="Person:Request" ActivityState="Action-ActionPending" Mode="After"/>
  </AddChangeAspect>
  <AddChangeAspect Identifier="Login" Binding="login" Expression="SQL:lower(new.name)" IfExpression="SQL:new.login IS NULL">
    <PointCut Activity="Person:Request" ActivityState="ActionPending" Mode="1"/>
  </AddChangeAspect>
  <AssertValueRequiredAspect Identifier="NameRequired" Binding="Name" Message_L1="Every person has a name" Priority="10">
    <PointCut Activity="Person:Request" ActivityState="ActionPending" Mode="After"/>
  </AssertValueRequiredAspect>
  <AssertValueAspect Identifier="Short" Binding="Name" Expression="SQL:length(new.name) &lt;= 10" Priority="5">
    <PointCut Activity="Person:Request" ActivityState="ActionPending" Mode="After"/>
  </AssertValueAspect>
  <AddChangeAspect Identifier="Draft" Binding="User.IsDraft" Expression="Literal:true">
    <PointCut Activity="Person:Request" ActivityState="Executed"/>
  </AddChangeAspect>
  <AddChangeAspect Identifier="NoDraft" Binding="User.IsDraft" Expression="Literal:false">
    <PointCut Activity="Person:Persist" ActivityState="Invoked"/>
  </AddChangeAspect>
  <AddChangeAspect Identifier="Ignored" Binding="grade" Expression="SQL:NULL::int">
    <PointCut Activity="Person:Review" ActivityState="ReviewPending"/>
  </AddChangeAspect>
  <AddChangeAspect Identifier="Blank" Binding="grade" Expression="SQL:NULL::int" AcceptNullValueExpression="SQL:new.grade = 7">
    <PointCut Activity="Person:Review" ActivityState="ReviewPending"/>
  </AddChangeAspect>
  <InvokeFunctionAspect Identifier="Note" Function="hr.note" IfExpression="SQL:coalesce(new.name, old.name) &lt;&gt; 'Quiet'">
    <PointCut Activity="Person:Persist" ActivityState="Invoked" Mode="After"/>
  </InvokeFunctionAspect>
  <InvokeWorkflowAspect Identifier="Welcome" Workflow="Welcome" IfExpression="SQL:new.name = 'Wanda'">
    <PointCut Activity="Person:Persist" ActivityState="Invoked" Mode="After"/>
  </InvokeWorkflowAspect>
  <Workflow Identifier="Person" DisplayName_L1="A person" Title="SQL:coalesce(new.name, old.name)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="as_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
  <AddChangeAspect Identifier="WelcomeGrade" Binding="grade" Expression="Literal:1">
    <PointCut Activity="Welcome:Request" ActivityState="Executed"/>
  </AddChangeAspect>
  <Workflow Identifier="Welcome" DisplayName_L1="Welcome" Title="SQL:'welcome ' || new.name">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="as_mate"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Person', 'hr.person', '{INSERT,UPDATE,DELETE}');
\c - as_app
SET idflow.notice = off;
-- what is asserted, the highest priority first; the error names the aspect
INSERT INTO hr.person (id, name) VALUES (10, NULL);
INSERT INTO hr.person (id, name) VALUES (10, 'A name that is long');
SELECT count(*) FROM idflow.request WHERE title LIKE 'A name%';
INSERT INTO hr.person (id, name, grade) VALUES (10, 'Tina', 7) RETURNING id;
INSERT INTO hr.person (id, name, login) VALUES (11, 'Wanda', 'ww'), (12, 'Quiet', 'q');
SELECT title, new_row, c.revision FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.state = 'open' ORDER BY r.id;
SELECT s.* FROM idflow.request r, public.story(r.id) s WHERE r.title = 'Tina';
\c - as_boss
SELECT public.decide();
\c - :me
SELECT id, name, login, mail, grade, is_draft FROM hr.person ORDER BY id;
SELECT what, op, old, new, acted FROM hr.log ORDER BY n;
-- the workflow that was invoked works on the row as it is
SELECT r.title, r.workflow, r.state, r.requester, p.title AS parent FROM idflow.request r JOIN idflow.request p ON p.id = r.parent;
\c - as_mate
SELECT change_diff.column_name, base, live, draft FROM idflow.change_diff;
SELECT public.decide();
\c - :me
SELECT id, grade FROM hr.person WHERE name = 'Wanda';
-- updates and deletions
\c - as_app
SET idflow.notice = off;
UPDATE hr.person SET name = 'Tim' WHERE id = 10;
DELETE FROM hr.person WHERE id = 11;
\c - as_boss
SELECT d.operation, d.column_name, d.base, d.draft FROM idflow.change_diff d JOIN idflow.inbox USING (request) WHERE d.operation <> 'INSERT' ORDER BY d.change, d.column_name;
SELECT public.decide();
\c - :me
SELECT id, name, login, mail, is_draft FROM hr.person ORDER BY id;
SELECT op, old, new FROM hr.log ORDER BY n DESC LIMIT 2;
-- a value that the table doesn't take fails the transition, and says whose it is
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <AddChangeAspect Identifier="TooMuch" Binding="grade" Expression="SQL:new.id * 10"><PointCut Activity="Person:Review" ActivityState="Approved"/></AddChangeAspect>
  <AddChangeAspect Identifier="NoNumber" Binding="grade" Expression="Literal:many" IfExpression="SQL:new.name = 'Nan'"><PointCut Activity="Person:Request" ActivityState="ActionPending"/></AddChangeAspect>
  <AddChangeAspect Identifier="Taken" Binding="login" Expression="Literal:ww" IfExpression="SQL:new.name = 'Wu'"><PointCut Activity="Person:Request" ActivityState="ActionPending"/></AddChangeAspect>
  <Workflow Identifier="Person" DisplayName_L1="A person" Title="SQL:coalesce(new.name, old.name)">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="as_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
</ConfigurationFile>$$);
\c - as_app
SET idflow.notice = off;
INSERT INTO hr.person (id, name, login) VALUES (20, 'Wim', 'ww');
INSERT INTO hr.person (id, name) VALUES (21, 'Nan');
INSERT INTO hr.person (id, name) VALUES (22, 'Wu');
INSERT INTO hr.person (id, name) VALUES (23, 'Max');
\c - as_boss
SELECT idflow.approve(task) FROM idflow.inbox;
SELECT idflow.approve(max(task)) FROM idflow.inbox;
-- nothing has moved
SELECT i.title, i.activity_state, d.new_row -> 'grade' AS grade FROM idflow.inbox i JOIN idflow.change d USING (request) ORDER BY 1;
SELECT count(*) FROM idflow.event WHERE transition = 'AddChange' AND data ->> 'aspect' = 'TooMuch';

-- ------------------------------------------------------------------ recursion
\c - :me
CREATE TABLE hr.echo (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x int);
CREATE FUNCTION hr.echo(request bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO hr.echo (x) VALUES (1)';
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <InvokeFunctionAspect Identifier="Echo" Function="hr.echo"><PointCut Activity="Echo:Review" ActivityState="ReviewPending"/></InvokeFunctionAspect>
  <Workflow Identifier="Echo" DisplayName_L1="Echo">
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="as_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Echo', 'hr.echo');
\set VERBOSITY terse
INSERT INTO hr.echo (x) VALUES (0);
\set VERBOSITY default
SELECT idflow.detach('Echo', 'hr.echo');
-- a workflow that invokes itself
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <InvokeWorkflowAspect Identifier="Again" Workflow="Again"><PointCut Activity="Again:Review" ActivityState="ReviewPending"/></InvokeWorkflowAspect>
  <Workflow Identifier="Again" DisplayName_L1="Again">
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="as_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
</ConfigurationFile>$$);
SELECT idflow.attach('Again', 'hr.echo');
\set VERBOSITY terse
INSERT INTO hr.echo (x) VALUES (0);
\set VERBOSITY default
-- a function must not move the request that calls it
CREATE FUNCTION hr.meddle(request bigint) RETURNS void LANGUAGE sql AS 'SELECT idflow.withdraw(request)';
SELECT count(*) FROM idflow.deploy($$
<ConfigurationFile>
  <InvokeFunctionAspect Identifier="Meddle" Function="hr.meddle"><PointCut Activity="Again:Review" ActivityState="Approved"/></InvokeFunctionAspect>
  <Workflow Identifier="Again" DisplayName_L1="Again">
    <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="as_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
</ConfigurationFile>$$);
SET idflow.notice = off;
INSERT INTO hr.echo (x) VALUES (0);
\c - as_boss
\set VERBOSITY terse
SELECT idflow.approve(max(task)) FROM idflow.inbox WHERE workflow = 'Again';
\set VERBOSITY default

-- ------------------------------------------------------------------- bad input
\c - :me
CREATE FUNCTION public.file(aspects text) RETURNS xml LANGUAGE sql AS $$
SELECT ('<ConfigurationFile><Workflow Identifier="Bad" DisplayName_L1="Bad">
<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Profile="x"/></Activity>
<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
' || aspects || '</ConfigurationFile>')::xml $$;
SELECT row_number() OVER () AS n, v.line, v.element, v.message, v.hint FROM unnest(ARRAY[
	'<AddChangeAspect Identifier="A" Binding="x" Expression="Literal:1"><PointCut Activity="Bad:Review" ActivityState="ActionPending"/></AddChangeAspect>',
	'<AddChangeAspect Identifier="A" Binding="x" Expression="Literal:1"><PointCut Activity="Bad:Revue" ActivityState="ReviewPending"/></AddChangeAspect>',
	'<AddChangeAspect Identifier="A" Binding="x" Expression="Literal:1"><PointCut Activity="Review" ActivityState="ReviewPending"/></AddChangeAspect>',
	'<AddChangeAspect Identifier="A" Binding="x" Expression="Literal:1"><PointCut Activity="Other:Review" ActivityState="ReviewPending"/></AddChangeAspect>',
	'<AddChangeAspect Identifier="A" Binding="x" Expression="Literal:1"/>',
	'<AddChangeAspect Identifier="A" Binding="x"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AddChangeAspect>',
	'<AddChangeAspect Identifier="A" Binding="x" Expression="C#:user:return 1;"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AddChangeAspect>',
	'<AddChangeAspect Identifier="A" Binding="W:U.X" ExpressionBinding="W:V" Expression="Literal:1"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AddChangeAspect>',
	'<AssertValueAspect Identifier="A" Binding="x"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AssertValueAspect>',
	'<InvokeFunctionAspect Identifier="A" Function="note"><PointCut Activity="Bad:Review" ActivityState="Approved"/></InvokeFunctionAspect>',
	'<InvokeFunctionAspect Identifier="A" Function="hr.note(bigint)"><PointCut Activity="Bad:Review" ActivityState="Approved"/></InvokeFunctionAspect>',
	E'<AssertValueRequiredAspect Identifier="A" Binding="x"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AssertValueRequiredAspect>\n<AssertValueRequiredAspect Identifier="A" Binding="y"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AssertValueRequiredAspect>'
]) WITH ORDINALITY u (a, o), LATERAL idflow.validate(public.file(a)::text) v ORDER BY o;
-- found at attach: columns, expressions, functions
CREATE TABLE hr.bad (id int PRIMARY KEY, x int, g int GENERATED ALWAYS AS (id) STORED);
CREATE ROLE as_other;
GRANT CREATE ON SCHEMA hr TO as_other;
CREATE FUNCTION hr.others(request bigint) RETURNS void LANGUAGE sql AS 'SELECT';
ALTER FUNCTION hr.others OWNER TO as_other;
CREATE FUNCTION hr.odd(request text) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION public.try(aspect text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM idflow.deploy(public.file(aspect));
	PERFORM idflow.attach('Bad', 'hr.bad');
	PERFORM idflow.detach('Bad', 'hr.bad');
	RETURN 'attached';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SET client_min_messages = warning;
SELECT x.binding, x.expression, public.try(format('<AddChangeAspect Identifier="A" Binding="%s" Expression="%s"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AddChangeAspect>', x.binding, x.expression))
FROM (VALUES ('y', 'Literal:1'), ('User.NoSuch', 'Literal:1'), ('g', 'Literal:1'), ('x', 'SQL:new.nosuch'), ('x', 'SQL:nextval(''hr.log_n_seq'')'),
	('x', 'SQL:(WITH d AS (DELETE FROM hr.log RETURNING 1) SELECT 1)'), ('x', 'SQL:new.id'), ('T:X', 'SQL:new.id')) x (binding, expression);
SELECT f, public.try(format('<InvokeFunctionAspect Identifier="A" Function="%s"><PointCut Activity="Bad:Review" ActivityState="Approved"/></InvokeFunctionAspect>', f))
FROM unnest('{hr.nosuch,hr.odd,hr.others,hr.echo}'::text[]) f;
RESET client_min_messages;
-- an expression that runs for ever
SELECT count(*) FROM idflow.deploy(public.file('<AssertValueAspect Identifier="Slow" Binding="x" Expression="SQL:(SELECT count(*) &gt; 0 FROM generate_series(1, 100000) a, generate_series(1, 100000) b)"><PointCut Activity="Bad:Review" ActivityState="ReviewPending"/></AssertValueAspect>'));
SELECT idflow.attach('Bad', 'hr.bad');
SET statement_timeout = '100ms';
\set VERBOSITY terse
INSERT INTO hr.bad VALUES (1, 1);
\set VERBOSITY default
RESET statement_timeout;
-- a version that doesn't fit what it is attached to isn't deployed
SELECT idflow.deploy(public.file('<AssertValueRequiredAspect Identifier="A" Binding="NoColumn"><PointCut Activity="Bad:Review" ActivityState="Approved"/></AssertValueRequiredAspect>'));
SELECT max(version) FROM idflow.workflow WHERE name = 'Bad';

-- ---------------------------------------------------- a version, and its export
-- the aspects are part of it: one of them changed is a new version, their order is not
SELECT name, version FROM idflow.deploy(idflow.export('Person', 1));
SELECT xmlserialize(CONTENT idflow.export('Again') AS text);
SELECT version FROM idflow.deploy(idflow.export('Again'));
SELECT version FROM idflow.deploy(replace(idflow.export('Again')::text, '"Approved"', '"Declined"')::xml);
SELECT version FROM idflow.deploy(regexp_replace(idflow.export('Again')::text, '(<ConfigurationFile>)(.*)(<InvokeFunction.*)(</ConfigurationFile>)', '\1\3\2<!-- moved -->\4')::xml);

\c :home :me
DROP DATABASE idflow_aspects;
DROP ROLE as_app, as_boss, as_mate, as_other;
