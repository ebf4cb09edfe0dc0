"""A set is copied into another repository, and can be restored from that alone."""

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path

from lab.kubectl import Kubectl
from tests.support.backups import Policies
from tests.support.binaries import binary
from tests.support.cloud import Cloud, wait_reason
from tests.support.measurements import Measurements
from tests.support.resources import resource
from tests.support.s3 import S3

RUN_SECONDS = 300
COPY_SECONDS = 300
PREFLIGHT_SECONDS = 180
RESTORE = "e2e-from-copy"


def test_a_copy_is_whole_and_can_be_restored_by_itself(
    kubectl: Kubectl, cloud: Cloud, policies: Policies, s3: S3, measurements: Measurements
) -> None:
    cloud.wait_ready()
    policy = policies.copied("copied", s3)
    taken = kubectl.wait_condition("backup", policies.run(policy), seconds=RUN_SECONDS)
    found = kubectl.wait_condition("backuppolicy", policy, "Copied", seconds=COPY_SECONDS)
    [copied] = found["status"]["copies"]
    assert copied["backup"] == policy
    written = {step["name"]: step["sha256"] for step in taken["status"]["steps"]}
    # The manifest of the copy is its own: it is signed with another key.
    del written["manifest"]
    assert read_back(kubectl, policy, s3) == written

    [far] = found["spec"]["copies"]
    source = {
        "policy": policy,
        "repository": far["repository"],
        "encryptionSecret": far["encryptionSecret"],
    }
    kubectl.apply(resource("Restore", RESTORE, {"recoverySet": source, "dryRun": True}))
    wait_reason(
        kubectl, "restore", RESTORE, "Complete", "DryRunCompleted", seconds=PREFLIGHT_SECONDS
    )
    restore = kubectl.get("restore", RESTORE) or {}
    assert restore["status"]["preflight"]["recoverySet"] == policy
    measurements.record("copy of a set into a bucket", bytes=copied["bytes"])
    kubectl.run("delete", "restore", RESTORE)


def read_back(kubectl: Kubectl, policy: str, s3: S3) -> dict[str, str]:
    """Return the checksums of the parts in the bucket, as restic reads them on this machine."""
    key = (kubectl.get("secret", f"{policy}-far") or {})["data"]["password"]
    environment = {
        **os.environ,
        "RESTIC_REPOSITORY": str(Path(s3.folder) / policy / "sets"),
        "RESTIC_PASSWORD": base64.b64decode(key).decode(),
    }

    def restic(*arguments: str) -> bytes:
        command = [str(binary("restic")), "--no-cache", "--no-lock", "--quiet", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    found = {}
    for snapshot in json.loads(restic("snapshots", "--json")):
        [part] = [tag.removeprefix("part=") for tag in snapshot["tags"] if tag[:5] == "part="]
        [path] = snapshot["paths"]
        if part != "manifest":
            found[part] = hashlib.sha256(restic("dump", snapshot["id"], path)).hexdigest()
    return found
