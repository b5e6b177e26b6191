BEGIN;
INSERT INTO hr.person (login, full_name, email, department)
SELECT 'x' || i, 'Person ' || i, 'x' || i || '@example.org', 'dept' || i % 50
FROM generate_series(1, :rows) i;
ROLLBACK;
