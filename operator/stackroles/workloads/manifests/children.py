"""The children of a CloudController, in the order in which they are applied."""

from collections.abc import Iterable, Mapping
from typing import Final

from stackroles.agents.endpoint.protocol import PAUSED_LABEL
from stackroles.config.owner import Owner
from stackroles.roles.clustering import shares_claim
from stackroles.roles.definition import OpenStackService, OwnerT, RoleDefinition, Step, Workload
from stackroles.workloads.manifests.configmap import build_agents_config_map, build_config_map
from stackroles.workloads.manifests.gate import behind_gate, gate_annotations
from stackroles.workloads.manifests.job import StepOf, build_job, render_step
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.manifests.network_policy import build_network_policy
from stackroles.workloads.manifests.pdb import build_pdb
from stackroles.workloads.manifests.rendering import Rendering, files_of, render_role
from stackroles.workloads.manifests.rights import build_rights
from stackroles.workloads.manifests.service import build_services
from stackroles.workloads.manifests.workload import build_shared_claim, build_workload

# What Kubernetes takes as the value of a label.
_LABEL_LIMIT: Final = 63


def build_role(owner: OwnerT, role: RoleDefinition[OwnerT]) -> list[Manifest]:
    """Return the children of one role: configuration, Service, policy, budget, workload."""
    role = behind_gate(owner, role)
    rendering = render_role(owner, role, files_of(role.files, owner))
    children = _configuration(owner, role.name, role.service, rendering)
    children += build_rights(owner, role)
    children += build_services(owner, role)
    if shares_claim(role, owner):
        children.append(build_shared_claim(owner, role))
    policy = build_network_policy(owner, role)
    if policy:
        children.append(policy)
    # The disruption controller cannot count a DaemonSet's pods, and a drain leaves them alone.
    if role.workload is not Workload.DAEMON_SET:
        children.append(build_pdb(owner, role))
    children.append(build_workload(owner, role, rendering))
    for name, value in gate_annotations(owner, role).items():
        children = annotate_pods(children, name, value)
    return children


def annotate_pods(children: Iterable[Manifest], name: str, value: str) -> list[Manifest]:
    """Return children of which the workload's pods have one annotation more; the given ones stay.

    Args:
        children: of a role, as `build_role` made them.
        name: the annotation.
        value: its value.
    """
    annotated = []
    for child in children:
        template = child.get("spec", {}).get("template")
        if template is None:
            annotated.append(child)
            continue
        metadata = template["metadata"]
        own = {**metadata, "annotations": {**metadata["annotations"], name: value}}
        spec = {**child["spec"], "template": {**template, "metadata": own}}
        annotated.append({**child, "spec": spec})
    return annotated


def resize(children: Iterable[Manifest], members: int) -> list[Manifest]:
    """Return children of which the workload has another number of members; the given ones stay.

    Args:
        children: of a role, as `build_role` made them.
        members: how many it has.
    """
    return [
        {**child, "spec": {**child["spec"], "replicas": members}}
        if "replicas" in child.get("spec", {})
        else child
        for child in children
    ]


def pause(children: Iterable[Manifest], name: str) -> list[Manifest]:
    """Return children by which the endpoint refuses a role's requests; the given ones stay.

    The label goes to the Service that lists the role's members for the endpoint
    (`endpoint.members_service`), and by Kubernetes from there to its EndpointSlices. A role that is
    not behind the endpoint has no such Service, and its children stay as they are.

    Args:
        children: of a role, as `build_role` made them.
        name: the Restore that pauses it; a longer one than a label takes is cut.
    """
    given = list(children)
    label = {PAUSED_LABEL: name[:_LABEL_LIMIT].rstrip("-._")}
    # A long name of the Service is cut: it is known by what it is.
    own = {child["metadata"]["name"] for child in given if "template" in child.get("spec", {})}
    return [
        _labelled(child, label)
        if _is_headless(child) and child["metadata"]["name"] not in own
        else child
        for child in given
    ]


def _labelled(child: Manifest, label: Mapping[str, str]) -> Manifest:
    metadata = child["metadata"]
    return {**child, "metadata": {**metadata, "labels": {**metadata["labels"], **label}}}


def _is_headless(child: Manifest) -> bool:
    return bool(child["kind"] == "Service" and child["spec"].get("clusterIP") == "None")


def build_roles(owner: OwnerT, roles: Iterable[RoleDefinition[OwnerT]]) -> list[Manifest]:
    """Return the children of all roles that run, each once: some share their agents."""
    return unique(child for role in roles for child in build_role(owner, role))


def unique(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return manifests without those that were there before."""
    first: dict[tuple[str, str], Manifest] = {}
    for manifest in manifests:
        first.setdefault((manifest["kind"], manifest["metadata"]["name"]), manifest)
    return list(first.values())


def build_step(owner: OwnerT, service: OpenStackService, step: Step[OwnerT]) -> list[Manifest]:
    """Return the children of one step: configuration and Job (last)."""
    of = step_of(owner, service, step)
    rendering = render_step(owner, of)
    name = f"{service.name}-{step.name}"
    return [*_configuration(owner, name, service.name, rendering), build_job(owner, of)]


def _configuration(owner: Owner, name: str, service: str, rendering: Rendering) -> list[Manifest]:
    made: list[Manifest] = []
    if rendering.agents_map:
        made.append(build_agents_config_map(owner, rendering))
    if rendering.config_map:
        made.append(build_config_map(owner, name, service, rendering))
    return made


def step_of(owner: OwnerT, service: OpenStackService, step: Step[OwnerT]) -> StepOf:
    """Return a step with its service and rendered files."""
    return StepOf(service=service.name, step=step, files=files_of(step.files, owner))
