# Every SQL block of the documents runs: blocks whose fence says "sql", in
# order, in one database, in one session per document.  A comment before the
# fence, <!-- error: WF007 -->, says that the block's first error must be that.
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
$node->safe_psql('postgres', 'CREATE DATABASE readme');

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

	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $script = "\\set VERBOSITY verbose\n";
	$script .= "\\echo \@\@$_->{line}\n$_->{sql}\n" for @blocks;
	append_to_file("$dir/script.sql", $script . "\\echo \@\@end\n");
	my $output = '';
	# From its standard input, so that psql's two outputs keep their order.
	IPC::Run::run([ 'psql', '-X', '-d', $node->connstr('readme') ], '<', "$dir/script.sql", '>&', \$output);

	my %answer = $output =~ /^\@\@(\d+)\n(.*?)(?=^\@\@)/msg;
	for my $b (@blocks)
	{
		my $answer = $answer{ $b->{line} } // 'not reached';
		my ($error) = $answer =~ /^(?:ERROR|FATAL|PANIC):\s+(\w{5}):/m;
		$error = 'not a command' if !$error && $answer =~ /^(?:not reached|invalid command|psql: error|unterminated|\\\w+: )/m;
		is($error // 'no error', $b->{expected} // 'no error', "$name, line $b->{line}") or diag "$b->{sql}\n$answer";
	}
}

$node->stop;
done_testing();
