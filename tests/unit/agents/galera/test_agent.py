"""The database member's agent, run for real around programs that stand in for the server's."""

import contextlib
import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[4]
# For a busy machine; a good run waits for none of them.
SECONDS = 60
HISTORY = "57536cfa-e693-11f1-bcb2-eb91ac8f95a5"
SYNCED = {
    "wsrep_cluster_status": "Primary",
    "wsrep_connected": "ON",
    "wsrep_ready": "ON",
    "wsrep_local_state": "4",
    "wsrep_local_state_comment": "Synced",
    "wsrep_cluster_size": "3",
    "wsrep_cluster_conf_id": "7",
    "wsrep_cluster_state_uuid": HISTORY,
    "wsrep_last_committed": "12",
    "wsrep_incoming_addresses": "10.0.0.1:3306,10.0.0.2:3306",
}


def grastate(seqno: int, uuid: str = HISTORY, safe: int = 0) -> str:
    return f"version: 2.1\nuuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: {safe}\n"


def until(check: Callable[[], Any]) -> Any:
    """Return the first true answer of a check that stays true."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {SECONDS} s: {check()!r}")


class Member:
    """One agent with its volume, annotations and stand-in programs."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.root = root
        self.control = root / "control"
        self.data = root / "volume/data"
        for path in (self.control, self.data, root / "bin", root / "podinfo"):
            path.mkdir(parents=True)
        self.port = free_port()
        (root / "my.cnf").write_text(
            "[mysqld]\nwsrep_cluster_address = gcomm://m-0.db,m-1.db,m-2.db\n"
        )
        (root / "podinfo/annotations").touch()
        (self.control / "agent-port").write_text(str(self.port))
        (self.control / "socket-path").write_text(str(root / "sock"))
        programs = {
            "SERVER": "mariadbd",
            "INSTALL": "mariadb-install-db",
            "RECOVERY": "galera_recovery",
            "BACKUP": "mariadb-backup",
        }
        # Many are started: by the interpreter itself, without a shim or packages.
        _, _, program = (ROOT / "tests/support/fake_mariadbd.py").read_text().partition("\n")
        for name in programs.values():
            (root / "bin" / name).write_text(f"#!{sys.executable} -SE\n{program}")
            (root / "bin" / name).chmod(0o755)
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "operator"),
            "FAKE_CONTROL": str(self.control),
            "POD_NAME": "m-0",
            "POD_UID": "uid-0",
            "POD_IP": "127.0.0.1",
            "GALERA_PORT": str(self.port),
            "GALERA_VOLUME": str(root / "volume"),
            "GALERA_DEFAULTS": str(root / "my.cnf"),
            "GALERA_ANNOTATIONS": str(root / "podinfo/annotations"),
            "GALERA_SOCKET": str(root / "sock"),
            "GALERA_ALONE_SECONDS": "3600",
            "GALERA_JOIN_SECONDS": "3600",
            "GALERA_DRAIN_SECONDS": "0",
            **{f"GALERA_{k}": str(root / "bin" / v) for k, v in programs.items()},
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.root / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", "stackroles.agents.galera.agent"],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def get(self, path: str = "/report", method: str = "GET", **headers: str) -> tuple[int, str]:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        ) as connection:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def log(self) -> str:
        return (self.root / "log").read_text()

    def report(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.get()[1])
        except OSError:
            return {}
        return found

    def waiting(self) -> Any:
        return until(lambda: r if (r := self.report()).get("position") else None)

    def publish(self, **decision: Any) -> None:
        value = json.dumps({"epoch": 1, **decision})
        self.annotate(f"stackroles.io/galera-decision={json.dumps(value)}")

    def annotate(self, *lines: str) -> None:
        fresh = self.root / "podinfo/fresh"
        fresh.write_text("\n".join(['other="x"', *lines, ""]))
        fresh.rename(self.root / "podinfo/annotations")

    def starts(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            lines = (self.control / "started").read_text().splitlines()
            return [json.loads(line) for line in lines]
        return []

    def status(self, **changes: str) -> None:
        fresh = self.control / "fresh"
        fresh.write_text(json.dumps({**SYNCED, **changes}))
        fresh.rename(self.control / "status.json")


@pytest.fixture
def member(tmp_path: Path) -> Iterator[Member]:
    made = Member(tmp_path, GALERA_OPERATOR_PASSWORD="secret", GALERA_BACKUP_TOKEN="token")
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
        for start in made.starts():
            with contextlib.suppress(ProcessLookupError):
                os.kill(start["pid"], signal.SIGKILL)


def with_data(member: Member, seqno: int = 12) -> None:
    (member.data / "grastate.dat").write_text(grastate(-1))
    (member.control / "recovered").write_text(f"--wsrep_start_position={HISTORY}:{seqno},0-1-12")


def test_an_empty_member_waits_and_makes_a_database_only_when_decided(member: Member) -> None:
    member.start()
    report = member.waiting()

    assert report["position"]["empty"]
    assert report["podUid"] == "uid-0"
    assert member.get("/wsrep")[0] == 503
    assert member.starts() == []

    member.status()
    member.publish(attempt=report["attempt"], mode="create")
    until(lambda: member.get("/wsrep")[0] == 200)

    (start,) = member.starts()
    assert "--wsrep-new-cluster" in start["arguments"]
    assert (member.data / "mysql").is_dir()
    queries = (member.control / "queries").read_text()
    assert "CREATE USER IF NOT EXISTS 'stackroles'@'%'" in queries
    assert "secret" not in queries


def test_the_position_is_withdrawn_and_the_decision_is_on_the_volume_before_the_start(
    member: Member,
) -> None:
    with_data(member)
    (member.data / "gvwstate.dat").write_text("my_uuid: x\n")
    member.start()
    report = member.waiting()
    assert (report["position"]["uuid"], report["position"]["seqno"]) == (HISTORY, 12)

    member.publish(attempt=report["attempt"], mode="bootstrap", uuid=HISTORY, seqno=12)
    (start,) = until(member.starts)

    assert start["report"]["position"] is None
    assert start["report"]["phase"] == "Starting"
    assert start["applied"] == {"attempt": report["attempt"], "epoch": 1}
    assert start["view"] is False
    assert f"--wsrep-start-position={HISTORY}:12" in start["arguments"]
    assert "safe_to_bootstrap: 1" in (member.data / "grastate.dat").read_text()


def test_a_kill_makes_a_new_attempt_and_the_old_decision_is_never_applied_again(
    member: Member,
) -> None:
    with_data(member)
    member.start()
    first = member.waiting()
    member.status()
    member.publish(attempt=first["attempt"], mode="bootstrap", uuid=HISTORY, seqno=12)
    until(lambda: member.get("/wsrep")[0] == 200)

    (member.control / "recovered").write_text(f"--wsrep_start_position={HISTORY}:99")
    os.kill(member.starts()[0]["pid"], signal.SIGKILL)
    second = member.waiting()

    assert second["attempt"] != first["attempt"]
    assert second["position"]["seqno"] == 99
    assert second["wsrep"] is None
    assert member.get("/wsrep")[0] == 503
    time.sleep(0.5)  # the old decision is still in the annotation all this time
    assert len(member.starts()) == 1
    assert member.process is not None
    assert member.process.poll() is None


@pytest.mark.parametrize(
    "decision",
    [
        {"attempt": "another", "mode": "join"},
        {"mode": "create"},
        {"mode": "bootstrap", "uuid": HISTORY, "seqno": 11},
        {"mode": "bootstrap", "uuid": "11111111-1111-1111-1111-111111111111", "seqno": 12},
        {"mode": "join", "transfer": "sh -c x"},
        {"mode": "join", "epoch": 0},
        {"mode": "dance"},
    ],
)
def test_other_decisions_are_refused(member: Member, decision: dict[str, Any]) -> None:
    with_data(member)
    (member.root / "volume/agent").mkdir()
    (member.root / "volume/agent/applied").write_text('{"attempt": "old", "epoch": 1}')
    member.start()
    report = member.waiting()

    member.publish(**{"attempt": report["attempt"], **decision})
    time.sleep(0.5)

    assert member.starts() == []
    assert member.report()["attempt"] == report["attempt"]

    member.publish(attempt=report["attempt"], mode="join")
    until(member.starts)


def test_a_volume_keeps_its_id_and_what_it_applied_when_the_agent_is_started_again(
    member: Member,
) -> None:
    with_data(member)
    member.start()
    report = member.waiting()
    member.publish(attempt=report["attempt"], mode="join")
    until(lambda: member.report()["activity"] == "Joining")
    assert member.stop() == 0
    member.start()

    again = member.waiting()

    assert again["volumeId"] == report["volumeId"]
    assert again["attempt"] != report["attempt"]
    assert len(member.starts()) == 1


def test_a_joiner_without_progress_is_started_over(tmp_path: Path) -> None:
    member = Member(tmp_path, GALERA_JOIN_SECONDS="1")
    with_data(member)
    (member.control / "chatter").write_text("2026-01-01 %H:%M:%S 0 [Note] WSREP: still here")
    try:
        member.start()
        report = member.waiting()
        member.publish(attempt=report["attempt"], mode="join")

        again = until(
            lambda: r if (r := member.report()).get("failedStarts") and r["position"] else None
        )

        assert again["attempt"] != report["attempt"]
        assert again["failedStarts"] == 1
        assert again["activity"] is None
        with pytest.raises(ProcessLookupError):
            os.kill(member.starts()[0]["pid"], 0)
    finally:
        member.stop()


def test_a_server_that_refuses_to_start_is_quoted(member: Member) -> None:
    with_data(member)
    (member.control / "refuse").write_text("2026-01-01 0 [ERROR] disk on fire")
    member.start()
    report = member.waiting()
    assert report["failure"] == ""
    member.publish(attempt=report["attempt"], mode="join")

    again = until(lambda: r if (r := member.report()).get("failure") else None)

    assert "disk on fire" in again["failure"]
    assert again["failedStarts"] == 1
    until(lambda: not member.report()["backingOff"])


def test_options_are_refused_before_a_member_joins(member: Member) -> None:
    with_data(member)
    (member.control / "refuse-options").write_text("[ERROR] mariadbd: unknown variable 'x=1'")
    member.start()
    report = member.waiting()
    member.publish(attempt=report["attempt"], mode="join")

    again = until(lambda: r if (r := member.report()).get("failure") else None)

    assert "unknown variable 'x=1'" in again["failure"]
    assert member.starts() == []
    assert member.waiting()["position"]["seqno"] == 12
    assert not (member.root / "volume/agent/applied").exists()


def test_a_running_member_reports_anew_when_asked(member: Member) -> None:
    with_data(member)
    member.start()
    report = member.waiting()
    member.status(wsrep_cluster_status="non-Primary", wsrep_ready="OFF")
    member.publish(attempt=report["attempt"], mode="join")
    until(lambda: (member.report().get("wsrep") or {}).get("uuid"))

    member.publish(attempt=report["attempt"], mode="recover")

    again = member.waiting()
    assert again["attempt"] != report["attempt"]
    assert again["failedStarts"] == 0


def test_a_server_that_hangs_is_unknown_not_serving(member: Member) -> None:
    with_data(member)
    member.start()
    member.status()
    member.publish(attempt=member.waiting()["attempt"], mode="join")
    until(lambda: member.get("/wsrep")[0] == 200)

    os.kill(member.starts()[0]["pid"], signal.SIGSTOP)
    until(lambda: member.get("/wsrep")[0] == 503)

    report = member.report()
    assert report["wsrep"] is None
    assert report["phase"] == "Running"
    assert report["position"] is None
    os.kill(member.starts()[0]["pid"], signal.SIGCONT)
    until(lambda: member.get("/wsrep")[0] == 200)


def test_a_donor_serves(member: Member) -> None:
    with_data(member)
    member.start()
    member.status()
    member.publish(attempt=member.waiting()["attempt"], mode="join")
    until(lambda: member.get("/wsrep")[0] == 200)
    member.status(wsrep_local_state="2", wsrep_local_state_comment="Donor/Desynced")

    until(lambda: member.report()["activity"] == "Donor")

    assert member.get("/wsrep") == (200, "Donor/Desynced\n")


def test_termination_stops_the_server_in_good_order(member: Member) -> None:
    with_data(member)
    member.start()
    member.status()
    member.publish(attempt=member.waiting()["attempt"], mode="join")
    until(lambda: member.get("/wsrep")[0] == 200)

    assert member.stop() == 0

    with pytest.raises(ProcessLookupError):
        os.kill(member.starts()[0]["pid"], 0)


def test_a_member_that_is_asked_to_stop_sends_clients_away_before_it_does(member: Member) -> None:
    member.environment["GALERA_DRAIN_SECONDS"] = str(SECONDS)
    with_data(member)
    (member.control / "sessions").touch()
    member.start()
    member.status()
    member.publish(attempt=member.waiting()["attempt"], mode="join")
    until(lambda: member.get("/wsrep")[0] == 200)

    assert member.process is not None
    member.process.send_signal(signal.SIGTERM)

    until(lambda: member.get("/wsrep")[0] == 404)
    assert member.process.wait(SECONDS) == 0
    assert "KILL CONNECTION 7" in (member.control / "queries").read_text().splitlines()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"grastate.dat": grastate(5), "sst_in_progress": ""}, {"transfer": True}),
        ({"grastate.dat": grastate(5, safe=1)}, {"uuid": HISTORY, "seqno": 5, "safe": True}),
        ({}, {"empty": True}),
    ],
)
def test_positions_are_read_from_what_the_volume_holds(
    member: Member, files: dict[str, str], expected: dict[str, Any]
) -> None:
    for name, content in files.items():
        (member.data / name).write_text(content)
    member.start()

    position = member.waiting()["position"]

    assert {key: position[key] for key in expected} == expected
    assert position["error"] == ""


