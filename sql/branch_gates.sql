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


-- ------------------------------ gone on with partway is not gone through
\c - :me
CREATE FUNCTION public.deploy(name text, attributes text, VARIADIC activities text[]) RETURNS text LANGUAGE sql AS $$
	SELECT w.name FROM idflow.deploy(format('<Workflow Identifier="%s" DisplayName_L1="x" %s>%s</Workflow>', name, attributes, array_to_string(activities, ''))::xml) w $$;
CREATE FUNCTION public.a(name text, template text, more text DEFAULT '', inside text DEFAULT '') RETURNS text LANGUAGE sql AS $$
	SELECT format('<Activity Identifier="%s" DisplayName_L1="x" Template="%s" %s>%s</Activity>', name, template, more, inside) $$;
CREATE FUNCTION public.way(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', e.activity, e.transition, e.comment) FROM idflow.event e JOIN idflow.request r ON r.id = e.request WHERE r.title = what ORDER BY seq $$;
SET client_min_messages = error;
CREATE TABLE bg.pay (id int PRIMARY KEY, what text, amount int, note text);
GRANT SELECT, INSERT, UPDATE ON bg.pay TO bg_app;
\c - :me
SET client_min_messages = error;
SELECT public.deploy('W1', 'Title="SQL:''pay '' || new.id"', public.a('Request', 'Action'), public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/>'),
	public.a('On', 'ContinueWith', 'ArgumentCalledWorkflow="W2:Persist"'));
SELECT public.deploy('W2', '', public.a('Request', 'Action'), public.a('Check', 'Review', '', '<Actor Principal="bg_chief"/>'), public.a('Persist', 'Persist'));
SELECT idflow.attach('W1', 'bg.pay');
SELECT idflow.attach('W2', 'bg.pay');
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.pay VALUES (1, 'one', 10);
\c - bg_boss
SELECT public.act('approve', 'pay 1');
\c - bg_chief
SELECT public.act('approve', 'pay 1');
\c - :me
SELECT id, what, amount FROM bg.pay;
SELECT public.way('pay 1');
-- a workflow that was entered at its beginning has been gone through
SET client_min_messages = error;
SELECT public.deploy('W1', 'Title="SQL:''pay '' || new.id"', public.a('Request', 'Action'), public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/>'),
	public.a('On', 'ContinueWith', 'ArgumentCalledWorkflow="W2"'));
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.pay VALUES (2, 'two', 10);
\c - bg_boss
SELECT public.act('approve', 'pay 2');
\c - bg_chief
SELECT public.act('approve', 'pay 2');
\c - :me
SELECT public.way('pay 2');

-- ------------------------------------------ a conflict, after going on
-- resolved to the draft: reviewed again, by those who reviewed it last
SET client_min_messages = error;
SELECT idflow.detach('W1', 'bg.pay'), idflow.detach('W2', 'bg.pay');
SELECT public.deploy('C1', 'Title="SQL:''pay '' || new.id || '' '' || new.amount"', public.a('Request', 'Action'), public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/>'),
	public.a('On', 'ContinueWith', 'ArgumentCalledWorkflow="Write"'));
SELECT public.deploy('Write', '', public.a('Ready', 'PersistOnlyResources'), public.a('Persist', 'Persist'));
SELECT idflow.attach('C1', 'bg.pay', '{UPDATE}');
\c - bg_app
SET idflow.notice = off;
UPDATE bg.pay SET amount = 11 WHERE id = 1;
UPDATE bg.pay SET amount = 12 WHERE id = 2;
\c - :me
BEGIN; SELECT idflow.bypass('pay'); UPDATE bg.pay SET amount = 99; COMMIT;
\c - bg_boss
SELECT public.act('approve', 'pay 1 11'), public.act('approve', 'pay 2 12');
-- its reviewer may settle it, though the request has left his workflow
SELECT idflow.resolve(c.request, c.id, '{"amount": "draft"}') FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.title = 'pay 2 12';
\c - bg_chief
SELECT idflow.resolve(max(id), max(id) << 24 | 1, '{"amount": "draft"}') FROM idflow.request;
\c - bg_app
SELECT idflow.resolve(c.request, c.id, '{"amount": "draft"}') FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.title = 'pay 1 11';
SELECT title, state, workflow, activity, revision FROM idflow.request WHERE title LIKE 'pay _ 1_' ORDER BY id;
\c - :me
SELECT id, amount FROM bg.pay ORDER BY id;
\c - bg_boss
SELECT public.act('approve', 'pay 1 11');
\c - :me
SELECT id, amount FROM bg.pay ORDER BY id;
SELECT public.way('pay 1 11');
-- withdrawn in a conflict
\c - bg_app
SET idflow.notice = off;
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'pay 2 12';
-- rebased in a conflict: the same
UPDATE bg.pay SET amount = 13 WHERE id = 1;
\c - :me
BEGIN; SELECT idflow.bypass('pay'); UPDATE bg.pay SET amount = 98; COMMIT;
\c - bg_boss
SELECT public.act('approve', 'pay 1 13');
\c - bg_app
SET idflow.notice = off;
SELECT idflow.rebase(id) FROM idflow.request WHERE title = 'pay 1 13';
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'pay 1 13';
-- resolved to what is there: nothing to review
UPDATE bg.pay SET amount = 14, what = 'uno' WHERE id = 1;
\c - :me
BEGIN; SELECT idflow.bypass('pay'); UPDATE bg.pay SET amount = 97; COMMIT;
\c - bg_boss
SELECT public.act('approve', 'pay 1 14');
\c - bg_app
SELECT idflow.resolve(c.request, c.id, '{"amount": "live"}') FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.title = 'pay 1 14';
\c - :me
SELECT id, what, amount FROM bg.pay WHERE id = 1;
SELECT idflow.detach('C1', 'bg.pay');

-- the review stands behind the Persist, and beside a branch that was not taken
SET client_min_messages = error;
SELECT public.deploy('C2', 'Title="SQL:''pay '' || new.id || '' '' || new.amount"', public.a('Request', 'Action', '', '<Transition On="Executed" To="Boss"/>'),
	public.a('Chief', 'Review', '', '<Actor Principal="bg_chief"/>'),
	public.a('Persist', 'Persist', '', '<Transition On="Invoked" To="End"/>'),
	public.a('Boss', 'Review', '', '<Actor Principal="bg_boss"/><Transition On="Approved" To="Chief" IfExpression="SQL:new.amount &gt; 1000"/><Transition On="Approved" To="Persist"/>'),
	public.a('End', 'PersistOnlyResources'));
SELECT idflow.attach('C2', 'bg.pay', '{UPDATE}');
\c - bg_app
SET idflow.notice = off;
UPDATE bg.pay SET amount = 20 WHERE id = 1;
\c - :me
BEGIN; SELECT idflow.bypass('pay'); UPDATE bg.pay SET amount = 96; COMMIT;
\c - bg_boss
SELECT public.act('approve', 'pay 1 20');
\c - bg_app
SELECT idflow.resolve(c.request, c.id, '{"amount": "draft"}') FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.title = 'pay 1 20';
SELECT activity, activity_state FROM idflow.request WHERE title = 'pay 1 20';
\c - bg_boss
SELECT public.act('approve', 'pay 1 20');
\c - :me
SELECT idflow.detach('C2', 'bg.pay');

-- two gates, the second without a review: back to the first, and through both
SET client_min_messages = error;
SELECT public.deploy('G1', 'Title="SQL:''pay '' || new.id || '' '' || new.amount"', public.a('Request', 'Action'), public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/>'), public.a('Persist', 'Persist'));
SELECT public.deploy('G2', '', public.a('Request', 'Action'), public.a('Step', 'Action', '', '<Actor Principal="bg_chief"/>'), public.a('Persist', 'Persist'));
SELECT idflow.attach('G1', 'bg.pay', '{UPDATE}');
SELECT idflow.attach('G2', 'bg.pay', '{UPDATE}');
\c - bg_app
SET idflow.notice = off;
UPDATE bg.pay SET amount = 30 WHERE id = 1;
\c - bg_boss
SELECT public.act('approve', 'pay 1 30');
\c - :me
BEGIN; SELECT idflow.bypass('pay'); UPDATE bg.pay SET amount = 95; COMMIT;
\c - bg_chief
SELECT public.act('execute', 'pay 1 30');
\c - bg_app
SELECT idflow.resolve(c.request, c.id, '{"amount": "draft"}') FROM idflow.change c JOIN idflow.request r ON r.id = c.request WHERE r.title = 'pay 1 30';
\c - bg_boss
SELECT public.act('approve', 'pay 1 30');
\c - bg_chief
SELECT public.act('execute', 'pay 1 30');
\c - :me
SELECT public.way('pay 1 30');
SELECT idflow.detach('G1', 'bg.pay'), idflow.detach('G2', 'bg.pay');

-- --------------------------------------------- what is written is committed
SET client_min_messages = error;
SELECT public.deploy('After', 'Title="SQL:''pay '' || new.id" MaxSteps="8"', public.a('Request', 'Action'), public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/>'),
	public.a('Persist', 'Persist'), public.a('Confirm', 'ReviewWithFeedback', '', '<Actor Principal="bg_chief"/><Transition On="Aborted" To="Again" IfExpression="SQL:new.what = ''round''"/>'),
	public.a('Again', 'Persist', 'IfExpression="SQL:new.what = ''round''"', '<Transition On="Invoked" To="Confirm"/>'));
SELECT idflow.attach('After', 'bg.pay');
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.pay VALUES (21, 'confirmed', 1), (22, 'declined', 1), (23, 'aborted', 1), (24, 'round', 1);
\c - bg_boss
SELECT idflow.approve(task) FROM idflow.inbox ORDER BY task;
\c - bg_chief
-- too late to change anything
SELECT idflow.save(task, '{"amount": 2}') FROM idflow.inbox WHERE title = 'pay 21';
SELECT public.act('approve', 'pay 21'), public.act('decline', 'pay 22'), public.act('abort', 'pay 23');
\c - bg_app
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'pay 24';
SELECT idflow.rebase(id) FROM idflow.request WHERE title = 'pay 24';
\c - bg_chief
SELECT public.act('abort', 'pay 24');
SELECT public.act('abort', 'pay 24');
SELECT public.act('abort', 'pay 24');
\c - :me
SELECT title, state, activity_state FROM idflow.request WHERE title ~ 'pay 2[1-4]' ORDER BY id;
SELECT public.way('pay 24');
SELECT count(*) FROM bg.pay WHERE id BETWEEN 21 AND 24;
SELECT idflow.detach('After', 'bg.pay');

-- ------------------------ after the Persists that were come through, and no others
SET client_min_messages = error;
CREATE FUNCTION public.hooks(workflow text, VARIADIC activities text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('<InvokeScriptAspect Identifier="%1$s%2$s" ScriptFile="%1$s %2$s"><PointCut Activity="%1$s:%2$s" ActivityState="Persist-Invoked" Mode="After"/></InvokeScriptAspect>', workflow, a), '') FROM unnest(activities) a $$;
SELECT name FROM idflow.deploy(format('<ConfigurationFile><Workflow Identifier="A" DisplayName_L1="x" Title="SQL:''pay '' || new.id">%s</Workflow><Workflow Identifier="B" DisplayName_L1="x">%s</Workflow>%s</ConfigurationFile>',
	public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/><Transition On="Approved" To="On" IfExpression="SQL:new.amount = 2"/>') || public.a('One', 'Persist', 'IfExpression="SQL:new.amount = 1"')
		|| public.a('Two', 'Persist') || public.a('End', 'PersistOnlyResources', '', '<Transition On="Invoked" To="Last"/>') || public.a('On', 'ContinueWith', 'ArgumentCalledWorkflow="B"') || public.a('Last', 'PersistOnlyResources'),
	public.a('Persist', 'Persist'), public.hooks('A', 'One', 'Two') || public.hooks('B', 'Persist'))::xml);
SELECT idflow.attach('A', 'bg.pay');
SELECT idflow.attach('B', 'bg.pay');
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.pay VALUES (31, 'both in A', 1), (32, 'on to B', 2), (33, 'the second only', 3);
\c - bg_boss
SELECT public.act('approve', 'pay 31'), public.act('approve', 'pay 32'), public.act('approve', 'pay 33');
\c - :me
SELECT r.title, j.script FROM idflow.job j JOIN idflow.request r ON r.id = j.request ORDER BY j.id;
SELECT idflow.detach('A', 'bg.pay'), idflow.detach('B', 'bg.pay');

-- --------------- what a gate's workflow says of columns and of four eyes stays
SET client_min_messages = error;
SELECT public.deploy('Strict', 'Title="SQL:''pay '' || new.id"', public.a('Request', 'Action'), public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/>'),
	public.a('On', 'ContinueWith', 'ArgumentCalledWorkflow="Loose"'), '<Column Name="amount" Edit="" Merge="Draft"/><Column Name="what" Edit="Review"/>');
SELECT public.deploy('Loose', 'FourEyes="false" Exact="false"', public.a('Request', 'Action'), public.a('Check', 'Review', '', '<Actor Principal="bg_app"/><Actor Principal="bg_chief"/>'), public.a('Persist', 'Persist'),
	'<Column Name="what" Merge="Live"/>');
SELECT idflow.attach('Strict', 'bg.pay', '{INSERT,UPDATE}');
GRANT SELECT, INSERT, UPDATE ON bg.pay TO bg_boss, bg_chief;
CREATE FUNCTION bg.upper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.note := upper(new.note); RETURN new; END $$;
CREATE TRIGGER upper BEFORE INSERT ON bg.pay FOR EACH ROW EXECUTE FUNCTION bg.upper();
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.pay VALUES (41, 'strict', 1, 'small');
UPDATE bg.pay SET amount = 5, what = 'five' WHERE id = 31;
\c - bg_boss
SELECT idflow.save(task, '{"amount": 2}') FROM idflow.inbox WHERE title = 'pay 41';
SELECT idflow.save(task, '{"what": "stricter"}') FROM idflow.inbox WHERE title = 'pay 41';
\c - :me
SELECT idflow.add_candidate(id, 'bg_help') FROM idflow.task WHERE state = 'open' AND activity = 'Review';
\c - bg_help
SELECT public.act('approve', 'pay 41'), public.act('approve', 'pay 31');
\c - bg_app
SELECT title, blocked FROM idflow.inbox ORDER BY title;
SELECT public.act('approve', 'pay 31');
SELECT DISTINCT principal FROM idflow.decider d JOIN idflow.request r ON r.id = d.request WHERE r.title = 'pay 31' AND d.vote IS NULL;
\c - bg_chief
SELECT idflow.save(task, '{"amount": 2}') FROM idflow.inbox WHERE title = 'pay 41';
SELECT idflow.save(task, '{"what": "loose"}') FROM idflow.inbox WHERE title = 'pay 41';
-- the reviewed value is what is written, since the gate's workflow wants that
SELECT public.act('approve', 'pay 41');
-- merged as the gate's workflow says, and as the one that it went on in says
\c - :me
BEGIN; SELECT idflow.bypass('pay'); UPDATE bg.pay SET amount = 7, what = 'seven' WHERE id = 31; COMMIT;
\c - bg_chief
SELECT public.act('approve', 'pay 31');
SELECT id, what, amount FROM bg.pay WHERE id = 31;

-- ------------------------ where a condition looks before the exit's aspects run
\c - :me
SET client_min_messages = error;
SELECT idflow.withdraw(id) FROM idflow.request WHERE title = 'pay 41';
SELECT idflow.detach('Strict', 'bg.pay');
SELECT name FROM idflow.deploy(format('<ConfigurationFile><Workflow Identifier="Order" DisplayName_L1="x" Title="SQL:''pay '' || new.id">%s</Workflow>%s</ConfigurationFile>',
	public.a('Review', 'Review', '', '<Actor Principal="bg_boss"/><Transition On="Approved" To="Chief" IfExpression="SQL:new.amount &gt; 10"/><Transition On="Declined" To="Chief" IfExpression="SQL:new.amount &gt; 10"/>') || public.a('Persist', 'Persist', '', '<Transition On="Invoked" To="End"/>')
		|| public.a('Chief', 'Review', '', '<Actor Principal="bg_chief"/><Transition On="Approved" To="Persist"/>') || public.a('End', 'PersistOnlyResources'),
	(SELECT string_agg(format('<AddChangeAspect Identifier="Add%1$s" Binding="amount" Expression="SQL:new.amount + 10"><PointCut Activity="Order:Review" ActivityState="Review-%1$s" Mode="After"/></AddChangeAspect>', s), '') FROM unnest('{Approved,Declined}'::text[]) s))::xml);
SELECT idflow.attach('Order', 'bg.pay');
DROP TRIGGER upper ON bg.pay;
\c - bg_app
SET idflow.notice = off;
INSERT INTO bg.pay VALUES (51, 'little', 5), (52, 'much', 50), (53, 'little', 5), (54, 'much', 50);
\c - bg_boss
SELECT public.act('approve', 'pay 51'), public.act('approve', 'pay 52'), public.act('decline', 'pay 53'), public.act('decline', 'pay 54');
\c - :me
SELECT r.title, r.state, r.activity, c.new_row->>'amount' AS amount FROM idflow.request r JOIN idflow.change c ON c.request = r.id WHERE r.title ~ 'pay 5' ORDER BY 1;

\c :home :me
DROP DATABASE idflow_branch_gates;
DROP ROLE bg_app, bg_boss, bg_chief, bg_help;
