# Open requests survive pg_dump: they are approved in the cluster that the
# dump was restored into.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
application_role($old);
$old->safe_psql('postgres', 'CREATE DATABASE app');
gated_table($old, 'app');
# In the restored table this column has another number.
$old->safe_psql('app', q{
	SELECT idflow.disable('fixture');
	ALTER TABLE hr.person ADD COLUMN gone int;
	ALTER TABLE hr.person DROP COLUMN gone;
	ALTER TABLE hr.person ADD COLUMN city text DEFAULT 'Bonn';
	SELECT idflow.enable();
	SELECT idflow.create_preview('hr.person');});

my $done = request($old, 'app', 'done');
is(approve_all_open($old, 'app'), 'committed', 'a request is committed before the dump');
my $insert = request($old, 'app', 'newcomer');
my $update = as_actor($old, 'app', 'anna', q{
	UPDATE hr.person SET full_name = E'Ruth "R" O\'Root\nJr.' WHERE login = 'root';
	SELECT idflow.last_request();});
my $delete = as_actor($old, 'app', 'anna', q{
	DELETE FROM hr.person WHERE login = 'leaf';
	SELECT idflow.last_request();});
# Many rows, most of them in one pack.
my $bulk = as_actor($old, 'app', 'anna', q{
	SET idflow.bundle = statement;
	SET idflow.check_limit = 1;
	INSERT INTO hr.person (login, full_name) SELECT 'bulk' || i, 'Bulk ' || i FROM generate_series(1, 4) i;
	SELECT idflow.last_request();});
is($old->safe_psql('app', "SELECT array_agg(count ORDER BY seq) FROM idflow.change_data WHERE request = $bulk"), '{1,3}', 'a pack is dumped');
my $declined = request($old, 'app', 'unwanted');
as_actor($old, 'app', 'max', "SELECT idflow.decline(task, 'no') FROM idflow.inbox WHERE request = $declined");

# An access review, with an answer and a row that nobody has answered for yet.
my $campaign = $old->safe_psql('app', q{
	SET idflow.actor = 'anna';
	SELECT idflow.start_review('hr.person', (SELECT workflow FROM idflow.gate WHERE operation = 'DELETE'), $$login <> 'leaf'$$,
		'principal:mia', due => '2100-01-01', every => '1 year')});
is(as_actor($old, 'app', 'mia', "SELECT state FROM idflow.keep($campaign, '{1}', 'needed')"), 'kept', 'an access review before the dump');

# Somebody who is a database role is bound to that role, here.
$old->safe_psql('app', qq{
	CREATE ROLE keeper LOGIN;
	SELECT idflow.add_candidate(task, 'keeper') FROM idflow.request WHERE id = $update;});
is($old->safe_psql('app', q{SELECT count(*) FROM idflow.candidate WHERE key = 'u:keeper' AND binding = idflow.binding('keeper')}), '1',
	'a candidate is bound to his role');

# What is closed has been put away by the month.
$old->safe_psql('app', "UPDATE idflow.request SET closed_at = '2001-01-15' WHERE id = $done");
is($old->safe_psql('app', 'SELECT idflow.move_history(now())'), '2', 'closed requests are put away');

my $report = q{
	SELECT 'workflow', name, version::text, encode(digest, 'hex'), NULL FROM idflow.workflow
	UNION ALL SELECT 'request', id::text, state, activity_state, requester FROM idflow.request
	UNION ALL SELECT 'change', request::text, operation, old_row::text, new_row::text FROM idflow.change
	UNION ALL SELECT 'event', request::text, seq::text, actor, to_state FROM idflow.event
	UNION ALL SELECT 'history', month::text, requests::text, events::text, NULL FROM idflow.history
	UNION ALL SELECT 'campaign', id::text, title, state, due::text FROM idflow.campaign
	UNION ALL SELECT 'item', item::text, key::text, state, comments::text FROM idflow.campaign_report
	UNION ALL SELECT 'review', seq::text, actor, transition, comment FROM idflow.campaign_event
	UNION ALL SELECT 'timer', name, due_at::text, data::text, NULL FROM idflow.timer
	UNION ALL SELECT 'gate', target::text, workflow, operation, enabled::text FROM idflow.gate
	ORDER BY 1, 2, 3, 4, 5};
my $before = $old->safe_psql('app', $report);
like($before, qr/^gate\|/m, 'the report is not empty');
my $previewed = q{SELECT id, login, full_name, city FROM preview.person ORDER BY id};
my $preview = as_actor($old, 'app', 'anna', $previewed);
like($preview, qr/\|newcomer\|Newcomer\|Bonn$/m, 'the preview shows a drafted row');

