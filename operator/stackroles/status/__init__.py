"""Pure functions: observed objects to conditions."""
