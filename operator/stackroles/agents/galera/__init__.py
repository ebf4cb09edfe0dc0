"""The agent of a database member: PID 1 of its container."""
