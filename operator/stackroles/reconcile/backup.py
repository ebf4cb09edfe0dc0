"""Backup: one run of a policy, from its resource to a verified recovery set."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stackroles import __version__, naming
from stackroles.api.v1alpha1.backup import BackupPolicySpec, BackupSpec, BackupStatus
from stackroles.api.v1alpha1.common import dump, parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.builders.backup import Parent
from stackroles.builders.backup_job import RUN, Run, build_backup_job, build_inputs
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    LABEL_INSTANCE,
    LABEL_NAME,
    LABEL_OWNER_KIND,
    LABEL_PART_OF,
)
from stackroles.errors import NotReady
from stackroles.plan.backup import Member, choose_source
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.refusal import blaming
from stackroles.roles.mariadb import AGENT_PORT
from stackroles.status.backup import conditions_of_run, finding_of, is_finished, with_outcome
from stackroles.status.conditions import Finding
from stackroles.status.outcome import Outcome, read_outcome
from stackroles.status.pod import is_ready

Object = dict[str, Any]
KEY = "password"
MINIMUM_KEY = 8
_APPLIED = Finding(Reason.APPLIED)
_LOOK_AGAIN = 15.0
_LAST_LINES = 3


async def reconcile_backup(context: Context, resource: Object) -> None:
    """Bring one Backup to its end; one that has ended is never touched again."""
    if is_finished(resource.get("status", {})) or resource["metadata"].get("deletionTimestamp"):
        return
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    job = context.cluster.get("Job", namespace, naming.child(name, RUN))
    if job is None:
        await _start(context, resource)
    else:
        await _follow(context, resource, job)


async def _start(context: Context, resource: Object) -> None:
    """Choose where the copy comes from and make the Job, once."""
    namespace = resource["metadata"]["namespace"]
    if resource.get("status", {}).get("startedAt"):
        gone = Finding(Reason.BACKUP_FAILED, "The backup's Job is gone: apply a new Backup.")
        await _end(context, resource, gone, None)
        return
    policy_name = parse_spec(BackupSpec, resource).policy
    policy_object = context.cluster.get("BackupPolicy", namespace, policy_name)
    if policy_object is None:
        message = f"BackupPolicy {policy_name} does not exist in {namespace}: apply it."
        await _wait(context, resource, Finding(Reason.POLICY_MISSING, message))
    with blaming(policy_object or {}):
        policy = parse_spec(BackupPolicySpec, policy_object or {})
    problem = await encryption_problem(context, namespace, policy.encryption_secret)
    if problem:
        await _wait(context, resource, problem)
    controller = context.cluster.get("CloudController", namespace, policy.controller)
    if controller is None:
        await _wait(context, resource, missing_controller(policy.controller, namespace))
    with blaming(controller or {}):
        cloud = cloud_of(context, controller or {})
    writer = (controller or {}).get("status", {}).get("writer")
    source = choose_source(_members(context, cloud), writer)
    if source is None:
        message = "No database member but the writer is in sync; the copy starts when one is."
        await _wait(context, resource, _APPLIED, Finding(Reason.BACKUP_WAITING, message))
    else:
        await _launch(context, resource, cloud, policy, source)


async def _launch(
    context: Context, resource: Object, cloud: Cloud, policy: BackupPolicySpec, source: Member
) -> None:
    parent = _parent(resource, cloud)
    run = Run(
        policy=policy,
        policy_name=resource["spec"]["policy"],
        source=f"http://{source.address}:{AGENT_PORT}/backup",
        secrets=_secrets(context, cloud),
    )
    inputs = build_inputs(parent, await _inputs(context, cloud), cloud.agents)
    await context.cluster.create_once(inputs, resource)
    await context.cluster.create_once(build_backup_job(cloud, parent, run), resource)
    status = BackupStatus.model_validate(resource.get("status", {}))
    status = status.model_copy(update={"started_at": context.clock.now(), "source": source.name})
    running = Finding(Reason.BACKUP_RUNNING, f"Copying from {source.name}.")
    await _write(context, resource, status, _APPLIED, running)


async def _follow(context: Context, resource: Object, job: Object) -> None:
    """Read how far the Job is; take over its outcome when it has ended."""
    conditions = {c["type"]: c for c in job.get("status", {}).get("conditions", [])}
    pods = context.cluster.owned(job, "Pod")
    if not {"Complete", "Failed"} & {t for t, c in conditions.items() if c["status"] == "True"}:
        status = BackupStatus.model_validate(resource.get("status", {}))
        started = status.started_at or datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        status = status.model_copy(update={"started_at": started})
        running = Finding(
            Reason.BACKUP_RUNNING, _progress(pods) or f"Copying from {status.source}."
        )
        await _write(context, resource, status, _APPLIED, running)
        return
    failure = conditions.get("Failed", {})
    text, words = _last_words(pods)
    outcome = read_outcome(text)
    said = f"{failure.get('reason', '')} {failure.get('message', '')}".strip()
    await _end(context, resource, finding_of(outcome, said, words), outcome)


def _progress(pods: list[Object]) -> str:
    """Return what a pod waits for, empty where it runs."""
    for pod in pods:
        for state in _containers(pod):
            waiting = state.get("state", {}).get("waiting", {})
            if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                return f"{state['name']}: {waiting['reason']}: {waiting.get('message', '')}"
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _last_words(pods: list[Object]) -> tuple[str, str]:
    """Return the main container's termination message, and the words of whatever failed."""
    message, words = "", ""
    for pod in pods:
        for state in _containers(pod):
            ended = state.get("state", {}).get("terminated", {})
            if state["name"] == "backup":
                message = ended.get("message", "") or message
            if ended.get("exitCode", 0):
                said = (ended.get("message") or ended.get("reason", "")).strip().splitlines()
                words = f"{state['name']}: {' / '.join(said[-_LAST_LINES:])}"
    return message, words.strip()


