"""Removes a member's former self from the raft cluster.

After joining with a new volume or file a member has another identity. Its former self has its
address, and would count against the majority for ever.
"""

import subprocess
import time

from stackroles.agents.ovsdb.log import log
from stackroles.agents.ovsdb.membership import stale_servers
from stackroles.agents.ovsdb.protocol import OvsdbSettings

KICK_FOR = 120.0
CONTROL_SECONDS = 5


def kick_former_self(settings: OvsdbSettings, ordinal: int) -> None:
    """Remove servers that this member's lost volume left in the cluster.

    Looked for at each start: one that joined anew may have ended before its former self was gone.
    """
    control = ["ovs-appctl", f"--timeout={CONTROL_SECONDS}", "-t", settings.control]
    deadline = time.monotonic() + KICK_FOR
    while time.monotonic() < deadline:
        asked = subprocess.run(
            [*control, "cluster/status", settings.database],
            capture_output=True,
            text=True,
            check=False,
        )
        if "Status: cluster member" in asked.stdout:
            stale = stale_servers(asked.stdout, settings.raft(ordinal))
            if not stale:
                return
            for sid in stale:
                log(f"removing server {sid}, which had this address before")
                kick = [*control, "cluster/kick", settings.database, sid]
                subprocess.run(kick, check=False)
        time.sleep(1)
    log("this member's former self could not be removed: see cluster/status and cluster/kick")
