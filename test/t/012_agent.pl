# The reference agent: runs what is on its list, once each, and nothing else;
# gives back what it can't end, and takes over from one that died.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my ($python) = grep { system("$_ -c 'import psycopg' >/dev/null 2>&1") == 0 } qw(/usr/bin/python3 python3);
plan skip_all => 'no Python with psycopg' unless $python;

my $agent = source_folder() . '/bin/idflow-agent';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION idflow;
	CREATE ROLE agent LOGIN;
	GRANT EXECUTE ON FUNCTION idflow.take_job(text, interval), idflow.finish_job(bigint, jsonb),
		idflow.fail_job(bigint, text) TO agent;
	CREATE TABLE public.thing (id int PRIMARY KEY, script text);
	SELECT idflow.deploy($$<ConfigurationFile>
	<Workflow Identifier="Thing" DisplayName_L1="A thing"><Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>
	<InvokeScriptAspect Identifier="Echo" ScriptFile="echo" IfExpression="SQL:new.script = 'echo'"><PointCut Activity="Thing:Persist" ActivityState="Invoked"/></InvokeScriptAspect>
	<InvokeScriptAspect Identifier="Fail" ScriptFile="fail" IfExpression="SQL:new.script = 'fail'"><PointCut Activity="Thing:Persist" ActivityState="Invoked"/></InvokeScriptAspect>
	<InvokeScriptAspect Identifier="Slow" ScriptFile="slow" IfExpression="SQL:new.script = 'slow'"><PointCut Activity="Thing:Persist" ActivityState="Invoked"/></InvokeScriptAspect>
	<InvokeScriptAspect Identifier="Evil" ScriptFile="../../bin/sh" IfExpression="SQL:new.script = 'evil'"><PointCut Activity="Thing:Persist" ActivityState="Invoked"/></InvokeScriptAspect>
	</ConfigurationFile>$$);
	SELECT idflow.attach('Thing', 'thing');});

my $dir = PostgreSQL::Test::Utils::tempdir();
my $ran = "$dir/ran";
append_to_file("$dir/echo.sh", qq{#!/bin/sh\necho x >>$ran\nread line\nprintf '{"got": %s}' "\$line"\n});
append_to_file("$dir/slow.sh", qq{#!/bin/sh\necho slow >>$ran\nsleep 60\n});
append_to_file("$dir/fail.sh", qq{#!/bin/sh\necho 'no such host' >&2\nexit 3\n});
chmod 0755, glob("$dir/*.sh");

sub config
{
	my ($name, $lease) = @_;
	append_to_file("$dir/$name", "[agent]\ndsn = " . $node->connstr('postgres') . " user=agent\nkinds = script\nlease = $lease\npoll = 0.1\n"
		  . "[scripts]\necho = $dir/echo.sh\nfail = $dir/fail.sh\nslow = $dir/slow.sh\n");
	return "$dir/$name";
}

sub start_agent
{
	my ($config) = @_;
	my ($out) = ('');
	return IPC::Run::start([ $python, $agent, $config ], '>', "$dir/log", '2>', "$dir/log.err");
}

sub job { return $node->safe_psql('postgres', 'SELECT ' . $_[0] . ' FROM idflow.job ORDER BY id DESC LIMIT 1'); }

$node->safe_psql('postgres', "INSERT INTO thing VALUES (1, 'echo')");
my $one = start_agent(config('one', 2));
ok($node->poll_query_until('postgres', "SELECT state = 'done' FROM idflow.job"), 'a script runs');
is(job(q{result -> 'got' ->> 'operation'}), 'INSERT', 'it had the payload, and its output is the result');
like(job('taken_by'), qr{^agent/.+:\d+$}, 'the agent has a name');

$node->safe_psql('postgres', "INSERT INTO thing VALUES (2, 'fail')");
ok($node->poll_query_until('postgres', "SELECT error LIKE '%no such host%' FROM idflow.job ORDER BY id DESC LIMIT 1"), 'one that fails says why');
is(job('state'), 'queued', 'and is tried again later');
$node->safe_psql('postgres', "INSERT INTO thing VALUES (3, 'evil')");
ok($node->poll_query_until('postgres', "SELECT error LIKE '%not on the list%' FROM idflow.job ORDER BY id DESC LIMIT 1"), 'what is not on the list is not run');
$node->safe_psql('postgres', "INSERT INTO thing VALUES (4, 'slow')");
ok($node->poll_query_until('postgres', "SELECT error LIKE 'took longer%' FROM idflow.job ORDER BY id DESC LIMIT 1"), 'one that takes too long is ended');

# stopped in the middle of a job, it gives it back
$one->signal('TERM');
$one->finish;
my $two = start_agent(config('two', 60));
$node->safe_psql('postgres', "UPDATE idflow.job SET run_after = now() WHERE id = (SELECT max(id) FROM idflow.job)");
ok($node->poll_query_until('postgres', "SELECT state = 'running' FROM idflow.job ORDER BY id DESC LIMIT 1"), 'a job runs');
sleep 0.3;
$two->signal('TERM');
$two->finish;
is(job('state || error'), 'queuedthe agent was stopped', 'a stopped agent gives its job back');

# killed, it can't; the lease runs out, and another does it once more
$node->safe_psql('postgres', "DELETE FROM idflow.job");
unlink $ran;
$node->safe_psql('postgres', "INSERT INTO thing VALUES (5, 'slow')");
my $three = start_agent(config('three', 60));
ok($node->poll_query_until('postgres', "SELECT state = 'running' FROM idflow.job"), 'a job runs');
sleep 0.3;
$three->kill_kill(grace => 0);
$node->safe_psql('postgres', "UPDATE idflow.job SET leased_until = now() - interval '1 s', script = 'echo'");
my $four = start_agent(config('four', 5));
ok($node->poll_query_until('postgres', "SELECT state = 'done' FROM idflow.job"), 'another agent takes over from one that was killed');
is(job('attempts'), '2', 'as the second attempt');
is(scalar(split /\n/, slurp_file($ran)), 2, 'each ran it once');

# two agents, fifty jobs
my $five = start_agent(config('five', 5));
unlink $ran;
$node->safe_psql('postgres', "INSERT INTO thing SELECT g, 'echo' FROM generate_series(100, 149) g");
ok($node->poll_query_until('postgres', "SELECT count(*) = 51 FROM idflow.job WHERE state = 'done'"), 'two agents do fifty jobs');
is(scalar(split /\n/, slurp_file($ran)), 50, 'each of them once');
$_->signal('TERM') for $four, $five;
$_->finish for $four, $five;
$node->stop;
done_testing();
