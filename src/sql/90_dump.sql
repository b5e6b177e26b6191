/*
 * pg_dump writes the rows of every table and the state of every sequence: the
 * ids of a restored database must go on where they were.
 */
DO $$
DECLARE
	rel regclass;
BEGIN
	FOR rel IN
		SELECT c.oid::regclass FROM pg_catalog.pg_class c
		WHERE c.relnamespace OPERATOR(pg_catalog.=) 'idflow'::regnamespace
			AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,S}')
		ORDER BY c.oid
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(rel, '');
	END LOOP;
END
$$;