my $dir = PostgreSQL::Test::Utils::tempdir();
command_ok([ 'pg_dumpall', '--globals-only', '--no-sync', '-f', "$dir/globals.sql", '-d', $old->connstr('postgres') ], 'pg_dumpall of the roles');
command_ok([ 'pg_dump', '--no-sync', '-f', "$dir/plain.sql", $old->connstr('app') ], 'pg_dump to a script');
command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/custom.dump", $old->connstr('app') ], 'pg_dump to an archive');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->start;
$new->safe_psql('postgres', 'CREATE ROLE shifts_the_numbers');
# The new cluster has its own superuser already; that one line fails.
system_log('psql', '-X', '-q', '-d', $new->connstr('postgres'), '-f', "$dir/globals.sql");

for my $format ('plain', 'custom')
{
	$new->safe_psql('postgres', "CREATE DATABASE $format");
	if ($format eq 'plain')
	{
		command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr($format), '-f', "$dir/plain.sql" ],
			'the script is restored without an error');
	}
	else
	{
		command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr($format), "$dir/custom.dump" ],
			'the archive is restored without an error');
	}

	is($new->safe_psql($format, $report), $before, "$format: workflows, requests, drafts, history and gates are the same");
	is($new->safe_psql($format, q{SELECT string_agg(login, ',' ORDER BY login) FROM hr.person}),
		'done,leaf,root', "$format: the rows were restored, not drafted again");

	is(as_actor($new, $format, 'anna', $previewed), $preview, "$format: the preview shows the same rows");
	is($new->safe_psql($format, q{SELECT view || ' ' || target FROM idflow.preview_view}), 'preview.person hr.person',
		"$format: and is known as one");
	is($new->safe_psql($format, q{SELECT state FROM idflow.health() WHERE subject = 'preview'}), 'ok', "$format: and fits its table");
	is(as_actor($new, $format, 'anna', q{
			INSERT INTO preview.person (login, full_name) VALUES ('through', 'Through') RETURNING login, city;
			SELECT idflow.withdraw(idflow.last_request());}), "through|Bonn\naborted", "$format: and can be written to");

	is(as_actor($new, $format, 'mia', "SELECT item FROM idflow.review_item"), 2, "$format: the access review asks on");
	is( as_actor($new, $format, 'mia', "SELECT state FROM idflow.keep($campaign, '{2}')") . ' '
		  . $new->safe_psql($format, "SELECT count(DISTINCT seq) FROM idflow.campaign_event"),
		'kept 3', "$format: and is answered, after what was on record");

	is( $new->safe_psql($format, q{SELECT bool_and(binding <> idflow.binding('keeper')) FROM idflow.candidate WHERE key = 'u:keeper'}) . ' '
		  . $new->safe_psql($format, 'SELECT request FROM idflow.inbox', extra_params => [ '-U', 'keeper' ]),
		"t $update", "$format: a task is that of the name where roles have other numbers");

	is($new->safe_psql($format, 'SELECT count(*) || $$ $$ || count(DISTINCT tableoid) FROM idflow.event WHERE request IN (' . "$done, $declined)"),
		'5 2', "$format: what was put away is in its tables");
	like( ($new->psql($format, 'SET ROLE hr_app; SELECT count(*) FROM idflow.event_2001_01', on_error_die => 0))[2],
		qr/permission denied/, "$format: which nobody reads themselves");
	like(($new->psql($format, "DELETE FROM idflow.event WHERE request = $done"))[2], qr/append-only/, "$format: and are guarded");
	is($new->safe_psql($format, q{SELECT idflow.drop_history('2001-02-01', 'old')}), '1', "$format: and are dropped");

	my $next = request($new, $format, 'later');
	cmp_ok($next, '>', $declined, "$format: the numbers of requests go on");
	is($new->safe_psql($format, q{SELECT count(*) FROM hr.person WHERE login = 'later'}), '0', "$format: the gate holds");

	is(as_actor($new, $format, 'mia', 'SELECT request FROM idflow.inbox ORDER BY request'),
		join("\n", $insert, $update, $delete, $bulk, $next), "$format: the open requests are in the inbox");
	is(approve_all_open($new, $format), join("\n", ('committed') x 5), "$format: they are approved");
	is( $new->safe_psql($format, q{SELECT string_agg(login || '=' || full_name, ',' ORDER BY login) FROM hr.person}),
		"bulk1=Bulk 1,bulk2=Bulk 2,bulk3=Bulk 3,bulk4=Bulk 4,done=Done,later=Later,newcomer=Newcomer,root=Ruth \"R\" O'Root\nJr.",
		"$format: and their rows are there");
	is( $new->safe_psql($format, q{
			SELECT count(DISTINCT version) || ' ' || count(*) FROM idflow.workflow w
			WHERE EXISTS (SELECT FROM idflow.export(w.name) x, LATERAL idflow.deploy(x) d WHERE d.version = w.version)}),
		'1 1', "$format: deploying the same content again gives the same version");
}

$new->stop;
done_testing();
