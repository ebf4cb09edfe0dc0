"""libvirtd on a compute node: prepares the node, then becomes the daemon.

Guests must outlive this pod: a hook moves each QEMU into a cgroup of the node, out of the pod's.
libvirtd itself stays where it is: moving it would empty the container's scope, and every later exec
into the container would fail.
"""

from collections.abc import Sequence
from pathlib import Path

from stackroles.agents.compute import host_identity, kvm, node
from stackroles.agents.compute.libvirt_protocol import LibvirtSettings

ETC = Path("/etc/libvirt")
RUN = Path("/run/libvirt")
PID_FILE = RUN / "libvirtd.pid"
CGROUPS = Path("/sys/fs/cgroup")
GUESTS = "stackroles.guests"

LIBVIRTD = """\
# Written at each start of this container.
listen_tls = 0
listen_tcp = 0
host_uuid = "{host_uuid}"
unix_sock_group = "root"
unix_sock_rw_perms = "0770"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:stderr"
"""
# Guests are confined by their user. Mount namespaces, cgroup controllers and ownership records
# need more of the node than a pod has.
QEMU = """\
# Written at each start of this container.
user = "+{user}"
group = "+{group}"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
vnc_listen = "0.0.0.0"
"""
HOOK = """\
#!/bin/sh
# libvirt calls this at each step of a guest's life: NAME OPERATION ...
[ "$2" = started ] || exit 0
pid=$(cat "{run}/qemu/$1.pid") || exit 1
for file in {files}; do
  echo "$pid" > "$file" || exit 1
done
"""


def hierarchies(root: Path) -> tuple[Path, ...]:
    """Return the cgroup hierarchies that can hold processes: one for version 2, several for 1."""
    if (root / "cgroup.controllers").exists():
        return (root,)
    found = (path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink())
    return tuple(path for path in found if (path / "cgroup.procs").exists())


def make_guest_groups(root: Path) -> tuple[Path, ...]:
    """Make the cgroup of guests in every hierarchy and return their files for entering it."""
    files = []
    for hierarchy in hierarchies(root):
        group = hierarchy / GUESTS
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # version 1: empty means none may run
            if (group / name).exists() and not (group / name).read_text().strip():
                (group / name).write_text((hierarchy / name).read_text())
        files.append(group / "cgroup.procs")
    return tuple(files)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file and its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def program(_: Sequence[str]) -> None:
    """Write libvirt's files, make the guests' cgroups and become libvirtd."""
    settings, name = node.settings(LibvirtSettings), node.node_name()
    derived = host_identity.identity("libvirt", settings.cloud, name)
    host_uuid = host_identity.persisted(host_identity.HOST_UUID, derived)
    write(ETC / "libvirtd.conf", LIBVIRTD.format(host_uuid=host_uuid))
    write(ETC / "qemu.conf", QEMU.format(user=kvm.NOVA, group=kvm.share()))
    try:
        files = make_guest_groups(CGROUPS)
    except OSError as error:
        raise node.AgentError(
            f"the node's cgroups under {CGROUPS} cannot be written ({error}): guests would die "
            "with this pod"
        ) from error
    hook = HOOK.format(run=RUN, files=" ".join(str(file) for file in files))
    write(ETC / "hooks" / "qemu", hook, 0o755)
    PID_FILE.unlink(missing_ok=True)
    node.become("libvirtd", "--config", str(ETC / "libvirtd.conf"), "--pid-file", str(PID_FILE))


if __name__ == "__main__":
    node.main(program)
