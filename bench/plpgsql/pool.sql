SELECT id AS task, assignee AS mgr FROM byhand.task WHERE state = 'open'
