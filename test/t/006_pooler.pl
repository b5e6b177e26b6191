# A transaction pooler: application users take turns on one connection of one
# database role.  Nothing of one transaction reaches the next.
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

# Each step is a transaction of one connection; its output is compared.
my @steps;
sub step { my ($name, $sql, $expected) = @_; push @steps, [ $name, $sql, $expected ]; return; }
sub as { my ($actor, $sql) = @_; return "BEGIN;\nSET LOCAL idflow.actor = '$actor';\n$sql\nCOMMIT;"; }

step('before anybody came the role itself acts', 'SELECT idflow.actor();', 'hr_app');
step('anna asks', as('anna', q{
	SELECT idflow.actor();
	INSERT INTO hr.person (login, full_name) VALUES ('one', 'One');
	SELECT idflow.last_request();}), "anna\n1");
step('after her transaction she is gone', 'SELECT idflow.actor();', 'hr_app');
step('her request is not the next actor\'s last one', as('bob', 'SELECT idflow.last_request() IS NULL;'), 't');
step('nor of the role', 'SELECT idflow.last_request() IS NULL;', 't');
step('but it is hers, later in the session', as('anna', 'SELECT idflow.last_request();'), '1');
step('bob sees nothing of it', as('bob', q{
	SELECT count(*) FROM idflow.request;
	SELECT count(*) FROM idflow.change;
	SELECT count(*) FROM idflow.event;
	SELECT count(*) FROM idflow.inbox;}), "0\n0\n0\n0");
step('anna sees it, but has nothing to decide', as('anna', q{
	SELECT count(*) FROM idflow.request;
	SELECT count(*) FROM idflow.inbox;}), "1\n0");
step('mia decides', as('mia', q{
	SELECT idflow.approve(task, 'fine') FROM idflow.inbox;}), 'committed');
step('a rolled back transaction leaves no actor and no request', q{
	BEGIN;
	SET LOCAL idflow.actor = 'anna';
	INSERT INTO hr.person (login, full_name) VALUES ('undone', 'Undone');
	ROLLBACK;
	SELECT idflow.actor(), idflow.last_request() IS NULL;}, 'hr_app|t');
step('anna\'s last request is again the one that exists', as('anna', 'SELECT idflow.last_request();'), '1');
step('an actor set within a savepoint goes with it', q{
	BEGIN;
	SET LOCAL idflow.actor = 'anna';
	SAVEPOINT s;
	SET LOCAL idflow.actor = 'bob';
	SELECT idflow.actor();
	ROLLBACK TO s;
	SELECT idflow.actor();
	COMMIT;}, "bob\nanna");
step('a request opened by hand', as('anna', q{
	SELECT idflow.begin_request('two rows') > 0;
	INSERT INTO hr.person (login, full_name) VALUES ('two', 'Two');}), 't');
step('does not collect what the next one does', as('bob', q{
	INSERT INTO hr.person (login, full_name) VALUES ('three', 'Three');
	SELECT count(*), min(requester) FROM idflow.request;}), '1|bob');
step('nor what she does herself without resuming it', as('anna', q{
	INSERT INTO hr.person (login, full_name) VALUES ('four', 'Four');
	SELECT string_agg(state || ':' || n, ',' ORDER BY id)
	FROM (SELECT q.id, q.state, count(c.request) AS n FROM idflow.request q LEFT JOIN idflow.change c ON c.request = q.id
	      WHERE q.state <> 'committed' GROUP BY 1, 2) x;}), 'draft:1,open:1');
step('resumed it goes on', as('anna', q{
	SELECT id AS request FROM idflow.request WHERE state = 'draft' \gset
	SELECT idflow.resume_request(:request);
	INSERT INTO hr.person (login, full_name) VALUES ('five', 'Five');
	SELECT idflow.submit(:request);
	SELECT count(*) FROM idflow.change WHERE request = :request;}), "\nopen\n2");

# A pooler's clients prepare statements; plans outlive the actor.
step('statements are prepared', q{
	PREPARE ask(text) AS INSERT INTO hr.person (login, full_name) VALUES ($1, initcap($1));
	PREPARE mine AS SELECT count(*) FROM idflow.request WHERE requester = idflow.actor();
	PREPARE seen AS SELECT count(*) FROM idflow.request;
	PREPARE todo AS SELECT count(*) FROM idflow.inbox;}, '');
for my $round (1 .. 8)
{
	step("round $round: carl asks", as('carl', "EXECUTE ask('carl$round'); EXECUTE mine; EXECUTE seen; EXECUTE todo;"), "$round\n$round\n0");
	step("round $round: dora asks", as('dora', "EXECUTE ask('dora$round'); EXECUTE mine; EXECUTE seen; EXECUTE todo;"), "$round\n$round\n0");
	# three of before, and two of each round
	step("round $round: max looks", as('max', 'EXECUTE todo;'), 3 + 2 * $round);
}
step('each request is of who made it', as('max', q{
	SELECT requester, count(*) FROM idflow.request WHERE requester IN ('carl', 'dora') GROUP BY 1 ORDER BY 1;}), "carl|8\ndora|8");

# A client that sets the actor for the session is cleaned up after.
step('an actor of the session', "SET idflow.actor = 'eve'; SELECT idflow.actor();", 'eve');
step('DISCARD ALL forgets it', 'DISCARD ALL; SELECT idflow.actor(), idflow.last_request() IS NULL;', 'hr_app|t');
step('and the gate still holds', as('anna', q{
	INSERT INTO hr.person (login, full_name) VALUES ('six', 'Six');
	SELECT count(*) FROM hr.person WHERE login = 'six';}), '0');

$node->safe_psql('postgres', 'ALTER ROLE hr_app SET idflow.notice = off');
my $script = join '', map { "\\echo @@\n$_->[1]\n" } @steps;
my ($status, $out, $err) = $node->psql('postgres', $script, extra_params => [ '-U', 'hr_app' ], on_error_stop => 0);
is($err, '', 'no step raised an error');
my (undef, @answers) = split /^\@\@\n?/m, $out . "\n";
for my $i (0 .. $#steps)
{
	my $answer = $answers[$i] // '(nothing)';
	$answer =~ s/\n\z//;
	is($answer, $steps[$i][2], $steps[$i][0]);
}

# Who may not set the actor can't become somebody by a placeholder either.
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA hr TO stranger; GRANT INSERT ON hr.person TO stranger');
($status, $out, $err) = $node->psql('postgres', q{
	SET idflow.actor = 'mia';
	SELECT idflow.actor();
	SELECT count(*) FROM idflow.inbox;}, extra_params => [ '-U', 'stranger' ], on_error_stop => 0);
unlike($out, qr/mia/, 'a setting made before the library is loaded is no actor');
like($out, qr/^0$/m, 'and has no inbox');

$node->stop;
done_testing();
