"""Flows out of the kernel's tables."""

from tests.support.flows import Flow, parse

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"


def table(*lines: str) -> list[str]:
    return ["net net:[1]", HEAD, *lines]


def test_a_connection_to_a_served_port_is_a_flow() -> None:
    lines = table(
        "   0: 00000000:0CEA 00000000:0000 0A 0:0 0:0 0 0",
        "   1: 0501F40A:0CEA 0702F40A:B0B0 01 0:0 0:0 0 0",
        "   2: 0501F40A:0CEA 0802F40A:B0B1 06 0:0 0:0 0 0",
    )
    assert parse(lines) == {
        Flow("10.244.2.7", "10.244.1.5", 3306), Flow("10.244.2.8", "10.244.1.5", 3306),
    }  # fmt: skip


def test_a_connection_that_was_opened_from_here_is_none() -> None:
    assert parse(table("   1: 0501F40A:B0B0 0702F40A:0CEA 01 0:0 0:0 0 0")) == set()


def test_a_port_that_another_network_serves_does_not_count() -> None:
    other = ["net net:[2]", HEAD, "   0: 00000000:0CEA 00000000:0000 0A 0:0 0:0 0 0"]
    here = table("   1: 0501F40A:0CEA 0702F40A:B0B0 01 0:0 0:0 0 0")
    assert parse(here + other) == set()


def test_ipv4_in_the_table_of_ipv6_is_ipv4() -> None:
    mapped = "0000000000000000FFFF0000"
    lines = table(
        f"   0: {'0' * 32}:1628 {'0' * 32}:0000 0A 0:0 0:0 0 0",
        f"   1: {mapped}0501F40A:1628 {mapped}0702F40A:B0B0 01 0:0 0:0 0 0",
    )
    assert parse(lines) == {Flow("10.244.2.7", "10.244.1.5", 5672)}


def test_loopback_is_no_flow() -> None:
    lines = table(
        "   0: 0100007F:0CEA 00000000:0000 0A 0:0 0:0 0 0",
        "   1: 0100007F:0CEA 0100007F:B0B0 01 0:0 0:0 0 0",
    )
    assert parse(lines) == set()