@pytest.mark.parametrize(
    "files",
    [
        {"grastate.dat": grastate(-1, "00000000-0000-0000-0000-000000000000")},
        {"grastate.dat": ""},
        {"ibdata1": "x"},
    ],
)
def test_a_member_without_a_history_holds_nothing_only_if_it_was_not_whole(
    member: Member, files: dict[str, str]
) -> None:
    for name, content in files.items():
        (member.data / name).write_text(content)
    member.start()
    report = member.waiting()
    assert not report["position"]["transfer"]
    assert "grastate.dat" in report["position"]["error"]

    member.publish(attempt=report["attempt"], mode="join", full=True)
    (start,) = until(member.starts)
    os.kill(start["pid"], signal.SIGKILL)
    again = until(lambda: r if (r := member.waiting())["attempt"] != report["attempt"] else None)
    assert again["position"]["transfer"]
    assert again["position"]["error"] == ""

    member.status()
    member.publish(attempt=again["attempt"], mode="join", full=True)
    until(lambda: member.get("/wsrep")[0] == 200)
    os.kill(member.starts()[-1]["pid"], signal.SIGKILL)
    assert "grastate.dat" in member.waiting()["position"]["error"]


def test_a_member_that_was_found_inconsistent_holds_nothing_of_its_own(member: Member) -> None:
    (member.data / "grastate.dat").write_text(grastate(12))
    member.start()
    member.status()
    member.publish(attempt=member.waiting()["attempt"], mode="bootstrap", uuid=HISTORY, seqno=12)
    until(lambda: member.get("/wsrep")[0] == 200)

    (member.data / "grastate.dat").write_text(grastate(-1, "00000000-0000-0000-0000-000000000000"))
    member.status(
        wsrep_cluster_status="Disconnected",
        wsrep_connected="OFF",
        wsrep_local_state_comment="Inconsistent",
    )

    assert until(lambda: r if (r := member.report()).get("position") else None)["position"][
        "transfer"
    ]


