import json

import pytest

from stackroles.agents.compute.node import AgentError
from stackroles.agents.compute.underlay import (
    Link,
    beside_flows,
    holder,
    moved_routes,
    parse_links,
    wanted_address,
)


def link(name: str = "eth1", *addresses: str) -> Link:
    return Link(name=name, mac="02:42:0a:62:00:03", up=True, addresses=addresses)


def test_interfaces_are_read_with_their_global_ipv4_addresses() -> None:
    text = json.dumps(
        [
            {
                "ifname": "eth1",
                "address": "02:42:0a:62:00:03",
                "flags": ["BROADCAST", "UP"],
                "addr_info": [
                    {"family": "inet", "local": "10.9.0.3", "prefixlen": 24, "scope": "global"},
                    {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
                ],
            },
            {},
            {"ifname": "br-int", "flags": []},
        ]
    )
    links = parse_links(text)
    assert links["eth1"] == link("eth1", "10.9.0.3/24")
    assert links["br-int"] == Link(name="br-int", mac="", up=False, addresses=())


def test_a_restarted_nodes_new_address_wins_over_the_remembered_one() -> None:
    assert wanted_address(link("eth1", "10.9.0.5/24"), None, "10.9.0.3/24") == "10.9.0.5/24"


def test_the_bridge_keeps_the_address_it_was_given() -> None:
    bridge = link("br-ex", "10.9.0.3/24")
    assert wanted_address(link(), bridge, "10.9.0.9/24") == "10.9.0.3/24"


def test_an_address_that_both_lost_is_remembered() -> None:
    assert wanted_address(link(), link("br-ex"), "10.9.0.3/24") == "10.9.0.3/24"


def test_an_interface_without_any_address_is_refused_with_advice() -> None:
    with pytest.raises(AgentError, match=r"eth1 has no IPv4 address.*network\.interface"):
        wanted_address(link(), None, None)


def test_routes_move_with_the_address_except_the_kernels_own() -> None:
    routes = [
        {"dst": "10.9.0.0/24", "protocol": "kernel"},
        {"dst": "10.50.0.0/16", "gateway": "10.9.0.1", "protocol": "static"},
        {"dst": "10.60.0.0/16"},
    ]
    assert moved_routes(routes) == [("10.50.0.0/16", "via", "10.9.0.1"), ("10.60.0.0/16",)]


def test_the_nodes_interface_is_found_beside_the_bridge_that_repeats_its_address() -> None:
    links = {
        "br-phy": link("br-phy", "172.17.0.2/32"),
        "eth0": link("eth0", "172.17.0.2/16"),
    }
    found = holder(links, "172.17.0.2")
    assert found is not None
    assert found.name == "eth0"


def test_the_bridge_beside_lets_only_its_own_frames_arp_and_geneve_pass() -> None:
    flows = beside_flows("1", "02:42:0a:62:00:03")
    assert any("dl_src=02:42:0a:62:00:03,actions=in_port" in flow for flow in flows)
    assert sum("actions=LOCAL" in flow for flow in flows) == 2
    assert all("NORMAL" not in flow for flow in flows)
