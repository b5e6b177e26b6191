BEGIN;
UPDATE hr.person SET active = NOT active WHERE id <= 10000;
ROLLBACK;
