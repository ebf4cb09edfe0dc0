"""Manifests, made from data."""
