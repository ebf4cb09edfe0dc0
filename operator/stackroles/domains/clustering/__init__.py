"""Roles whose members take turns: who is active."""
