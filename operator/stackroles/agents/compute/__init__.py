"""The agents of a compute node."""
