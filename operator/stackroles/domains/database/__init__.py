"""The Galera cluster: decisions, members, state, status."""
