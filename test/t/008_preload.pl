# Sessions that preload the library by the database's setting, without a
# restart: drafted rows are counted and returned from the first statement on,
# also where the client speaks the extended protocol and fetches in portions,
# under every isolation level, beside other libraries that look at statements.
use strict;
use warnings;

use IdflowTest;
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $shared = join ', ', grep { -f "$_" || library_exists($_) } qw(pg_stat_statements auto_explain);
$node->append_conf('postgresql.conf', qq{
log_statement = none
shared_preload_libraries = '$shared'
});
$node->start;
application_role($node);
gated_table($node, 'postgres');

sub library_exists
{
	my ($name) = @_;
	chomp(my $dir = `pg_config --pkglibdir`);
	return -f "$dir/$name.so";
}

sub app
{
	my ($sql, $more) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "SET idflow.actor = 'anna'; SET idflow.notice = off;\n$sql",
		extra_params => [ '-U', 'hr_app' ], on_error_stop => 0, ($more ? %$more : ()));
	return wantarray ? ($out, $err) : $out;
}

# psql -q tells no command tags: let it
sub tags
{
	my ($sql) = @_;
	my ($out, $err) = app("\\set QUIET off\n$sql");
	return join ' | ', grep { !/^SET$/ } split /\n/, $out;
}

# ------------------------------------------------------- without, and then with
is(tags("INSERT INTO hr.person (login, full_name) VALUES ('a', 'A') RETURNING login;"), 'INSERT 0 0',
	'the statement that loads the library tells nothing of its draft');
is($node->safe_psql('postgres', "SELECT state FROM idflow.health() WHERE subject = 'preload'"), 'info', 'health() says so');
$node->safe_psql('postgres', "ALTER DATABASE postgres SET session_preload_libraries = 'idflow'");
is(tags("INSERT INTO hr.person (login, full_name) VALUES ('b', 'B') RETURNING login;"), 'b | INSERT 0 1',
	'a new session does, in its first statement');
is($node->safe_psql('postgres', "SELECT string_agg(state, ' ' ORDER BY subject) FROM idflow.health() WHERE subject IN ('preload', 'count_drafts')"),
	'ok ok', 'health() says that, too');
unlike(($node->psql('postgres', "SELECT idflow.require_approval('hr.person', profile => 'hr_manager', operations => '{INSERT,UPDATE,DELETE}')"))[2],
	qr/preload/, 'attach() has nothing to say');
is(tags("UPDATE hr.person SET department = 'it' WHERE login IN ('root', 'leaf') RETURNING department; DELETE FROM hr.person;"),
	'it | it | UPDATE 2 | DELETE 2', 'UPDATE and DELETE');

# a key that is given out is the one that is committed
my $id = app("INSERT INTO hr.person (login, full_name) VALUES ('key', 'K') RETURNING id;");
as_actor($node, 'postgres', 'mia', "SELECT idflow.approve(task) FROM idflow.inbox WHERE title LIKE '%' AND request = (SELECT request FROM idflow.change WHERE new_row ->> 'login' = 'key');");
is($node->safe_psql('postgres', "SELECT id FROM hr.person WHERE login = 'key'"), $id, 'the id that was returned is committed');

# COPY has no ModifyTable: it counts what it writes
is(tags("COPY hr.person (login, full_name) FROM stdin;\nc1\tC\nc2\tC\n\\.\n"), 'COPY 0', 'COPY counts written rows only');

# a database without the extension, in a session that has the library
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->safe_psql('postgres', "ALTER DATABASE plain SET session_preload_libraries = 'idflow'");
is($node->safe_psql('plain', q{
	CREATE TABLE t (i int);
	CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
	INSERT INTO t VALUES (1), (2) RETURNING i;}), "1\n2", 'the library does no harm where there is no extension');
is($node->safe_psql('plain', q{
	CREATE EXTENSION idflow;
	INSERT INTO t VALUES (3) RETURNING i;
	DROP EXTENSION idflow CASCADE;
	INSERT INTO t VALUES (4) RETURNING i;}), "3\n4", 'nor where the extension comes and goes');

# --------------------------------------------------------------- isolation levels
for my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	(my $login = lc $level) =~ s/\W//g;
	is(tags(qq{
		BEGIN ISOLATION LEVEL $level;
		SELECT count(*) FROM hr.person WHERE login LIKE '$login%';
		INSERT INTO hr.person (login, full_name) VALUES ('$login 1', 'X'), ('$login 2', 'X') RETURNING login;
		UPDATE hr.person SET full_name = '$login' WHERE login = 'root' RETURNING full_name;
		COMMIT;}),
		"BEGIN | 0 | $login 1 | $login 2 | INSERT 0 2 | $login | UPDATE 1 | COMMIT", $level);
}

# ---------------------------------------------------------------------------- JIT
is(tags(q{
	SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;
	WITH u AS (UPDATE hr.person p SET department = p.login || v.x FROM (VALUES (1), (2)) v(x) WHERE v.x = 1 RETURNING p.department, v.x + 1 AS y)
	SELECT string_agg(department || y, ' ' ORDER BY department) FROM u;}), 'key12 leaf12 root12', 'compiled expressions');

