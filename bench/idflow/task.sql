SELECT currval('idflow.task_id_seq') AS task \gset
