"""Pods that write or read recovery sets: what backups and restores have in common."""
