-- Working hours: what a duration of a calendar comes to.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
INSERT INTO idflow.calendar (name, time_zone) VALUES ('office', 'Europe/Berlin');
INSERT INTO idflow.calendar VALUES
	('utc', 'UTC', '{1,2,3,4,5}', '09:00', '17:00'),
	('always', 'UTC', '{1,2,3,4,5,6,7}', '00:00', '24:00'),
	('evening', 'UTC', '{1,2,3,4,5}', '18:00', '24:00'),
	('tokyo', 'Asia/Tokyo', '{1,2,3,4,5}', '09:00', '17:00'),
	('berlin night', 'Europe/Berlin', '{6,7}', '00:00', '06:00'),
	('closed', 'UTC', '{}', '09:00', '17:00');
INSERT INTO idflow.holiday VALUES
	('utc', '2026-12-25', 'Christmas', NULL, NULL), ('utc', '2026-12-24', 'Christmas Eve', '09:00', '12:00'),
	('utc', '2026-12-26', 'a working Saturday', '10:00', '14:00');

CREATE FUNCTION pg_temp.shown(since text, duration interval, calendar text) RETURNS text LANGUAGE sql AS $$
	SELECT to_char(idflow.working_time(since::timestamptz, duration, calendar), 'Dy YYYY-MM-DD HH24:MI:SS') $$;

-- hours: 2026-11-23 is a Monday
SELECT since, duration, pg_temp.shown(since, duration::interval, 'utc') FROM (VALUES
	('2026-11-23 09:00', 'PT0S'), ('2026-11-23 09:00', 'PT8H'), ('2026-11-23 09:00', 'PT8H1S'), ('2026-11-23 16:30', 'PT1H'),
	('2026-11-23 07:00', 'PT1H'), ('2026-11-23 17:00', 'PT1H'), ('2026-11-23 22:00', 'PT1H'), ('2026-11-27 16:00', 'PT2H'),
	('2026-11-28 12:00', 'PT2H'), ('2026-11-23 10:00', 'PT40H'), ('2026-11-23 10:00', 'PT0.5S')) t (since, duration);
-- days: working days, at the same time of day
SELECT since, duration, pg_temp.shown(since, duration::interval, 'utc') FROM (VALUES
	('2026-11-23 10:30', 'P1D'), ('2026-11-27 10:30', 'P1D'), ('2026-11-28 10:30', 'P1D'), ('2026-11-23 08:00', 'P2D'),
	('2026-11-23 20:00', 'P1D'), ('2026-11-23 10:00', 'P1DT8H'), ('2026-11-23 10:00', 'P10D'), ('2026-11-23 10:00', 'P2W')) t (since, duration);
-- holidays, short days and working Saturdays
SELECT since, duration, pg_temp.shown(since, duration::interval, 'utc') FROM (VALUES
	('2026-12-23 16:00', 'PT2H'), ('2026-12-23 16:00', 'PT4H'), ('2026-12-23 16:00', 'PT5H'), ('2026-12-23 16:00', 'P1D'),
	('2026-12-23 16:00', 'P2D'), ('2026-12-24 13:00', 'PT1H'), ('2026-12-25 12:00', 'PT30M'), ('2026-12-26 13:30', 'PT1H')) t (since, duration);
-- time zones, and hours until midnight
SELECT pg_temp.shown('2026-11-23 12:00', 'PT5H', 'office') AS winter, pg_temp.shown('2026-07-20 12:00', 'PT5H', 'office') AS summer,
	pg_temp.shown('2026-11-23 12:00', 'PT1H', 'tokyo') AS tokyo, pg_temp.shown('2026-11-22 23:30', 'PT1H', 'tokyo') AS tokyo_monday,
	pg_temp.shown('2026-11-23 23:00', 'PT2H', 'evening') AS evening, pg_temp.shown('2026-11-27 23:00', 'PT1H', 'evening') AS midnight,
	pg_temp.shown('2026-11-27 23:00', 'PT49H', 'always') AS always;
-- the clocks change in the night to 2026-03-29 and to 2026-10-25
SELECT pg_temp.shown('2026-03-28 23:00', 'PT5H', 'berlin night') AS an_hour_less, pg_temp.shown('2026-10-24 22:00', 'PT7H', 'berlin night') AS an_hour_more,
	pg_temp.shown('2026-03-27 15:00', 'P1D', 'office') AS same_hour;
-- the caller's settings have no say
SET TimeZone = 'America/New_York';
SELECT idflow.working_time('2026-11-23 12:00 UTC', 'P1DT1H', 'office') AT TIME ZONE 'UTC' AS utc;
SET TimeZone = 'UTC';

-- what there is no answer to
\set VERBOSITY terse
SELECT idflow.working_time('2026-11-23 12:00', 'PT1H', 'closed');
SELECT idflow.working_time('2026-11-23 12:00', 'P1M', 'utc');
SELECT idflow.working_time('2026-11-23 12:00', '-1 hour', 'utc');
SELECT idflow.working_time('2026-11-23 12:00', 'PT1H', 'nowhere');
SET statement_timeout = '10s';
SELECT idflow.working_time('infinity', 'PT1H', 'utc');
SELECT idflow.working_time('-infinity', 'PT1H', 'utc');
RESET statement_timeout;
SELECT idflow.working_time('2026-11-23 12:00', NULL, 'utc') IS NULL AS no_duration;
INSERT INTO idflow.calendar (name, time_zone) VALUES ('x', 'Nowhere/Land');
INSERT INTO idflow.calendar (name, days) VALUES ('x', '{0}');
INSERT INTO idflow.calendar (name, opens, closes) VALUES ('x', '17:00', '09:00');
INSERT INTO idflow.holiday (calendar, day, opens) VALUES ('utc', '2027-01-01', '10:00');

-- admins keep them, others read them
CREATE ROLE cal_admin IN ROLE idflow_admin;
CREATE ROLE cal_other;
SET ROLE cal_other;
SELECT count(*) FROM idflow.calendar;
SELECT pg_temp.shown('2026-11-23 09:00', 'PT8H', 'utc');
INSERT INTO idflow.calendar (name) VALUES ('mine');
DELETE FROM idflow.holiday;
SET ROLE cal_admin;
UPDATE idflow.calendar SET name = 'greenwich' WHERE name = 'utc';
SELECT calendar, count(*) FROM idflow.holiday GROUP BY calendar;
DELETE FROM idflow.calendar;
SELECT count(*) FROM idflow.holiday;
RESET ROLE;
DROP ROLE cal_admin, cal_other;
