SELECT currval('byhand.task_id_seq') AS task \gset
