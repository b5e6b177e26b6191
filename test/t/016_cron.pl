# Without preload, pg_cron calls idflow.run_due(): as the role that scheduled
# it, which is an ordinary member of idflow_admin.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($share) = run_command([ 'pg_config', '--sharedir' ]);
plan skip_all => 'pg_cron is not here' unless -e "$share/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
});
$node->start;
application_role($node);
gated_table($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_cron;
	CREATE ROLE runner LOGIN IN ROLE idflow_admin;
	GRANT USAGE ON SCHEMA cron TO runner;});

as_actor($node, 'postgres', 'anna', q{
	SET LOCAL idflow.effective_at = '2100-01-01';
	INSERT INTO hr.person (login, full_name) SELECT 'late' || g, 'P' FROM generate_series(1, 30) g;});
as_actor($node, 'postgres', 'mia', 'SELECT count(*) FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox));');
$node->safe_psql('postgres', q{
	BEGIN;
	UPDATE idflow.request SET effective_at = now() - interval '1 s' WHERE state = 'scheduled';
	UPDATE idflow.timer SET due_at = now() - interval '1 s';
	COMMIT;});

# What the documentation says, and the same when the server starts, so that the
# test need not wait for the minute.
foreach my $when ('* * * * *', '@reboot')
{
	like($node->safe_psql('postgres', "SELECT cron.schedule('idflow $when', '$when', 'SELECT idflow.run_due()')",
			extra_params => [ '-U', 'runner' ]), qr/^\d+$/, "$when is scheduled");
}
$node->restart;
ok($node->poll_query_until('postgres', "SELECT count(*) = 30 FROM idflow.request WHERE state = 'committed'"), 'what was due is done');
is($node->safe_psql('postgres', "SELECT count(*) FROM hr.person WHERE login LIKE 'late%'"), '30', 'with a row each');
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM cron.job_run_details WHERE status = 'succeeded' AND username = 'runner'"),
	'as the role that scheduled it');
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT via, ' ') FROM idflow.event WHERE transition = 'Persist-Invoked-Invoke'"),
	'schedule', 'the history says that the date came');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idflow.timer'), '0', 'no timer is left');
is($node->safe_psql('postgres', "SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'"), '0', 'no run failed');

# somebody who is no admin can schedule it, and is refused each time
$node->safe_psql('postgres', q{CREATE ROLE nobody LOGIN; GRANT USAGE ON SCHEMA cron TO nobody; SELECT cron.unschedule(jobid) FROM cron.job;});
$node->safe_psql('postgres', q{SELECT cron.schedule('idflow', '@reboot', 'SELECT idflow.run_due()')}, extra_params => [ '-U', 'nobody' ]);
$node->restart;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM cron.job_run_details WHERE status = 'failed' AND username = 'nobody'"),
	'who is no idflow_admin is refused');
like($node->safe_psql('postgres', "SELECT return_message FROM cron.job_run_details WHERE username = 'nobody'"),
	qr/permission denied for function run_due/, 'with the reason');

$node->stop;
done_testing();
