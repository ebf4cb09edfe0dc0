"""Counts a service's deleted rows and has its own tool remove them: Jobs of the operator's."""
