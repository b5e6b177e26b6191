SELECT count(*) FROM least.history WHERE step = 2
