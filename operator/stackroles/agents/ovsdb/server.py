"""The process of ovsdb-server, and what its log says of the file that it was given."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from stackroles.agents.ovsdb.protocol import OvsdbSettings

# ovsdb/ovsdb-server.c, raft.c and log.c (3.5.0). An I/O error, such as that of a full disk, is no
# fault of the file, unless the file ends too early.
_REFUSED = re.compile(r"failed to open database '[^']*': (.*)")
_DISK, _SHORT = "I/O error", "(End of file)"
_LEFT = "server has left the cluster"


def server_config(settings: OvsdbSettings) -> dict[str, Any]:
    """Return the content of ovsdb-server's --config-file (ovsdb-server(1), OVS 3.3)."""
    return {
        "remotes": {
            f"punix:{settings.socket}": {},
            f"ptcp:{settings.port}:0.0.0.0": {"inactivity-probe": settings.inactivity_probe_ms},
        },
        "databases": {settings.path: {}},
    }


def refusal(line: str) -> str:
    """Return why the server cannot use its file, as a line of its log says; else empty; pure."""
    found = _REFUSED.search(line)
    fault = found[1].strip() if found else ""
    return "" if fault.startswith(_DISK) and not fault.endswith(_SHORT) else fault


def has_left(fault: str) -> bool:
    """Return whether a file is refused since its server has left the cluster for good; pure."""
    return _LEFT in fault


class OvsdbServer:
    """One run of the server.

    Attributes:
        ended: set once it has ended.
        fault: why it could not use its file, empty unless it reported so.
        status: its exit status, once it has ended.
    """

    def __init__(self, settings: OvsdbSettings) -> None:
        self.ended = threading.Event()
        self.fault = ""
        self.status = 0
        config = Path(settings.control).with_name("ovsdb.json")
        config.write_text(json.dumps(server_config(settings)), encoding="utf-8")
        options = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
        self._process = subprocess.Popen(
            ["ovsdb-server", f"--config-file={config}", f"--unixctl={settings.control}", *options],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        """Pass the server's log on until it ends."""
        assert self._process.stderr is not None  # noqa: S101 - as it was started
        for line in self._process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            self.fault = self.fault or refusal(line)
        self.status = self._process.wait()
        self.ended.set()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once, also when it is frozen."""
        self._process.kill()