# ----------------------------------------------------------------- other libraries
SKIP:
{
	skip 'this server has no pg_stat_statements', 2 unless $shared =~ /pg_stat_statements/;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()');
	app(q{
		INSERT INTO hr.person (login, full_name) VALUES ('s1', 'S'), ('s2', 'S'), ('s3', 'S') RETURNING id;
		WITH w AS (INSERT INTO hr.person (login, full_name) VALUES ('s4', 'S')) UPDATE hr.person SET department = 'stat' WHERE login IN ('root', 'leaf');});
	is($node->safe_psql('postgres', q{SELECT calls, rows FROM pg_stat_statements WHERE query LIKE 'INSERT INTO hr.person (login%'}),
		'1|3', 'pg_stat_statements counts drafted rows');
	is($node->safe_psql('postgres', q{SELECT calls, rows FROM pg_stat_statements WHERE query LIKE 'WITH w AS (INSERT%'}),
		'1|2', 'and those of the outer statement only');
}
SKIP:
{
	skip 'this server has no auto_explain', 2 unless $shared =~ /auto_explain/;
	my $from = -s $node->logfile;
	$node->safe_psql('postgres', q{
		SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SET auto_explain.log_triggers = on;
		SET idflow.actor = 'anna'; SET idflow.notice = off;
		INSERT INTO hr.person (login, full_name) VALUES ('auto 1', 'A'), ('auto 2', 'A') RETURNING login;});
	my $log = slurp_file($node->logfile, $from);
	like($log, qr/Insert on person .*rows=2(?:\.00)? loops=1/, 'auto_explain shows the rows that were returned');
	like($log, qr/Trigger !idflow_100_person_approval_insert: .*calls=2/, 'and the gate');
}

# --------------------------------------------------------------- extended protocol
# Enough of the protocol to fetch a RETURNING in portions.
sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', length($body) + 4) . $body;
}

sub answers
{
	my ($socket, $until) = @_;
	my @answers;
	while (1)
	{
		my $head = '';
		while (length $head < 5)
		{
			my $n = sysread($socket, $head, 5 - length $head, length $head);
			die 'the server has closed the connection' unless $n;
		}
		my ($type, $length) = unpack('a N', $head);
		my $body = '';
		while (length $body < $length - 4)
		{
			die 'the server has closed the connection' unless sysread($socket, $body, $length - 4 - length $body, length $body);
		}
		push @answers, [ $type, $body ];
		return @answers if $type eq $until;
		return @answers if $type eq 'E' && $until ne 'Z';
	}
}

# what a client makes of it: rows, portal suspended (s), command complete
sub told
{
	return join ' | ', map {
		my ($type, $body) = @$_;
		$type eq 'D' ? substr($body, 6) : $type eq 's' ? 'suspended' : $type eq 'C' ? $body =~ s/\0//r : $type eq 'E' ? "error $body" : ()
	} grep { $_->[0] =~ /[DsCE]/ } @_;
}

my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "no connection: $!";
my $startup = pack('N', 196608) . "user\0hr_app\0database\0postgres\0\0";
syswrite $socket, pack('N', length($startup) + 4) . $startup;
answers($socket, 'Z');
syswrite $socket, message('Q', "BEGIN; SET LOCAL idflow.actor = 'anna'; SET LOCAL idflow.notice = off;\0");
answers($socket, 'Z');
my $insert = "INSERT INTO hr.person (login, full_name) SELECT 'x' || g, 'X' FROM generate_series(1, 5) g RETURNING login";
syswrite $socket, message('P', "s1\0$insert\0" . pack('n', 0)) . message('B', "p1\0s1\0" . pack('nnn', 0, 0, 0)) .
	message('E', "p1\0" . pack('N', 2)) . message('E', "p1\0" . pack('N', 2)) . message('E', "p1\0" . pack('N', 0)) . message('S', '');
# PostgreSQL's own count is that of the last portion
is(told(answers($socket, 'Z')), 'x1 | x2 | suspended | x3 | x4 | suspended | x5 | INSERT 0 1', 'a portal is fetched in portions');
syswrite $socket, message('B', "p2\0s1\0" . pack('nnn', 0, 0, 0)) . message('E', "p2\0" . pack('N', 1)) . message('C', "Pp2\0") . message('S', '');
like(told(answers($socket, 'Z')), qr/error .*23505/, 'the same keys again are refused');
syswrite $socket, message('Q', "ROLLBACK; BEGIN; SET LOCAL idflow.actor = 'anna'; SET LOCAL idflow.notice = off;\0");
answers($socket, 'Z');
syswrite $socket, message('B', "p3\0s1\0" . pack('nnn', 0, 0, 0)) . message('E', "p3\0" . pack('N', 1)) . message('C', "Pp3\0") . message('S', '');
is(told(answers($socket, 'Z')), 'x1 | suspended', 'one row is enough for the client');
syswrite $socket, message('Q', "COMMIT\0");
answers($socket, 'Z');
syswrite $socket, message('X', '');
is($node->safe_psql('postgres', "SELECT count(*) FROM idflow.change WHERE new_row ->> 'login' LIKE 'x_'"), 5,
	'the statement has drafted all of its rows all the same');

$node->stop;
done_testing();
