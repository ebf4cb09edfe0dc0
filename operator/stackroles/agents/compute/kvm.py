"""The node's /dev/kvm and the group that guests open it with."""

import os
import stat
from pathlib import Path

DEVICE = Path("/dev/kvm")
# nova's user and group in all images (images/base: users), with which guests run.
NOVA = 42436
# The group kvm of Debian's base-passwd and of Red Hat's setup package.
GROUP = 36
_GROUP_ACCESS = stat.S_IRGRP | stat.S_IWGRP
_OTHERS_ACCESS = stat.S_IROTH | stat.S_IWOTH


def share(device: Path = DEVICE) -> int:
    """Give guests access to the device where they have none; return the group they run with.

    systemd's udev rules (50-udev-default.rules) give /dev/kvm to the group kvm with mode 0660 or
    more. A node without these rules, such as one that runs in a container, keeps the kernel's own
    0600 root:root, and no guest can open it.

    Returns:
        The numeric group of guests: the device's own, or nova's where guests need no group.
    """
    if not device.exists():
        return NOVA
    mode, group = stat.S_IMODE(device.stat().st_mode), _group_of(device)
    if mode & _OTHERS_ACCESS == _OTHERS_ACCESS:
        return group or NOVA
    if group == 0:
        os.chown(device, -1, GROUP)
    if mode & _GROUP_ACCESS != _GROUP_ACCESS:
        device.chmod(mode | _GROUP_ACCESS)
    return group or GROUP


def access(device: Path = DEVICE) -> str:
    """Return who may open the device, as "group mode"; "absent" where there is none."""
    if not device.exists():
        return "absent"
    return f"{_group_of(device)} {stat.S_IMODE(device.stat().st_mode):o}"


def _group_of(device: Path) -> int:
    return device.stat().st_gid
