# Random tables, rows and statements for 015_property.pl.
#
# A table belongs to a family: a table alone, or a parent and its child.  The
# keys of a session in a family are cut into blocks, and a statement reads and
# writes one block of one family only.  So statements on different blocks, and
# those of different sessions, have the same outcome in whatever order they are
# applied, and that is what makes the run with approvals comparable.
package RandomWork;

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(chance pick make_families family_sql random_statement BLOCKS);

use constant { BLOCKS => 8, KEYS => 4 };

sub chance { return rand(100) < $_[0]; }
sub pick { return $_[ int rand @_ ]; }
sub quote { my ($s) = @_; $s =~ s/'/''/g; return "'$s'"; }
sub ident { my ($s) = @_; $s =~ s/"/""/g; return qq{"$s"}; }

my @words = ('', ' ', 'a', "it's", '"q"', '\\', "\\N", "line\nbreak", "tab\t", 'NULL', 'null', '{}', '(,)', "\x{e9}\x{2192}\x{1d11e}", '--', '$$', '%s %1$s');
sub word
{
	return pick(@words) if chance(60);
	return join('', map { chr(97 + int rand 26) } 1 .. int rand 12);
}
# incompressible, so that it is moved out of line
sub long { return join('', map { chr(33 + int rand 90) } 1 .. 3000 + int rand 4000); }
sub int_array { return '{' . join(',', map { pick('NULL', -5 + int rand 10) } 1 .. int rand 4) . '}'; }

# A type: its SQL name, a value as SQL, and expressions over a column of it.
# bad is one that fails.
my %types = (
	int4 => { sql => 'int', value => sub { pick(0, 1, -1, 2147483647, -2147483648, int rand 100) }, change => [ '%s + 1', '-%s' ], bad => '1 / 0' },
	int8 => { sql => 'bigint', value => sub { pick(0, '9223372036854775807', int rand 1e9) }, change => [ '%s # 5' ] },
	numeric => { sql => 'numeric', value => sub { quote(pick('NaN', 'Infinity', '-Infinity', '0', '0.00', '-1.50', '1e100', '1e-30', rand())) }, change => [ '%s * 1.10', 'round(%s, 2)' ] },
	numeric_2 => { sql => 'numeric(6,2)', value => sub { quote(pick('NaN', '1.005', '-0.001', '9999.99', 100 * rand())) }, bad => '99999' },
	float8 => { sql => 'float8', value => sub { quote(pick('NaN', '-0', '0.1', '1e-323', '1e308', '-Infinity', rand())) }, change => [ '%s * 3' ], bad => 'sqrt(-1)' },
	float4 => { sql => 'real', value => sub { quote(pick('NaN', '-0', '0.1', '1e-45', rand())) }, change => [ '%s / 3' ] },
	text => { sql => 'text', value => sub { quote(chance(8) ? long() : word()) }, change => [ q{%s || 'x'}, 'upper(%s)', 'substr(%s, 2)', 'repeat(%s, 3)' ] },
	varchar => { sql => 'varchar(12)', value => sub { quote(substr(word(), 0, 12)) }, change => [ 'lower(%s)' ], bad => quote('far too long for it') },
	char => { sql => 'char(5)', value => sub { quote(pick('', 'a', 'a  ', 'abcde')) } },
	bytea => { sql => 'bytea', value => sub { quote('\\x' . join('', map { sprintf '%02x', int rand 256 } 1 .. int rand 9)) }, change => [ q{%s || '\\x00'} ] },
	bool => { sql => 'boolean', value => sub { pick('true', 'false') }, change => [ 'NOT %s' ] },
	json => { sql => 'json', value => sub { quote(pick('null', '{"b" :  1, "a": 2, "b":3}', '[1.0,1.00]', '"\u00e9"', 'true')) }, bad => quote('{"a":') },
	jsonb => { sql => 'jsonb', value => sub { quote(pick('null', '{"b": 1, "a": [1.00, null]}', '[]', '"x"')) }, change => [ q{%s || '{"z": 1}'} ] },
	xml => { sql => 'xml', value => sub { quote(pick('<a>&lt;<!-- c --><b/></a>', 'content', '')) }, bad => quote('<a>') },
	date => { sql => 'date', value => sub { quote(pick('infinity', '-infinity', '4713-01-01 BC', '2026-02-28')) }, change => [ '%s + 1' ], bad => quote('2026-02-30') },
	timestamp => { sql => 'timestamp', value => sub { quote(pick('infinity', '0001-01-01 BC', '2026-03-29 02:30:00.123456')) } },
	timestamptz => { sql => 'timestamptz', value => sub { quote(pick('-infinity', '2026-03-29 02:30:00.1+01', '2026-07-01 12:00')) }, change => [ q{%s + interval '1 mon'} ] },
	timetz => { sql => 'timetz', value => sub { quote(pick('24:00', '00:00-15:59', '12:00:00.000001+05:30')) } },
	interval => { sql => 'interval', value => sub { quote(pick('-1 year 2 mons -3 days 04:05:06.7', '0', '1 day 25:00')) }, change => [ '%s * 2' ] },
	int_array => { sql => 'int[]', value => sub { quote(chance(10) ? '[-1:1]={1,NULL,3}' : int_array()) }, change => [ '%s || 7', '%s[2:]' ] },
	text_array => { sql => 'text[]', value => sub { quote(pick('{}', '{"","NULL",NULL,"a,b","{}","\\\\"}', '{{a,b},{c,d}}')) }, bad => quote('{a') },
	pair => { sql => 'prop.pair', value => sub { 'ROW(' . pick('0.1', quote('NaN'), 'NULL') . ', ' . quote(word()) . ')::prop.pair' } },
	pairs => { sql => 'prop.pair[]', value => sub { pick('ARRAY[ROW(1, NULL)::prop.pair, NULL]', q{'{}'::prop.pair[]}) } },
	mood => { sql => 'prop.mood', value => sub { quote(pick('good', 'so so', q{it's "bad"})) }, bad => quote('none') },
	word => { sql => 'prop.word', value => sub { quote(pick('one', 'two', '')) }, change => [ q{%s || 'z'} ], bad => quote('with space') },
	range => { sql => 'tstzrange', value => sub { quote(pick('empty', '["2026-01-01 00:00+00",infinity)', '(,)')) }, bad => quote('[3,1]') },
	int_range => { sql => 'int4range', value => sub { quote(pick('empty', '[1,5]', '(1,5)')) }, bad => quote('[5,1]') },
	multirange => { sql => 'int4multirange', value => sub { quote(pick('{}', '{[1,3),[5,7)}', '{(,)}')) } },
	bits => { sql => 'varbit', value => sub { pick(q{B''}, q{B'10101'}) } },
	inet => { sql => 'inet', value => sub { quote(pick('::1/64', '10.0.0.1', '10.0.0.1/8')) } },
	uuid => { sql => 'uuid', value => sub { quote(sprintf '%08x-0000-4000-8000-%012x', rand 2**31, rand 2**31) } },
	tsvector => { sql => 'tsvector', value => sub { quote(q{'a b':1A c:2}) } },
	point => { sql => 'point', value => sub { quote(pick('(0.1,-0)', '(NaN,Infinity)')) }, bad => quote('(1,2') },
	money => { sql => 'money', value => sub { quote(pick('1234.56', '-0.01')) } },
	name => { sql => 'name', value => sub { quote(word()) } },
	hstore => { sql => 'prop.hstore', value => sub { quote(pick('', 'a=>1,b=>NULL', '"a b"=>"c\\"d"')) }, extension => 'hstore' },
	citext => { sql => 'prop.citext', value => sub { quote(word()) }, extension => 'citext' },
	ltree => { sql => 'prop.ltree', value => sub { quote(pick('a.b.c', '')) }, extension => 'ltree', bad => quote('a..b') },
);

# those whose values are all accepted, for defaults
my @safe = qw(int4 int8 numeric float8 float4 text bytea bool interval int_array multirange bits inet uuid);

# the types of keys, and the value of a block's n-th key
my %keys = (
	int => sub { $_[0] },
	text => sub { quote("k $_[0]") },
	uuid => sub { quote(sprintf '%08x-0000-4000-8000-000000000000', $_[0]) . '::uuid' },
	numeric => sub { "$_[0].50" },
	date => sub { "(date '2000-01-01' + $_[0])" },
	bytea => sub { quote(sprintf '\\x%04x', $_[0]) . '::bytea' },
);

sub make_table
{
	my ($name, $kind, $extensions) = @_;
	my $t = { name => 'prop.' . ident($name), key => $kind->{key}, columns => [], unique => $kind->{unique}, single => $kind->{single}, partitioned => $kind->{partitioned}, trigger => $kind->{trigger} };
	my @names = grep { !$types{$_}{extension} || $extensions->{ $types{$_}{extension} } } sort keys %types;
	my @sql = ("s int NOT NULL", "b int NOT NULL", "k $t->{key} NOT NULL");
	foreach my $n (1 .. 3 + int rand 6)
	{
		my $type = $types{ pick(@names) };
		my $column = { name => ident(pick("c$n", "C$n", "c $n", "c\"$n")), type => $type };
		$column->{default} = $type->{value}->() if chance(40) && grep { $type == $types{$_} } @safe;
		$column->{null} = chance(75);
		push @{ $t->{columns} }, $column;
		push @sql, "$column->{name} $type->{sql}" . ($column->{null} ? '' : ' NOT NULL');
	}
	push @{ $t->{columns} }, { name => 'n', type => { sql => 'int', value => sub { int rand 4 }, bad => -1, change => [ '%s + 1', '%s - 1' ] }, null => 1 };
	push @sql, 'n int CHECK (n >= 0)';
	push @sql, 'u text' if $t->{unique};
	push @sql, 'g int GENERATED ALWAYS AS (n * 2) STORED' if chance(30);
	push @sql, 'stamp text' if $kind->{trigger};
	push @sql, 'PRIMARY KEY (s, k)';
	push @sql, "UNIQUE (s, u)" . ($kind->{deferrable} ? ' DEFERRABLE' : '') if $t->{unique};
	push @sql, "FOREIGN KEY (s, p) REFERENCES $kind->{parent}{name}" if $kind->{parent};
	splice @sql, 3, 0, "p $kind->{parent}{key}" if $kind->{parent};
	$t->{parent} = $kind->{parent};
	$t->{sql} = "CREATE TABLE $t->{name} (" . join(', ', @sql) . ')';
	if ($kind->{partitioned})
	{
		$t->{sql} .= ' PARTITION BY ' . ($kind->{unique} ? 'HASH (s)' : pick('HASH (k)', 'HASH (s, k)')) . ";\n"
		  . join(";\n", map { "CREATE TABLE prop." . ident("$name part $_") . " PARTITION OF $t->{name} FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2);
	}
	$t->{sql} .= ";\n";
	$t->{sql} .= "ALTER TABLE $t->{name} ALTER $_->{name} SET DEFAULT $_->{default};\n" foreach grep { defined $_->{default} } @{ $t->{columns} };
	$t->{sql} .= "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON $t->{name} FOR EACH ROW EXECUTE FUNCTION prop.stamp();\n" if $kind->{trigger};
	$t->{sql} .= "CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON $t->{name} FOR EACH ROW EXECUTE FUNCTION prop.audit();\n" if $kind->{audit};
	return $t;
}

# One of each shape first, then what chance gives.
sub make_families
{
	my ($count, $extensions) = @_;
	my @families;
	foreach my $f (0 .. $count - 1)
	{
		my %kind = (
			key => pick(sort keys %keys), unique => chance(50), partitioned => $f == 1 || chance(15), trigger => $f == 2 || chance(15),
			audit => $f == 3 || chance(20));
		# what is checked at the end of a statement, or at apply only, is compared row by row
		$kind{deferrable} = $kind{single} = 1 if $kind{unique} && !$kind{partitioned} && chance(20);
		my $name = pick("t$f", "T $f", "t\"$f; --", "\x{e9}$f");
		my @tables = (make_table($name, \%kind, $extensions));
		push @tables, make_table("$name child", { key => pick(sort keys %keys), parent => $tables[0] }, $extensions) if $f == 4 || chance(15);
		$_->{single} ||= @tables > 1 foreach @tables;
		push @families, \@tables;
	}
	return @families;
}

sub family_sql { return join('', map { $_->{sql} } map { @$_ } @_); }

sub key { my ($t, $block, $n) = @_; return $keys{ $t->{key} }->($block * 100 + $n); }
# only what is accepted
our $valid = 0;
sub value
{
	my ($column) = @_;
	return 'NULL' if chance($column->{null} ? 12 : $valid ? 0 : 1);
	return $column->{type}{bad} if $column->{type}{bad} && !$valid && chance(2);
	return $column->{type}{value}->();
}
sub some { my ($t) = @_; my @c = grep { chance(50) } @{ $t->{columns} }; return @c ? @c : (pick(@{ $t->{columns} })); }
sub unique_value { my ($block) = @_; return chance(10) ? 'NULL' : quote("$block-" . int rand 6); }

sub insert
{
	my ($t, $s, $block, @n) = @_;
	my %named = map { $_->{name} => 1 } some($t);
	# what must have a value is rarely forgotten
	my @columns = grep { $named{ $_->{name} } || (!$_->{null} && !defined $_->{default} && ($valid || chance(98))) } @{ $t->{columns} };
	my @rows = map {
		my $n = $_;
		'(' . join(', ', $s, $block, key($t, $block, $n),
			($t->{parent} ? key($t->{parent}, $block, int rand KEYS) : ()),
			($t->{unique} ? unique_value($block) : ()), map { chance(10) && ($_->{null} || defined $_->{default}) ? 'DEFAULT' : value($_) } @columns) . ')'
	} @n;
	return "INSERT INTO $t->{name} (" . join(', ', 's', 'b', 'k', ($t->{parent} ? 'p' : ()), ($t->{unique} ? 'u' : ()), map { $_->{name} } @columns)
	  . ') VALUES ' . join(', ', @rows);
}

sub assignments
{
	my ($t, $block, $one, $alias) = @_;
	my @set;
	foreach my $c (some($t))
	{
		my @change = @{ $c->{type}{change} // [] };
		push @set, "$c->{name} = "
		  . (chance(10) ? ($alias // '') . $c->{name} : @change && chance(50) ? sprintf(pick(@change), ($alias // '') . $c->{name}) : value($c));
	}
	push @set, 'u = ' . unique_value($block) if $one && $t->{unique} && chance(30);
	push @set, 'p = ' . key($t->{parent}, $block, int rand KEYS) if $t->{parent} && chance(30);
	return join(', ', @set);
}

# A statement of session s on one block; what it may return is in RETURNING.
sub random_statement
{
	my ($family, $s, $block) = @_;
	my $t = pick(@$family);
	my $n = int rand KEYS;
	my $k = key($t, $block, $n);
	my $one = "s = $s AND k = $k";
	my $all = "s = $s AND b = $block";
	my $columns = join(', ', 's', 'b', 'k', map { $_->{name} } @{ $t->{columns} });
	my $sql = '';
	my $what = int rand 100;

	if ($what < 24) { $sql = insert($t, $s, $block, $n); }
	elsif ($what < 46) { $sql = "UPDATE $t->{name} SET " . assignments($t, $block, 1) . " WHERE $one"; }
	elsif ($what < 56) { $sql = "DELETE FROM $t->{name} WHERE $one"; }
	elsif ($what < 62) { $sql = "UPDATE $t->{name} SET k = " . key($t, $block, int rand KEYS) . " WHERE $one"; }
	elsif ($what < 71)
	{
		# what a trigger may still change is not checked where a row is in the way
		local $valid = 1 if $t->{trigger};
		my $c = pick(@{ $t->{columns} });
		$sql = insert($t, $s, $block, $n) . ' ON CONFLICT '
		  . (chance(45) ? 'DO NOTHING' : "(s, k) DO UPDATE SET $c->{name} = " . pick("EXCLUDED.$c->{name}", value($c)));
	}
	elsif ($what < 76)
	{
		my $c = pick(@{ $t->{columns} });
		$sql = "MERGE INTO $t->{name} t USING (VALUES ($s, $block, $k)) v (s, b, k) ON t.s = v.s AND t.k = v.k"
		  # up to 16 refused on a partitioned table
		  . ($t->{partitioned} ? '' : ' WHEN MATCHED AND t.n = 1 THEN DELETE') . " WHEN MATCHED THEN UPDATE SET $c->{name} = " . value($c)
		  . ($t->{parent} ? ' WHEN NOT MATCHED THEN DO NOTHING' : ' WHEN NOT MATCHED THEN INSERT (s, b, k) VALUES (v.s, v.b, v.k)');
		return $sql;
	}
	elsif ($t->{single}) { $sql = insert($t, $s, $block, $n); }
	elsif ($what < 84) { $sql = insert($t, $s, $block, (grep { chance(40) } 0 .. KEYS - 1), KEYS); }
	elsif ($what < 93) { $sql = "UPDATE $t->{name} SET " . assignments($t, $block, 0) . " WHERE $all"; }
	elsif ($what < 96)
	{
		my $c = pick(@{ $t->{columns} });
		$sql = "UPDATE $t->{name} t SET n = v.n, $c->{name} = " . value($c) . " FROM (VALUES ($k, 1), (" . key($t, $block, ($n + 1) % KEYS) . ", 2)) v (k, n) WHERE s = $s AND b = $block AND t.k = v.k";
		$columns = join(', ', 's', 'b', 't.k', map { "t.$_->{name}" } @{ $t->{columns} });
		$sql =~ s/, n = .*? FROM/ FROM/ if $c->{name} eq 'n';
	}
	else { $sql = "DELETE FROM $t->{name} WHERE $all AND n " . pick('= 0', '> 1', 'IS NULL'); }

	$sql = "WITH r AS ($sql RETURNING $columns) SELECT * FROM r ORDER BY r::text" if chance(25);
	return $sql;
}

1;
