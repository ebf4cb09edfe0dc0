"""`kubectl stackroles`: how a cloud stands, for a person or a script."""
