"""PID 1 of an OVN database: joins the cluster that exists, or makes the one that never did.

A file that cannot be read is put aside; a member that joined anew removes its former self.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stackroles.agents import wire
from stackroles.agents.ovsdb.database_file import prepare
from stackroles.agents.ovsdb.former_self import kick_former_self
from stackroles.agents.ovsdb.protocol import OvsdbSettings


def server_config(settings: OvsdbSettings) -> dict[str, Any]:
    """Return the content of ovsdb-server's --config-file (ovsdb-server(1), OVS 3.3)."""
    return {
        "remotes": {
            f"punix:{settings.socket}": {},
            f"ptcp:{settings.port}:0.0.0.0": {"inactivity-probe": settings.inactivity_probe_ms},
        },
        "databases": {settings.path: {}},
    }


def main(arguments: Sequence[str]) -> int:
    """Run the database; return its exit status."""
    settings = wire.loads(OvsdbSettings, Path(arguments[0]).read_bytes())
    ordinal = int(os.environ["POD_NAME"].rpartition("-")[2])
    # PID 1 has no default action for signals: without a handler SIGTERM would be ignored.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    prepare(settings, ordinal)
    config = Path(settings.control).with_name("ovsdb.json")
    config.write_text(json.dumps(server_config(settings)), encoding="utf-8")
    log = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
    server = subprocess.Popen(
        ["ovsdb-server", f"--config-file={config}", f"--unixctl={settings.control}", *log]
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=kick_former_self, args=(settings, ordinal), daemon=True).start()
    status = server.wait()
    return 0 if status == -signal.SIGTERM else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