async def _inputs(context: Context, cloud: Cloud) -> Mapping[str, Any]:
    """Return the parts of a set that are JSON: resources, state, versions. No secrets."""
    kinds = ("CloudController", "ComputePool", "BackupPolicy")
    resources = [
        {
            "apiVersion": found["apiVersion"],
            "kind": kind,
            "metadata": {
                key: found["metadata"][key]
                for key in ("name", "namespace", "labels", "annotations")
                if key in found["metadata"]
            },
            "spec": found.get("spec", {}),
        }
        for kind in kinds
        for found in context.cluster.list(kind, cloud.namespace)
        if cloud.name in (found["metadata"]["name"], found.get("spec", {}).get("controller"))
    ]
    state = await context.cluster.read_config_map(cloud.namespace, naming.state(cloud.name))
    images = {name: cloud.image(name) for name in ("mariadb", "ovn", "keystone", "nova")}
    versions = {"operator": __version__, "release": cloud.spec.release, "images": images}
    return {"resources.json": resources, "state.json": state or {}, "versions.json": versions}


def _secrets(context: Context, cloud: Cloud) -> tuple[str, ...]:
    """Return the names of the Secrets that belong to the cloud."""
    owned = {LABEL_PART_OF: cloud.name, LABEL_OWNER_KIND: "CloudController"}
    found = context.cluster.list("Secret", cloud.namespace, owned)
    return tuple(sorted(secret["metadata"]["name"] for secret in found))


def _members(context: Context, cloud: Cloud) -> tuple[Member, ...]:
    labels = {
        LABEL_NAME: "mariadb",
        LABEL_INSTANCE: cloud.name,
        LABEL_OWNER_KIND: "CloudController",
    }
    return tuple(
        Member(
            name=pod["metadata"]["name"],
            address=pod.get("status", {}).get("podIP", ""),
            ready=is_ready(pod),
        )
        for pod in context.cluster.list("Pod", cloud.namespace, labels)
    )


async def encryption_problem(context: Context, namespace: str, name: str) -> Finding | None:
    """Return what is wrong with the user's encryption Secret, None when it can be used."""
    secret = await context.cluster.read_secret(namespace, name)
    if secret is None:
        return Finding(
            Reason.ENCRYPTION_SECRET_MISSING,
            f"Secret {name} does not exist in {namespace}: create it with the key {KEY}, and keep "
            "a copy elsewhere, since without it no backup can be read.",
        )
    if len(secret.get(KEY, b"").strip()) < MINIMUM_KEY:
        return Finding(
            Reason.ENCRYPTION_SECRET_INVALID,
            f"Secret {name} has no key {KEY} of at least {MINIMUM_KEY} characters: add it.",
        )
    return None


def missing_controller(name: str, namespace: str) -> Finding:
    """Return what is said while the CloudController of a policy does not exist."""
    return Finding(
        Reason.CONTROLLER_MISSING,
        f"CloudController {name} does not exist in {namespace}: apply it, or correct "
        "spec.controller; nothing runs until then.",
    )


def _parent(resource: Object, cloud: Cloud) -> Parent:
    metadata = resource["metadata"]
    return Parent(
        kind=resource["kind"],
        name=metadata["name"],
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        cloud=cloud.name,
    )


async def _wait(
    context: Context,
    resource: Object,
    reconciled: Finding,
    complete: Finding | None = None,
) -> None:
    """Say what is waited for; raises NotReady so that another look follows."""
    status = BackupStatus.model_validate(resource.get("status", {}))
    finding = complete or Finding(Reason.BACKUP_WAITING, reconciled.message)
    await _write(context, resource, status, reconciled, finding)
    raise NotReady(finding.message, delay=_LOOK_AGAIN)


async def _end(
    context: Context, resource: Object, finding: Finding, outcome: Outcome | None
) -> None:
    status = BackupStatus.model_validate(resource.get("status", {}))
    status = with_outcome(status, outcome, context.clock.now())
    await _write(context, resource, status, _APPLIED, finding)


async def _write(
    context: Context, resource: Object, status: BackupStatus, reconciled: Finding, complete: Finding
) -> None:
    generation = resource["metadata"].get("generation", 0)
    at = (generation, context.clock.now())
    conditions = conditions_of_run(reconciled, complete, status.conditions, at)
    update = {"observed_generation": generation, "conditions": conditions}
    await context.cluster.patch_status(resource, dump(status.model_copy(update=update)))
