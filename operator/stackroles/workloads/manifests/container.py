"""Containers: command, environment, probes, resources and security context."""

from stackroles import naming
from stackroles.api.v1alpha1.common import Resources, dump
from stackroles.config.owner import Owner
from stackroles.roles.container import (
    Container,
    Env,
    FieldEnv,
    Probe,
    ResourceDefaults,
    SecretEnv,
    Security,
)
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.manifests.rendering import Rendering
from stackroles.workloads.manifests.volume import build_volume_mounts


def build_container(
    owner: Owner, container: Container, rendering: Rendering, claim: str | None
) -> Manifest:
    """Return a container without its image and resources, which depend on whose it is.

    Args:
        owner: the resource the pod belongs to.
        container: what runs.
        rendering: the files of the pod.
        claim: name of the member's volume claim, None where there is none.
    """
    built: Manifest = {
        "name": container.name,
        "imagePullPolicy": "IfNotPresent",
        "command": list(container.command),
        "env": [_env(owner, env) for env in container.env],
        "ports": [
            {"name": p.name, "containerPort": p.number, "protocol": p.protocol}
            for p in container.ports
        ],
        "volumeMounts": build_volume_mounts(container, rendering, claim),
        "securityContext": build_security_context(container.security),
        # The termination message is what a condition quotes.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    for name, probe in (
        ("startupProbe", container.startup),
        ("readinessProbe", container.readiness),
        ("livenessProbe", container.liveness),
    ):
        if probe:
            built[name] = build_probe(probe)
    if container.pre_stop:
        built["lifecycle"] = {"preStop": {"exec": {"command": list(container.pre_stop)}}}
    return {key: value for key, value in built.items() if value != []}


def _env(owner: Owner, env: Env | FieldEnv | SecretEnv) -> Manifest:
    match env:
        case Env():
            return {"name": env.name, "value": env.value}
        case FieldEnv():
            return {"name": env.name, "valueFrom": {"fieldRef": {"fieldPath": env.field_path}}}
        case SecretEnv():
            ref: Manifest = {"name": secret_name(owner.cloud_name, env.service), "key": env.key}
            if env.optional:
                ref["optional"] = True
            return {"name": env.name, "valueFrom": {"secretKeyRef": ref}}


def secret_name(cloud: str, service: str) -> str:
    """Return the Secret of a service that pods read; "admin" is the cloud's administrator.

    Not the one that people edit: what is written there reaches no process by itself.
    """
    return naming.credentials_in_use(cloud, service)


def build_probe(probe: Probe) -> Manifest:
    """Return a probe; a command wins over a path, a path over a bare port."""
    built: Manifest = {
        "periodSeconds": probe.period,
        "timeoutSeconds": probe.timeout,
        "failureThreshold": probe.failures,
    }
    if probe.command:
        built["exec"] = {"command": list(probe.command)}
    elif probe.port is None:
        raise ValueError("a probe needs a command or a port")
    elif probe.http_path:
        built["httpGet"] = {"path": probe.http_path, "port": probe.port, "scheme": probe.scheme}
    else:
        built["tcpSocket"] = {"port": probe.port}
    return built


def build_security_context(security: Security) -> Manifest:
    """Return a container's security context: restricted, unless the role says why not."""
    context: Manifest = {
        "runAsUser": security.user,
        "runAsGroup": security.user,
        "runAsNonRoot": security.user != 0,
        "allowPrivilegeEscalation": security.privileged,
        "privileged": security.privileged,
        "readOnlyRootFilesystem": not security.writable_root,
    }
    if not security.privileged:
        context["capabilities"] = {"drop": ["ALL"]}
        if security.capabilities:
            context["capabilities"]["add"] = list(security.capabilities)
    return context


def build_resources(amount: ResourceDefaults, declared: Resources) -> Manifest:
    """Return requests and limits, the user's own values laid over the role's."""
    return dump(amount.overlaid(declared))
