"""IPv4 is picked of several addresses; a cluster that puts IPv6 first is refused."""

from dataclasses import replace
from typing import Any

import pytest

from stackroles.addresses import pod_address
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.errors import SpecInvalid
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.settings import Settings, from_environment
from tests.support.clouds import controller


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ""),
        ({"podIP": "10.0.0.1"}, "10.0.0.1"),
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, "10.0.0.1"),
        ({"podIP": "fd00::1", "podIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}]}, "10.0.0.1"),
        ({"podIP": "fd00::1", "podIPs": [{"ip": "fd00::1"}]}, ""),
        ({"podIP": "fd00::1"}, ""),
        ({"podIPs": None, "podIP": None}, ""),
    ],
)
def test_of_a_pods_addresses_the_ipv4_one_is_used(status: Any, expected: str) -> None:
    assert pod_address({"status": status}) == expected


def context(pod_ip: str) -> Context:
    made = object.__new__(Context)
    object.__setattr__(made, "settings", replace(Settings(), pod_ip=pod_ip))
    object.__setattr__(made, "resolved", {})
    return made


@pytest.mark.parametrize("pod_ip", ["10.244.0.7", "", "localhost"])
def test_a_cluster_that_puts_ipv4_first_can_hold_a_cloud(pod_ip: str) -> None:
    assert cloud_of(context(pod_ip), controller()).name == "demo"


def test_a_cluster_that_puts_ipv6_first_is_refused_with_what_to_use() -> None:
    with pytest.raises(SpecInvalid) as caught:
        cloud_of(context("fd00:10::7"), controller())

    assert caught.value.reason is Reason.IPV4_REQUIRED
    assert "fd00:10::7" in caught.value.message
    assert "puts IPv4 first" in caught.value.message


def test_the_pods_address_comes_from_the_charts_environment() -> None:
    assert from_environment({"STACKROLES_POD_IP": "fd00::7"}).pod_ip == "fd00::7"
