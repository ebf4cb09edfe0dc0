"""Pure functions: parsed resource to manifests."""
