/*
 * Events and changes of closed requests, put away by the month.
 */

CREATE TABLE idflow.history (
	month       date PRIMARY KEY,
	requests    bigint NOT NULL DEFAULT 0,
	events      bigint NOT NULL DEFAULT 0,
	moved_at    timestamptz NOT NULL,
	dropped_at  timestamptz,
	dropped_by  text,
	reason      text,
	first_event bytea,
	last_event  bytea
);
COMMENT ON TABLE idflow.history IS
'The months whose events and changes idflow.move_history() has put into tables of their own, and those that idflow.drop_history() has dropped. For auditors and idflow_admin.';
COMMENT ON COLUMN idflow.history.month IS 'The first day of the month, in UTC, in which the requests were closed. idflow.event_YYYY_MM and idflow.change_data_YYYY_MM are its tables.';
COMMENT ON COLUMN idflow.history.requests IS 'How many times a request was moved there: one that has got events since moves again.';
COMMENT ON COLUMN idflow.history.events IS 'Events that were moved there.';
COMMENT ON COLUMN idflow.history.moved_at IS 'The last time that something was.';
COMMENT ON COLUMN idflow.history.dropped_by IS 'Who has dropped the month, why, and when; null: it is there.';
COMMENT ON COLUMN idflow.history.first_event IS
'Of a month that is dropped: SHA-256 of its first event, by request and seq, as it was then, written as jsonb in time zone UTC. A copy that is kept elsewhere can be told by it.';
COMMENT ON COLUMN idflow.history.last_event IS 'The same of its last event.';
ALTER TABLE idflow.history ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor ON idflow.history FOR SELECT TO idflow_auditor USING (true);
CREATE POLICY admin ON idflow.history FOR SELECT TO idflow_admin USING (true);
GRANT SELECT ON idflow.history TO idflow_auditor, idflow_admin;

CREATE FUNCTION idflow.history_move(requests bigint[], events regclass, changes regclass) RETURNS bigint
	AS 'MODULE_PATHNAME', 'idflow_history_move'
	LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION idflow.history_move(bigint[], regclass, regclass) IS
'Part of idflow.move_history(): moves the rows of requests into a month''s tables; how many events there were.';

