"""Resolvers inside programs: known addresses are kept, and a wrong answer is not believed for long.

A node that boots asks for names before its proxy leads to the cluster's DNS. Whoever answers then
(the Internet knows no "cluster.local", for a day) is believed by resolvers that keep answers in the
process: eventlet's, which can be left out, and that of Open vSwitch and OVN, which forgets soon.

While the cluster's DNS is away nobody who is known moves far: Python programs go on with the
addresses they had (agents/known_addresses.py), and so do OVN's and HAProxy (roles/haproxy.py).
"""

from collections.abc import Mapping
from typing import Final

from stackroles.config.cloud import Cloud
from stackroles.roles.container import AGENT_PATH, Env

PYTHON: Final = (
    # Where Python finds the module that it loads at its start.
    AGENT_PATH,
    # eventlet's own resolver keeps empty answers, for ever where one came without a lifetime. After
    # the restart of its node a nova-compute did not find the brokers for seven minutes, until it
    # was killed, while other processes in its container did. The system's resolver keeps none.
    Env("EVENTLET_NO_GREENDNS", "yes"),
    # Of resolv.conf(5). With the defaults a name server that answers nothing holds a process, with
    # all its green threads, for 20 s a name; now for 4 s.
    Env("RES_OPTIONS", "timeout:1 attempts:2"),
)
"""The environment of a service in Python; its role has `python_files` among its files."""

_UNBOUND: Final = "/etc/stackroles/unbound.conf"
OVS: Final = Env("OVS_UNBOUND_CONF", _UNBOUND)
# unbound.conf(5). An answer that was given is used beyond its time while nobody gives another; and
# a name server that was away is asked at once when it is back: with the defaults a northd that
# started without one connected 28 s after it was there, and the longer it had been away, the later.
_UNBOUND_OPTIONS: Final = {
    "cache-max-negative-ttl": "5",
    "cache-max-ttl": "30",
    "serve-expired": "yes",
    "serve-expired-ttl": "604800",
    "serve-expired-client-timeout": "1800",
    "infra-host-ttl": "5",
    "infra-cache-max-rtt": "2000",
    "infra-keep-probing": "yes",
}
OVS_FILES: Final[Mapping[str, str]] = {
    _UNBOUND: "".join(
        ("server:\n", *(f"  {name}: {value}\n" for name, value in _UNBOUND_OPTIONS.items()))
    )
}
"""What OVS names; every role with that variable has these among its files."""


def python_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the module that every Python process loads at its start, by its path."""
    source = cloud.agents["known_addresses.py"]
    return {f"{AGENT_PATH.value}/sitecustomize.py": f"{source}\n\ninstall()\n"}
