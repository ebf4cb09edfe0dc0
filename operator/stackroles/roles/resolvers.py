"""Resolvers inside programs: known addresses are kept, and a wrong answer is not believed for long.

A node that boots asks for names before its proxy leads to the cluster's DNS. Whoever answers then
(the Internet knows no "cluster.local", for a day) is believed by resolvers that keep answers in the
process: eventlet's, which can be left out, and OVN's, which is told to forget.

While the cluster's DNS is away nobody who is known moves far: Python programs go on with the
addresses they had (agents/known_addresses.py), and so does HAProxy (roles/haproxy.py).
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
FORGETFUL: Final = Env("OVS_UNBOUND_CONF", _UNBOUND)
FORGETFUL_FILES: Final[Mapping[str, str]] = {
    _UNBOUND: "server:\n  cache-max-negative-ttl: 5\n  cache-max-ttl: 30\n"
}
"""What FORGETFUL names; every role with that variable has these among its files."""


def python_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the module that every Python process loads at its start, by its path."""
    source = cloud.agents["known_addresses.py"]
    return {f"{AGENT_PATH.value}/sitecustomize.py": f"{source}\n\ninstall()\n"}