CREATE FUNCTION idflow.history_table(parent text, month date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT parent || to_char(month, '_YYYY_MM') $$;
COMMENT ON FUNCTION idflow.history_table(text, date) IS
'Part of idflow.move_history(): the name of a month''s table of events or of changes, in schema idflow.';

/*
 * Whoever reads them reads the tables that they inherit from, under the
 * policies of those; there is nothing to be had of these themselves.
 */
CREATE FUNCTION idflow.history_create(month date) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
	events CONSTANT text := idflow.history_table('event', month);
	changes CONSTANT text := idflow.history_table('change_data', month);
BEGIN
	EXECUTE format('CREATE TABLE idflow.%I (PRIMARY KEY (request, seq)) INHERITS (idflow.event)', events);
	EXECUTE format('CREATE TRIGGER keep_event BEFORE UPDATE OR DELETE ON idflow.%I FOR EACH ROW EXECUTE FUNCTION idflow.keep_event()', events);
	EXECUTE format('CREATE TRIGGER keep_events BEFORE TRUNCATE ON idflow.%I FOR EACH STATEMENT EXECUTE FUNCTION idflow.keep_event()', events);
	EXECUTE format('CREATE TABLE idflow.%I (PRIMARY KEY (request, seq)) INHERITS (idflow.change_data)', changes);
	EXECUTE format('CREATE INDEX ON idflow.%I (key_hash)', changes);
	EXECUTE format('ALTER TABLE idflow.%I ENABLE ROW LEVEL SECURITY', events);
	EXECUTE format('ALTER TABLE idflow.%I ENABLE ROW LEVEL SECURITY', changes);
	EXECUTE format('COMMENT ON TABLE idflow.%I IS %L', events,
		format('Events of requests that were closed in %s. Read idflow.event.', to_char(month, 'YYYY-MM')));
	EXECUTE format('COMMENT ON TABLE idflow.%I IS %L', changes,
		format('Changes of requests that were closed in %s. Read idflow.change.', to_char(month, 'YYYY-MM')));
END $$;
COMMENT ON FUNCTION idflow.history_create(date) IS 'Part of idflow.move_history(): makes the tables of a month.';

CREATE FUNCTION idflow.move_history(before timestamptz, batch int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	m record;
	moved int := 0;
	n bigint;
BEGIN
	IF before IS NULL OR batch IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = format('argument "%s" must not be null', CASE WHEN before IS NULL THEN 'before' ELSE 'batch' END);
	ELSIF before > clock_timestamp() OR batch < 1 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = CASE WHEN batch < 1 THEN 'argument "batch" must be positive' ELSE 'argument "before" must be in the past' END;
	END IF;

	/*
	 * Whoever is at a request has it locked; it moves another time.  What is to
	 * be reversed when it expires, and what has jobs to be done, stay.
	 */
	FOR m IN
		WITH due AS MATERIALIZED (
			SELECT r.id, c.month FROM idflow.request r,
				LATERAL (SELECT date_trunc('month', r.closed_at AT TIME ZONE 'UTC')::date AS month) c
			WHERE r.closed_at < before
				AND r.id >= least((SELECT min(e.request) FROM ONLY idflow.event e), (SELECT min(c.request) FROM ONLY idflow.change_data c))
				AND (EXISTS (SELECT FROM ONLY idflow.event e WHERE e.request = r.id)
					 OR EXISTS (SELECT FROM ONLY idflow.change_data c WHERE c.request = r.id))
				AND NOT EXISTS (SELECT FROM idflow.timer t WHERE t.request = r.id AND t.kind = 'expiry')
				AND NOT EXISTS (SELECT FROM idflow.job j WHERE j.request = r.id AND j.finished_at IS NULL)
				AND NOT EXISTS (SELECT FROM idflow.history h WHERE h.month = c.month AND h.dropped_at IS NOT NULL)
			ORDER BY r.id LIMIT batch FOR UPDATE OF r SKIP LOCKED
		)
		SELECT d.month, array_agg(d.id ORDER BY d.id) AS requests FROM due d GROUP BY 1 ORDER BY 1
	LOOP
		/*
		 * Of several who come to a new month, one makes its tables, and the
		 * others wait for him; and for who drops it, after whom it is gone.
		 */
		INSERT INTO idflow.history (month, moved_at) VALUES (m.month, clock_timestamp()) ON CONFLICT DO NOTHING;
		IF FOUND THEN
			PERFORM idflow.history_create(m.month);
		ELSE
			PERFORM FROM idflow.history h WHERE h.month = m.month AND h.dropped_at IS NULL FOR UPDATE;
			CONTINUE WHEN NOT FOUND;
		END IF;
		n := idflow.history_move(m.requests, format('idflow.%I', idflow.history_table('event', m.month))::regclass,
			format('idflow.%I', idflow.history_table('change_data', m.month))::regclass);
		UPDATE idflow.history h SET requests = h.requests + cardinality(m.requests), events = h.events + n,
			moved_at = clock_timestamp()
		WHERE h.month = m.month;
		moved := moved + cardinality(m.requests);
	END LOOP;
	RETURN moved;
END $$;
COMMENT ON FUNCTION idflow.move_history(timestamptz, int) IS
'Puts events and changes of requests that were closed before then into tables of their own, a pair for each month; returns of how many requests, at most batch: call it until it returns 0. All reports show them as before. What is to be reversed when it expires, and has jobs to be done, stays. For idflow_admin. Errors: 22004, 22023.';

CREATE FUNCTION idflow.drop_history(before timestamptz, reason text) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
	m date;
	events text;
	changes text;
	dropped int := 0;
BEGIN
	IF before IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'argument "before" must not be null';
	ELSIF coalesce(reason, '') !~ '[^[:space:]]' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'dropping history needs a reason';
	END IF;
	FOR m IN
		SELECT h.month FROM idflow.history h
		WHERE h.dropped_at IS NULL AND (h.month + interval '1 month') AT TIME ZONE 'UTC' <= before
		ORDER BY 1 FOR UPDATE
	LOOP
		events := idflow.history_table('event', m);
		changes := idflow.history_table('change_data', m);
		/* nobody blanks between the digests and the drop */
		EXECUTE format('LOCK TABLE idflow.%I, idflow.%I IN ACCESS EXCLUSIVE MODE', events, changes);
		EXECUTE format('UPDATE idflow.history h SET dropped_at = clock_timestamp(), dropped_by = idflow.actor(), reason = $2,'
			' first_event = (SELECT sha256(convert_to(to_jsonb(e)::text, ''UTF8'')) FROM idflow.%1$I e ORDER BY e.request, e.seq LIMIT 1),'
			' last_event = (SELECT sha256(convert_to(to_jsonb(e)::text, ''UTF8'')) FROM idflow.%1$I e ORDER BY e.request DESC, e.seq DESC LIMIT 1)'
			' WHERE h.month = $1', events) USING m, reason;
		EXECUTE format('DROP TABLE idflow.%I, idflow.%I', events, changes);
		dropped := dropped + 1;
	END LOOP;
	RETURN dropped;
END $$;
COMMENT ON FUNCTION idflow.drop_history(timestamptz, text) IS
'Drops the tables of the months, in UTC, that were over by then; returns of how many. idflow.history keeps who did it and why, and digests of the first and the last event. The requests stay, with their titles and votes, without events and changes. For idflow_admin. Errors: 22004, 22023 without a reason.';

REVOKE ALL ON FUNCTION idflow.history_move(bigint[], regclass, regclass), idflow.history_table(text, date),
	idflow.history_create(date), idflow.move_history(timestamptz, int), idflow.drop_history(timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idflow.move_history(timestamptz, int), idflow.drop_history(timestamptz, text) TO idflow_admin;
