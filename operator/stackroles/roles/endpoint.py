"""The endpoint of the APIs: HAProxy before the members of each role that serves one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from stackroles.agents import wire
from stackroles.agents.endpoint.protocol import PORT, Backend, EndpointSettings
from stackroles.agents.gate.protocol import PORT as GATE_PORT
from stackroles.agents.gate.protocol import SERVING_PATH
from stackroles.agents.status_protocol import READY_PATH
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config.cloud import Cloud
from stackroles.config.owner import Owner
from stackroles.roles import wsgi
from stackroles.roles.allowed_sections import UWSGI
from stackroles.roles.common import scratch
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    Container,
    FileMount,
    PodRight,
    Port,
    Probe,
    ResourceDefaults,
    Security,
)
from stackroles.roles.definition import (
    ClusteringChoice,
    Files,
    OpenStackService,
    RoleDefinition,
    Workload,
)
from stackroles.roles.haproxy import HAPROXY, USER
from stackroles.roles.haproxy_options import HaproxyOptions, reserved

NAME = "endpoint"
OPTIONS = "/etc/stackroles/haproxy.cfg"
HOLD = "/etc/stackroles/hold.lua"
SETTINGS = "/etc/stackroles/endpoint.json"
PAUSED = "/etc/stackroles/paused.map"

# A role may have 9 members, and as many more while these are replaced.
SLOTS: Final = 20
# How long kube-proxy of every node may take to withdraw a pod that leaves.
DRAIN_SECONDS: Final = 10
# An image may be uploaded while the proxy leaves.
STOP_SECONDS: Final = 600
# How long a request waits for a member: an ActivePassive role fails over in 15 s or less.
HOLD_SECONDS: Final = 20
# When a client of a role that is paused may ask again: a Restore takes minutes.
_RETRY_SECONDS: Final = 30
_ALIVE, _ALIVE_PORT = "/healthz", 8404
_PROGRAM = "/usr/sbin/haproxy"
_FOLDER = "/run/haproxy"
_SOCKET = f"{_FOLDER}/agent.sock"

RIGHTS: Final = (
    PodRight(
        group="discovery.k8s.io",
        resources=("endpointslices",),
        verbs=("get", "list", "watch"),
        because="where the members of each API are, the moment that they come and leave",
    ),
)


# What a member gets at a time for each request that it can serve: one more waits there, so that it
# is never idle; all others wait in the proxy for whichever member is free first, and lose nothing
# when one of them leaves.
_A_WORKER: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiBackend:
    """A role behind the endpoint.

    Attributes:
        role: the role.
        port: where its members listen, and the endpoint.
        workers: returns how many requests a member serves at a time; None for any number.
    """

    role: str
    port: int
    workers: Callable[[Cloud], int] | None = None


_OPTIONS = HaproxyOptions(
    own={
        "global": {
            # That a member is up or down goes to the standard error in any case.
            "log": "stdout format raw local0 err",
            "maxconn": 4000,
            "nbthread": 2,
            # Tokens and requests for metadata exceed the default of 16 KiB; the WSGI server takes
            # as much.
            "tune.bufsize": 65536,
            "stats timeout": "30s",
        },
        "defaults": {
            "log": "global",
            "mode": "http",
            # A connection is one request, as the WSGI server has it: no client keeps one open that
            # would be closed under it when a proxy leaves.
            "option httpclose": "",
            "balance": "leastconn",
            # A connection that is refused costs no request: another member is tried.
            "option redispatch": 1,
            "retries": 3,
            "retry-on": "conn-failure empty-response",
            "timeout connect": "2s",
            # On top of connecting: a gate on a busy node is not taken for a dead one.
            "timeout check": "3s",
            "timeout http-request": "30s",
            "timeout queue": "60s",
            # Without a byte: an image may be written to its store for as long. A peer whose node is
            # gone is noticed by its kernel, which answers however busy its programs are.
            "timeout client": "10m",
            "timeout server": "10m",
            "timeout tunnel": "1h",
            "option clitcpka": "",
            "option srvtcpka": "",
            "clitcpka-idle": "15s",
            "clitcpka-intvl": "5s",
            "clitcpka-cnt": 3,
            "srvtcpka-idle": "5s",
            "srvtcpka-intvl": "2s",
            "srvtcpka-cnt": 3,
        },
    },
    # The sections of the APIs set them again.
    reserved=reserved(
        "defaults",
        ("mode", "option httpchk", "http-check"),
        "remove it, since how a member is reached and checked is fixed",
    ),
)

_HEAD = f"""\
global
  stats socket {_SOCKET} mode 600 level admin
  lua-load {HOLD}

frontend alive
  bind :::{_ALIVE_PORT} v4v6
  monitor-uri {_ALIVE}
"""

_HOLD = f"""\
local paused = Map.new("{PAUSED}", Map._str)

-- Waits while a backend has no member that serves and is not paused.
core.register_action("hold", {{ "http-req" }}, function(txn, backend, seconds)
  local members = core.backends[backend]
  local waited = 0
  local longest = tonumber(seconds) * 1000
  while members:get_srv_act() == 0 and not paused:lookup(backend) and waited < longest do
    core.msleep(100)
    waited = waited + 100
  end
  txn:set_var("txn.served", members:get_srv_act() > 0)
end, 2)
"""

# HAProxy 3.0 takes a map without a file (virt@) at one place of its configuration only.
_PAUSED = """\
# Backends that are paused, and by which Restore: HAProxy's agent sets them in its memory only.
"""


def members_service(owner: Owner, role: str) -> str:
    """Return the name of the headless Service whose EndpointSlices list a role's own pods."""
    return owner.workload(f"{role}-members")


