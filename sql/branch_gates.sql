-- Branches, loops and several gates together: what has been gone through, who
-- is asked again, and what is written.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_branch_gates;
\c idflow_branch_gates
\set SHOW_CONTEXT never
CREATE EXTENSION idflow;
CREATE ROLE bg_app LOGIN;
CREATE ROLE bg_boss LOGIN;
CREATE ROLE bg_chief LOGIN;
CREATE ROLE bg_help LOGIN;
CREATE SCHEMA bg;
GRANT USAGE ON SCHEMA bg TO PUBLIC;
CREATE FUNCTION public.act(verb text, what text, who text DEFAULT current_user) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; t bigint := (SELECT max(task) FROM idflow.inbox WHERE title = what);
BEGIN
	EXECUTE format('SELECT idflow.%I($1)', verb) INTO s USING t;
	RETURN s || coalesce(' at ' || (SELECT workflow || ':' || activity FROM idflow.request r WHERE r.title = what), '');
END $$;
-- whom the open task of a request asks
CREATE FUNCTION public.asks(what text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(c.key || ' ' || c.source, ', ' ORDER BY c.key) FROM idflow.candidate c JOIN idflow.request r ON r.id = c.request WHERE r.title = what $$;

-- ------------------------------------------------- whom a task asks once more
CREATE TABLE bg.note (id int PRIMARY KEY, what text);
GRANT SELECT, INSERT ON bg.note TO bg_app;
SELECT name FROM idflow.deploy($$
<Workflow Identifier="Note" DisplayName_L1="A note" Title="SQL:'note ' || new.id">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback">
    <Actor Principal="bg_boss"/>
    <Transition On="Declined" To="Request"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Commit" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Note', 'bg.note');
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.note VALUES (1, 'one'), (2, 'two');
\c - bg_boss
SELECT public.act('decline', 'note 1');
\c - :me
SELECT public.asks('note 1');
-- a saved Action is the requester's as before, and so is one that is reassigned
\c - bg_app
SELECT idflow.save(task, '{"what": "uno"}') FROM idflow.inbox WHERE title = 'note 1';
\c - :me
SELECT public.asks('note 1');
SELECT idflow.reassign(id) FROM idflow.task WHERE state = 'open' AND activity = 'Request';
SELECT public.asks('note 1');
-- who was added keeps the task after it has been refined
SELECT idflow.add_candidate(id, 'bg_help') FROM idflow.task WHERE state = 'open' AND activity = 'Review';
SELECT public.asks('note 2');
\c - bg_boss
SELECT public.act('refine', 'note 2');
\c - bg_app
SELECT public.act('execute', 'note 2');
\c - :me
SELECT public.asks('note 2');
\c - bg_help
SELECT public.act('approve', 'note 2');

\c :home :me
DROP DATABASE idflow_branch_gates;
DROP ROLE bg_app, bg_boss, bg_chief, bg_help;
