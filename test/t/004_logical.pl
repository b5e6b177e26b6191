# Logical replication to a subscriber that has the gate too: what was approved
# at the publisher arrives as rows, not as drafts; local changes are drafted.
use strict;
use warnings;

use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;

for my $node ($publisher, $subscriber)
{
	application_role($node);
	gated_table($node, 'postgres');
}
# What the subscriber starts with comes from the publisher.
$subscriber->safe_psql('postgres', 'SET session_replication_role = replica; DELETE FROM hr.person');

$publisher->safe_psql('postgres', 'CREATE PUBLICATION people FOR TABLE hr.person');
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION people CONNECTION '$connstr' PUBLICATION people");
$subscriber->wait_for_subscription_sync($publisher, 'people');

my $people = q{SELECT string_agg(login || '=' || full_name, ',' ORDER BY login) FROM hr.person};
my $requests = 'SELECT count(*) FROM idflow.request';
is($subscriber->safe_psql('postgres', $people), 'leaf=Leo Leaf,root=Ruth Root', 'the first copy passes the gate');

request($publisher, 'postgres', 'newcomer');
as_actor($publisher, 'postgres', 'anna', q{UPDATE hr.person SET full_name = 'Ruth Stem' WHERE login = 'root'});
as_actor($publisher, 'postgres', 'anna', q{DELETE FROM hr.person WHERE login = 'leaf'});
$publisher->wait_for_catchup('people');
is($subscriber->safe_psql('postgres', $people), 'leaf=Leo Leaf,root=Ruth Root', 'drafts are not replicated as rows');

is(approve_all_open($publisher, 'postgres'), join("\n", ('committed') x 3), 'the publisher approves an insert, an update and a delete');
$publisher->wait_for_catchup('people');
is($subscriber->safe_psql('postgres', $people), 'newcomer=Newcomer,root=Ruth Stem', 'all three arrive as rows');
is($subscriber->safe_psql('postgres', $requests), '0', 'and made no request at the subscriber');

as_actor($subscriber, 'postgres', 'anna', q{INSERT INTO hr.person (id, login, full_name) VALUES (1000, 'local', 'Local')});
is($subscriber->safe_psql('postgres', $requests), '1', 'a change made at the subscriber is drafted');
is($subscriber->safe_psql('postgres', $people), 'newcomer=Newcomer,root=Ruth Stem', 'and not written');
is(approve_all_open($subscriber, 'postgres'), 'committed', 'until it is approved there');
is($subscriber->safe_psql('postgres', $people), 'local=Local,newcomer=Newcomer,root=Ruth Stem', 'then it is');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION people');
$subscriber->stop;
$publisher->stop;
done_testing();
