\set n :n + 1
BEGIN;
INSERT INTO hr.person (login, full_name, email, department) VALUES ('g' || :run || '_' || :n, 'Gated Person', 'g@example.org', 'dept1') RETURNING id, login;
ROLLBACK;
