"""Where the agent of a member answers, whatever it is a member of (status_server.py)."""

from typing import Final

STATUS_PATH: Final = "/status"
READY_PATH: Final = "/ready"
