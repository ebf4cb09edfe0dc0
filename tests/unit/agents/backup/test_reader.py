"""The reader of a recovery set, over HTTP, against a stand-in for restic."""

import contextlib
import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.manifest import decode, identity, signature_tag
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import (
    RetentionInput,
    RetentionRules,
    RunOutcome,
    StepResult,
    Versions,
    from_environment,
    to_environment,
)
from stackroles.agents.backup.reader import ReaderServer
from stackroles.agents.backup.reader_protocol import (
    UNSIGNED_VERSION,
    Manifest,
    ManifestPart,
    ReaderProblem,
    ReaderSettings,
)
from stackroles.agents.backup.recovery_set import RecoverySet
from stackroles.agents.backup.repository import Part, Restic
from stackroles.agents.backup.run import Plan, manifest
from tests.support.alarm import alarm
from tests.support.binaries import ROOT
from tests.support.fake_restic import CONFIG, MASTER_KEY, install_restic

TOKEN = "geheim"
COPY = b"page" * 100_000
VERSIONS = Versions(operator="0.1.0", release="2025.1", images={"ovn": "r/ovn:1"})
STEP = StepResult("database", len(COPY), 1.5, hashlib.sha256(COPY).hexdigest(), "copy")
SET = Manifest(
    name="one",
    cloud="cloud",
    policy="daily",
    versions=VERSIONS,
    position="u:7",
    time="2026-01-01T00:00:00+00:00",
    repository="repository-1",
    key_id="key-1",
    parts=(ManifestPart.of(STEP, "mariadb.mbstream"),),
)
KEY = identity(CONFIG, MASTER_KEY)


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(180):
        yield


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A repository, mounted read-only, with the set `one` and the beginning of `half`."""
    store = install_restic(tmp_path)
    for name in ("config", "read-only"):
        (store / name).touch()
    (store / "copy").write_bytes(COPY)
    keep(store, SET)
    return store


def keep(store: Path, content: Manifest, **more: Any) -> None:
    text = json.dumps(wire.encode(content) | more, indent=1, sort_keys=True)
    (store / "manifest").write_text(text)
    stored = snapshot("manifest", "one", "manifest", "2")
    if (more.get("apiVersion") or content.api_version) != UNSIGNED_VERSION:
        stored["tags"].append(signature_tag(text.encode(), KEY))
    snapshots = [
        snapshot("copy", "one", "database", "1"), stored, snapshot("copy", "half", "database", "3")
    ]  # fmt: skip
    (store / "log").write_text("".join(json.dumps(found) + "\n" for found in snapshots))


def snapshot(id: str, name: str, part: str, when: str) -> dict[str, Any]:
    when = f"2026-01-01T00:00:0{when}.000000001Z"
    return {"id": id, "time": when, "tags": ["policy=daily", f"set={name}", f"part={part}"]}


@contextlib.contextmanager
def serving(
    store: Path, name: str = "one", stall: float = 60.0, answer: float = 60.0
) -> Iterator[ReaderServer]:
    def repository(meanwhile: Callable[[], None]) -> Restic:
        progress = Progress(write=lambda _: None)
        program = str(store.parent / "restic")
        return Restic(program, stall=stall, answer=answer, progress=progress, meanwhile=meanwhile)

    server = ReaderServer(RecoverySet(name, "daily", repository), TOKEN, 0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def asked(port: int, path: str, token: str = TOKEN) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        with connection.getresponse() as answer:
            yield answer


def read(server: ReaderServer, path: str, token: str = TOKEN) -> tuple[int, bytes]:
    with asked(server.server_port, path, token) as answer:
        return answer.status, answer.read()


def problem(server: ReaderServer, path: str = "/manifest") -> ReaderProblem:
    status, body = read(server, path)
    assert status == 503
    assert body.endswith(b"\n")
    return wire.loads(ReaderProblem, body)


def wait_for(there: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := there()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_the_manifest_is_answered_as_it_is_stored_and_read_once(store: Path) -> None:
    with serving(store) as server:
        with asked(server.server_port, "/manifest") as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.read() == (store / "manifest").read_bytes()
        read(server, "/manifest")

    assert (store.parent / "asked").read_text().split() == ["cat", "snapshots", "cat", "dump"]


def test_several_clients_get_a_whole_part_at_once(store: Path) -> None:
    found: list[tuple[int, bytes]] = []
    with serving(store) as server:
        threads = [
            threading.Thread(target=lambda: found.append(read(server, "/parts/database")))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == [(200, COPY)] * 3


@pytest.mark.parametrize("token", ["", "other", "geheim ", "gehe\xefm"])
@pytest.mark.parametrize("path", ["/manifest", "/parts/database", "/nothing"])
def test_nothing_is_answered_without_the_token(store: Path, token: str, path: str) -> None:
    with serving(store) as server:
        assert read(server, path, token)[0] == 401

    assert not (store.parent / "asked").exists()


def test_a_reader_without_a_token_answers_nobody(store: Path) -> None:
    with serving(store) as server:
        server.token = b""
        assert read(server, "/manifest", "")[0] == 401


def test_the_probe_needs_no_token_and_no_repository(store: Path) -> None:
    (store / "hang-cat").touch()
    with serving(store) as server:
        assert read(server, "/healthz", "") == (200, b"ok")


@pytest.mark.parametrize("path", ["/parts/other", "/parts/", "/nothing"])
def test_what_is_not_there_is_not_found(store: Path, path: str) -> None:
    with serving(store) as server:
        assert read(server, path)[0] == 404


@pytest.mark.parametrize("changed", [{"bytes": len(COPY) + 1}, {"sha256": "0" * 64}])
def test_a_part_that_differs_from_the_manifest_has_no_end(
    store: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    part = wire.encode(SET.parts[0]) | changed
    keep(store, SET, parts=[part])

    with serving(store) as server, pytest.raises(http.client.IncompleteRead):
        read(server, "/parts/database")

    assert "database was cut off after 0 s: database reads as" in capsys.readouterr().out


def test_a_part_that_restic_reads_in_part_has_no_end(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "breaks").touch()

    with serving(store) as server, pytest.raises(http.client.IncompleteRead):
        read(server, "/parts/database")

    assert "ciphertext verification failed" in capsys.readouterr().out


def test_a_part_that_stalls_has_no_end(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "stalls").touch()

    with (
        serving(store, stall=4.0) as server,
        pytest.raises(http.client.IncompleteRead),
    ):
        read(server, "/parts/database")

    assert "no progress for 4 s" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["/manifest", "/parts/database"])
@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [("other", "SetMissing", "holds no set other"), ("half", "SetUnfinished", "no manifest")],
)
def test_a_set_that_cannot_be_read_is_a_problem(
    store: Path, path: str, name: str, reason: str, words: str
) -> None:
    with serving(store, name) as server:
        found = problem(server, path)

    assert found.reason == reason
    assert words in found.message


def test_a_repository_that_is_not_there_has_no_set(store: Path) -> None:
    (store / "config").unlink()
    with serving(store) as server:
        assert problem(server).reason == "SetMissing"


@pytest.mark.parametrize(
    ("failure", "reason", "words"),
    [
        ("12 Fatal: wrong password or no key found", "WrongEncryptionKey", "put the key"),
        ("1 Fatal: unable to open config file", "StepFailed", "unable to open config file"),
    ],
)
def test_a_repository_that_does_not_open_is_tried_again(
    store: Path, failure: str, reason: str, words: str
) -> None:
    (store / "fail-cat").write_text(failure)
    with serving(store) as server:
        found = problem(server)
        assert (found.reason, words in found.message) == (reason, True)

        (store / "fail-cat").unlink()
        assert read(server, "/manifest")[0] == 200


def test_a_repository_that_never_answers_is_a_problem(store: Path) -> None:
    (store / "hang-cat").touch()
    with serving(store, answer=2.0) as server:
        assert problem(server).reason == "RepositoryStalled"


def test_a_repository_that_goes_away_is_told_before_a_part_begins(store: Path) -> None:
    with serving(store) as server:
        read(server, "/manifest")
        (store / "fail-dump").write_text("1 Fatal: unable to open repository")
        assert "unable to open repository" in problem(server, "/parts/database").message


@pytest.mark.parametrize("more", [{"apiVersion": "stackroles.io/recovery-set/v3"}, {"parts": {}}])
def test_a_manifest_of_another_form_is_a_problem(store: Path, more: dict[str, Any]) -> None:
    keep(store, SET, **more)
    with serving(store) as server:
        assert problem(server).reason == "ManifestUnreadable"


def test_a_client_that_goes_away_ends_restic(store: Path) -> None:
    (store / "slow").touch()
    with serving(store) as server:
        with asked(server.server_port, "/parts/database") as answer:
            answer.read(65536)
            pid = int((store.parent / "pid").read_text())
            assert is_running(pid)

        wait_for(lambda: not is_running(pid))


def test_a_client_that_goes_away_while_the_repository_is_silent_ends_restic(store: Path) -> None:
    (store / "stalls").touch()
    with serving(store) as server:
        with asked(server.server_port, "/parts/database") as answer:
            answer.read(4)
            pid = int((store.parent / "pid").read_text())

        wait_for(lambda: not is_running(pid))


def test_it_ends_in_order_in_the_middle_of_a_stream(store: Path, tmp_path: Path) -> None:
    (store / "slow").touch()
    (tmp_path / "token").write_text("geheim\n")
    settings = ReaderSettings(name="one", policy="daily", token_file=str(tmp_path / "token"))
    program = (
        "import sys; from stackroles.agents.backup import reader\n"
        "reader.ReaderServer.__init__.__defaults__ = (0,)\n"
        "sys.exit(reader.main())\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    environment = {"PATH": path, "PYTHONPATH": str(ROOT / "operator"), **to_environment(settings)}
    with subprocess.Popen(
        [sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[-1])
        with asked(port, "/parts/database") as answer:
            answer.read(4)
            pid = int((store.parent / "pid").read_text())
            process.send_signal(signal.SIGTERM)
            with pytest.raises(http.client.IncompleteRead):
                answer.read()
        log = process.stdout.read().decode()

    assert (process.returncode, is_running(pid)) == (0, False)
    assert "database was cut off after" in log


def test_settings_are_given_as_environment() -> None:
    settings = ReaderSettings(name="one", policy="daily", token_file="/token")

    assert to_environment(settings)["BACKUP_TOKEN_FILE"] == "/token"
    assert from_environment(ReaderSettings, to_environment(settings)) == settings


def test_what_a_run_writes_is_what_a_reader_understands(tmp_path: Path) -> None:
    part = Part("database", "mariadb.mbstream", lambda _: {})
    outcome = RunOutcome(position="u:7", steps=(STEP,))
    retention = RetentionInput(rules=RetentionRules(last=3), backups=())
    work = Plan("one", "cloud", "daily", VERSIONS, (part,), retention, SET.time, "c", "p")
    stored = manifest(work, outcome, KEY, "key-1")
    with (tmp_path / "manifest").open("wb") as sink:
        stored.write(sink)
    text = (tmp_path / "manifest").read_bytes()

    assert decode(text, stored.tags, KEY) == replace(SET, cloud_uid="c", policy_uid="p")
    assert json.loads(text).keys() == {
        "apiVersion", "name", "cloud", "policy", "versions", "position", "time", "repository",
        "keyId", "cloudUid", "policyUid", "uid", "parts",
    }  # fmt: skip
    assert json.loads(text)["apiVersion"] == "stackroles.io/recovery-set/v2"


def test_a_manifest_of_another_release_is_understood() -> None:
    older = wire.encode(SET)
    older["versions"]["kubernetes"] = "1.33"
    older["parts"][0]["message"] = None

    assert wire.decode(Manifest, older) == SET


def test_a_set_of_the_former_version_is_served_and_named_as_unsigned(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    former = {"name", "cloud", "policy", "versions", "position", "parts"}
    text = {name: value for name, value in wire.encode(SET).items() if name in former}
    keep(store, SET, apiVersion=UNSIGNED_VERSION)
    (store / "manifest").write_text(json.dumps({**text, "apiVersion": UNSIGNED_VERSION}))

    with serving(store) as server:
        assert read(server, "/manifest")[0] == 200
        assert read(server, "/parts/database") == (200, COPY)

    assert "The manifest is not signed: a former version took set one" in capsys.readouterr().out


def test_a_set_whose_manifest_was_changed_is_a_problem_with_its_reason(store: Path) -> None:
    text = (store / "manifest").read_text()
    (store / "manifest").write_text(text.replace("u:7", "u:8"))

    with serving(store) as server:
        found = problem(server)
        assert problem(server, "/parts/database") == found

    assert found.reason == "ManifestForged"
    assert found.message.startswith("set one of policy daily: the manifest was not signed")
