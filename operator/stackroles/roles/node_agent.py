"""The node's agent: reports guests, failed builds and the data plane of a compute node."""

from stackroles.agents.compute.node_protocol import PORT, REPORT_PATH
from stackroles.config.pool import Pool
from stackroles.roles import compute
from stackroles.roles.container import (
    AGENT_PATH,
    AgentMount,
    Container,
    HostMount,
    Probe,
    ResourceDefaults,
    Security,
)
from stackroles.roles.container import Port as ContainerPort
from stackroles.roles.definition import RoleDefinition, Workload

NODE_AGENT: RoleDefinition[Pool] = RoleDefinition(
    name="node-agent",
    service="nova",
    # It asks libvirt and Open vSwitch with their own clients.
    image="libvirt",
    workload=Workload.DAEMON_SET,
    headless=True,
    grace_period=5,
    containers=(
        Container(
            name="node-agent",
            command=compute.agent("node_report"),
            security=Security(
                user=0,
                privileged=True,
                because="asks the node's libvirt and switch by their sockets, and enters the "
                "networks' namespaces to try their metadata proxies",
            ),
            ports=(ContainerPort("report", PORT),),
            readiness=Probe(port=PORT, http_path=REPORT_PATH, period=5, timeout=5),
            no_liveness_because="it ends when it breaks; while it says nothing the operator takes "
            "its node for unknown",
            env=(AGENT_PATH,),
            mounts=(
                AgentMount(),
                compute.SWITCH_RUN,
                compute.LIBVIRT_RUN,
                HostMount("/var/lib/nova", "/var/lib/nova", read_only=True),
                HostMount("/run/ovn", "/run/ovn"),
                HostMount("/run/netns", "/run/netns", propagation="HostToContainer"),
            ),
            resources=ResourceDefaults(cpu="20m", memory="32Mi", memory_limit="128Mi"),
        ),
    ),
)