def test_a_recovery_that_fails_is_reported_with_its_output(member: Member) -> None:
    with_data(member)
    (member.control / "recovered").write_text("Found 2 prepared transactions!")
    member.start()

    position = member.waiting()["position"]

    assert position["uuid"] is None
    assert position["prepared"]
    assert "Found 2 prepared transactions!" in position["error"]


def serve(member: Member) -> None:
    """Have a member run its server."""
    with_data(member)
    member.start()
    attempt = member.waiting()["attempt"]
    member.status()
    member.publish(attempt=attempt, mode="bootstrap", uuid=HISTORY, seqno=12)
    until(lambda: member.get("/wsrep")[0] == 200)


def backup(member: Member, token: str) -> tuple[int, bytes]:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", member.port, timeout=SECONDS)
    ) as connection:
        connection.request("POST", "/backup", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_backup_ends_well_only_when_its_program_says_so(member: Member) -> None:
    control = {"backup": "bytes" * 9999, "backup-log": "... completed OK!", "backup-code": "0"}
    for name, content in control.items():
        (member.control / name).write_text(content)
    serve(member)

    assert backup(member, "wrong")[0] == 401
    assert backup(member, "token") == (200, b"bytes" * 9999)

    for name, content in (("backup-log", "mysterious"), ("backup-code", "0")):
        (member.control / name).write_text(content)
    with pytest.raises(http.client.IncompleteRead):
        backup(member, "token")
    assert "Backup failed: mariadb-backup ended with 0, last output: mysterious" in member.log()
    assert member.get("/backup")[0] == 404

    (member.control / "backup-log").write_text("completed OK!")
    (member.control / "backup-code").write_text("1")
    with pytest.raises(http.client.IncompleteRead):
        backup(member, "token")


def test_a_client_that_leaves_while_nothing_comes_ends_the_backup(member: Member) -> None:
    control = {"backup": "bytes", "backup-log": "completed OK!", "backup-code": "0"}
    for name, content in {**control, "backup-silent": ""}.items():
        (member.control / name).write_text(content)
    serve(member)
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", member.port, timeout=SECONDS)
    ) as leaving:
        leaving.request("POST", "/backup", headers={"Authorization": "Bearer token"})
        assert leaving.getresponse().status == 200
        assert backup(member, "token")[0] == 409

    until(lambda: "it closed the connection" in member.log())
    (member.control / "backup-silent").unlink()
    assert backup(member, "token") == (200, b"bytes")


