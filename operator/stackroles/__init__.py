"""OpenStack on Kubernetes, run by one operator."""

__version__ = "0.1.0"
