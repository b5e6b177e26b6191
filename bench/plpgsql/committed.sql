SELECT count(*) FROM byhand.request WHERE state = 'committed'
