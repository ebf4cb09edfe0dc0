"""A backup beside the same copy made by hand: how fast each is, and what the first one holds."""

import contextlib
import re
import secrets as random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.kubectl import Kubectl, Object
from tests.support.backups import NAME, Policies, filled, secret, wait_copied
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements
from tests.support.relay import relaying
from tests.support.s3 import S3

RUN_SECONDS = 400
USER = "e2e_backup"
_PEAK = re.compile(r"peak memory: (\d+) MiB, of restic (\d+) MiB")


@dataclass(frozen=True, slots=True)
class Compared:
    """A backup's run and the copy by hand.

    Attributes:
        status: the Backup's.
        size: bytes of the database.
        chain: bytes a second of the database in the run.
        hand: bytes a second by hand.
        memory: the most that the run held, in MiB.
    """

    status: Object
    size: int
    chain: float
    hand: float
    memory: int

    @property
    def share(self) -> float:
        """The run's rate in those of the copy by hand."""
        return self.chain / self.hand


@contextlib.contextmanager
def copied_by_hand(cloud: Cloud, mebibytes: int) -> Iterator[str]:
    """Yield the password of an account that may copy a database of random bytes."""
    password = random.token_urlsafe(24)
    with filled(cloud, mebibytes) as writer:
        cloud.sql(
            writer,
            f"CREATE OR REPLACE USER {USER}@'%' IDENTIFIED BY '{password}'; GRANT RELOAD, PROCESS, "
            f"LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN ON *.* TO {USER}@'%'",
        )
        try:
            yield password
        finally:
            cloud.sql(writer, f"DROP USER {USER}@'%'")


def compare(
    name: str, policies: Policies, s3: S3, password: str, measurements: Measurements,
    *, rate: float | None = None, volume: bool = False,
) -> Compared:  # fmt: skip
    """Take a backup, copy the same member by hand, record both, and remove the backup.

    Args:
        name: of the policy.
        policies: make it.
        s3: the server of its bucket.
        password: of `copied_by_hand`.
        measurements: keep the figures.
        rate: bytes a second that the server takes; None for any number.
        volume: whether the repository is on a volume.
    """
    kubectl = policies.kubectl
    with _repository(name, policies, s3, rate, volume) as (backup, beside):
        policies.run(backup)
        wait_copied(kubectl, backup, 1 << 20, RUN_SECONDS)
        found = kubectl.wait_condition("backup", backup, "Complete", seconds=RUN_SECONDS)
        job = kubectl.get("job", f"{backup}-run") or {}
        image = job["spec"]["template"]["spec"]["containers"][0]["image"]
        hand = _by_hand(password, kubectl, found, image, beside)
        memory = _peak_memory(kubectl, backup)
    status = found["status"]
    database = next(step for step in status["steps"] if step["name"] == "database")
    compared = Compared(
        status, database["bytes"], database["bytes"] / database["seconds"], hand, memory
    )
    measurements.record(
        f"a backup, {name}",
        bytes=compared.size,
        run_seconds=status["durationSeconds"],
        chain_mb_per_second=compared.chain / 1e6,
        hand_mb_per_second=hand / 1e6,
        memory_mib=memory,
    )
    return compared


@contextlib.contextmanager
def _repository(
    name: str, policies: Policies, s3: S3, rate: float | None, volume: bool
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a policy's name, and the environment of restic for another repository beside its own.

    The Backup and its set are removed in the end, while the repository is reached.
    """
    with relaying(s3.address, s3.address[0], rate) as relay:
        host, port = s3.address[0], relay.port if rate else s3.address[1]
        if volume:
            policy = policies.volume(name)
            yield policy, {"RESTIC_REPOSITORY": "/repository/hand"}
        else:
            policy = policies.bucket(name, s3, (host, port))
            keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
            yield policy, {"RESTIC_REPOSITORY": f"s3:http://{host}:{port}/{policy}/hand", **keys}
            assert _snapshots(s3, policy)
        policies.remove()
        assert not _snapshots(s3, policy), "the set of a deleted Backup is still there"


def _snapshots(s3: S3, name: str) -> list[Path]:
    """Return the snapshots in a policy's bucket."""
    return list((s3.folder / name / "sets" / "snapshots").glob("*"))


def _peak_memory(kubectl: Kubectl, backup: str) -> int:
    """Return the most memory a run held, in MiB, as it logged it."""
    found = _PEAK.search(kubectl.run("logs", f"job/{backup}-run"))
    assert found, "the run logged no peak of memory"
    return int(found[1]) + int(found[2])


def _by_hand(
    password: str, kubectl: Kubectl, backup: Object, image: str, repository: dict[str, str]
) -> float:
    """Copy the same member by hand into another repository; return bytes a second."""
    source = backup["status"]["source"]
    pod = kubectl.get("pod", source) or {}
    size = next(s["bytes"] for s in backup["status"]["steps"] if s["name"] == "database")
    script = (
        "restic init -q && begin=$(date +%s%N) && "
        f"mariadb-backup --backup --stream=mbstream --datadir=/var/lib/mysql/data --user={USER} "
        f"--host={pod['status']['podIP']} --password=$PASSWORD --target-dir=/tmp/b 2>/tmp/log | "
        "restic --no-cache backup --stdin --quiet && end=$(date +%s%N) && "
        "grep -q 'completed OK!' /tmp/log && echo nanoseconds $((end - begin)) || tail /tmp/log"
    )
    values = {**repository, "PASSWORD": password, "RESTIC_PASSWORD": random.token_hex(16)}
    name = f"{NAME}-hand"
    kubectl.apply(secret(name, values), _hand_pod(name, image, script, f"data-{source}"))
    try:

        def check() -> tuple[bool, str]:
            phase = (kubectl.get("pod", name) or {}).get("status", {}).get("phase", "")
            return phase in {"Succeeded", "Failed"}, phase

        kubectl.wait("the copy by hand", check, seconds=RUN_SECONDS)
        output = kubectl.run("logs", name)
        found = re.search(r"nanoseconds (\d+)", output)
        assert found, output
        return float(size / (int(found[1]) / 1e9))
    finally:
        kubectl.run("delete", "pod", name, "--grace-period=0", "--force", "--ignore-not-found")
        kubectl.run("delete", "secret", name)


def _hand_pod(name: str, image: str, script: str, claim: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 42434, "runAsGroup": 42434, "fsGroup": 42434},
            "containers": [
                {
                    "name": "hand",
                    "image": image,
                    "command": ["bash", "-o", "pipefail", "-c", script],
                    "envFrom": [{"secretRef": {"name": name}}],
                    "volumeMounts": [
                        {"name": "source", "mountPath": "/var/lib/mysql"},
                        {"name": "repository", "mountPath": "/repository"},
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the pod
                    ],
                }
            ],
            "volumes": [
                {"name": "source", "persistentVolumeClaim": {"claimName": claim}},
                {"name": "repository", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }
