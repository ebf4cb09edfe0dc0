"""What has a state machine of its own: one package each, decisions beside their I/O."""
