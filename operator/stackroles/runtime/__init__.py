"""One replica: events, queue, leader, poller, health, and how they are wired."""
