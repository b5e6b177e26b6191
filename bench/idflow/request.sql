INSERT INTO hr.person (login, full_name, email, department, manager_id)
SELECT 'p' || :uid::text, 'Person ' || :uid::text, 'p' || :uid::text || '@example.org', 'dept' || (:mgr::int % 50)::text, :mgr::bigint
FROM set_config('idflow.actor', :req::text, true);
