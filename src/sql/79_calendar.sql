/*
 * Working hours, by which deadlines can be counted.
 */

CREATE TABLE idflow.calendar (
	name       text PRIMARY KEY,
	time_zone  text NOT NULL DEFAULT 'UTC' CHECK (pg_catalog.timezone(time_zone, 'epoch'::timestamptz) IS NOT NULL),
	days       int[] NOT NULL DEFAULT '{1,2,3,4,5}' CHECK (days OPERATOR(pg_catalog.<@) '{1,2,3,4,5,6,7}'),
	opens      time NOT NULL DEFAULT '09:00',
	closes     time NOT NULL DEFAULT '17:00',
	CHECK (opens OPERATOR(pg_catalog.<) closes)
);
COMMENT ON TABLE idflow.calendar IS
'Working hours by name, for Calendar="..." of activities and Timeouts. A change counts for tasks that open afterwards. idflow_admin writes it.';
COMMENT ON COLUMN idflow.calendar.time_zone IS 'Name of a time zone in which days begin and hours are meant, such as Europe/Berlin.';
COMMENT ON COLUMN idflow.calendar.days IS 'Working days: 1 is Monday, 7 is Sunday.';
COMMENT ON COLUMN idflow.calendar.opens IS 'When work begins on a working day.';
COMMENT ON COLUMN idflow.calendar.closes IS 'When it ends; 24:00 is midnight.';

CREATE TABLE idflow.holiday (
	calendar  text NOT NULL REFERENCES idflow.calendar ON UPDATE CASCADE ON DELETE CASCADE,
	day       date NOT NULL,
	name      text,
	opens     time,
	closes    time,
	PRIMARY KEY (calendar, day),
	CHECK ((opens IS NULL) OPERATOR(pg_catalog.=) (closes IS NULL)),
	CHECK (opens OPERATOR(pg_catalog.<) closes)
);
COMMENT ON TABLE idflow.holiday IS
'Days on which a calendar is not as on other days: closed, or open from opens to closes, also where it is no working day. idflow_admin writes it.';
COMMENT ON COLUMN idflow.holiday.opens IS 'Null: closed all day.';

GRANT SELECT ON idflow.calendar, idflow.holiday TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON idflow.calendar, idflow.holiday TO idflow_admin;

/*
 * Day by day.  The clock starts when the calendar is next open.  Days of the
 * duration are working days, at the same time of day; hours are those that
 * pass while it is open, so that a change of the clocks counts as it is.
 */
CREATE FUNCTION idflow.working_time(since timestamptz, duration interval, calendar text) RETURNS timestamptz
	LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	cal         idflow.calendar;
	today       date;
	last_day    date;
	begins      time;
	ends        time;
	opening     timestamptz;
	closing     timestamptz;
	moment      timestamptz;		-- where the clock stands; null: it has not started
	wall        time;				-- what the clock on the wall showed when it started
	days_left   int := extract(day FROM duration);
	time_left   numeric := extract(epoch FROM duration - make_interval(days => days_left));
BEGIN
	SELECT * INTO cal FROM idflow.calendar k WHERE k.name = working_time.calendar;
	IF NOT FOUND THEN
		RAISE undefined_object USING MESSAGE = format('calendar %s does not exist', quote_literal(calendar)),
			HINT = 'idflow.calendar lists those there are.';
	END IF;
	IF extract(year FROM duration) <> 0 OR extract(month FROM duration) <> 0 OR days_left < 0 OR time_left < 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('working time is counted in days and hours, not as %s', quote_literal(duration));
	END IF;
	IF NOT isfinite(since) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('argument "since" must be finite, not %s', since);
	END IF;
	today := (since AT TIME ZONE cal.time_zone)::date;
	last_day := today + 3660 + days_left * 7;
	LOOP
		IF today > last_day THEN
			RAISE object_not_in_prerequisite_state USING
				MESSAGE = format('calendar %s has too little working time', quote_literal(calendar)),
				DETAIL = format('It was looked for until %s.', last_day);
		END IF;
		SELECT h.opens, h.closes INTO begins, ends FROM idflow.holiday h WHERE h.calendar = cal.name AND h.day = today;
		IF NOT FOUND AND extract(isodow FROM today)::int = ANY (cal.days) THEN
			begins := cal.opens;
			ends := cal.closes;
		END IF;
		IF begins IS NOT NULL THEN
			opening := (today + begins) AT TIME ZONE cal.time_zone;
			closing := (today + ends) AT TIME ZONE cal.time_zone;
			IF moment IS NULL THEN
				IF since < closing THEN
					moment := greatest(since, opening);
					wall := (moment AT TIME ZONE cal.time_zone)::time;
				END IF;
			ELSIF days_left > 0 THEN
				days_left := days_left - 1;
				moment := least(greatest((today + wall) AT TIME ZONE cal.time_zone, opening), closing);
			ELSE
				moment := opening;
			END IF;
			IF moment IS NOT NULL AND days_left = 0 THEN
				IF moment + make_interval(secs => time_left::float8) <= closing THEN
					RETURN moment + make_interval(secs => time_left::float8);
				END IF;
				time_left := time_left - (extract(epoch FROM closing) - extract(epoch FROM moment));
			END IF;
		END IF;
		today := today + 1;
	END LOOP;
END $$;
COMMENT ON FUNCTION idflow.working_time(timestamptz, interval, text) IS
'The moment that is so much working time of a calendar after since: days are working days, hours those that it is open. It begins with the calendar''s next opening. Errors: 42704 if there is no such calendar, 22023 for months, negative durations and infinity, 55000 if there is no such moment within ten years.';
