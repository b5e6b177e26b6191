# The background worker: does what is due, once, whatever happens to it.
# IDFLOW_TIMERS says how many fall due while it is killed.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $many = $ENV{IDFLOW_TIMERS} || 10_000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->start;
application_role($node);
gated_table($node, 'postgres');
$node->safe_psql('postgres', 'CREATE ROLE runner LOGIN IN ROLE idflow_admin; CREATE DATABASE "Other Base"');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idflow.worker'), '0', 'without preload there is no worker');

# no role, no worker
$node->append_conf('postgresql.conf', qq{shared_preload_libraries = 'idflow'\nidflow.databases = 'postgres, "Other Base"'\n});
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*), count(pid) FROM idflow.worker'), '2|0', 'without a role none runs');
like(slurp_file($node->logfile), qr/idflow starts no worker, because "idflow.worker_role" is not set/, 'and the log says why');

$node->append_conf('postgresql.conf', "idflow.worker_role = 'runner'\nidflow.poll_interval = 200\n");
$node->restart;
ok($node->poll_query_until('postgres', 'SELECT count(pid) = 2 AND count(last_run) = 2 FROM idflow.worker'), 'both run');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT usename || ' ' || datname, ', ') FROM pg_stat_activity WHERE backend_type = 'idflow worker'}),
	'runner Other Base, runner postgres', 'as the role, each in its database');
is($node->safe_psql('postgres', 'SELECT sum(errors) FROM idflow.worker'), '0', 'a database without the extension is no error');

# requests that wait for a date far away, which is then brought forward
sub scheduled
{
	my ($db, $prefix, $n) = @_;
	as_actor($node, $db, 'anna', qq{
		SET LOCAL idflow.effective_at = '2100-01-01';
		INSERT INTO hr.person (login, full_name) SELECT '$prefix' || g, 'P' FROM generate_series(1, $n) g;});
	as_actor($node, $db, 'mia', 'SELECT count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox));');
	is($node->safe_psql($db, "SELECT count(*) FROM idflow.request WHERE state = 'scheduled'"), $n, "$n requests of $prefix wait");
}
sub make_due
{
	my ($where, $db, $when) = @_;
	$where->safe_psql($db, qq{
		BEGIN;
		UPDATE idflow.request SET effective_at = $when WHERE state = 'scheduled';
		UPDATE idflow.timer SET due_at = $when;
		COMMIT;});
	return;
}
# every request committed, with one row, written once
sub done_once
{
	my ($where, $db, $prefix, $n) = @_;
	$where->poll_query_until($db, "SELECT count(*) = 0 FROM idflow.request WHERE state = 'scheduled'")
	  or die 'timers were not run';
	is($where->safe_psql($db, "SELECT count(*) FROM hr.person WHERE login LIKE '$prefix%'"), $n, "$prefix: $n rows");
	is($where->safe_psql($db, qq{
		SELECT count(*) FROM (SELECT r.id FROM idflow.request r JOIN idflow.event e ON e.request = r.id
			WHERE r.state = 'committed' AND e.transition = 'Persist-Invoked-Invoke' AND e.via = 'schedule'
				AND EXISTS (SELECT FROM idflow.change c WHERE c.request = r.id AND c.new_row->>'login' LIKE '$prefix%')
			GROUP BY r.id HAVING count(*) = 1) once}), $n, "$prefix: each applied once");
	is($where->safe_psql($db, 'SELECT count(*) FROM idflow.timer'), '0', "$prefix: no timer is left");
}

scheduled('postgres', 'few', 3);
make_due($node, 'postgres', 'now()');
done_once($node, 'postgres', 'few', 3);

# a date that comes between two looks is not waited for until the next one
$node->safe_psql('postgres', "ALTER SYSTEM SET idflow.poll_interval = '1h'");
scheduled('postgres', 'soon', 1);
make_due($node, 'postgres', q{now() + interval '2 s'});
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
done_once($node, 'postgres', 'soon', 1);
$node->safe_psql('postgres', 'ALTER SYSTEM RESET idflow.poll_interval; SELECT pg_reload_conf()');
# it sleeps for an hour now, unless it is told
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM idflow.worker WHERE database = 'postgres'});

# the other database gets the extension while its worker runs
gated_table($node, 'Other Base');
scheduled('Other Base', 'other', 2);
make_due($node, 'Other Base', 'now()');
done_once($node, 'Other Base', 'other', 2);

# killed while many are due, and with others at work at the same time
ok($node->poll_query_until('postgres', q{SELECT pid IS NOT NULL FROM idflow.worker WHERE database = 'postgres'}), 'it was started again');
scheduled('postgres', 'many', $many);
make_due($node, 'postgres', 'now()');
$node->poll_query_until('postgres', "SELECT count(*) < $many FROM idflow.timer") or die 'nothing is done';
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM idflow.worker WHERE database = 'postgres'});
kill 'KILL', $pid;
my @helpers = ();
$node->poll_query_until('postgres', q{SELECT true}) or die 'the server does not come back';
foreach (1, 2)
{
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT idflow.run_due(300)' ], '>', \my $out, '2>', \my $err);
	push @helpers, $h;
}
$_->finish foreach @helpers;
done_once($node, 'postgres', 'many', $many);
like(slurp_file($node->logfile), qr/terminating any other active server processes/, 'it was killed indeed');

# on a standby it waits until there is something to write
scheduled('postgres', 'late', 4);
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT count(pid) FROM idflow.worker'), '0', 'none on a standby');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$node->stop;
$standby->promote;
make_due($standby, 'postgres', 'now()');
done_once($standby, 'postgres', 'late', 4);

# a timer that fails is set aside, is seen, and can be tried again
$standby->safe_psql('postgres', q{INSERT INTO idflow.timer (kind, due_at, attempts) VALUES ('nonsense', now(), 4)});
ok($standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM idflow.timer WHERE set_aside_at IS NOT NULL}), 'set aside');
is($standby->safe_psql('postgres', q{SELECT detail FROM idflow.health() WHERE subject = 'timer'}),
	'Timers that failed and were set aside: 1; the oldest is ' . $standby->safe_psql('postgres', 'SELECT id FROM idflow.timer') . ': unknown kind of timer: "nonsense".', 'health() tells');
$standby->safe_psql('postgres', 'SELECT idflow.retry_timer(id) FROM idflow.timer');
is($standby->safe_psql('postgres', 'SELECT set_aside_at IS NULL FROM idflow.timer'), 't', 'and is due again');
$standby->stop;

done_testing();
