"""kopf decorators, thin."""
