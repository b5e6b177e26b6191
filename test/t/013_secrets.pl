# What a workflow hides is not in the server's log either: neither by drafts,
# decisions and reports, nor by the errors that they end in.  Values come as
# bound parameters, since a statement's own text is its client's matter.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_min_messages = debug1\nlog_error_verbosity = verbose\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION idflow;
	CREATE TABLE public.account (id int PRIMARY KEY, hash text UNIQUE CHECK (hash NOT LIKE '%bad%'), owner text NOT NULL, number int, parent text REFERENCES account (hash));
	CREATE TABLE public.secret (id int PRIMARY KEY, value text);
	INSERT INTO secret VALUES (1, 's3' || 'cret-one'), (2, 's3' || 'cret-bad'), (3, 's3' || 'cret-two');
	SELECT idflow.deploy($$<Workflow Identifier="Account" DisplayName_L1="An account">
	<Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="boss"/></Activity>
	<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
	<Column Name="hash" Show="No"/><Column Name="parent" Show="Masked"/></Workflow>$$);
	SELECT idflow.attach('Account', 'account', '{INSERT,UPDATE,DELETE}');});

# the values come from a table, so that no statement has them
sub write_as { my ($sql) = @_; return $node->psql('postgres', "SET idflow.actor = 'app'; $sql"); }
sub decide { return $node->psql('postgres', "SET idflow.actor = 'boss'; SELECT idflow.approve(task) FROM idflow.inbox"); }

my ($rc, $out, $err);
is((write_as(q{INSERT INTO account SELECT 1, value, 'o' FROM secret WHERE id = 1}))[0], 0, 'drafted');
for my $case ([ 'CHECK', q{INSERT INTO account SELECT 2, value, 'o' FROM secret WHERE id = 2} ],
	[ 'unique', q{INSERT INTO account SELECT 2, value, 'o' FROM secret WHERE id = 1} ],
	[ 'NOT NULL', q{INSERT INTO account SELECT 2, value, NULL FROM secret WHERE id = 3} ],
	[ 'foreign key', q{INSERT INTO account SELECT 2, NULL, 'o', 1, value FROM secret WHERE id = 3} ])
{
	($rc, $out, $err) = write_as($case->[1]);
	isnt($rc, 0, "$case->[0] refuses a draft");
	unlike($err, qr/s3cret/, "$case->[0]: the error does not show it");
}
# a constraint that fails at the apply
$node->safe_psql('postgres', q{SET session_replication_role = replica; INSERT INTO account SELECT 9, value, 'x' FROM secret WHERE id = 1});
($rc, $out, $err) = decide();
isnt($rc, 0, 'the apply fails');
like($err, qr/unique constraint/, 'and says why');
unlike($err, qr/s3cret/, 'not what');
$node->safe_psql('postgres', q{SET session_replication_role = replica; DELETE FROM account WHERE id = 9});
is((decide())[0], 0, 'approved');
# a conflict, and a trigger that alters the value
write_as(q{UPDATE account SET hash = (SELECT value FROM secret WHERE id = 3) WHERE id = 1});
$node->safe_psql('postgres', q{SET session_replication_role = replica; UPDATE account SET hash = 's3' || 'cret-live' WHERE id = 1});
($rc, $out, $err) = decide();
is($out, 'conflict', 'a conflict');
$node->safe_psql('postgres', q{
	SELECT idflow.withdraw(id) FROM idflow.request WHERE state = 'conflict';
	CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.hash := new.hash || 'x'; RETURN new; END$$;
	CREATE TRIGGER change BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION change();});
write_as(q{UPDATE account SET hash = (SELECT value FROM secret WHERE id = 3) WHERE id = 1});
($rc, $out, $err) = decide();
like($err, qr/alters column/, 'a trigger alters it');
unlike($err, qr/s3cret/, 'and what it makes of it is not shown');
# the reports
for my $report ('idflow.change', 'idflow.change_diff', 'idflow.event', 'idflow.inbox', 'idflow.drafts(NULL::account)')
{
	unlike($node->safe_psql('postgres', "SET idflow.actor = 'boss'; SELECT x::text FROM $report x"), qr/s3cret/, $report);
}
$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/s3cret/, 'the log has nothing of it');
like($log, qr/23505/, 'though it has the errors');
done_testing();
