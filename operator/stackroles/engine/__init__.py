"""Queue, leader election, resync, polling, metrics, health."""
