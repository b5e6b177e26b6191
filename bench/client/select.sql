SELECT login FROM hr.plain WHERE id = 1 + :n % 10000;
\set n :n + 1
