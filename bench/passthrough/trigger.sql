-- A trigger that the row never fires: what an excluded row costs anyhow.
CREATE SCHEMA byhand;
CREATE FUNCTION byhand.gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'this row should not have come here';
END
$$;
CREATE TRIGGER gate BEFORE INSERT ON hr.person FOR EACH ROW WHEN (NEW.department = 'payroll') EXECUTE FUNCTION byhand.gate();
CREATE TRIGGER gate_update BEFORE UPDATE ON hr.person FOR EACH ROW WHEN (NEW.department = 'payroll') EXECUTE FUNCTION byhand.gate();
