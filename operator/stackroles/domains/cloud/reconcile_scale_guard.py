"""Refuses to take members from a role that needs a majority of them and cannot let any go."""

from collections.abc import Iterable

from stackroles.api.v1alpha1.cloud_controller import Phase
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.domains.cloud.phases import completed
from stackroles.errors import SpecInvalid
from stackroles.kube.cluster import Cluster
from stackroles.roles.definition import RoleDefinition


def reject_scale_down(
    cluster: Cluster, cloud: Cloud, roles: Iterable[RoleDefinition], phases: Iterable[Phase]
) -> None:
    """Refuse fewer members of a role that decides by majority, once it has served.

    Members that are merely stopped keep their votes: RabbitMQ's quorum queues and OVN's raft lose
    their majority, and nobody is left who could vote them out (seen with RabbitMQ 4.0, 3 to 1).

    Args:
        cluster: what runs.
        cloud: the cloud as declared.
        roles: the roles there are.
        phases: the cloud's phases so far.

    Raises:
        SpecInvalid: a role is to have fewer members than it has.
    """
    served = completed(phases)
    for role in roles:
        if not role.quorum or role.shrinks or role.name not in served:
            continue
        found = cluster.get(role.workload.value, cloud.namespace, cloud.workload(role.name))
        present = found["spec"].get("replicas", 1) if found else 0
        wanted = cloud.replicas[role.name]
        if wanted < present:
            raise SpecInvalid(
                Reason.SPEC_INVALID,
                f"spec.roles.{role.name}.clustering.replicas is {wanted} and {present} members "
                f"run: {role.name} decides by majority, and members cannot be taken from it yet. "
                f"Set {present}; what runs keeps running.",
            )
