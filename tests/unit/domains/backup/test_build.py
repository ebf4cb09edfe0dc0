"""The children of BackupPolicy and Backup."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.agents.backup.verification_protocol import Level
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, Verification
from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec
from stackroles.api.v1alpha1.common import Resources
from stackroles.api.v1alpha1.repository import Bandwidth
from stackroles.config.cloud import Cloud
from stackroles.domains.backup.build import (
    COMPONENT,
    build_cron_job,
    build_repository_claim,
    schedule_trigger,
)
from stackroles.domains.backup.build_job import Run, build_backup_job, build_inputs
from stackroles.domains.backup.build_verification import (
    VerificationRun,
    build_verification,
    trigger,
)
from stackroles.workloads.manifests.agents import agent_sources, closure, config_map_data
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.repository import repository_id

CLOUD = Cloud(
    name="demo",
    namespace="cloud",
    uid="u1",
    spec=CloudControllerSpec(),
    replicas={"ovn-nb": 3, "ovn-sb": 3},
    agents=agent_sources(),
)
POLICY = BackupPolicySpec.model_validate(
    {
        "controller": "demo",
        "schedule": "0 3 * * *",
        "timeZone": "Europe/Berlin",
        "encryptionSecret": "backup-key",
        "repository": {"volume": {"size": "5Gi", "storageClassName": "fast"}},
    }
)
BUCKET = BackupPolicySpec.model_validate(
    {
        "controller": "demo",
        "schedule": "@daily",
        "encryptionSecret": "backup-key",
        "repository": {
            "s3": {
                "endpoint": "https://s3.example:9000/",
                "bucket": "cloud",
                "prefix": "/demo/",
                "credentialsSecret": "s3",
                "caSecret": "s3-ca",
            }
        },
    }
)
SECRETS = ("demo-mariadb-credentials-in-use", "demo-keystone-fernet-keys")


def parent(kind: str = "Backup", name: str = "first") -> RunParent:
    return RunParent(
        owner_kind=kind,
        name=name,
        uid="u2",
        namespace="cloud",
        cloud_name="demo",
        component=COMPONENT,
    )


def job(policy: BackupPolicySpec) -> dict[str, Any]:
    run = Run(
        policy=policy,
        policy_name="nightly",
        source="http://10.0.0.7:3380/backup",
        secrets=SECRETS,
    )
    return build_backup_job(CLOUD, parent(), run, build_inputs(parent(), {}, CLOUD.agents))


def pod(policy: BackupPolicySpec) -> dict[str, Any]:
    spec: dict[str, Any] = job(policy)["spec"]["template"]["spec"]
    return spec


def environment(policy: BackupPolicySpec) -> dict[str, Any]:
    return {env["name"]: env for env in pod(policy)["containers"][0]["env"]}


def test_a_failed_pod_fails_the_run() -> None:
    spec = job(POLICY)["spec"]

    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 3600)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_ovn_databases_are_copied_before_the_set_is_taken() -> None:
    inits = pod(POLICY)["initContainers"]

    assert [container["name"] for container in inits] == ["ovn-nb", "ovn-sb"]
    assert "demo-ovn-nb-2.demo-ovn-nb.cloud.svc" in inits[0]["command"][-1]
    assert "OVN_Northbound > /backup/copies/ovn-nb.ovsdb" in inits[0]["command"][-1]
    assert {"copies"} <= {volume["name"] for volume in pod(POLICY)["volumes"]}


def test_no_secret_is_in_arguments_or_environment() -> None:
    text = json.dumps(job(POLICY))

    assert environment(POLICY)["RESTIC_PASSWORD_FILE"]["value"] == "/backup/key/password"
    assert environment(POLICY)["BACKUP_TOKEN_FILE"]["value"].endswith(
        "/demo-mariadb-credentials-in-use/backup-token"
    )
    assert '"RESTIC_PASSWORD"' not in text


def test_every_secret_of_the_cloud_is_mounted_under_its_name() -> None:
    paths = {mount["mountPath"] for mount in pod(POLICY)["containers"][0]["volumeMounts"]}

    assert {f"/backup/secrets/{name}" for name in SECRETS} <= paths


def test_every_mount_has_its_volume_and_the_repository_alone_is_writable() -> None:
    spec = pod(POLICY)
    main = spec["containers"][0]

    assert {m["name"] for m in main["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    writable = {m["name"] for m in main["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"repository", "copies", "tmp"}


def test_a_bucket_has_its_address_credentials_and_authority() -> None:
    env = environment(BUCKET)

    assert env["RESTIC_REPOSITORY"]["value"] == "s3:https://s3.example:9000/cloud/demo"
    assert env["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "s3"
    assert env["RESTIC_CACERT"]["value"] == "/backup/ca/ca.crt"
    assert "repository" not in {volume["name"] for volume in pod(BUCKET)["volumes"]}


def test_limits_of_the_bandwidth_are_in_the_environment_of_all_that_use_the_repository() -> None:
    bandwidth = Bandwidth(upload_mebibytes=5)
    repository = BUCKET.repository.model_copy(update={"bandwidth": bandwidth})
    limited = BUCKET.model_copy(update={"repository": repository})
    names = ("REPOSITORY_UPLOAD_MEBIBYTES", "REPOSITORY_DOWNLOAD_MEBIBYTES")

    found = environment(limited)
    assert [found.get(name, {}).get("value") for name in names] == ["5", None]
    assert not {*names} & environment(BUCKET).keys()


@pytest.mark.parametrize(
    ("limit", "share"), [(None, "352MiB"), ("256Mi", "176MiB"), ("2Gi", "1408MiB")]
)
def test_restic_keeps_to_a_share_of_the_limit(limit: str | None, share: str) -> None:
    resources = {"limits": {"memory": limit}} if limit else {}
    policy = BackupPolicySpec.model_validate(POLICY.model_dump() | {"resources": resources})
    assert environment(policy)["GOMEMLIMIT"]["value"] == share


def test_pods_of_a_run_are_selected_by_no_service() -> None:
    labels = job(POLICY)["spec"]["template"]["metadata"]["labels"]

    assert labels["app.kubernetes.io/name"] == "step"
    assert pod(POLICY)["automountServiceAccountToken"] is False


def test_the_claim_outlives_its_policy() -> None:
    claim = build_repository_claim(parent("BackupPolicy", "nightly"), POLICY)

    assert claim is not None
    assert claim["metadata"]["ownerReferences"] == []
    assert claim["spec"]["storageClassName"] == "fast"


def test_a_users_own_claim_or_a_bucket_needs_none() -> None:
    owner = parent("BackupPolicy", "nightly")
    volume = {"repository": {"volume": {"claimName": "mine"}}}
    mine = BackupPolicySpec.model_validate(
        {"controller": "demo", "schedule": "@daily", "encryptionSecret": "k", **volume}
    )

    assert build_repository_claim(owner, mine) is None
    assert build_repository_claim(owner, BUCKET) is None


def cron_job() -> Manifest:
    owner = parent("BackupPolicy", "nightly")
    return build_cron_job(CLOUD, owner, POLICY, schedule_trigger(owner, POLICY))


VERIFIED = POLICY.model_copy(
    update={
        "verification": (
            Verification(level=Level.REPOSITORY, schedule="0 1 * * 0"),
            Verification(level=Level.DATABASE, schedule="0 2 * * *"),
        )
    }
)


def test_each_level_has_marks_of_its_own() -> None:
    owner = parent("BackupPolicy", "nightly")
    made = [
        build_cron_job(CLOUD, owner, VERIFIED, trigger("nightly", item))
        for item in VERIFIED.verification
    ]

    assert [cron["metadata"]["name"] for cron in made] == [
        "nightly-verify-repository", "nightly-verify-database"
    ]  # fmt: skip
    assert [cron["spec"]["schedule"] for cron in made] == ["0 1 * * 0", "0 2 * * *"]
    steps = {
        cron["spec"]["jobTemplate"]["metadata"]["labels"]["stackroles.io/step"] for cron in made
    }
    assert steps == {"backup.verification-mark-repository", "backup.verification-mark-database"}


def test_a_verification_has_scratch_space_for_its_copy_and_the_servers_options() -> None:
    owner = parent("BackupPolicy", "nightly")
    run = VerificationRun(
        name="v",
        level=Level.DATABASE,
        backup="nightly-1",
        backup_uid="uid-1",
        due=datetime(2026, 11, 28, 3, tzinfo=UTC),
        database_bytes=4 << 30,
    )
    cloud = replace(CLOUD, replicas={"mariadb": 3})
    config, made = build_verification(cloud, owner, VERIFIED, VERIFIED.verification[1], run)
    spec = made["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    [main] = spec["containers"]
    env = {item["name"]: item.get("value") for item in main["env"]}

    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "6144Mi"}
    assert {"agents", "files", "key", "repository", "run"} <= volumes.keys()
    assert "[mysqld]" in config["data"]["my.cnf"]
    assert (env["BACKUP_NAME"], env["BACKUP_LEVEL"]) == ("nightly-1", "Database")
    assert made["metadata"]["labels"]["stackroles.io/repository"] == repository_id(
        "cloud", "nightly", POLICY
    )
    assert made["spec"]["backoffLimit"] == 0


def test_a_level_has_resources_of_its_own_over_the_policys() -> None:
    limits: dict[str, Any] = {"cpu": "2", "memory": "1Gi"}
    policy = VERIFIED.model_copy(update={"resources": Resources(limits=limits)})
    own = Resources.model_validate({"limits": {"memory": "4Gi"}})
    item = VERIFIED.verification[1].model_copy(update={"resources": own})
    run = VerificationRun(
        name="v",
        level=Level.DATABASE,
        backup="b",
        backup_uid="u",
        due=datetime(2026, 11, 28, 3, tzinfo=UTC),
    )
    cloud = replace(CLOUD, replicas={"mariadb": 3})
    made = build_verification(cloud, parent("BackupPolicy", "nightly"), policy, item, run)[-1]
    [main] = made["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in main["env"]}

    assert main["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    assert int(str(env["GOMEMLIMIT"]).removesuffix("MiB")) > 2048


def test_the_schedule_only_leaves_marks() -> None:
    cron = cron_job()
    template = cron["spec"]["jobTemplate"]

    assert (cron["spec"]["schedule"], cron["spec"]["timeZone"]) == ("0 3 * * *", "Europe/Berlin")
    assert template["metadata"]["labels"]["stackroles.io/step"] == "backup.schedule"
    assert template["spec"]["template"]["spec"]["containers"][0]["command"] == ["true"]
    assert "volumes" in template["spec"]["template"]["spec"]


def test_a_mark_that_cannot_run_keeps_no_later_one_away() -> None:
    spec = cron_job()["spec"]

    assert spec["concurrencyPolicy"] == "Replace"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 300


def test_a_run_says_which_repository_it_writes() -> None:
    made = job(POLICY)
    pods = made["spec"]["template"]["metadata"]["labels"]
    label = "stackroles.io/repository"

    assert (
        made["metadata"]["labels"][label]
        == pods[label]
        == repository_id("cloud", "nightly", POLICY)
    )
    assert repository_id("a", "nightly", POLICY) != repository_id("b", "nightly", POLICY)
    assert repository_id("a", "x", BUCKET) == repository_id("b", "y", BUCKET)


def test_inputs_hold_the_program_and_what_belongs_into_the_set() -> None:
    made = build_inputs(parent(), {"state.json": {"uuid": "x"}}, agent_sources())
    program = config_map_data(closure(["backup.run"], agent_sources()))

    assert made["data"] == {"state.json": '{"uuid": "x"}', **program}
    assert {"backup.run.py", "backup.repository.py"} <= program.keys()
    # No program of a member, but what it records.
    member = {key for key in program if key.startswith("galera")}
    assert member == {"galera.__init__.py", "galera.tables_protocol.py"}
    assert made["immutable"] is True


def test_the_job_mounts_what_its_inputs_hold() -> None:
    made = build_inputs(parent(), {}, agent_sources())
    volumes = job(POLICY)["spec"]["template"]["spec"]["volumes"]
    items = next(v["configMap"]["items"] for v in volumes if v["name"] == "agents")

    assert {item["key"] for item in items} == made["data"].keys()
    assert {"key": "backup.run.py", "path": "backup/run.py"} in items


def test_building_twice_gives_the_same_and_changes_nothing() -> None:
    before = copy.deepcopy(POLICY)

    assert job(POLICY) == job(POLICY)
    assert before == POLICY
