"""Passwords and keys of a cloud."""
