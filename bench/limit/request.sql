WITH d AS (
	INSERT INTO least.draft (requester, login, full_name, email, department, manager_id)
	VALUES (:req, 'p' || :uid::text, 'Person ' || :uid::text, 'p' || :uid::text || '@example.org', 'dept' || (:mgr::int % 50)::text, :mgr)
	RETURNING id
), h AS (
	INSERT INTO least.history SELECT id, 1, :req, now() FROM d
)
INSERT INTO least.task (draft, assignee, due_at) SELECT id, :mgr, now() + interval '3 days' FROM d RETURNING id AS task \gset
