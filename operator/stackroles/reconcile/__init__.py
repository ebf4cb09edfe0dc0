"""One reconcile function a kind."""
