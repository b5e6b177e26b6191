# Every SQL block of the documents runs: blocks whose fence says "sql", in
# order, in one session and one new database per document.  A block "text"
# right after it is what psql answers.  A comment before the fence,
# <!-- error: WF007 -->, says that the block's first error must be that.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = source_folder();
my @documents = grep { -f } "$top/README.md", sort glob("$top/doc/*.md");
plan skip_all => 'no README.md' unless @documents && $documents[0] =~ /README/;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
# What psql answers to a script from its standard input, so that its two outputs
# keep their order; the answers by the lines that begin with @@.
sub answers
{
	my ($database, $script) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $output = '';
	append_to_file("$dir/script.sql", $script . "\\echo \@\@end\n");
	IPC::Run::run([ 'psql', '-X', '-d', $node->connstr($database) ], '<', "$dir/script.sql", '>&', \$output);
	return $output =~ /^\@\@(\d+)\n(.*?)(?=^\@\@)/msg;
}

# The documents speak of a database of this name.  A first run tells the codes
# of errors, a second one the answers as they are shown.  Roles of the first
# run must be gone before the second.
my %roles;
sub new_database
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS tour WITH (FORCE)');
	my @new = grep { !$roles{$_} } split /\n/, $node->safe_psql('postgres', 'SELECT rolname FROM pg_roles');
	if (%roles)
	{
		$node->safe_psql('postgres', "DROP OWNED BY $_; DROP ROLE $_") for map { qq{"$_"} } grep { !/^idflow_/ } @new;
	}
	else
	{
		%roles = map { $_ => 1 } @new;
	}
	$node->safe_psql('postgres', 'CREATE DATABASE tour');
	return;
}

sub trimmed
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\n+\z/\n/;
	return $text;
}

for my $document (@documents)
{
	my ($name) = $document =~ m{([^/]+)\z};
	my (@blocks, $block, $expected);
	my $number = 0;
	for my $line (split /\n/, slurp_file($document))
	{
		$number++;
		if ($block)
		{
			if ($line =~ /^\s*```\s*$/)
			{
				if ($block->{language} eq 'text' && @blocks && $blocks[-1]{end} >= $block->{line} - 3)
				{
					$blocks[-1]{answer} = $block->{sql};
				}
				$block->{end} = $number;
				push @blocks, $block;
				$block = undef;
			}
			else
			{
				$block->{sql} .= "$line\n";
			}
		}
		elsif ($line =~ /<!--\s*error:\s*(\w{5})\s*-->/)
		{
			$expected = $1;
		}
		elsif ($line =~ /^\s*```\s*(\w*)/)
		{
			# Also a fence of another language must be skipped to its end.
			$block = { line => $number + 1, sql => '', expected => $expected, language => lc $1 };
			$expected = undef;
		}
	}
	@blocks = grep { $_->{language} eq 'sql' } @blocks;
	next unless @blocks || $name eq 'README.md';
	cmp_ok(scalar(@blocks), '>', 0, "$name has SQL blocks");

	my $script = join '', map { "\\echo \@\@$_->{line}\n$_->{sql}\n" } @blocks;
	new_database();
	$node->safe_psql('tour', 'CREATE EXTENSION idflow') unless $script =~ /CREATE EXTENSION idflow/;
	my %answer = answers('tour', "\\set VERBOSITY verbose\n$script");
	new_database();
	$node->safe_psql('tour', 'CREATE EXTENSION idflow') unless $script =~ /CREATE EXTENSION idflow/;
	my %shown = answers('tour', $script);
	for my $b (@blocks)
	{
		my $answer = $answer{ $b->{line} } // 'not reached';
		my ($error) = $answer =~ /^(?:ERROR|FATAL|PANIC):\s+(\w{5}):/m;
		$error = 'not a command' if !$error && $answer =~ /^(?:not reached|invalid command|psql: error|unterminated|\\\w+: )/m;
		is($error // 'no error', $b->{expected} // 'no error', "$name, line $b->{line}") or diag "$b->{sql}\n$answer";
		is(trimmed($shown{ $b->{line} } // 'not reached'), trimmed($b->{answer}), "$name, line $b->{line}: the answer") if defined $b->{answer};
	}
}

$node->stop;
done_testing();
