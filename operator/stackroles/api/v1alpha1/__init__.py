"""API version v1alpha1: the only source of the CRDs."""
