# Reading never writes: on a hot standby every report answers, and every verb
# that would write is refused with PostgreSQL's own error.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
application_role($primary);
gated_table($primary, 'postgres');

$primary->safe_psql('postgres', q{SELECT idflow.create_preview('hr.person')});

my $committed = request($primary, 'postgres', 'committed');
approve_all_open($primary, 'postgres');
my $open = request($primary, 'postgres', 'waiting');
my $update = as_actor($primary, 'postgres', 'anna', q{
	UPDATE hr.person SET full_name = 'Ruth Stem' WHERE login = 'root';
	SELECT idflow.last_request();});

my $campaign = $primary->safe_psql('postgres', q{
	SET idflow.actor = 'anna';
	SELECT idflow.start_review('hr.person', (SELECT workflow FROM idflow.gate WHERE operation = 'DELETE'), reviewer => 'principal:mia')});
as_actor($primary, 'postgres', 'mia', "SELECT idflow.keep($campaign, '{1}', 'needed')");

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
my $streamed = request($primary, 'postgres', 'streamed');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the second server is a standby');

my %reports = (
	inbox => 'SELECT task, request, workflow, requester, operation, key, verbs FROM idflow.inbox ORDER BY task',
	request => 'SELECT id, workflow, state, activity_state, requester FROM idflow.request ORDER BY id',
	change => 'SELECT request, seq, operation, key, old_row, new_row FROM idflow.change ORDER BY request, seq',
	change_diff => 'SELECT request, column_name, base, live, draft FROM idflow.change_diff ORDER BY request, change, column_name',
	event => 'SELECT request, seq, actor, transition, from_state, to_state, comment FROM idflow.event ORDER BY request, seq',
	decider => 'SELECT request, task, activity, principal, via, vote FROM idflow.decider ORDER BY request, task, principal',
	waiting => 'SELECT request, activity, reason, on_whom FROM idflow.waiting ORDER BY request, activity',
	gate => 'SELECT workflow, target, operation, condition, columns, enabled FROM idflow.gate ORDER BY workflow, operation',
	workflow => 'SELECT name, version FROM idflow.workflow ORDER BY name',
	drafts => 'SELECT login, full_name FROM idflow.drafts(NULL::hr.person) ORDER BY login',
	preview => 'SELECT login, full_name FROM idflow.preview(NULL::hr.person) ORDER BY login',
	preview_view => 'SELECT login, full_name FROM preview.person ORDER BY login',
	pending => q{SELECT * FROM idflow.pending('hr.person', '{"id": 1}')},
	actor => 'SELECT idflow.actor()',
	export => 'SELECT idflow.export(name)::text FROM idflow.workflow',
	ready => 'SELECT name FROM idflow.ready() ORDER BY name',
	activity_templates => 'SELECT count(*) FROM idflow.activity_templates()',
	last_request => 'SELECT idflow.last_request()',
	review_item => 'SELECT campaign, item, key, state, vote FROM idflow.review_item ORDER BY item',
	campaign_progress => 'SELECT campaign, items, kept FROM idflow.campaign_progress',
	reviewer_progress => 'SELECT campaign, reviewer, items, answered FROM idflow.reviewer_progress',
	campaign_report => 'SELECT item, key, state, voters, comments FROM idflow.campaign_report ORDER BY item',
	campaign_event => 'SELECT seq, actor, transition, comment FROM idflow.campaign_event ORDER BY seq',
	health => 'SELECT subject, state FROM idflow.health() ORDER BY subject, state',
);
for my $report (sort keys %reports)
{
	my $there = as_actor($primary, 'postgres', 'mia', $reports{$report});
	is(as_actor($standby, 'postgres', 'mia', $reports{$report}), $there, "$report answers as on the primary");
	isnt($there, '', "$report is not empty") unless $report =~ /^(pending|last_request|health)$/;
}

like(as_actor($standby, 'postgres', 'mia', $reports{preview}), qr/^root\|Ruth Stem$/m, 'and shows drafted values');

my $directory = q{SELECT principal, profile FROM idflow.directory WHERE profile = 'hr_manager' ORDER BY principal};
is($standby->safe_psql('postgres', $directory), "max|hr_manager\nmia|hr_manager", 'so does the directory, for who may see it');

my $task = as_actor($primary, 'postgres', 'mia', "SELECT task FROM idflow.inbox WHERE request = $open");
my $refused = qr/ERROR:\s+25006:|ERROR:\s+55000:.*recovery/;
my %verbs = (
	insert => q{INSERT INTO hr.person (login, full_name) VALUES ('x', 'X')},
	preview_insert => q{INSERT INTO preview.person (login, full_name) VALUES ('x', 'X')},
	update => q{UPDATE hr.person SET full_name = 'X' WHERE id = 1},
	approve => "SELECT idflow.approve($task, 'ok')",
	approve_all => "SELECT * FROM idflow.approve_all(ARRAY[${task}::bigint])",
	decline => "SELECT idflow.decline($task, 'no')",
	claim => "SELECT idflow.claim($task)",
	save => qq{SELECT idflow.save($task, '{"full_name": "X"}')},
	comment => "SELECT idflow.comment($open, 'hello')",
	begin_request => 'SELECT idflow.begin_request()',
	withdraw => "SELECT idflow.withdraw($open)",
	keep => "SELECT * FROM idflow.keep($campaign, '{2}')",
	start_review => q{SELECT idflow.start_review('hr.person', (SELECT workflow FROM idflow.gate WHERE operation = 'DELETE'))},
	simulate => "SELECT * FROM idflow.simulate($open)",
	simulate_sql => q{SELECT * FROM idflow.simulate_sql('DELETE FROM hr.person')},
);
for my $verb (sort keys %verbs)
{
	# approve_all answers per task; a standby is no matter of a task.
	as_actor_fails($standby, 'postgres', $verb eq 'withdraw' ? 'anna' : 'mia', $verbs{$verb}, $refused, $verb);
}
my ($status, $out, $err) = $standby->psql('postgres',
	"\\set VERBOSITY verbose\nSELECT idflow.deploy((SELECT definition FROM idflow.ready('User_Onboarding')))");
like($err, $refused, 'deploy: says why');

$standby->promote;
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 'f', 'the standby is promoted');
is(approve_all_open($standby, 'postgres'), join("\n", ('committed') x 3), 'and there the requests are approved');

$standby->stop;
$primary->stop;
done_testing();
