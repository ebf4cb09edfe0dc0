"""How any role or step becomes pods, and how these stand; no I/O, no clock."""