def backends_of(roles: Iterable[RoleDefinition[Cloud]]) -> tuple[ApiBackend, ...]:
    """Return the roles behind the endpoint, each with its first published port."""
    return tuple(
        ApiBackend(
            role=role.name,
            port=role.containers[0].ports[0].number,
            workers=_workers_of(role) if UWSGI in role.options else None,
        )
        for role in roles
        if role.endpoint
    )


def _workers_of(role: RoleDefinition[Cloud]) -> Callable[[Cloud], int]:
    """Return what counts the processes of a role's WSGI server, as the user may have set them."""

    def workers(cloud: Cloud) -> int:
        rendered = role.files(cloud) if role.files else {}
        servers = [text for path, text in rendered.items() if path.endswith(wsgi.CONFIGURATION)]
        return wsgi.workers(servers[0]) if servers else 1

    return workers


def endpoint_role(backends: tuple[ApiBackend, ...]) -> RoleDefinition[Cloud]:
    """Return the role that serves the ports of other roles.

    Args:
        backends: the roles behind it.
    """
    return RoleDefinition(
        name=NAME,
        service=NAME,
        image=HAPROXY.image,
        workload=Workload.DEPLOYMENT,
        replicas=2,
        clustering=ClusteringChoice(
            models=(ClusteringModel.ACTIVE_ACTIVE,),
            because="every proxy serves, and a lost one costs the requests that it had",
        ),
        rights=RIGHTS,
        files=_files(backends),
        options=_OPTIONS.allowed,
        spelling=_OPTIONS.spelling,
        reserved=_OPTIONS.reserved,
        grace_period=DRAIN_SECONDS + STOP_SECONDS + 10,
        open_because="clients of the APIs, and agents in the nodes' own network",
        containers=(
            Container(
                name=NAME,
                command=(*AGENT_COMMAND, "stackroles.agents.endpoint.agent", SETTINGS),
                security=Security(user=USER),
                ports=(
                    *(Port(backend.role, backend.port) for backend in backends),
                    Port("agent", PORT, published=False),
                    Port("alive", _ALIVE_PORT, published=False),
                ),
                startup=Probe(http_path=_ALIVE, port=_ALIVE_PORT, period=1, failures=60),
                # An endpoint without a member to send to stays: requests wait there for one.
                readiness=Probe(http_path=READY_PATH, port=PORT, period=2),
                liveness=Probe(http_path=_ALIVE, port=_ALIVE_PORT, period=10, failures=6),
                resources=ResourceDefaults(cpu="50m", memory="64Mi", memory_limit="512Mi"),
                env=(AGENT_PATH,),
                mounts=(FileMount(), AgentMount(), *scratch(_FOLDER)),
            ),
        ),
        backup="nothing: it is made again from the resources",
    )


def _files(backends: tuple[ApiBackend, ...]) -> Files[Cloud]:
    def files(cloud: Cloud) -> Mapping[str, str]:
        settings = EndpointSettings(
            namespace=cloud.namespace,
            backends=tuple(
                Backend(
                    name=backend.role,
                    service=members_service(cloud, backend.role),
                    port=backend.port,
                    listen=backend.port,
                    slots=SLOTS,
                )
                for backend in backends
            ),
            command=(_PROGRAM, "-db", "-f", OPTIONS),
            socket=_SOCKET,
            port=PORT,
            drain_seconds=DRAIN_SECONDS,
            stop_seconds=STOP_SECONDS,
            paused_map=PAUSED,
        )
        sections = [
            *_OPTIONS.lines(cloud.options(NAME, NAME)),
            _HEAD,
            *(_section(backend, cloud) for backend in backends),
        ]
        return {
            OPTIONS: "\n".join(sections),
            HOLD: _HOLD,
            PAUSED: _PAUSED,
            SETTINGS: wire.dumps(settings, indent=1) + "\n",
        }

    return files


def _section(backend: ApiBackend, cloud: Cloud) -> str:
    """Return how one role is served.

    Without a member that serves, HAProxy would refuse a request at once, also one whose member has
    just died. The backup server is HAProxy itself: there the request waits for a member. While the
    role is paused a request is refused at once, also one that waits already.
    """
    name, hold = backend.role, f"unix@{_FOLDER}/{backend.role}.hold"
    pending = f" maxconn {_A_WORKER * backend.workers(cloud)}" if backend.workers else ""
    by = f"str({name}),map({PAUSED})"
    refused = f"""\
  http-request return status 503 hdr Retry-After {_RETRY_SECONDS} content-type text/plain \
lf-string "the cloud is being restored (Restore %[{by}]); try again later\\n" \
if {{ {by} -m found }}"""
    return f"""\
frontend {name}
  # The agent listens: what connects while HAProxy is started again waits.
  bind "fd@${{LISTEN_{backend.port}}}"
{refused}
  default_backend {name}

backend {name}
  mode http
  option httpchk
  http-check send meth GET uri {SERVING_PATH} ver HTTP/1.1 hdr Host gate
  http-check expect status 200
  # What runs at a member that leaves is completed.
  http-check disable-on-404
  # Only what changes nothing is sent again after it was sent; a refused connection sent nothing.
  http-request disable-l7-retry unless {{ method GET HEAD }}
  server-template s 1-{SLOTS} 0.0.0.0:{backend.port} disabled{pending} tcp-ut 15s \
check port {GATE_PORT} inter 2s fastinter 500ms downinter 1s fall 2 rise 1
  server hold {hold} backup

frontend {name}-hold
  bind {hold} mode 600
  http-request lua.hold {name} {HOLD_SECONDS}
{refused}
  http-request return status 503 hdr Retry-After 1 content-type text/plain \
string "no member of {name} serves\\n" unless {{ var(txn.served) -m bool }}
  default_backend {name}
"""


SERVICE = OpenStackService(name=NAME)
