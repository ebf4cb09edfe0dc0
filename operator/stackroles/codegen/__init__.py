"""CRDs, RBAC, install.yaml and docs/api.md from the code."""
