# kill -9 of the whole server in the middle of a thousand approvals: afterwards
# every request is open with no row, or committed with exactly one.
use strict;
use warnings;

use IdflowTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $requests = 1000;
my $clients = 4;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# Not every statement of thousands into the log.
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;
application_role($node);
gated_table($node, 'postgres');

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/request.sql", q{
\set n :n + 1
BEGIN;
SET LOCAL idflow.notice = off;
SET LOCAL idflow.actor = 'anna';
INSERT INTO hr.person (login, full_name) VALUES ('p' || :client_id || '_' || :n, 'Person');
COMMIT;
});
append_to_file("$dir/approve.sql", q{
\set i :n * :nclients + :client_id + 1
\set n :n + 1
SELECT task FROM pool WHERE i = :i \gset
BEGIN;
SET LOCAL idflow.actor = 'mia';
SELECT idflow.approve(:task, 'fine by me');
COMMIT;
});

# However fast the machine is, and however busy with other things, a thousand
# approvals take seconds, so that there is a middle to hit.
sub pgbench
{
	my ($script, $each, $rate) = @_;
	return ('pgbench', '-n', '-c', $clients, '-j', 2, '-t', $each, '-R', $rate, '-D', 'n=0', '-D', "nclients=$clients",
		'-f', $script, '-U', 'hr_app', $node->connstr('postgres'));
}

command_ok([ pgbench("$dir/request.sql", $requests / $clients, 3000) ], "$requests requests are made");
is($node->safe_psql('postgres', q{SELECT count(*) FROM idflow.request WHERE state = 'open'}), $requests, 'all of them are open');
$node->safe_psql('postgres', q{
	CREATE TABLE pool AS SELECT row_number() OVER (ORDER BY id) AS i, id AS task FROM idflow.task;
	CREATE UNIQUE INDEX ON pool (i);
	GRANT SELECT ON pool TO hr_app;});

sub alive
{
	my ($pid) = @_;
	return 0 unless kill 0, $pid;
	my $stat = -r "/proc/$pid/stat" ? slurp_file("/proc/$pid/stat") : '';
	return $stat !~ /\) Z /;
}

# What must hold at any time: per request the state and the rows agree.
my $wrong = q{
	SELECT count(*) FROM (
		SELECT q.id, q.state, count(p.id) AS persons,
			(SELECT count(*) FROM idflow.event e WHERE e.request = q.id AND e.transition LIKE '%Approve') AS approvals,
			(SELECT count(*) FROM idflow.vote v WHERE v.request = q.id) AS votes,
			(SELECT count(*) FROM idflow.task t WHERE t.request = q.id AND t.state = 'open') AS tasks,
			(SELECT count(*) FROM idflow.candidate c WHERE c.request = q.id) AS candidates
		FROM idflow.request q
		JOIN idflow.change c ON c.request = q.id
		LEFT JOIN hr.person p ON p.login = c.new_row->>'login'
		GROUP BY q.id, q.state) r
	WHERE NOT CASE state
		WHEN 'open' THEN persons = 0 AND approvals = 0 AND votes = 0 AND tasks = 1 AND candidates > 0
		WHEN 'committed' THEN persons = 1 AND approvals = 1 AND votes = 1 AND tasks = 0 AND candidates = 0
		ELSE false END};
is($node->safe_psql('postgres', $wrong), '0', 'before the first approval states and rows agree');

my $committed = q{SELECT count(*) FROM idflow.request WHERE state = 'committed'};
my $crashes = 0;
my $open = $requests;
for my $goal (150, 450)
{
	my ($out, $err) = ('', '');
	my $bench = IPC::Run::start([ pgbench("$dir/approve.sql", int($open / $clients), 250) ], '>', \$out, '2>', \$err);
	my $patience = time() + $PostgreSQL::Test::Utils::timeout_default;
	while ($node->safe_psql('postgres', $committed) < $goal && time() < $patience)
	{
		$bench->pump_nb;
		last unless $bench->pumpable;
		usleep(2_000);
	}

	# The postmaster first, so that it cannot clean up after its children.
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /\A(\d+)/;
	my @children = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	$node->kill9;
	kill 'KILL', grep { /^\d+$/ && $_ != $postmaster } @children;
	$bench->finish;
	$crashes++;
	like($err, qr/aborted|closed the connection|terminat/i, "crash $crashes: the clients were cut off");

	# Not before all of them are gone may the next server start.  Where nobody
	# reaps orphans they stay as zombies, which the lock files take for alive.
	$patience = time() + 10;
	usleep(20_000) while time() < $patience && grep { alive($_) } $postmaster, @children;
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock'
	  unless grep { alive($_) } $postmaster, @children;
	$node->start;

	my $now = $node->safe_psql('postgres', $committed);
	note "crash $crashes: $now of $requests were committed";
	cmp_ok($now, '>=', $goal, "crash $crashes: what was reported as committed is");
	cmp_ok($now, '<', $requests, "crash $crashes: it came in the middle");
	is($node->safe_psql('postgres', $wrong), '0', "crash $crashes: every request is open with no row or committed with one");

	# The second round is over the tasks that are still open.
	$node->safe_psql('postgres', q{
		TRUNCATE pool;
		INSERT INTO pool SELECT row_number() OVER (ORDER BY id), id FROM idflow.task WHERE state = 'open';});
	$open = $node->safe_psql('postgres', 'SELECT count(*) FROM pool');
}

my @states = split /\n/, approve_all_open($node, 'postgres');
is(scalar(grep { $_ eq 'committed' } @states), $open, 'the rest is approved');
is($node->safe_psql('postgres', $wrong), '0', 'in the end states and rows agree');
is($node->safe_psql('postgres', q{SELECT count(*) FROM hr.person WHERE login LIKE 'p%'}), $requests, 'every person came into being once');

$node->stop;
done_testing();
