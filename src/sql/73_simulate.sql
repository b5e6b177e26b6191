/*
 * What would become of a request or a statement.
 */

CREATE FUNCTION idflow.simulate(request bigint)
	RETURNS TABLE (request bigint, change bigint, kind text, activity text, actor text, sqlstate text,
				   message text, detail text)
	AS 'MODULE_PATHNAME', 'idflow_simulate'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20 COST 100000;
COMMENT ON FUNCTION idflow.simulate(bigint) IS
'What would become of a request if everybody who is asked agreed, from where it stands: rows of kind request, activity (a step), task (a person who would be asked), conflict, error, and in the end the state that it comes to, such as committed. For whoever may see the request. Everything runs for real and is rolled back; sequences and what functions do outside of the database stay. Errors: WF003 no such request, 42501 not yours to see, WF016 it is closed, 25006 in a read-only transaction, 55000 within a trigger, an aspect or a simulation.';

CREATE FUNCTION idflow.simulate_sql(statement text)
	RETURNS TABLE (request bigint, change bigint, kind text, activity text, actor text, sqlstate text,
				   message text, detail text)
	AS 'MODULE_PATHNAME', 'idflow_simulate_sql'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20 COST 100000;
COMMENT ON FUNCTION idflow.simulate_sql(text) IS
'What would become of the requests of one INSERT, UPDATE, DELETE or MERGE, which runs with the rights of the caller: rows as of idflow.simulate() for each request that it would make; their numbers don''t survive. An error of the statement is a row of kind error. Everything is rolled back; sequences and what functions do outside of the database stay. Errors: 0A000 any other statement, 22023 not exactly one, 25006 in a read-only transaction, 55000 within a trigger, an aspect or a simulation.';
