"""nova-compute, with libvirt's event loop registered before anything connects.

On the first start of a host nova 31 opens its connection to libvirt (does the new host have guests
already?) before nova/virt/libvirt/host.py registers the loop. libvirt then refuses to send events,
and a guest that stops by itself goes unnoticed until nova's next power sync, minutes later.
"""

import importlib
import runpy
import shutil
import sys
from collections.abc import Sequence

from stackroles.agents.compute import builds, node

PROGRAM = "nova-compute"


def program(arguments: Sequence[str]) -> None:
    """Run nova-compute in this process with the given arguments."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise node.AgentError(f"{PROGRAM} is not in this image")
    importlib.import_module("libvirt").virEventRegisterDefaultImpl()
    builds.record()
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    node.main(program)
