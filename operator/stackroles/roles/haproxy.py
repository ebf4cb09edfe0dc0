"""HAProxy before the database: two proxies that agree on one writer."""

from collections.abc import Mapping

from stackroles.agents.galera.protocol import PORT as AGENT_PORT
from stackroles.agents.galera.protocol import WSREP_PATH
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config.cloud import Cloud
from stackroles.roles.common import DATABASE_PORT, scratch
from stackroles.roles.container import (
    Container,
    FieldEnv,
    FileMount,
    Port,
    Probe,
    ResourceDefaults,
    Security,
)
from stackroles.roles.definition import ClusteringChoice, OpenStackService, RoleDefinition, Workload
from stackroles.roles.haproxy_options import HaproxyOptions, reserved
from stackroles.roles.mariadb import NAME as DATABASE
from stackroles.roles.topology import DEFAULT

NAME = DEFAULT.proxy.role
USER = 42454
OPTIONS = "/etc/stackroles/haproxy.cfg"
STATS_PORT = 8404
PEER_PORT = 10000
# Where this proxy reaches the peer of an ordinal; see _peer.
_RELAY_PORT = 10100

_OPTIONS = HaproxyOptions(
    own={
        "global": {
            "log": "stdout format raw local0 notice",
            "maxconn": 8000,
            "stats socket": "/run/haproxy/admin.sock mode 600 level admin",
            "stats timeout": "30s",
        },
        "defaults": {
            "log": "global",
            "mode": "tcp",
            "option tcp-smart-connect": "",
            "option clitcpka": "",
            "option srvtcpka": "",
            "option redispatch": 1,
            "retries": 3,
            "timeout connect": "2s",
            "timeout check": "2s",
            # Until both sides are connected. A session whose member is marked down in that moment
            # is closed towards the member alone (seen with 3.0.11): its client would wait for a
            # greeting as long as this allows.
            "timeout client": "30s",
            "timeout server": "30s",
            # From then on, for connections that services keep and use now and then.
            "timeout tunnel": "3600s",
        },
    },
    # The section of the database sets them again.
    reserved=reserved(
        "defaults",
        ("balance", "option httpchk", "http-check"),
        "remove it, since how a member is checked and chosen is fixed",
    ),
)

_HEAD = f"""\
resolvers cluster
  parse-resolv-conf
  resolve_retries 2
  timeout resolve 1s
  timeout retry 1s
  hold valid 1s
  hold nx 2s
  # A name server that does not answer, refuses or fails says nothing of the members: their known
  # addresses are kept, and their health is checked every second in any case. The defaults put
  # every healthy member into maintenance after 30 s and end all sessions.
  hold timeout 7d
  hold refused 7d
  hold other 7d

frontend status
  mode http
  bind :::{STATS_PORT} v4v6
  timeout client 10s
  timeout http-request 5s
  monitor-uri /healthz
  http-request use-service prometheus-exporter if {{ path /metrics }}
  # The number of the member that is the writer for all proxies; 0 before the first connection.
  http-request return status 200 content-type text/plain \
lf-string "%[int(1),table_server_id({DATABASE})]\\n" if {{ path /writer }}
  stats enable
  stats uri /stats
"""

_BACKEND = f"""\
# One writer: the table has one entry, which all proxies share. It moves only when its member is
# down, so a member that comes back does not take the writes back. The room beyond one entry is for
# connections being set up: without it the entry cannot be replaced.
# A member that is about to stop answers 404: it keeps its sessions, and what connects then moves
# the entry. The entry alone would go on leading there: a rule for each member asks whether it takes
# connections, by a backend of its own that follows its state.
listen {DATABASE}
  bind :::{DATABASE_PORT} v4v6
  balance first
  stick-table type integer size 10k nopurge peers proxies
{{rules}}
  stick store-request int(1)
  option httpchk
  http-check disable-on-404
  http-check send meth GET uri {WSREP_PATH} ver HTTP/1.1 hdr Host agent
  http-check expect status 200
  default-server check port {AGENT_PORT} inter 1s fastinter 500ms fall 2 rise 1 \
on-marked-down shutdown-sessions resolvers cluster init-addr none
"""

