"""Which backends are paused, and how HAProxy's map becomes so."""

from typing import Any

import pytest
from typing_extensions import override

from stackroles.agents import wire
from stackroles.agents.endpoint.pauses import Pauses, commands
from stackroles.agents.endpoint.protocol import (
    PAUSED_LABEL,
    Backend,
    EndpointSettings,
    EndpointStatus,
)
from stackroles.agents.endpoint.runtime import RuntimeApi, RuntimeApiError
from stackroles.agents.endpoint.slices import paused_by

MAP = "/m"


def of(service: str, by: str | None = None, endpoints: Any = None) -> dict[str, Any]:
    """Return an EndpointSlice, without pods as Kubernetes keeps one."""
    labels = {"kubernetes.io/service-name": service}
    labels |= {} if by is None else {PAUSED_LABEL: by}
    return {"metadata": {"labels": labels}, "addressType": "IPv4", "endpoints": endpoints}


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([], ""),
        ([of("x-a")], ""),
        ([of("x-a", "night")], "night"),
        ([of("x-a", "night", [{"addresses": ["1.1.1.1"]}])], "night"),
        # One of several is enough, and their order says nothing.
        ([of("x-a"), of("x-a", "night")], "night"),
        ([of("x-a", "b"), of("x-a", "a")], "a"),
        ([of("x-b", "night"), of("x-a")], ""),
        # No value names no Restore.
        ([of("x-a", "")], ""),
        ([{"metadata": {"labels": None}}, {}], ""),
    ],
)
def test_a_label_of_a_services_slices_pauses(slices: list[dict[str, Any]], expected: str) -> None:
    assert paused_by(slices, "x-a") == expected


def test_only_what_differs_is_changed() -> None:
    before = {"a": "x", "b": "x", "c": "x"}

    assert commands(MAP, before, before) == []
    assert commands(MAP, before, {"a": "x", "c": "y", "d": "y"}) == [
        "del map /m b",
        "set map /m c y",
        "add map /m d y",
    ]


class FakeHaproxy(RuntimeApi):
    """Has a map, and takes its changes or not."""

    def __init__(self, *, takes: bool = True) -> None:
        super().__init__("")
        self.map, self.asked, self.takes = dict[str, str](), list[str](), takes

    @override
    def run(self, *commands: str) -> str:
        """Carry out commands."""
        self.asked += commands
        for verb, _, name, *entry in map(str.split, commands):
            assert name == MAP
            if verb == "show":
                return "".join(f"0x1 {key} {value}\n" for key, value in self.map.items()) + "\n"
            if self.takes and verb == "del":
                self.map.pop(entry[0])
            elif self.takes:
                self.map[entry[0]] = entry[1]
        return "\n"


def pauses(haproxy: RuntimeApi, name: str = MAP) -> Pauses:
    backends = tuple(
        Backend(name=role, service=f"x-{role}", port=1, listen=1, slots=1) for role in ("a", "b")
    )
    settings = EndpointSettings(
        namespace="ns",
        backends=backends,
        command=(),
        socket="",
        port=1,
        drain_seconds=0,
        stop_seconds=0,
        paused_map=name,
    )
    return Pauses(haproxy, settings)


def test_a_pause_is_set_once_and_again_after_a_start_of_haproxy() -> None:
    haproxy = FakeHaproxy()
    made = pauses(haproxy)
    slices = {"1": of("x-a", "night"), "2": of("x-b")}
    made.apply(slices)
    made.apply(slices)
    assert haproxy.asked.count("add map /m a night") == 1
    assert made.current() == {"a": "night"}

    haproxy.map.clear()
    made.apply(slices)
    assert haproxy.map == {"a": "night"}

    made.apply({"1": of("x-a"), "2": of("x-b")})
    assert haproxy.map == {}


def test_a_pause_that_haproxy_does_not_take_is_an_error() -> None:
    with pytest.raises(RuntimeApiError, match="did not take"):
        pauses(FakeHaproxy(takes=False)).apply({"1": of("x-a", "night")})


def test_without_a_map_nothing_is_asked() -> None:
    haproxy = FakeHaproxy()
    made = pauses(haproxy, "")
    made.apply({"1": of("x-a", "night")})

    assert (made.current(), haproxy.asked) == ({}, [])


def test_a_status_of_an_older_agent_has_no_pauses() -> None:
    text = '{"members": {}, "message": ""}'

    assert wire.loads(EndpointStatus, text) == EndpointStatus()
