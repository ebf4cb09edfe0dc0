"""Resolvers inside programs, kept from believing a wrong answer for long.

A node that boots asks for names before its proxy leads to the cluster's DNS. Whoever answers then
(the Internet knows no "cluster.local", for a day) is believed by resolvers that keep answers in the
process: eventlet's, which can be left out, and OVN's, which is told to forget.
"""

from collections.abc import Mapping
from typing import Final

from stackroles.roles.container import Env

# eventlet's own resolver keeps empty answers, for ever where one came without a lifetime. After the
# restart of its node a nova-compute did not find the brokers for seven minutes, until it was
# killed, while other processes in its container did. The system's resolver keeps no answers.
SYSTEM: Final = Env("EVENTLET_NO_GREENDNS", "yes")

_UNBOUND: Final = "/etc/stackroles/unbound.conf"
FORGETFUL: Final = Env("OVS_UNBOUND_CONF", _UNBOUND)
FORGETFUL_FILES: Final[Mapping[str, str]] = {
    _UNBOUND: "server:\n  cache-max-negative-ttl: 5\n  cache-max-ttl: 30\n"
}
"""What FORGETFUL names; every role with that variable has these among its files."""
