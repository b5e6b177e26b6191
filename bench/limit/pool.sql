SELECT id AS task, assignee AS mgr FROM least.task WHERE is_open
