"""Pools and nodes of compute hosts."""
