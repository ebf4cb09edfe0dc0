"""A database of 2 GB is backed up about as fast as by hand; a stall harms no other run."""

import re
import secrets as random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.install import Site
from lab.kubectl import Kubectl, Object, condition_of
from tests.support.cloud import Cloud, wait_gone, wait_reason
from tests.support.measurements import Measurements
from tests.support.relay import relaying
from tests.support.resources import resource
from tests.support.s3 import S3, gateway, serving

NAME = "e2e-large"
STATEMENTS = 64
ROWS = 4000  # of 8 KiB: 32 MiB a statement, 2 GiB in all
FILL_SECONDS = 900
RUN_SECONDS = 1500
STARTED_SECONDS = 120
GONE_SECONDS = 300
# Of the rate of `mariadb-backup --stream | restic backup --stdin` by hand.
SHARE = 0.8
SLOW_RATE = 24e6
MEMORY_MIB = 512
MESSAGE_SECONDS = 120
STALLED_SECONDS = 420
USER = "e2e_backup"
PARTS = {"database", "ovn-nb", "ovn-sb", "secrets", "state", "resources", "manifest"}
_PEAK = re.compile(r"peak memory: (\d+) MiB, of restic (\d+) MiB")


@dataclass(frozen=True)
class Large:
    """The filled database, and who may copy it by hand.

    Attributes:
        password: of `USER`.
    """

    cloud: Cloud
    kubectl: Kubectl
    password: str


@pytest.fixture(scope="module")
def large(cloud: Cloud, kubectl: Kubectl) -> Iterator[Large]:
    """A database of 2 GiB of random bytes; rows, account and binary logs go after the test."""
    cloud.wait_ready()
    writer = cloud.resource()["status"]["writer"]
    password = random.token_urlsafe(24)
    row = ", ".join(["RANDOM_BYTES(1024)"] * 8)
    cloud.sql(writer, "CREATE DATABASE e2e_large")
    try:
        cloud.sql(writer, "CREATE TABLE e2e_large.t (id INT AUTO_INCREMENT PRIMARY KEY, d BLOB)")
        # The names in it are this file's own.
        fill = f"INSERT INTO e2e_large.t (d) SELECT CONCAT({row}) FROM e2e_large.seq_1_to_{ROWS}"  # noqa: S608
        for _ in range(STATEMENTS):
            cloud.sql(writer, fill, timeout=FILL_SECONDS)
        cloud.sql(
            writer,
            f"CREATE USER {USER}@'%' IDENTIFIED BY '{password}'; GRANT RELOAD, PROCESS, "
            f"LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN ON *.* TO {USER}@'%'",
        )
        yield Large(cloud, kubectl, password)
    finally:
        cloud.sql(writer, f"DROP DATABASE e2e_large; DROP USER IF EXISTS {USER}@'%'", timeout=300)
        for member in cloud.members("mariadb"):
            cloud.sql(member, "FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW()", timeout=120)


@pytest.fixture(scope="module")
def s3(site: Site) -> Iterator[S3]:
    """A real S3 server."""
    with serving(gateway(site.cluster)) as served:
        yield served


