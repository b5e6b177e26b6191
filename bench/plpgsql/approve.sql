SELECT byhand.approve(:task, 'fine by me') AS person FROM set_config('app.actor', :mgr::text, true) \gset
