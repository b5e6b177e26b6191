# Random tables and random statements of several sessions at once, run twice:
# once with every request approved in order, once without idflow.  Each
# statement has the same outcome, count and returned rows, and the tables are
# the same in the end.
#
# The seed is always the same here, so that a failure is one of the change at
# hand: IDFLOW_PROPERTY_SEED is another, IDFLOW_PROPERTY_STATEMENTS says how many
# statements. tools/property.sh goes through many seeds.
use strict;
use warnings;

use IdflowTest;
use RandomWork;
use Encode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{IDFLOW_PROPERTY_SEED} || 1;
my $statements = $ENV{IDFLOW_PROPERTY_STATEMENTS} || 20_000;
my $sessions = 3;
my $rounds = int($statements / 5000) || 1;
srand($seed);
note("seed $seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nfull_page_writes = off\nmax_locks_per_transaction = 256\nlog_statement = none\nlog_min_error_statement = error\n");
$node->start;
$node->safe_psql('postgres', "CREATE ROLE s$_ LOGIN; GRANT SET ON PARAMETER idflow.actor TO s$_") foreach 0 .. $sessions - 1;
my %extensions = map { $_ => 1 } split ' ',
  $node->safe_psql('postgres', "SELECT string_agg(name, ' ') FROM pg_available_extensions WHERE name IN ('hstore', 'citext', 'ltree')");

# what the plain run says of a statement beside what the gated one says of it
my $differences = 0;
sub differs
{
	my ($number, $sql, $plain, $gated) = @_;
	diag("seed $seed, statement $number: $sql\n  plain: $plain\n  gated: $gated") if ++$differences <= 5;
	return;
}

