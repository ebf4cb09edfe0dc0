"""Backup policies of a test, to a volume or a bucket, and a database worth backing up."""

import contextlib
import secrets as random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.kubectl import Kubectl, Object
from tests.support.cloud import Cloud, wait_gone
from tests.support.resources import resource
from tests.support.s3 import S3

NAME = "e2e-backup"
DATABASE = "e2e_large"
STATEMENT_MIB = 32
# Two of them fit into a page of 16 KiB: one that does not takes a page of its own.
ROW_KIB = 7
ROWS = STATEMENT_MIB * 1024 // (ROW_KIB + 1)
FILL_SECONDS = 300
GONE_SECONDS = 300


@contextlib.contextmanager
def filled(cloud: Cloud, mebibytes: int) -> Iterator[str]:
    """Yield the writer of a database of random bytes; they and the binary logs go afterwards.

    Args:
        cloud: whose database is filled.
        mebibytes: how large its files become by it.
    """
    writer = cloud.wait_ready()["status"]["writer"]
    row = ", ".join(["RANDOM_BYTES(1024)"] * ROW_KIB)
    cloud.sql(writer, f"CREATE OR REPLACE DATABASE {DATABASE}")
    try:
        cloud.sql(writer, f"CREATE TABLE {DATABASE}.t (id INT AUTO_INCREMENT PRIMARY KEY, d BLOB)")
        # The names in it are this file's own.
        fill = f"INSERT INTO {DATABASE}.t (d) SELECT CONCAT({row}) FROM {DATABASE}.seq_1_to_{ROWS}"  # noqa: S608
        for _ in range(mebibytes // STATEMENT_MIB):
            cloud.sql(writer, fill, timeout=FILL_SECONDS)
        yield writer
    finally:
        cloud.sql(writer, f"DROP DATABASE {DATABASE}", timeout=300)
        for member in cloud.members("mariadb"):
            cloud.sql(member, "FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW()", timeout=120)


@dataclass
class Policies:
    """Makes policies and Backups, and removes them."""

    kubectl: Kubectl
    cloud: str
    made: list[str] = field(default_factory=list)

    def volume(self, name: str) -> str:
        """Make a policy that backs up to a volume."""
        return self._make(name, {"volume": {"size": "6Gi"}})

    def shipped(self, name: str) -> str:
        """Make a policy that backs up to a volume, and ships binary logs there."""
        return self._make(name, {"volume": {"size": "6Gi"}}, pointInTime={"intervalSeconds": 15})

    def bucket(self, name: str, s3: S3, address: tuple[str, int], key: str | None = None) -> str:
        """Make a policy that backs up to a bucket of its own, reached at an address."""
        return self._make(name, self._bucket(name, s3, address, key or s3.secret_key))

    def copied(self, name: str, s3: S3) -> str:
        """Make a policy that backs up to a volume, with a copy named `far` in a bucket.

        The key of the copy is the Secret `<policy>-far`.
        """
        key = f"{NAME}-{name}-far"
        self.kubectl.apply(secret(key, {"password": random.token_urlsafe(32)}))
        repository = self._bucket(name, s3, s3.address, s3.secret_key)
        far = {"name": "far", "encryptionSecret": key, "repository": repository}
        return self._make(name, {"volume": {"size": "6Gi"}}, copies=[far])

    def _bucket(self, name: str, s3: S3, address: tuple[str, int], key: str) -> Object:
        full = f"{NAME}-{name}"
        keys = {"accessKeyId": s3.access_key, "secretAccessKey": key}
        self.kubectl.apply(secret(f"{full}-s3", keys))
        repository = {
            "endpoint": f"http://{address[0]}:{address[1]}",
            "bucket": s3.bucket(full),
            "prefix": "sets",
            "credentialsSecret": f"{full}-s3",
        }
        return {"s3": repository}

    def _make(self, name: str, repository: Object, **fields: Any) -> str:
        full = f"{NAME}-{name}"
        spec = {
            "controller": self.cloud,
            "schedule": "0 3 1 1 *",
            "encryptionSecret": full,
            "repository": repository,
            "suspend": True,
            **fields,
        }
        self.kubectl.apply(
            secret(full, {"password": random.token_urlsafe(32)}),
            resource("BackupPolicy", full, spec),
        )
        self.made.append(full)
        return full

    def run(self, policy: str) -> str:
        """Apply a Backup of a policy; its name is the policy's."""
        self.kubectl.apply(resource("Backup", policy, {"policy": policy}))
        return policy

    def remove(self) -> None:
        """Remove Backups first, with their sets, then all else."""
        for name in self.made:
            self.kubectl.run("delete", "backup", name, "--ignore-not-found", "--wait=false")
        for name in self.made:
            wait_gone(self.kubectl, "backup", name, GONE_SECONDS)
            self.kubectl.run("delete", "backuppolicy", name, "--ignore-not-found")
            self.kubectl.run("delete", "pvc", f"{name}-repository", "--ignore-not-found")
            keys = (name, f"{name}-s3", f"{name}-far")
            self.kubectl.run("delete", "secret", *keys, "--ignore-not-found")
        self.made.clear()


def secret(name: str, values: dict[str, str]) -> Object:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def wait_copied(kubectl: Kubectl, backup: str, size: int, seconds: float) -> None:
    """Wait until a run's status shows so many bytes of the database."""

    def check() -> tuple[bool, str]:
        progress = (kubectl.get("backup", backup) or {}).get("status", {}).get("progress") or {}
        return progress.get("part") == "database" and progress["bytes"] > size, str(progress)

    kubectl.wait(f"{size} bytes of {backup}", check, seconds=seconds)
