"""What HAProxy's runtime API answers, and an API server that comes and goes."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents.endpoint.protocol import Backend, EndpointSettings
from stackroles.agents.endpoint.runtime import (
    RuntimeApi,
    RuntimeApiError,
    Server,
    parse_map,
    parse_servers,
)
from stackroles.agents.endpoint.slots import Slot, State
from stackroles.agents.endpoint.watch import SliceWatch
from stackroles.agents.kube_api import ApiError, Event

# As 3.0.11 answered; a/s2 was drained, a/s3 never had a member.
STATES = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 a 1 s1 127.0.1.1 2 4 1 1 1 15 3 2 6 0 0 0 - 5000 - 0 9301 - - 9301
3 a 2 s2 fd00::2 0 12 1 1 1 7 2 0 6 0 0 0 - 5000 - 0 9301 - - 9301
3 a 3 s3 0.0.0.0 0 5 1 1 1 1 0 0 14 0 0 0 - 5000 - 0 9301 - - 9301
3 a 5 hold - 2 0 1 1 1 1 0 2 0 0 0 0 - 0 - 0 0 - - 0
"""
CONNECTIONS = """\
# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb \
idle_lim idle_cur idle_per_thr[2]
a/s1 3/1 127.0.1.1 5000 - 5000 7 9 0 0 0 -1 0 0 0
a/s2 3/2 fd00::2 5000 - 5000 1 1 0 0 0 -1 0 0 0
a/s3 3/3 0.0.0.0 5000 - 5000 0 0 0 0 0 -1 0 0 0
a/hold 3/5 - 0 - 5000 0 0 0 0 0 -1 0 0 0
"""


def test_servers_are_read() -> None:
    found = parse_servers(STATES, CONNECTIONS)

    assert found["a/s1"] == Server(Slot("127.0.1.1", State.READY, 7), up=True, checked=True)
    assert found["a/s2"] == Server(Slot("fd00::2", State.DRAIN, 1), up=False, checked=True)
    assert found["a/s3"] == Server(Slot("", State.MAINT, 0), up=False, checked=False)


@pytest.mark.parametrize(
    "states",
    ["", "2\n", "Permission denied\n", "1\n# be_name srv_name\na\n", "1\na s1 127.0.0.1\n"],
)
def test_another_form_is_an_error(states: str) -> None:
    with pytest.raises(RuntimeApiError):
        parse_servers(states, CONNECTIONS)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("\n", {}),
        # As 3.0.11 answered.
        ("0x7fdabfa870e0 k night-2.x\n0x7fdabfa87150 j z\n\n", {"k": "night-2.x", "j": "z"}),
    ],
)
def test_entries_of_a_map_are_read(answer: str, expected: dict[str, str]) -> None:
    assert parse_map(answer) == expected


@pytest.mark.parametrize(
    "answer", ["Unknown map identifier. Please use #<id> or <file>.\n\n", "0x7fda k\n"]
)
def test_another_form_of_a_map_is_an_error(answer: str) -> None:
    with pytest.raises(RuntimeApiError):
        parse_map(answer)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """Return the socket of a program that accepts and says nothing."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


def test_one_that_says_nothing_is_waited_for_in_vain(silent: Path) -> None:
    with pytest.raises(TimeoutError):
        RuntimeApi(str(silent), seconds=0.2).servers()


PATH = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"
QUERY = {"labelSelector": "kubernetes.io/service-name in (x-a)"}


class FakeApi:
    """Answers lists and watches from a script, and notes what was asked."""

    def __init__(self, *script: Any) -> None:
        self.script, self.asked = list(script), list[str]()
        self.stop = threading.Event()

    def get(self, path: str, *, seconds: float, **query: str) -> dict[str, Any]:
        """Return the next list."""
        assert (path, query) == (PATH, QUERY)
        self.asked.append("list")
        return self._next()  # type: ignore[no-any-return]

    def watch(self, path: str, version: str, *, seconds: int, **query: str) -> Iterator[Event]:
        """Yield the next events."""
        assert (path, query) == (PATH, QUERY)
        self.asked.append(f"watch {version}")
        for event in self._next():
            if isinstance(event, Exception):
                raise event
            yield event

    def _next(self) -> Any:
        if not self.script:
            self.stop.set()
            return []
        found = self.script.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def listed(version: str, *names: str) -> dict[str, Any]:
    items = [{"metadata": {"name": name}} for name in names]
    return {"metadata": {"resourceVersion": version}, "items": items}


def event(kind: str, name: str, version: str) -> Event:
    return Event(kind, {"metadata": {"name": name, "resourceVersion": version}})


def follow(monkeypatch: pytest.MonkeyPatch, *script: Any) -> tuple[list[str], list[list[str]]]:
    """Return what is asked of an API server, and the names published after each change."""
    monkeypatch.setattr("stackroles.agents.endpoint.watch._PAUSE", 0.0)
    published: list[list[str]] = []
    api = FakeApi(*script)
    settings = EndpointSettings(
        namespace="ns",
        backends=(Backend(name="a", service="x-a", port=1, listen=1, slots=1),),
        command=(),
        socket="",
        port=1,
        drain_seconds=0,
        stop_seconds=0,
    )
    SliceWatch(api, settings, lambda slices: published.append(sorted(slices))).run(api.stop)
    return api.asked, published


def test_changes_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, published = follow(
        monkeypatch,
        listed("5", "a"),
        [event("ADDED", "b", "6"), event("BOOKMARK", "", "8")],
        [event("DELETED", "a", "9"), event("MODIFIED", "b", "10")],
    )

    assert asked == ["list", "watch 5", "watch 8", "watch 10"]
    assert published == [["a"], ["a", "b"], ["b"], ["b"]]


def test_a_watch_that_breaks_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, published = follow(
        monkeypatch,
        OSError("no route"),
        listed("5", "a"),
        [event("ADDED", "b", "6"), ConnectionResetError("reset")],
        OSError("no route"),
        [],
    )

    assert asked == ["list", "list", "watch 5", "watch 6", "watch 6", "watch 6"]
    assert published == [["a"], ["a", "b"]], "what is known stays"


@pytest.mark.parametrize("gone", [[ApiError(410, "too old")], ApiError(410, "too old")])
def test_a_version_that_is_too_old_is_listed_again(
    monkeypatch: pytest.MonkeyPatch, gone: Any
) -> None:
    asked, published = follow(monkeypatch, listed("5", "a"), gone, listed("70", "b"), [])

    assert asked == ["list", "watch 5", "list", "watch 70", "watch 70"]
    assert published == [["a"], ["b"]]
