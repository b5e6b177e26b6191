SELECT count(*) FROM idflow.request WHERE state = 'committed'
