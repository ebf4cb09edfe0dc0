"""What stands on a RabbitMQ member's volume: its data, and what its agent noted of it."""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Final

_NODE: Final = re.compile(r"[\w-]+@[\w.-]+")


class BrokerVolume:
    """The volume of one member.

    Args:
        home: where it is mounted.
        node: the member's node.
    """

    def __init__(self, home: Path, node: str) -> None:
        self._home = home
        self._node = node

    @property
    def _data(self) -> Path:
        return self._home / "mnesia"

    @property
    def _forming(self) -> Path:
        """Stands while a broker starts on an empty volume: what it leaves was in no cluster yet."""
        return self._home / ".forming"

    @property
    def _filling(self) -> Path:
        """Stands until every queue has a member on a broker that joined."""
        return self._home / ".filling"

    @property
    def _continuing(self) -> Path:
        """Holds the incident while a broker continues without the others."""
        return self._home / ".continuing"

    @property
    def _leaving(self) -> Path:
        """Stands when the broker was stopped for good, since its queues do without it."""
        return self._home / ".leaving"

    @property
    def _recovered(self) -> Path:
        return self._home / ".recovered"

    @property
    def _yielded(self) -> Path:
        return self._home / ".yielded"

    @property
    def aside(self) -> Path:
        """Where data is kept that this member was in another cluster with."""
        return self._home / "aside"

    def has_data(self) -> bool:
        """Return whether the volume was in a cluster; remains of a first start are removed."""
        if self._forming.exists():
            shutil.rmtree(self._data, ignore_errors=True)
        return (self._data / self._node).exists()

    def begin_forming(self) -> None:
        """Note that a broker starts on an empty volume."""
        self._filling.touch()
        self._forming.touch()

    def formed(self) -> None:
        """Note that the volume is in a cluster from now on."""
        self._forming.unlink(missing_ok=True)

    @property
    def filling(self) -> bool:
        """Whether the broker joined, and queues may still lack a member on it."""
        return self._filling.exists()

    def filled(self) -> None:
        """Note that every queue that can has a member here."""
        self._filling.unlink(missing_ok=True)

    def fellows(self) -> frozenset[str]:
        """Return the nodes of the cluster that the data is of, as RabbitMQ wrote them down."""
        return self._nodes("cluster_nodes.config")

    def last_seen(self) -> frozenset[str]:
        """Return the nodes that ran when this one last did, itself included where there is data.

        RabbitMQ writes them at every change (rabbit_node_monitor).
        """
        return self._nodes("nodes_running_at_shutdown")

    def _nodes(self, name: str) -> frozenset[str]:
        try:
            return frozenset(_NODE.findall((self._data / self._node / name).read_text()))
        except OSError:
            return frozenset()

    def put_aside(self) -> None:
        """Move the data out of the way, in place of what was put aside before.

        A person can still read it; only the last one is kept, since it takes space of the volume.
        """
        if self._data.exists():
            shutil.rmtree(self.aside, ignore_errors=True)
            self._data.rename(self.aside)
        for note in (self._continuing, self._recovered, self._forming, self._leaving):
            note.unlink(missing_ok=True)

    @property
    def yielded(self) -> str:
        """The incident by which data was last put aside; empty where that was never so."""
        return _read(self._yielded)

    def give_way(self, incident: str) -> None:
        """Put the data aside, as was consented to for an incident, which is noted first."""
        _write(self._yielded, incident)
        self.put_aside()

    @property
    def leaving(self) -> bool:
        """Whether the broker was stopped for good."""
        return self._leaving.exists()

    def begin_leaving(self) -> None:
        """Note that the broker is not to be started again while the member leaves."""
        _write(self._leaving, "")

    def end_leaving(self) -> None:
        """Note that the broker has to be started again before the member can leave."""
        self._leaving.unlink(missing_ok=True)

    @property
    def continuing(self) -> str:
        """The incident by which this member is to continue alone, until it does; else empty."""
        return _read(self._continuing)

    @property
    def recovered(self) -> str:
        """The incident by which this member continued last; empty where it never did."""
        return _read(self._recovered)

    def begin_continuing(self, incident: str) -> None:
        """Note an incident before anything is done about it."""
        _write(self._continuing, incident)

    def end_continuing(self) -> None:
        """Note that the member has continued: a decision for this incident is not applied again."""
        self._continuing.replace(self._recovered)


def _read(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, also when the machine loses power."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
