"""What a database member's agent takes from its environment, and the options of its server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackroles.agents.annotations import ANNOTATIONS
from stackroles.agents.galera.protocol import DECISION_ANNOTATION, PORT


@dataclass(frozen=True)
class MemberSettings:
    """The agent's settings.

    Attributes:
        member: the pod's name.
        pod_uid: the pod's identity.
        address: the pod's address, for the other members.
        ordinal: the member's number.
        peers: `host:port` of the other members' agents.
        surplus: whether the cluster is to have fewer members, and not this one.
        port: where this agent answers.
        volume: the member's volume.
        defaults: the server's options file.
        annotations: the pod's annotations, as the downward API writes them.
        annotation: the annotation that holds the decision.
        socket: the server's socket.
        user: the database account of the system user the agent runs as.
        operator_user: the account that sets up others, over the network.
        operator_password: its password; empty: no such account is made.
        backup_token: what a client of the backup stream must show; empty: there is no stream.
        server, install, recovery, backup: the programs.
        join_seconds: how long a joiner may show no progress.
        alone_seconds: how long to wait for a decision before re-joining without one.
        drain_seconds: how long clients may take to leave before the server is stopped.
        room_bytes: a volume with less room is full; 0 for what `Volume.is_full` has.
    """

    member: str
    pod_uid: str
    address: str
    ordinal: int
    peers: tuple[str, ...]
    surplus: bool = False
    port: int = PORT
    volume: Path = Path("/var/lib/mysql")
    defaults: Path = Path("/etc/stackroles/my.cnf")
    annotations: Path = ANNOTATIONS
    annotation: str = DECISION_ANNOTATION
    socket: Path = Path("/run/mysqld/mysqld.sock")
    user: str = "mysql"
    operator_user: str = "stackroles"
    operator_password: str = ""
    backup_token: str = ""
    server: str = "/usr/sbin/mariadbd"
    install: str = "/usr/bin/mariadb-install-db"
    recovery: str = "/usr/bin/galera_recovery"
    backup: str = "/usr/bin/mariadb-backup"
    join_seconds: float = 60.0
    alone_seconds: float = 20.0
    drain_seconds: float = 20.0
    room_bytes: int = 0

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "MemberSettings":
        """Return the settings.

        Raises:
            KeyError: a variable is missing.
            OSError: the server's options file cannot be read.
        """
        changed: dict[str, Any] = {}
        for name, kind in (
            ("port", int),
            ("volume", Path),
            ("defaults", Path),
            ("annotations", Path),
            ("annotation", str),
            ("socket", Path),
            ("user", str),
            ("operator_user", str),
            ("operator_password", str),
            ("backup_token", str),
            ("server", str),
            ("install", str),
            ("recovery", str),
            ("backup", str),
            ("join_seconds", float),
            ("alone_seconds", float),
            ("drain_seconds", float),
            ("room_bytes", int),
        ):
            if f"GALERA_{name.upper()}" in env:
                changed[name] = kind(env[f"GALERA_{name.upper()}"])
        member = env["POD_NAME"]
        hosts = read_peers(changed.get("defaults", cls.defaults).read_text())
        port = changed.get("port", cls.port)
        return cls(
            member=member,
            pod_uid=env["POD_UID"],
            address=env["POD_IP"],
            ordinal=int(member.rpartition("-")[2]),
            peers=tuple(
                host if ":" in host else f"{host}:{port}"
                for host in hosts
                if host.partition(".")[0] != member
            ),
            surplus=member not in {host.partition(".")[0] for host in hosts},
            **changed,
        )

    def options(self) -> list[str]:
        """Return the server's options that differ between members."""
        return [
            f"--defaults-file={self.defaults}",
            f"--wsrep-node-name={self.member}",
            f"--wsrep-node-address={self.address}",
            # Transactions that never leave a member must not share the cluster's binlog domain.
            f"--gtid-domain-id={100 + self.ordinal}",
        ]

    def recovery_command(self) -> list[str]:
        """Return the command that recovers a stopped member's position.

        It knows no other option than the file's name (my_print_defaults refuses others).
        """
        return [self.recovery, f"--defaults-file={self.defaults}"]

    def install_command(self) -> list[str]:
        """Return the command that makes a new database."""
        return [
            self.install,
            f"--defaults-file={self.defaults}",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={self.user}",
            "--skip-test-db",
            "--skip-name-resolve",
            "--wsrep-on=OFF",
        ]

    def backup_command(self) -> list[str]:
        """Return the command that writes a physical backup to its output."""
        return [
            self.backup,
            f"--defaults-file={self.defaults}",
            "--backup",
            "--galera-info",
            "--stream=mbstream",
            f"--datadir={self.volume / 'data'}",
            f"--socket={self.socket}",
            f"--user={self.user}",
        ]


def read_peers(options: str) -> list[str]:
    """Return the members' names in a server's options file."""
    found = re.search(r"^\s*wsrep[_-]cluster[_-]address\s*=\s*gcomm://(\S*)", options, re.MULTILINE)
    return [host for host in found[1].split(",") if host] if found else []
