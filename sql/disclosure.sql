-- Whose values a draft holds: a requester sees what he wrote himself, of the rest only what he may SELECT.
SELECT current_database() AS home, current_user AS me \gset
CREATE DATABASE idflow_disclosure;
\c idflow_disclosure
CREATE EXTENSION idflow;
CREATE ROLE disclosure_app LOGIN;
CREATE ROLE disclosure_boss LOGIN;
CREATE ROLE disclosure_wide LOGIN;
CREATE SCHEMA di;
GRANT USAGE ON SCHEMA di TO PUBLIC;
CREATE TABLE di.person (id int PRIMARY KEY, name text, login text UNIQUE, salary int, score int DEFAULT 9, note text);
GRANT INSERT, SELECT (id, name), UPDATE (name, note, salary, score, login) ON di.person TO disclosure_app;
GRANT ALL ON di.person TO disclosure_boss, disclosure_wide;
INSERT INTO di.person VALUES (1, 'Ann', 'ann', 5000, 7, 'a'), (2, 'Cy', 'cy', 4000, 8, 'c');
SELECT name FROM idflow.deploy($$
<ConfigurationFile>
  <Workflow Identifier="Hire" DisplayName_L1="Hire">
    <Activity Identifier="Request" DisplayName_L1="Request" Template="Action"/>
    <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback"><Actor Principal="disclosure_boss"/></Activity>
    <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
  </Workflow>
  <AddChangeAspect Identifier="Score" Binding="score" Expression="SQL:CASE WHEN new.name = 'bad' THEN 5000 ELSE 42 END">
    <PointCut Activity="Hire:Request" ActivityState="Executed" Mode="After"/>
  </AddChangeAspect>
  <BuildUniqueValueAspect Identifier="Login" Binding="login" Expression="SQL:'secret_' || new.name">
    <PointCut Activity="Hire:Request" ActivityState="Executed" Mode="After"/>
    <UnicityCheckRule TargetEntityType="di.person"/>
  </BuildUniqueValueAspect>
</ConfigurationFile>$$);
ALTER TABLE di.person ADD CONSTRAINT score CHECK (score < 100);
SELECT idflow.attach('Hire', 'di.person', '{INSERT,UPDATE}');
CREATE FUNCTION public.shown(r bigint, OUT what text, OUT value text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT 'new', new_row::text FROM idflow.change WHERE request = r
	UNION ALL SELECT 'old', old_row::text FROM idflow.change WHERE request = r
	UNION ALL SELECT 'diff ' || column_name, concat_ws(' ', base, live, draft) FROM idflow.change_diff WHERE request = r
	UNION ALL SELECT 'draft', d::text FROM idflow.drafts(NULL::di.person, r) d
	UNION ALL SELECT 'preview', concat_ws(' ', id, name) FROM idflow.preview(NULL::di.person, r) p WHERE id IN (1, 10)
	ORDER BY 1, 2 $$;

-- an INSERT, into which aspects put values at once; simulated, and for real
\c - disclosure_app
\pset null '-'
SELECT kind, detail FROM idflow.simulate_sql($$INSERT INTO di.person (id, name, note) VALUES (10, 'Bob', 'mine')$$) WHERE kind = 'change';
INSERT INTO di.person (id, name, note) VALUES (10, 'Bob', 'mine') RETURNING id, name;
SELECT idflow.last_request() AS bob \gset
SELECT * FROM public.shown(:bob);
SELECT kind, detail FROM idflow.simulate(:bob) WHERE kind = 'change';
SELECT transition, data::text ~ '\m42\M|secret' AS tells FROM idflow.event WHERE request = :bob ORDER BY seq;
-- an UPDATE of other columns
UPDATE di.person SET note = 'new' WHERE id = 1;
SELECT idflow.last_request() AS ann \gset
SELECT * FROM public.shown(:ann);
-- what he writes himself he sees, but for what an aspect makes of it
UPDATE di.person SET salary = 4500, score = 50 WHERE id = 2;
SELECT idflow.last_request() AS cy \gset
SELECT * FROM public.shown(:cy);
-- the table's error would name an aspect's value
INSERT INTO di.person (id, name) VALUES (11, 'bad');
-- who decides sees all
\c - disclosure_boss
\pset null '-'
SELECT * FROM public.shown(:bob);
SELECT * FROM public.shown(:cy);
-- and saves over what was written, into what was not, and what is there already
SELECT idflow.save(task, '{"note": "not his", "salary": 777}') FROM idflow.inbox WHERE request = :bob;
SELECT idflow.save(task, '{"note": "new", "salary": 888}') FROM idflow.inbox WHERE request = :ann;
SELECT idflow.refine(task, comment => 'your turn') FROM idflow.inbox WHERE request = :bob;
\c - disclosure_app
\pset null '-'
SELECT * FROM public.shown(:bob);
SELECT * FROM public.shown(:ann);
-- written by himself again
SELECT idflow.save(task, '{"note": "mine again"}') FROM idflow.inbox WHERE request = :bob;
SELECT * FROM public.shown(:bob);
-- a conflict that is resolved to the table's old value
\c - :me
ALTER TABLE di.person DISABLE TRIGGER USER;
UPDATE di.person SET salary = 4100 WHERE id = 2;
ALTER TABLE di.person ENABLE TRIGGER USER;
\c - disclosure_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :cy;
\c - :me
SELECT idflow.resolve(:cy, change, '{"salary": "base"}') FROM idflow.change_diff WHERE request = :cy AND column_name = 'salary';
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :cy ORDER BY 1;
\c - disclosure_app
SELECT column_name, base, live, draft FROM idflow.change_diff WHERE request = :cy ORDER BY 1;
-- who may SELECT sees everything
\c - disclosure_wide
\pset null '-'
INSERT INTO di.person (id, name) VALUES (30, 'Dan');
SELECT new_row FROM idflow.change WHERE request = idflow.last_request();
INSERT INTO di.person (id, name) VALUES (11, 'bad');

-- policies: of a new row nobody can say yet whether it would be shown
\c - :me
ALTER TABLE di.person ENABLE ROW LEVEL SECURITY;
CREATE POLICY writes ON di.person FOR INSERT WITH CHECK (true);
CREATE POLICY changes ON di.person FOR UPDATE USING (true);
CREATE POLICY reads ON di.person FOR SELECT USING (score < 10);
\c - disclosure_wide
\pset null '-'
INSERT INTO di.person (id, name) VALUES (20, 'Eve');
SELECT idflow.last_request() AS eve \gset
SELECT new_row FROM idflow.change WHERE request = :eve;
\c - disclosure_boss
SELECT idflow.approve(task) FROM idflow.inbox WHERE request = :eve;
\c - disclosure_wide
SELECT new_row FROM idflow.change WHERE request = :eve;
\c - :me
ALTER TABLE di.person DISABLE TRIGGER USER;
UPDATE di.person SET score = 1 WHERE id = 20;
\c - disclosure_wide
SELECT new_row FROM idflow.change WHERE request = :eve;

\c :home :me
DROP DATABASE idflow_disclosure;
DROP ROLE disclosure_app, disclosure_boss, disclosure_wide;
