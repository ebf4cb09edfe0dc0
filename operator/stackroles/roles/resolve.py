"""From a CloudController as the user wrote it to a Cloud with every default filled in."""

from collections.abc import Iterable, Mapping
from typing import Any

from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec, RoleSpec
from stackroles.api.v1alpha1.common import parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.options import SECRET_NAMES, WHERE_SECRETS_GO, is_secret_name
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections, Spelling, repeated
from stackroles.errors import SpecInvalid
from stackroles.roles import keystone
from stackroles.roles.allowed_sections import by_name
from stackroles.roles.clustering import check_clustering, default_replicas
from stackroles.roles.definition import OpenStackService, RoleDefinition
from stackroles.roles.reserved import find_reserved


def resolve_cloud(
    resource: Mapping[str, Any],
    roles: Iterable[RoleDefinition],
    services: Iterable[OpenStackService],
    *,
    image_registry: str,
    image_tags: Mapping[str, str],
    agents: Mapping[str, str],
    cluster_domain: str = "cluster.local",
) -> Cloud:
    """Return the cloud a resource declares, defaults filled in.

    Args:
        resource: the CloudController.
        roles: the controller roles there are.
        services: the services there are.
        image_registry: where images come from when the spec does not say.
        image_tags: tag of each image, as the operator was installed with.
        agents: sources of the agent programs by file name.
        cluster_domain: the cluster's DNS domain.

    Raises:
        SpecInvalid: the spec asks for something no cloud can be. The API server refuses most of it
            already; a resource stored under an older schema is met here.
    """
    spec = parse_spec(CloudControllerSpec, resource)
    known = {role.name: role for role in roles}
    accounts = (*services, keystone.ADMINISTRATOR)
    _check_names("roles", spec.roles, known.keys())
    check_config(spec.config, known.values())
    names = [service.name for service in accounts if service.has_credentials]
    _check_names("credentials", spec.credentials, names)
    check_clustering(known.values(), spec)
    metadata = resource["metadata"]
    return Cloud(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        spec=spec,
        replicas={
            role.name: spec.roles.get(role.name, RoleSpec()).clustering.replicas
            or default_replicas(role, spec)
            for role in known.values()
        },
        image_registry=image_registry,
        image_tags=image_tags,
        agents=agents,
        cluster_domain=cluster_domain,
    )


def _check_names(field: str, declared: Iterable[str], known: Iterable[str]) -> None:
    known = set(known)
    unknown = sorted(set(declared) - known)
    if unknown:
        raise SpecInvalid(
            Reason.SPEC_INVALID,
            f"spec.{field} names {', '.join(unknown)}, which does not exist. "
            f"Known are: {', '.join(sorted(known))}.",
        )


def check_config(config: Mapping[str, Sections], roles: Iterable[RoleDefinition]) -> None:
    """Refuse options that no role takes, set twice, or that are secrets.

    Args:
        config: `spec.config` of a cloud or a pool.
        roles: the roles that it may be for.

    Raises:
        SpecInvalid: it has such an option; the message names the place and the cure.
    """
    roles = list(roles)
    accepted = by_name((role.service, role.name, role.options) for role in roles)
    _check_names("config", config, (n for n, takes in accepted.items() if not takes.nothing))
    for name, sections in config.items():
        bad = sorted(section for section in sections if section not in accepted[name])
        if bad:
            raise SpecInvalid(
                Reason.SPEC_INVALID,
                f"spec.config.{name} has the section {', '.join(bad)}: "
                f"{accepted[name].describe_rejection(name)}. Move or remove it.",
            )
    for role in roles:
        for name in sorted({role.service, role.name} & config.keys()):
            _check_spellings(f"spec.config.{name}", config[name], role.spelling)
            _check_secrets(f"spec.config.{name}", config[name], role.spelling)


def options_without_effect(
    config: Mapping[str, Sections], roles: Iterable[RoleDefinition]
) -> tuple[str, ...]:
    """Return a sentence for each option that the operator overrides, with what to do instead.

    They are reported, and hold up nothing: a cloud must not be left alone for what is ignored.

    Args:
        config: `spec.config` of a cloud or a pool.
        roles: the roles that it may be for.
    """
    return tuple(
        f"spec.config.{name}.{section}.{option} has no effect on {role.name}: {cure}."
        for role in roles
        for name in sorted({role.service, role.name} & config.keys())
        for section, option, cure in find_reserved(config[name], role)
    )


def _check_spellings(path: str, sections: Sections, same: Spelling) -> None:
    for first, second in repeated(sections, same):
        raise SpecInvalid(
            Reason.SPEC_INVALID,
            f"{path} sets one option twice: {first[1]} in {first[0]}, {second[1]} in {second[0]}. "
            "Remove one of them.",
        )


def _check_secrets(path: str, sections: Sections, same: Spelling) -> None:
    """Refuse secrets in the spellings of one program; no message quotes a value."""
    for section, options in sections.items():
        for name, value in options.items():
            # A keyword of HAProxy's may go on in the value.
            whole = same(section, f"{name} {value}")[1]
            if is_secret_name(same(section, name)[1]) or whole in SECRET_NAMES:
                raise SpecInvalid(
                    Reason.SPEC_INVALID, f"{path}.{section}.{name}: {WHERE_SECRETS_GO}."
                )
