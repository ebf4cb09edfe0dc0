"""Key sets from the role registry: what the API models cannot import."""

from collections.abc import Iterable, Mapping
from typing import Any

from stackroles.api.v1alpha1.common import AccessMode, ClusteringModel, OnApiLoss, Standby
from stackroles.codegen.cel import member_of
from stackroles.codegen.keys import KeySet
from stackroles.roles import registry
from stackroles.roles.allowed_sections import AllowedSections
from stackroles.roles.definition import RoleDefinition


def role_key_sets() -> dict[str, KeySet]:
    """Return the key sets that models name by `x-stackroles-keys`."""
    controller = tuple(role.name for role in registry.CONTROLLER_ROLES)
    compute = tuple(role.name for role in registry.COMPUTE_ROLES)
    return {
        "controller-roles": KeySet(
            noun="role",
            names=controller,
            validations=tuple(clustering_rules(registry.CONTROLLER_ROLES)),
        ),
        "controller-config": config_keys("role or service", registry.CONTROLLER_ROLES),
        "credentials": KeySet(
            noun="service with credentials", names=tuple(s.name for s in registry.CREDENTIALS)
        ),
        "compute-roles": KeySet(noun="compute role", names=compute),
        "compute-config": config_keys("compute role or service", registry.COMPUTE_ROLES),
    }


def clustering_rules(roles: Iterable[RoleDefinition]) -> list[Mapping[str, Any]]:
    """Return the CEL rules of a map of role specs: quorum sizes, models, consents a role takes."""
    roles = tuple(roles)
    rules: list[Mapping[str, Any]] = []
    if quorum := tuple(role.name for role in roles if role.quorum):
        rules.append(
            {
                "rule": f"self.all(k, !({member_of('k', quorum)}) || !has(self[k].clustering) || "
                "!has(self[k].clustering.replicas) || self[k].clustering.replicas % 2 == 1)",
                "message": f"a quorum role needs an odd number of replicas: {', '.join(quorum)}",
            }
        )
        rules.append(
            {
                "rule": f"self.all(k, {member_of('k', quorum)} || !has(self[k].replaceMember))",
                "message": "replaceMember is for roles that decide by majority, whose members get "
                f"their data from each other: {', '.join(quorum)}",
            }
        )
    if surviving := tuple(role.name for role in roles if role.survivor_lacks):
        rules.append(
            {
                "rule": f"self.all(k, {member_of('k', surviving)} || !has(self[k].recovery))",
                "message": "recovery names the member that continues when a majority is lost for "
                f"good, and is for these roles only: {', '.join(surviving)}",
            }
        )
    return [*rules, *_model_rules(roles), *_failover_rules(roles)]


def _model_rules(roles: tuple[RoleDefinition, ...]) -> Iterable[Mapping[str, Any]]:
    """Yield one rule for each model and each reason why some roles cannot have it."""
    for model in ClusteringModel:
        without: dict[str, list[str]] = {}
        for role in roles:
            if model not in role.clustering.models:
                without.setdefault(role.clustering.because, []).append(role.name)
        for because, names in without.items():
            yield {
                "rule": f"self.all(k, !({member_of('k', names)}) || "
                "!has(self[k].clustering) || !has(self[k].clustering.model) || "
                f"self[k].clustering.model != '{model}')",
                "message": f"{' and '.join(names)} cannot be {model}: {because}",
            }


_PASSIVE = (
    "(has(self[k].clustering) && has(self[k].clustering.model) && "
    f"self[k].clustering.model == '{ClusteringModel.ACTIVE_PASSIVE}')"
)
_FAILOVER = "has(self[k].clustering) && has(self[k].clustering.failover)"
_ACCESS = "has(self[k].storage) && has(self[k].storage.accessMode)"
_ONE_POD = f"({_ACCESS} && self[k].storage.accessMode == '{AccessMode.READ_WRITE_ONCE_POD}')"


def _failover_rules(roles: tuple[RoleDefinition, ...]) -> Iterable[Mapping[str, Any]]:
    """Yield the rules on how members take turns; roles/clustering.py has the same."""
    gated = [role.name for role in roles if role.clustering.standby]
    turns = f"({member_of('k', gated)} && {_PASSIVE})"
    yield {
        "rule": f"self.all(k, !({_FAILOVER}) || {turns})",
        "message": "failover is for roles with clustering.model ActivePassive whose members take "
        f"turns: {', '.join(gated)}",
    }
    cold = [role.name for role in roles if role.clustering.standby == (Standby.COLD,)]
    yield {
        "rule": f"self.all(k, !({member_of('k', cold)}) || !({_FAILOVER}) || "
        "!has(self[k].clustering.failover.standby) || "
        f"self[k].clustering.failover.standby == '{Standby.COLD}')",
        "message": f"a standby of these roles can only be Cold, since what runs also works: "
        f"{', '.join(cold)}",
    }
    kept = [role.name for role in roles if role.volume and role.clustering.standby]
    yield {
        "rule": f"self.all(k, !({_ACCESS}) || ({member_of('k', kept)} && {_PASSIVE}))",
        "message": "accessMode is for roles with clustering.model ActivePassive that share a "
        f"volume: {', '.join(kept)}",
    }
    yield {
        "rule": f"self.all(k, !({_FAILOVER}) || !has(self[k].clustering.failover.onApiLoss) || "
        f"self[k].clustering.failover.onApiLoss != '{OnApiLoss.KEEP}' || {_ONE_POD})",
        "message": "onApiLoss Keep needs storage.accessMode ReadWriteOncePod: nothing else would "
        "keep a second member from becoming active",
    }
    yield {
        "rule": f"self.all(k, !{_ONE_POD} || !has(self[k].clustering) || "
        "!has(self[k].clustering.replicas) || self[k].clustering.replicas == 1)",
        "message": "a volume of accessMode ReadWriteOncePod admits one pod: set replicas to 1",
    }


def config_keys(noun: str, roles: tuple[RoleDefinition, ...]) -> KeySet:
    """Return the names that take options, with rules on their sections."""
    accepted = {n: takes for n, takes in registry.accepted(roles).items() if not takes.nothing}
    limited: dict[AllowedSections, list[str]] = {}
    for name, takes in accepted.items():
        if takes.names:
            limited.setdefault(takes, []).append(name)
    return KeySet(
        noun=f"{noun} with options",
        names=tuple(accepted),
        validations=tuple(_section_rule(takes, names) for takes, names in limited.items()),
    )


def _section_rule(takes: AllowedSections, names: list[str]) -> Mapping[str, str]:
    test = member_of("s", takes.names)
    return {
        "rule": f"self.all(k, !({member_of('k', names)}) || "
        f"self[k].all(s, {f'!({test})' if takes.others else test}))",
        "message": takes.describe_rejection(", ".join(names)),
    }
