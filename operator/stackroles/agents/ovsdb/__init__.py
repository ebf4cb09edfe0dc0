"""PID 1 of an OVN database's member."""
