SET session_replication_role = replica;
DELETE FROM hr.person WHERE login LIKE 'bulk%';
