BEGIN;
UPDATE hr.plain SET n = n + 1 WHERE id = 1 + :n % 10000;
ROLLBACK;
\set n :n + 1
