WITH t AS (
	UPDATE least.task SET is_open = false WHERE id = :task AND is_open AND assignee = :mgr RETURNING draft
), h AS (
	INSERT INTO least.history SELECT draft, 2, :mgr, now() FROM t
)
INSERT INTO hr.person (login, full_name, email, department, manager_id)
SELECT d.login, d.full_name, d.email, d.department, d.manager_id
FROM t JOIN least.draft d ON d.id = t.draft
RETURNING 1 / (:task > 0)::int AS done \gset
