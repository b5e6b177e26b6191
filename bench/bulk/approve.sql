SELECT idflow.approve(task) FROM idflow.inbox;