def test_a_member_whose_server_does_not_run_gives_no_backup(member: Member) -> None:
    member.start()
    member.waiting()

    code, why = backup(member, "token")

    assert (code, why[:42]) == (503, b"the server of this member does not answer:")


SYSTEM_TIME = "UNIX_TIMESTAMP(update_time)"


def ask(member: Member, path: str, token: str, body: str) -> tuple[int, bytes, str]:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", member.port, timeout=SECONDS)
    ) as connection:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("POST", path, body.encode(), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers["X-Backup-Began"] or ""


def tables(member: Member) -> tuple[int, bytes]:
    """Ask for the tables of a copy that begins now."""
    *_, began = ask(member, "/backup", "token", "")
    return ask(member, "/tables", "token", began)[:2]


def with_tables(member: Member, **answers: Any) -> None:
    """Give a member a table that is written after its copy began, one that is not, and a copy."""
    # However long the member takes to begin it.
    later, before = str(int(time.time()) + 3600), str(int(time.time()) - 1000)
    rows = [
        ["nova", "busy", "InnoDB", "16384", before, later],
        ["nova", "idle", "InnoDB", "16384", before, before],
    ]
    given = {
        SYSTEM_TIME: rows,
        "table_definition_cache": [["40", "400"]],
        "LIKE 'Uptime'": [["Uptime", "500"]],
        "information_schema.columns": [["nova", "idle", "id", "int(11)", None]],
        "COUNT(*) FROM `nova`.`idle`": [["3"]],
        "CHECKSUM TABLE": [["nova.idle", "4711"]],
        "VERSION()": [["11.8.3-MariaDB"]],
        **answers,
    }
    (member.control / "answers.json").write_text(json.dumps(given))
    control = {"backup": "bytes", "backup-log": "completed OK!", "backup-code": "0"}
    for name, content in control.items():
        (member.control / name).write_text(content)


def test_the_tables_of_a_copy_are_recorded_with_the_rows_of_those_that_rest(
    member: Member,
) -> None:
    with_tables(member)
    serve(member)

    code, answer = tables(member)

    found = json.loads(answer)
    assert (code, found["server"], answer[:2]) == (200, "11.8.3-MariaDB", b"\n\n")
    busy, idle = found["tables"]
    assert (busy["name"], busy["comparable"], busy["reason"]) == (
        "busy", False, "it was written meanwhile"
    )  # fmt: skip
    assert (idle["name"], idle["comparable"]) == ("idle", True)
    assert (idle["rows"], idle["checksum"], len(idle["definition"])) == (3, "4711", 64)
    assert "`nova`.`busy`" not in (member.control / "queries").read_text()


def test_tables_are_recorded_for_whoever_shows_the_token_and_the_copy(member: Member) -> None:
    with_tables(member)
    serve(member)

    assert ask(member, "/tables", "wrong", "{}")[0] == 401
    assert ask(member, "/tables", "token", "{}")[0] == 400


def test_a_table_that_cannot_be_counted_is_named_in_the_record(member: Member) -> None:
    with_tables(member, **{"CHECKSUM TABLE": "1030 Got error 28 from storage engine"})
    serve(member)

    code, answer = tables(member)

    _, idle = json.loads(answer)["tables"]
    assert (code, idle["comparable"]) == (200, False)
    assert idle["reason"].startswith("it could not be counted: Got error 28")


def test_a_server_that_does_not_name_its_tables_leaves_a_record_that_says_so(
    member: Member,
) -> None:
    with_tables(member, **{SYSTEM_TIME: "1030 Got error 28 from storage engine"})
    serve(member)

    code, answer = tables(member)

    found = json.loads(answer)
    assert (code, found["tables"]) == (200, [])
    assert found["missing"].startswith("Got error 28 from storage engine")
    assert "Tables were not recorded: Got error 28" in member.log()


def test_a_surplus_member_leaves_once_all_who_stay_are_synced(
    member: Member, tmp_path: Path
) -> None:
    with_data(member)
    (tmp_path / "m-1").mkdir()
    peer = Member(tmp_path / "m-1")
    peers = f"[mysqld]\nwsrep_cluster_address = gcomm://127.0.0.1:{peer.port}\n"
    (member.root / "my.cnf").write_text(peers)
    member.start()
    member.status()
    member.publish(attempt=member.waiting()["attempt"], mode="join")
    until(lambda: member.get("/wsrep")[0] == 200)
    leave = 'stackroles.io/leave-cluster="uid-0"'
    member.annotate(leave)
    until(lambda: member.report()["leaving"])

    with served(peer.port, member.report() | {"wsrep": None, "leaving": False}) as answered:
        until(lambda: len(answered) > 1)
        assert member.report()["wsrep"]["synced"]
    with served(peer.port, member.report() | {"leaving": False}):
        report = member.waiting()

    assert report["leaving"]
    assert "The server was stopped: 0" in member.log()
    assert len(member.starts()) == 1
    member.annotate()
    until(lambda: not member.report().get("leaving"))


def test_a_member_without_room_leaves_while_all_others_are_synced(tmp_path: Path) -> None:
    member = Member(tmp_path / "m-0", GALERA_ROOM_BYTES=str(2**60), GALERA_ALONE_SECONDS="0")
    peer = Member(tmp_path / "m-1")
    member.root.joinpath("my.cnf").write_text(
        f"[mysqld]\nwsrep_cluster_address = gcomm://m-0.db,127.0.0.1:{peer.port}\n"
    )
    with_data(member)
    member.start()
    try:
        member.status()
        member.publish(attempt=member.waiting()["attempt"], mode="join")
        until(lambda: member.get("/wsrep")[0] == 200)
        joining = member.report() | {"activity": "SST", "wsrep": None}
        with served(peer.port, joining) as answered:
            until(lambda: len(answered) > 1)
            assert member.report()["wsrep"]["synced"], "it is one of the two that serve"
        with served(peer.port, member.report() | {"full": False}):
            report = member.waiting()
        assert report["full"]
        assert "until there is room on the volume" in member.log()
        # Another member without room would ask by now whether it may come back alone.
        with served(peer.port, joining) as answered:
            stopped = time.monotonic()
            until(lambda: time.monotonic() - stopped > 3)
            assert not answered
        assert len(member.starts()) == 1
    finally:
        member.stop()


@contextlib.contextmanager
def served(port: int, report: dict[str, Any]) -> Iterator[list[str]]:
    """Answer as another member's agent does; yields the paths that were asked for."""
    answered: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answered.append(self.path)
            body = json.dumps({k: v for k, v in report.items() if v is not None}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield answered
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
