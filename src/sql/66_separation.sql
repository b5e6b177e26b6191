/*
 * Separation of duties.
 */

CREATE FUNCTION idflow.separated(request bigint, workflow bigint, "position" int, state text) RETURNS text
	AS 'MODULE_PATHNAME', 'idflow_separated'
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10;
COMMENT ON FUNCTION idflow.separated(bigint, bigint, int, text) IS
'The activity of a request in which the present actor acted and which, by SeparateFrom, keeps him from the activity at a position of a workflow''s version in a state such as Review-ReviewPending; null if there is none. Part of idflow.inbox.';

CREATE FUNCTION idflow.separation_violations(OUT workflow text, OUT aspect text, OUT target regclass, OUT person text,
											 OUT right_a text, OUT right_b text, OUT severity text, OUT message text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'idflow_separation_violations'
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 COST 100000;
COMMENT ON FUNCTION idflow.separation_violations() IS
'The rows of idflow.separation_violation. It runs the expressions of workflows as the roles that deployed them, and gives no rows to whoever is not a member of idflow_auditor or idflow_admin. Errors: those of the expressions, 42704 a deployer is gone.';

CREATE VIEW idflow.separation_violation WITH (security_invoker) AS
	SELECT v.workflow, v.aspect, v.target, v.person, v.right_a, v.right_b, v.severity, v.message
	FROM idflow.separation_violations() v;
GRANT SELECT ON idflow.separation_violation TO PUBLIC;
COMMENT ON VIEW idflow.separation_violation IS
'Who holds rights that exclude one another, by the SeparationAspects of the workflows in force, in the data as it is: drafts do not count. A row per person and pair. For members of idflow_auditor and idflow_admin; others see no rows.';
COMMENT ON COLUMN idflow.separation_violation.target IS 'Table before which the workflow stands and whose rows were looked at.';
COMMENT ON COLUMN idflow.separation_violation.person IS 'Value of the column that the aspect''s Binding names, as text.';
COMMENT ON COLUMN idflow.separation_violation.right_a IS 'One right of the pair, as the aspect''s Conflicts has it in its first column.';
COMMENT ON COLUMN idflow.separation_violation.right_b IS 'The other one.';
COMMENT ON COLUMN idflow.separation_violation.severity IS 'As Conflicts says; null if it does not.';
COMMENT ON COLUMN idflow.separation_violation.message IS 'The aspect''s Message in the language of the present actor.';