@dataclass
class Policies:
    """Makes policies and Backups, and removes them."""

    kubectl: Kubectl
    cloud: str
    made: list[str]

    def volume(self, name: str) -> str:
        """Make a policy that backs up to a volume."""
        return self._make(name, {"volume": {"size": "6Gi"}})

    def bucket(self, name: str, s3: S3, address: tuple[str, int], key: str | None = None) -> str:
        """Make a policy that backs up to a bucket of its own, reached at an address."""
        keys = {"accessKeyId": s3.access_key, "secretAccessKey": key or s3.secret_key}
        self.kubectl.apply(_secret(f"{NAME}-{name}-s3", keys))
        repository = {
            "endpoint": f"http://{address[0]}:{address[1]}",
            "bucket": s3.bucket(name),
            "prefix": "sets",
            "credentialsSecret": f"{NAME}-{name}-s3",
        }
        return self._make(name, {"s3": repository})

    def _make(self, name: str, repository: Object) -> str:
        full = f"{NAME}-{name}"
        spec = {
            "controller": self.cloud,
            "schedule": "0 3 1 1 *",
            "encryptionSecret": full,
            "repository": repository,
            "suspend": True,
        }
        self.kubectl.apply(
            _secret(full, {"password": random.token_urlsafe(32)}),
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
            self.kubectl.run("delete", "secret", name, f"{name}-s3", "--ignore-not-found")


def _secret(name: str, values: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


@pytest.fixture
def policies(kubectl: Kubectl, cloud: Cloud) -> Iterator[Policies]:
    """Policies of a test."""
    made = Policies(kubectl, cloud.name, [])
    yield made
    made.remove()


def wait_copied(kubectl: Kubectl, backup: str, size: int, seconds: float = RUN_SECONDS) -> None:
    """Wait until a run's status shows so many bytes of the database."""

    def check() -> tuple[bool, str]:
        progress = (kubectl.get("backup", backup) or {}).get("status", {}).get("progress") or {}
        return progress.get("part") == "database" and progress["bytes"] > size, str(progress)

    kubectl.wait(f"{size} bytes of {backup}", check, seconds=seconds)


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
    kubectl.apply(_secret(name, values), _hand_pod(name, image, script, f"data-{source}"))
    try:

        def check() -> tuple[bool, str]:
            phase = (kubectl.get("pod", name) or {}).get("status", {}).get("phase", "")
            return phase in {"Succeeded", "Failed"}, phase

        kubectl.wait("the copy by hand", check, seconds=RUN_SECONDS)
        said = kubectl.run("logs", name)
        found = re.search(r"nanoseconds (\d+)", said)
        assert found, said
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


@pytest.mark.parametrize("where", ["volume", "s3", "slow"])
def test_the_whole_chain_is_nearly_as_fast_as_a_copy_by_hand(
    large: Large, policies: Policies, s3: S3, measurements: Measurements, where: str
) -> None:
    kubectl = large.kubectl
    rate = SLOW_RATE if where == "slow" else None
    with relaying(s3.address, s3.address[0], rate) as relay:
        address = (s3.address[0], relay.port) if rate else s3.address
        if where == "volume":
            name, repository = policies.volume(where), {"RESTIC_REPOSITORY": "/repository/hand"}
        else:
            name = policies.bucket(where, s3, address)
            repository = {
                "RESTIC_REPOSITORY": f"s3:http://{address[0]}:{address[1]}/{where}/hand",
                "AWS_ACCESS_KEY_ID": s3.access_key,
                "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            }
        policies.run(name)
        wait_copied(kubectl, name, 1 << 20)
        found = kubectl.wait_condition("backup", name, "Complete", seconds=RUN_SECONDS)
        status = found["status"]
        job = kubectl.get("job", f"{name}-run") or {}
        image = job["spec"]["template"]["spec"]["containers"][0]["image"]
        hand = by_hand(large, found, image, repository)

    database = next(step for step in status["steps"] if step["name"] == "database")
    chain = database["bytes"] / database["seconds"]
    peak = _PEAK.search(kubectl.run("logs", f"job/{name}-run"))
    assert peak, "the run logged no peak of memory"
    memory = int(peak[1]) + int(peak[2])
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


def test_a_repository_that_stalls_holds_up_no_other_and_ends_its_run_with_its_message(
    large: Large, policies: Policies, s3: S3, measurements: Measurements
) -> None:
    kubectl = large.kubectl
    stalled = policies.run(policies.bucket("stalled", s3, s3.address))
    wait_copied(kubectl, stalled, 100_000_000)

    s3.freeze()
    began = time.time()
    other = policies.run(policies.volume("other"))

    def message_says() -> tuple[bool, str]:
        said = condition_of(kubectl.get("backup", stalled) or {}, "Complete").get("message", "")
        return "repository does not get on" in said, said

    kubectl.wait("the repository's message", message_says, seconds=MESSAGE_SECONDS)
    told = time.time() - began
    said = wait_reason(
        kubectl, "backup", stalled, "Complete", "RepositoryStalled", seconds=STALLED_SECONDS
    )
    failed = time.time() - began
    s3.thaw()
    measurements.record("a repository that stalls", message_seconds=told, failed_seconds=failed)
    assert "restic" in said["message"]
    ended = (kubectl.get("backup", stalled) or {})["status"]
    found = kubectl.wait_condition("backup", other, "Complete", seconds=RUN_SECONDS)
    assert found["status"]["startedAt"] < ended["completedAt"]
    assert found["status"]["source"] != ended["source"]


def test_a_repository_that_refuses_the_keys_is_reported_within_two_minutes(
    large: Large, policies: Policies, s3: S3
) -> None:
    refused = policies.run(policies.bucket("refused", s3, s3.address, key="not the key"))

    said = wait_reason(
        large.kubectl, "backup", refused, "Complete", "RepositoryStalled",
        seconds=MESSAGE_SECONDS + STARTED_SECONDS,
    )  # fmt: skip

    assert "signature" in said["message"]


def test_a_deleted_backup_takes_its_set_along(large: Large, policies: Policies, s3: S3) -> None:
    name = policies.run(policies.bucket("deleted", s3, s3.address))
    large.kubectl.wait_condition("backup", name, "Complete", seconds=RUN_SECONDS)
    snapshots = s3.folder / "deleted" / "sets" / "snapshots"
    assert any(snapshots.iterdir())

    large.kubectl.run("delete", "backup", name, "--wait=false")

    wait_gone(large.kubectl, "backup", name, GONE_SECONDS)
    assert not snapshots.exists() or not any(snapshots.iterdir())