foreach my $round (1 .. $rounds)
{
	my @families = make_families(12, \%extensions);
	my %text;
	foreach my $db ("plain$round", "gated$round")
	{
		$node->safe_psql('postgres', "CREATE DATABASE $db");
		$node->safe_psql($db, encode_utf8(q{
			CREATE SCHEMA prop;
			CREATE TYPE prop.pair AS (a float8, b text);
			CREATE TYPE prop.mood AS ENUM ('good', 'so so', 'it''s "bad"');
			CREATE DOMAIN prop.word AS text CHECK (VALUE !~ ' ');
			CREATE TABLE prop.audited (target text, operation text, row text);
			CREATE FUNCTION prop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.stamp := md5(NEW.s::text || NEW.k::text || coalesce(NEW.n::text, '')); RETURN NEW; END$$;
			CREATE FUNCTION prop.audit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
				INSERT INTO prop.audited VALUES (TG_TABLE_NAME, TG_OP, md5(coalesce(OLD::text, '') || '/' || coalesce(NEW::text, ''))); RETURN NULL; END$$;
			} . join('', map { "CREATE EXTENSION $_ SCHEMA prop;" } sort keys %extensions) . family_sql(@families) . q{
			GRANT USAGE ON SCHEMA prop TO PUBLIC;
			GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA prop TO PUBLIC;}));
	}
	$node->safe_psql("gated$round", encode_utf8(join(";\n", 'CREATE EXTENSION idflow',
		"ALTER DATABASE gated$round SET session_preload_libraries = 'idflow'",
		map { "SELECT idflow.require_approval('" . ($_->{name} =~ s/'/''/gr) . q{', expression => 'SQL:''boss''', operations => '{INSERT,UPDATE,DELETE}')} }
		  map { @$_ } @families)));

	my @runs;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	foreach my $s (0 .. $sessions - 1)
	{
		my $head = "\\set ON_ERROR_STOP off\n\\pset format unaligned\n\\pset tuples_only on\n\\set VERBOSITY sqlstate\nSET client_min_messages = error;\nSET extra_float_digits = 1;\nSET TimeZone = 'UTC';\n";
		my ($plain, $gated) = ($head, "${head}SET idflow.notice = off;\nSET idflow.actor = 's$s';\n");
		# One session's statements are a request each, whose rows are packed and
		# not looked at before the approval: what fails there would not have
		# ended a transaction.
		my $packs = $s == $sessions - 1;
		$gated .= "SET idflow.bundle = statement;\nSET idflow.check_limit = 1;\n" if $packs;
		my $both = sub { $plain .= $_[0]; $gated .= $_[0]; };
		my $count = 0;
		while ($count < $statements / $rounds / $sessions)
		{
			# units that don't meet; some in one transaction, some of that undone
			my %used;
			my $transaction = !$packs && chance(20);
			$both->("BEGIN;\n") if $transaction;
			foreach my $i (1 .. 1 + int rand 5)
			{
				my $f = int rand @families;
				my $block = int rand BLOCKS;
				next if $used{"$f $block"}++;
				next if $transaction && $families[$f][0]{single};
				my $sql = random_statement($families[$f], $s, $block);
				my $number = "$s." . ++$count;
				$text{$number} = $sql;
				my $undo = $transaction && chance(30);
				$gated .= "SET idflow.title = '$number';\n";
				$both->("SAVEPOINT a;\n") if $undo;
				$both->("\\echo S $number\n$sql;\n\\echo R $number :SQLSTATE :ROW_COUNT\n");
				$both->("ROLLBACK TO a;\n") if $undo;
			}
			$both->((chance(20) ? 'ROLLBACK' : 'COMMIT') . ";\n") if $transaction;
			$gated .= "SET idflow.actor = 'boss';\n"
			  . "SELECT 'A', q.title, a.state, a.sqlstate, a.message FROM idflow.approve_all(ARRAY(SELECT task FROM idflow.inbox WHERE requester = 's$s' ORDER BY task)) a JOIN idflow.request q ON q.id = a.request;\n"
			  . "SET idflow.actor = 's$s';\n"
			  . "SELECT 'W', idflow.withdraw(id) FROM idflow.request WHERE requester = 's$s' AND state IN ('open', 'conflict');\n";
		}
		foreach ([ plain => $plain ], [ gated => $gated ])
		{
			my ($kind, $script) = @$_;
			append_to_file("$dir/$kind$s.sql", encode_utf8($script));
			push @runs, { kind => $kind, session => $s, file => "$dir/$kind$s.sql", db => "$kind$round" };
		}
	}
	foreach my $kind ('plain', 'gated')
	{
		my @mine = grep { $_->{kind} eq $kind } @runs;
		foreach my $run (@mine)
		{
			my @command = ('psql', '-Xq', '-d', $node->connstr($run->{db}), '-U', "s$run->{session}", '-f', $run->{file});
			$run->{handle} = IPC::Run::start(\@command, '>', "$run->{file}.out", '2>', "$run->{file}.err");
		}
		foreach my $run (@mine)
		{
			ok($run->{handle}->finish, "round $round, session $run->{session}, $kind: runs to its end");
			my $now;
			foreach my $line (split /\n/, slurp_file("$run->{file}.out"))
			{
				if ($line =~ /^S (\S+)$/) { $now = $1; }
				elsif ($line =~ /^R (\S+) (\S+) (\d+)$/) { @{ $run->{result}{$1} }{ 'state', 'count' } = ($2, $3); $now = undef; }
				elsif ($line =~ /^A\|([\d.]+)\|(\w+)\|(\w*)\|(.*)$/)
				{
					@{ $run->{result}{$1} }{ 'late', 'message' } = ($3 || $2, $4) if $2 ne 'committed' && !$run->{result}{$1}{late};
					$run->{requests}++;
				}
				elsif (defined $now) { $run->{result}{$now}{rows} .= "$line\n"; }
			}
		}
	}
	my ($refused, $requests) = (0, 0);
	foreach my $s (0 .. $sessions - 1)
	{
		my ($plain, $gated) = map { $_->{result} } sort { $b->{kind} cmp $a->{kind} } grep { $_->{session} == $s } @runs;
		$requests += $_->{requests} // 0 foreach grep { $_->{session} == $s } @runs;
		foreach my $number (sort { substr($a, 2) <=> substr($b, 2) } grep { /^$s\./ } keys %text)
		{
			my ($p, $g) = ($plain->{$number}, $gated->{$number});
			my $state = $g->{state} eq '00000' ? $g->{late} // '00000' : $g->{state};
			$refused++ if $p->{state} ne '00000';
			# A row that violates several constraints, or some of several rows,
			# may fail by another of them; but never by a failing of idflow's.
			if (($p->{state} eq '00000') != ($state eq '00000') || ($state ne $p->{state} && $state =~ /^(XX|WF|40)/))
			{
				differs($number, $text{$number}, $p->{state}, $g->{state} . ($g->{late} ? ", then $g->{late} $g->{message}" : ''));
			}
			elsif ($p->{state} eq '00000' && $p->{count} != $g->{count}) { differs($number, $text{$number}, "$p->{count} rows", "$g->{count} rows"); }
			elsif ($p->{state} eq '00000' && ($p->{rows} // '') ne ($g->{rows} // '')) { differs($number, $text{$number}, $p->{rows} // '', $g->{rows} // ''); }
		}
	}
	is($differences, 0, "round $round: each statement ends as it does without idflow");
	cmp_ok($requests, '>', scalar(keys %text) / 3, "round $round: $requests requests of " . keys(%text) . " statements, $refused of them refused");
	is($node->safe_psql("gated$round", q{SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM idflow.request}), 'aborted committed', "round $round: nothing is left open");

	cmp_ok($node->safe_psql("gated$round", 'SELECT sum(count) FROM idflow.change_data WHERE count > 1'), '>', $statements / $rounds / 100,
		"round $round: rows were packed");

	my $different = 0;
	foreach my $table ('prop.audited', map { $_->{name} } map { @$_ } @families)
	{
		my ($p, $g) = map { $node->safe_psql("$_$round", encode_utf8(qq{SET extra_float_digits = 1; SELECT t::text FROM $table t ORDER BY t::text COLLATE "C"})) } ('plain', 'gated');
		next if $p eq $g;
		my %in_plain = map { $_ => 1 } split /\n/, $p;
		my %in_gated = map { $_ => 1 } split /\n/, $g;
		diag("seed $seed, $table differs\n  plain only: " . join("\n    ", (grep { !$in_gated{$_} } keys %in_plain)[ 0 .. 2 ])
			. "\n  gated only: " . join("\n    ", (grep { !$in_plain{$_} } keys %in_gated)[ 0 .. 2 ])) if ++$different <= 3;
	}
	is($different, 0, "round $round: the tables are the same");
	$node->safe_psql('postgres', "DROP DATABASE $_$round") foreach 'plain', 'gated';
	last if $differences || $different;
}

$node->stop;
done_testing();
