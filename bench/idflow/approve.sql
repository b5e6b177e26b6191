SELECT idflow.approve(:task, 'fine by me') AS state FROM set_config('idflow.actor', :mgr::text, true) \gset
