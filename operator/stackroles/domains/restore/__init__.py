"""Restore: a recovery set takes the place of what a cloud has."""
