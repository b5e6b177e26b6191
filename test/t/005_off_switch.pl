# Switching gates off: with idflow.disable(), and with nothing but the catalog
# when the library's file is gone.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
application_role($node);
gated_table($node, 'postgres');

my ($libdir) = $node->config_data('--pkglibdir');
my $library = "$libdir/idflow.so";
plan skip_all => "the library's folder can't be written: this test needs a copy of the server" unless -w $libdir && -f $library;

sub insert
{
	my ($login) = @_;
	return as_actor($node, 'postgres', 'anna', "INSERT INTO hr.person (login, full_name) VALUES ('$login', 'Somebody')");
}

sub there
{
	my ($login) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM hr.person WHERE login = '$login'");
}

# ------------------------------------------------------------ with the library

insert('drafted');
is(there('drafted'), '0', 'the gate holds');
as_actor_fails($node, 'postgres', 'anna', q{SELECT idflow.disable('because I can')}, qr/ERROR:\s+(42501|WF)/, 'an application may not disable it');
$node->safe_psql('postgres', q{SELECT idflow.disable('the reviewers are on strike')});
is($node->safe_psql('postgres', 'SELECT count(*) FILTER (WHERE enabled) FROM idflow.gate'), '0', 'disable() switches all gates off');
insert('direct');
is(there('direct'), '1', 'then a row is written at once');
like($node->safe_psql('postgres', 'SELECT state, detail FROM idflow.health()'), qr/strike/, 'health() tells that, and why');
$node->safe_psql('postgres', 'SELECT idflow.enable()');
insert('drafted_again');
is(there('drafted_again'), '0', 'enable() switches them on again');

# ------------------------------------------------------------ and without

$node->safe_psql('postgres', q{SELECT idflow.create_preview('hr.person')});
rename($library, "$library.away") or die "$library: $!";
my ($status, $out, $err) =
  $node->psql('postgres', q{INSERT INTO hr.person (login, full_name) VALUES ('lost', 'Somebody')});
isnt($status, 0, 'with the library gone a gated statement fails');
like($err, qr/could not access file|could not load library/, 'and says that the library is missing');
is(there('lost'), '0', 'no row slipped past the gate');

# This is the README's off-switch: it names nothing but the catalog.
my @off = split /\n/, $node->safe_psql('postgres', q{
	SELECT format('ALTER EVENT TRIGGER %I DISABLE', evtname)
	FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
	WHERE p.pronamespace = 'idflow'::regnamespace;
	SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname)
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
	WHERE p.pronamespace = 'idflow'::regnamespace AND c.relnamespace <> 'idflow'::regnamespace AND c.relkind <> 'v' AND t.tgparentid = 0;});
cmp_ok(scalar(@off), '>', 1, 'the catalog says what to switch off');
for my $statement (@off)
{
	($status, $out, $err) = $node->psql('postgres', $statement);
	is($status, 0, "without the library: $statement") or diag $err;
}
$node->safe_psql('postgres', q{INSERT INTO hr.person (login, full_name) VALUES ('emergency', 'Somebody')});
is(there('emergency'), '1', 'now the table works without idflow');
is($node->safe_psql('postgres', q{SELECT count(*) FROM idflow.event WHERE request = 1} ) > 0 ? 't' : 'f', 't', 'the history can still be read');

rename("$library.away", $library) or die "$library: $!";
for my $statement (reverse @off)
{
	$node->safe_psql('postgres', $statement =~ s/ DISABLE/ ENABLE/r);
}
insert('after');
is(there('after'), '0', 'with the library back and the triggers enabled the gate holds again');
is(approve_all_open($node, 'postgres'), join("\n", ('committed') x 3), 'and what was drafted before is approved');

$node->stop;
done_testing();
