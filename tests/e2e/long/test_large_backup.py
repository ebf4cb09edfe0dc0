"""A database of 2 GB is backed up about as fast as by hand, in little memory, anywhere."""

import contextlib
import re
import secrets as random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.kubectl import Kubectl, Object
from tests.support.backups import NAME, Policies, filled, secret, wait_copied
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements
from tests.support.relay import relaying
from tests.support.s3 import S3

MEBIBYTES = 2048
RUN_SECONDS = 400
# Of the rate of `mariadb-backup --stream | restic backup --stdin` by hand.
SHARE = 0.8
SLOW_RATE = 24e6
MEMORY_MIB = 512
USER = "e2e_backup"
PARTS = {"database", "ovn-nb", "ovn-sb", "secrets", "state", "resources", "manifest"}
_PEAK = re.compile(r"peak memory: (\d+) MiB, of restic (\d+) MiB")


@dataclass(frozen=True)
class Large:
    """The filled database, and who may copy it by hand.

    Attributes:
        password: of `USER`.
    """

    kubectl: Kubectl
    password: str


@pytest.fixture(scope="module")
def large(cloud: Cloud, kubectl: Kubectl) -> Iterator[Large]:
    """A database of 2 GiB of random bytes, and an account; both go after the tests."""
    password = random.token_urlsafe(24)
    with filled(cloud, MEBIBYTES) as writer:
        cloud.sql(
            writer,
            f"CREATE USER {USER}@'%' IDENTIFIED BY '{password}'; GRANT RELOAD, PROCESS, "
            f"LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN ON *.* TO {USER}@'%'",
        )
        try:
            yield Large(kubectl, password)
        finally:
            cloud.sql(writer, f"DROP USER {USER}@'%'")


def by_hand(large: Large, backup: Object, image: str, repository: dict[str, str]) -> float:
    """Copy the same member by hand into another repository; return bytes a second."""
    kubectl, source = large.kubectl, backup["status"]["source"]
    pod = kubectl.get("pod", source) or {}
    size = next(s["bytes"] for s in backup["status"]["steps"] if s["name"] == "database")
    script = (
        "restic init -q && begin=$(date +%s%N) && "
        f"mariadb-backup --backup --stream=mbstream --datadir=/var/lib/mysql/data --user={USER} "
        f"--host={pod['status']['podIP']} --password=$PASSWORD --target-dir=/tmp/b 2>/tmp/log | "
        "restic --no-cache backup --stdin --quiet && end=$(date +%s%N) && "
        "grep -q 'completed OK!' /tmp/log && echo nanoseconds $((end - begin)) || tail /tmp/log"
    )
    values = {**repository, "PASSWORD": large.password, "RESTIC_PASSWORD": random.token_hex(16)}
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


@contextlib.contextmanager
def repository(where: str, policies: Policies, s3: S3) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a policy's name, and the environment of restic for another repository beside its own.

    The Backup and its set are removed in the end, while the repository is reached.
    """
    rate = SLOW_RATE if where == "slow" else None
    with relaying(s3.address, s3.address[0], rate) as relay:
        host, port = s3.address[0], relay.port if rate else s3.address[1]
        if where == "volume":
            name = policies.volume(where)
            yield name, {"RESTIC_REPOSITORY": "/repository/hand"}
        else:
            name = policies.bucket(where, s3, (host, port))
            yield (
                name,
                {
                    "RESTIC_REPOSITORY": f"s3:http://{host}:{port}/{name}/hand",
                    "AWS_ACCESS_KEY_ID": s3.access_key,
                    "AWS_SECRET_ACCESS_KEY": s3.secret_key,
                },
            )
            assert snapshots(s3, name)
        policies.remove()
        assert not snapshots(s3, name), "the set of a deleted Backup is still there"


def snapshots(s3: S3, name: str) -> list[Path]:
    """Return the snapshots in a policy's bucket."""
    return list((s3.folder / name / "sets" / "snapshots").glob("*"))


def peak_memory(kubectl: Kubectl, backup: str) -> int:
    """Return the most memory a run held, in MiB, as it logged it."""
    found = _PEAK.search(kubectl.run("logs", f"job/{backup}-run"))
    assert found, "the run logged no peak of memory"
    return int(found[1]) + int(found[2])


@pytest.mark.parametrize("where", ["volume", "s3", "slow"])
def test_the_whole_chain_is_nearly_as_fast_as_a_copy_by_hand(
    large: Large, policies: Policies, s3: S3, measurements: Measurements, where: str
) -> None:
    kubectl = large.kubectl
    with repository(where, policies, s3) as (name, beside):
        policies.run(name)
        wait_copied(kubectl, name, 1 << 20, RUN_SECONDS)
        found = kubectl.wait_condition("backup", name, "Complete", seconds=RUN_SECONDS)
        job = kubectl.get("job", f"{name}-run") or {}
        image = job["spec"]["template"]["spec"]["containers"][0]["image"]
        hand = by_hand(large, found, image, beside)
        memory = peak_memory(kubectl, name)

    status = found["status"]
    database = next(step for step in status["steps"] if step["name"] == "database")
    chain = database["bytes"] / database["seconds"]
    measurements.record(
        f"a backup of 2 GB, {where}",
        bytes=database["bytes"],
        run_seconds=status["durationSeconds"],
        chain_mb_per_second=chain / 1e6,
        hand_mb_per_second=hand / 1e6,
        memory_mib=memory,
    )
    assert status["verified"] is True
    assert {step["name"] for step in status["steps"]} >= PARTS
    assert "progress" not in status
    assert database["bytes"] > 2_000_000_000
    assert memory < MEMORY_MIB
    assert chain >= SHARE * hand, f"{chain / 1e6:.1f} MB/s, by hand {hand / 1e6:.1f} MB/s"
