SELECT t.id AS task, substr(c.key, 3)::bigint AS mgr
FROM idflow.task t JOIN idflow.candidate c ON c.task = t.id
WHERE t.state = 'open' AND c.key LIKE 'u:%'
