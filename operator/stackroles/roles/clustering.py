"""Which clustering a role may have, and what follows for its members; pure."""

from collections.abc import Iterable

from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec, RoleSpec
from stackroles.api.v1alpha1.common import AccessMode, ClusteringModel, OnApiLoss
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.owner import Owner
from stackroles.errors import SpecInvalid
from stackroles.roles.definition import RoleDefinition, Workload

PASSIVE = ClusteringModel.ACTIVE_PASSIVE
# Of a role whose members take turns: the active one and a standby.
_PAIR = 2


def model_of(role: RoleDefinition, owner: Owner) -> ClusteringModel:
    """Return how a role is clustered: as the user declared, else its first model."""
    return owner.settings(role.name).model or role.clustering.models[0]


def takes_turns(role: RoleDefinition, owner: Owner) -> bool:
    """Return whether a gate lets one member at a time be active."""
    return bool(role.clustering.standby) and model_of(role, owner) is PASSIVE


def shares_claim(role: RoleDefinition, owner: Owner) -> bool:
    """Return whether all members mount one volume claim, whose writer is the active one."""
    return role.volume is not None and takes_turns(role, owner)


def workload_of(role: RoleDefinition, owner: Owner) -> Workload:
    """Return which kind runs a role: the claims of a StatefulSet's members cannot be shared."""
    return Workload.DEPLOYMENT if shares_claim(role, owner) else role.workload


def default_replicas(role: RoleDefinition, spec: CloudControllerSpec) -> int:
    """Return how many members a role has when the spec does not say."""
    declared = spec.roles.get(role.name, RoleSpec())
    if declared.clustering.model is PASSIVE and role.clustering.standby:
        return 1 if declared.storage.access_mode is AccessMode.READ_WRITE_ONCE_POD else _PAIR
    return role.replicas if role.shares_data is None or role.shares_data(spec) else 1


def check_clustering(roles: Iterable[RoleDefinition], spec: CloudControllerSpec) -> None:
    """Refuse a clustering that a role cannot have.

    Raises:
        SpecInvalid: with what is wrong, where, and what to do.
    """
    for role in roles:
        if role.name not in spec.roles:
            continue
        declared = spec.roles[role.name]
        path = f"spec.roles.{role.name}"
        for problem in (
            *_model_problems(role, declared),
            *_failover_problems(role, declared),
            *_member_problems(role, declared, spec),
        ):
            raise SpecInvalid(Reason.SPEC_INVALID, f"{path}.{problem}")


def _model_problems(role: RoleDefinition, declared: RoleSpec) -> Iterable[str]:
    replicas, model = declared.clustering.replicas, declared.clustering.model
    if role.quorum and replicas is not None and replicas % 2 == 0:
        yield (
            f"clustering.replicas is {replicas}: {role.name} decides by majority and needs an odd "
            f"number of members. Set {replicas - 1 or 1} or {replicas + 1}."
        )
    if model is not None and model not in role.clustering.models:
        yield (
            f"clustering.model is {model}: {role.name} can only be "
            f"{' or '.join(role.clustering.models)}, since {role.clustering.because}."
        )


def _failover_problems(role: RoleDefinition, declared: RoleSpec) -> Iterable[str]:
    failover, mode = declared.clustering.failover, declared.storage.access_mode
    turns = bool(role.clustering.standby) and declared.clustering.model is PASSIVE
    if failover.model_fields_set and not turns:
        yield f"clustering.failover is set: it takes clustering.model {PASSIVE}. Remove it."
    if failover.standby is not None and failover.standby not in role.clustering.standby:
        yield (
            f"clustering.failover.standby is {failover.standby}: a standby of {role.name} can only "
            f"be {' or '.join(role.clustering.standby)}, since {role.clustering.because}."
        )
    if mode is not None and not (role.volume and turns):
        yield (
            "storage.accessMode is set: only members of an ActivePassive role with a volume share "
            "one. Remove it."
        )
    fenced = mode is AccessMode.READ_WRITE_ONCE_POD
    if failover.on_api_loss is OnApiLoss.KEEP and not fenced:
        yield (
            "clustering.failover.onApiLoss is Keep: nothing else would keep a second member from "
            "becoming active. Set Stop, or storage.accessMode ReadWriteOncePod for a role with a "
            "volume."
        )


def _member_problems(
    role: RoleDefinition, declared: RoleSpec, spec: CloudControllerSpec
) -> Iterable[str]:
    replicas = declared.clustering.replicas or 1
    if replicas == 1:
        return
    if declared.storage.access_mode is AccessMode.READ_WRITE_ONCE_POD:
        yield (
            f"clustering.replicas is {replicas}: a volume of one pod (ReadWriteOncePod) has one "
            "member; the others could not start. Set 1; it is replaced when it fails."
        )
    alone = role.shares_data is not None and not role.shares_data(spec)
    if alone and declared.clustering.model is not PASSIVE:
        yield (
            f"clustering.replicas is {replicas}: {role.single_because}. "
            "Configure a shared store, or set 1, or clustering.model ActivePassive."
        )
