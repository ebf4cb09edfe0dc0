"""The log of an OVN database's agent."""

import sys


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"ovsdb: {text}", file=sys.stderr, flush=True)