# What follows another server has its address unused, and must agree with it on 404.
_STATE = f"""\
backend {{name}}
  option httpchk
  http-check disable-on-404
  server state 127.0.0.1:1 track {DATABASE}/{{name}}
"""


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the proxies' configuration, the same for all of them."""
    members = _members(cloud, DATABASE)
    servers = [
        f"  server {name} {host}:{DATABASE_PORT} id {number}"
        for number, (name, host) in enumerate(members, start=1)
    ]
    rules = [
        f"  stick match int(1) if {{ int(1),table_server_id({DATABASE}) -m int {number} }} "
        f"{{ nbsrv({name}) gt 0 }}"
        for number, (name, _) in enumerate(members, start=1)
    ]
    states = [_STATE.format(name=name) for name, _ in members]
    peers = ["peers proxies", f"  bind :::{PEER_PORT} v4v6", '  server "$POD_NAME"']
    relays: list[str] = []
    for ordinal, (name, host) in enumerate(_members(cloud, NAME)):
        peer, relay = _peer(ordinal, name, host)
        peers += peer
        relays += relay
    options = _OPTIONS.lines(cloud.options(NAME, NAME))
    head = [*options, _HEAD]
    listener = _BACKEND.rstrip("\n").replace("{rules}", "\n".join(rules))
    text = [*head, *peers, "", *relays, listener, *servers, "", *states]
    return {OPTIONS: "\n".join(text)}


def _peer(ordinal: int, name: str, host: str) -> tuple[list[str], list[str]]:
    """Return the lines of a peer and of the relay to it, both left out on that peer itself.

    HAProxy resolves the address of a peer once, when it starts; a pod's address changes. So each
    peer is reached through a local relay, whose server is resolved again and again.
    """
    others = f'.if !streq("$POD_NAME",{name})'
    port = _RELAY_PORT + ordinal
    peer = [others, f"  server {name} 127.0.0.1:{port}", ".endif"]
    relay = [
        others,
        f"listen peer-{ordinal}",
        f"  bind 127.0.0.1:{port}",
        f"  server {name} {host}:{PEER_PORT} resolvers cluster init-addr none",
        ".endif",
        "",
    ]
    return peer, relay


def _members(cloud: Cloud, role: str) -> list[tuple[str, str]]:
    """Return pod name and DNS name of each member; HAProxy's resolver knows no search path."""
    return [(host.partition(".")[0], host) for host in cloud.qualified_members(role)]


HAPROXY: RoleDefinition[Cloud] = RoleDefinition(
    name=NAME,
    service=NAME,
    image=NAME,
    workload=Workload.STATEFUL_SET,
    replicas=2,
    clustering=ClusteringChoice(
        models=(ClusteringModel.ACTIVE_ACTIVE,),
        because="every proxy serves, and all send clients to the same writer",
    ),
    headless=True,
    files=files,
    options=_OPTIONS.allowed,
    spelling=_OPTIONS.spelling,
    reserved=_OPTIONS.reserved,
    grace_period=30,
    containers=(
        Container(
            name=NAME,
            # -L: the name by which the peers know each other.
            command=("haproxy", "-W", "-db", "-L", "$(POD_NAME)", "-f", OPTIONS),
            security=Security(user=USER),
            ports=(
                Port("mysql", DATABASE_PORT),
                Port("status", STATS_PORT),
                Port("peers", PEER_PORT, published=False),
            ),
            # Whether the database answers is the database's own readiness; a proxy without a member
            # to send to stays in its Service, so that it serves the moment one is back.
            startup=Probe(http_path="/healthz", port=STATS_PORT, period=1, failures=60),
            readiness=Probe(http_path="/healthz", port=STATS_PORT, period=5),
            liveness=Probe(http_path="/healthz", port=STATS_PORT, period=10, failures=6),
            resources=ResourceDefaults(cpu="20m", memory="32Mi", memory_limit="256Mi"),
            env=(FieldEnv("POD_NAME", "metadata.name"),),
            mounts=(FileMount(), *scratch("/run/haproxy")),
        ),
    ),
    backup="nothing: it is made again from the resources",
)

SERVICE = OpenStackService(name=NAME)
