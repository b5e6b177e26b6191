# Databases that are not UTF-8, and a row of 100 MB: whatever the encoding has
# goes through drafts, reviews and applies unchanged, as data and as names.
use strict;
use warnings;
use utf8;

use Encode;
use IdflowTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nlog_statement = none\nlog_min_error_statement = panic\n");
$node->start;
application_role($node);

sub sql
{
	my ($db, $sql) = @_;
	return decode_utf8($node->safe_psql($db, encode_utf8($sql)));
}

sub act
{
	my ($db, $actor, $sql) = @_;
	return decode_utf8(as_actor($node, $db, encode_utf8($actor), encode_utf8($sql)));
}

my %encodings = (
	LATIN1 => {
		characters => join('', map { chr } 0xa1 .. 0xff),
		escaped => '\u00e9\u00df',
		words => [ 'Straße', 'Größe', 'été', 'Ünal', 'Ñandú' ] },
	EUC_JP => {
		# JIS X 0208, half-width katakana, JIS X 0212 in three bytes
		characters => '日本語表示能力ソ' . join('', map { chr } 0x3041 .. 0x3093, 0x30a1 .. 0x30f6, 0xff61 .. 0xff9f) . '丂丄丅',
		escaped => '\u65e5\u672c',
		words => [ '従業員', '氏名', '承認', '山田', '花子' ] });

foreach my $encoding (sort keys %encodings)
{
	my $db = lc $encoding;
	my ($table, $column, $profile, $requester, $approver) = @{ $encodings{$encoding}->{words} };
	my $characters = $encodings{$encoding}->{characters};
	my $escaped = $encodings{$encoding}->{escaped};

	sql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	sql('postgres', "ALTER DATABASE $db SET session_preload_libraries = 'idflow'");
	sql($db, qq{
		CREATE EXTENSION idflow;
		CREATE SCHEMA hr;
		CREATE TYPE hr."$column" AS ENUM ('$table', '$profile');
		CREATE TABLE hr."$table" (id int PRIMARY KEY, "$column" text UNIQUE, e hr."$column", a text[], j json, jb jsonb, x xml, c char(300));
		CREATE TABLE hr.twin (LIKE hr."$table" INCLUDING ALL);
		GRANT USAGE ON SCHEMA hr TO hr_app;
		GRANT SELECT, INSERT, UPDATE, DELETE ON hr."$table", hr.twin TO hr_app;
		INSERT INTO idflow.profile_member VALUES ('$profile', '$approver');
		SELECT idflow.deploy('<Workflow Identifier="$table" DisplayName_L1="$table" Title="SQL:''$profile '' || new.&quot;$column&quot;"
				Subject="XPath://*[\@name=''$column'']/*/*">
			<Activity Identifier="Ask" DisplayName_L1="$profile" Template="Action"/>
			<Activity Identifier="Review" DisplayName_L1="$column" Template="Review" IfExpression="XPath://*[\@name=''$column'']/*/* != ''$approver''"><Actor Profile="$profile"/></Activity>
			<Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/></Workflow>');
		SELECT idflow.attach('$table', 'hr."$table"', '{INSERT,UPDATE,DELETE}');});
	is(sql($db, 'SHOW server_encoding'), $encoding, "$encoding: the database's");

	my $row = qq{(1, '$characters', '$profile', ARRAY['$characters', '"$characters', NULL], '["$escaped", "$characters"]', '["$escaped", "$characters"]',
		'<$table $column="$characters">$characters</$table>', '$characters')};
	act($db, $requester, qq{INSERT INTO hr."$table" VALUES $row; INSERT INTO hr.twin VALUES $row;});
	is(act($db, $approver, q{SELECT title, subject, requester, workflow, target FROM idflow.inbox}),
		"$profile $characters|$characters|$requester|$table|hr.\"$table\"", "$encoding: the inbox");
	is(act($db, $approver, qq{SELECT new_row->>'$column', new_row->>'e' FROM idflow.change}), "$characters|$profile", "$encoding: the draft");
	is(act($db, $approver, qq{SELECT idflow.approve(task, '$characters') FROM idflow.inbox}), 'committed', "$encoding: approved");
	is(sql($db, qq{SELECT g.* *= t.* FROM hr."$table" g, hr.twin t}), 't', "$encoding: the row is the same to the bit");
	is(sql($db, qq{SELECT comment FROM idflow.event WHERE comment IS NOT NULL}), $characters, "$encoding: the comment");

	act($db, $requester, qq{UPDATE hr."$table" SET "$column" = reverse("$column"), a = ARRAY[reverse("$column")];
		UPDATE hr.twin SET "$column" = reverse("$column"), a = ARRAY[reverse("$column")];});
	is(act($db, $approver, qq{SELECT base = '$characters', draft = reverse(base) FROM idflow.change_diff JOIN idflow.inbox USING (request) WHERE column_name = '$column'}),
		't|t', "$encoding: the difference");
	is(act($db, $approver, qq{SELECT idflow.approve(task) FROM idflow.inbox}), 'committed', "$encoding: the update is approved");
	is(sql($db, qq{SELECT g.* *= t.* FROM hr."$table" g, hr.twin t}), 't', "$encoding: and is the same");
	is(sql($db, qq{SELECT version FROM idflow.deploy(idflow.export('$table'))}), 1, "$encoding: the definition, exported and deployed again, is the same");
}

# 100 MB in one value
sql('postgres', 'CREATE DATABASE large');
sql('large', q{
	CREATE EXTENSION idflow;
	CREATE SCHEMA hr;
	CREATE TABLE hr.large (id int PRIMARY KEY, v text);
	ALTER TABLE hr.large ALTER v SET STORAGE EXTERNAL;
	GRANT USAGE ON SCHEMA hr TO hr_app;
	GRANT SELECT, INSERT ON hr.large TO hr_app;
	INSERT INTO idflow.profile_member VALUES ('archive', 'mia');
	SELECT idflow.require_approval('hr.large', profile => 'archive');});
as_actor($node, 'large', 'anna', q{INSERT INTO hr.large VALUES (1, repeat('0123456789', 10 * 1024 * 1024))});
is(as_actor($node, 'large', 'mia', q{SELECT length(draft) FROM idflow.change_diff WHERE column_name = 'v'}), 10 * 1024 * 1024 * 10, '100 MB are shown');
is(approve_all_open($node, 'large'), 'committed', '100 MB are approved');
is(sql('large', q{SELECT length(v) FROM hr.large}), 10 * 1024 * 1024 * 10, '100 MB are written');

$node->stop;
done_testing();
