"""PID 1 of roles behind the endpoint: drains before it stops, and runs its child by a Lease."""
