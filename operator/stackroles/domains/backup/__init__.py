"""Backups, their policies, schedule, retention and status."""
