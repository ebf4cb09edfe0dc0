"""What the database agent's parts compute, without a server."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from stackroles.agents.annotations import read_annotation
from stackroles.agents.galera.accounts import statements
from stackroles.agents.galera.accounts_protocol import Account
from stackroles.agents.galera.agent import Agent
from stackroles.agents.galera.mariadb import identifier, literal, native_hash
from stackroles.agents.galera.peers import may_rejoin
from stackroles.agents.galera.process import LogProgress, ServerProcess, parse_status
from stackroles.agents.galera.protocol import (
    Activity,
    Connections,
    MemberPhase,
    Position,
    Report,
    View,
)
from stackroles.agents.galera.settings import MemberSettings, read_peers
from stackroles.agents.galera.volume import AppliedDecision, Volume, read_grastate
from stackroles.agents.galera.watch import ServerWatch
from stackroles.agents.silence import SILENT_SECONDS

U1 = "11111111-1111-1111-1111-111111111111"


def peer(name: str, phase: MemberPhase = MemberPhase.RUNNING, **report: Any) -> Report:
    return Report(
        member=name, pod_uid="uid", volume_id="volume", attempt="a", phase=phase, **report
    )


def serving(name: str, committed: int = 9, *addresses: str) -> Report:
    view = View(
        primary=True, synced=True, uuid=U1, committed=committed, addresses=frozenset(addresses)
    )
    return peer(name, view=view)


AT_FIVE = Position(uuid=U1, seqno=5)
EMPTY = Position(empty=True)


@pytest.mark.parametrize(
    ("position", "reports", "expected"),
    [
        (AT_FIVE, {"a": serving("m-0"), "b": None}, True),
        (EMPTY, {"a": serving("m-0"), "b": None}, True),
        (AT_FIVE, {"a": None, "b": None}, False),
        (AT_FIVE, {"a": peer("m-0"), "b": None}, False),
        (AT_FIVE, {"a": serving("m-0", 4), "b": None}, False),
        (replace(AT_FIVE, uuid="other"), {"a": serving("m-0"), "b": None}, False),
        (Position(error="disk full"), {"a": serving("m-0"), "b": None}, False),
        (AT_FIVE, {"a": serving("m-0", 9, "10.0.0.1"), "b": None}, False),
        (AT_FIVE, {"a": serving("m-0"), "b": peer("m-2", phase=MemberPhase.STARTING)}, False),
        (AT_FIVE, {"a": serving("m-0"), "b": peer("m-2", activity=Activity.TRANSFER)}, False),
        (AT_FIVE, {"a": serving("m-2"), "b": peer("m-0", phase=MemberPhase.WAITING)}, False),
        (AT_FIVE, {"a": serving("m-0"), "b": peer("m-2", phase=MemberPhase.WAITING)}, True),
    ],
)
def test_a_member_left_alone_joins_only_what_is_safe(
    position: Position, reports: dict[str, Report | None], expected: bool
) -> None:
    assert may_rejoin("m-1", "10.0.0.1", position, reports) is expected


def test_an_account_is_made_changed_or_left_as_its_password_demands() -> None:
    account = Account(user="nova", databases=("nova", "nova_api"), password="VARIABLE")

    new = statements(account, "geheim", None)
    assert new[:2] == [
        "CREATE DATABASE IF NOT EXISTS `nova`",
        "CREATE DATABASE IF NOT EXISTS `nova_api`",
    ]
    assert (
        f"CREATE USER IF NOT EXISTS 'nova'@'%' IDENTIFIED BY PASSWORD '{native_hash('geheim')}'"
        in new
    )
    assert "GRANT ALL PRIVILEGES ON `nova\\_api`.* TO 'nova'@'%'" in new
    assert "geheim" not in " ".join(new)

    same = statements(account, "geheim", native_hash("geheim"))
    assert not any("USER" in statement for statement in same)

    assert any("ALTER USER" in s for s in statements(account, "neu", native_hash("geheim")))


def test_the_hash_is_the_one_mariadb_stores() -> None:
    # SELECT PASSWORD('password') on MariaDB.
    assert native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_names_and_text_are_quoted() -> None:
    assert identifier("a`b") == "`a``b`"
    assert literal("a'b\\c") == "'a''b\\\\c'"


def test_an_annotation_is_read_as_the_downward_api_writes_it() -> None:
    text = 'a/b="1"\nstackroles.io/galera-decision="{\\"attempt\\": \\"x\\"}"\n'

    assert read_annotation(text, "stackroles.io/galera-decision") == '{"attempt": "x"}'
    assert read_annotation(text, "missing") is None
    assert read_annotation('k="broken', "k") is None


def test_peers_are_the_other_members(tmp_path: Path) -> None:
    options = tmp_path / "my.cnf"
    options.write_text("[mysqld]\nwsrep_cluster_address = gcomm://m-0.db.ns.svc,m-1.db.ns.svc\n")
    settings = MemberSettings.from_environment(
        {"POD_NAME": "m-1", "POD_UID": "u", "POD_IP": "::1", "GALERA_DEFAULTS": str(options)}
    )

    assert settings.peers == ("m-0.db.ns.svc:9300",)
    assert settings.ordinal == 1
    assert read_peers("[mysqld]\n") == []


def test_no_secret_is_in_a_command() -> None:
    settings = MemberSettings(
        member="m-0",
        pod_uid="u",
        address="a",
        ordinal=0,
        peers=(),
        operator_password="geheim",
        backup_token="geheim",
    )

    for command in (
        settings.options(),
        settings.recovery_command(),
        settings.install_command(),
        settings.backup_command(),
    ):
        assert "geheim" not in " ".join(command)


def test_a_view_without_numbers_is_no_view_of_a_member() -> None:
    view = parse_status({"wsrep_cluster_status": "Disconnected", "wsrep_last_committed": "x"})

    assert (view.primary, view.state, view.committed, view.addresses) == (False, -1, -1, ())
    assert not view.serves


def test_a_state_file_that_makes_no_sense_has_no_position() -> None:
    assert read_grastate("garbage") == ("00000000-0000-0000-0000-000000000000", -1, False)
    assert read_grastate(f"uuid: {U1}\nseqno: x\nsafe_to_bootstrap: 1") == (U1, -1, True)


def test_a_database_that_was_never_finished_counts_for_empty(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    volume.prepare()
    volume.begin_creation()
    (volume.data / "ibdata1").write_text("half")
    (volume.data / "mysql").mkdir()

    assert volume.position(["false"]).empty

    volume.end_creation()
    assert not volume.position(["false"]).empty


def test_what_was_applied_survives_a_file_that_was_cut_off(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    volume.prepare()
    assert volume.applied_decision() == AppliedDecision()

    volume.record_applied(AppliedDecision("a", 3))
    assert Volume(tmp_path).applied_decision() == AppliedDecision("a", 3)
    (tmp_path / "agent/applied").write_text('{"attempt": "a", ')
    assert volume.applied_decision() == AppliedDecision()


def stamped(number: int, message: str) -> str:
    return f"2026-01-01 {number // 3600}:{number // 60 % 60:02}:{number % 60:02} 7 [Note] {message}"


def test_a_line_that_repeats_another_is_no_progress() -> None:
    progress = LogProgress()
    for number in range(9):
        progress.add(stamped(number, "WSREP: waiting for a member"))
    assert progress.count == 1
    progress.add(stamped(9, "WSREP: receiving the state"))
    assert progress.count == 2


def test_what_a_server_logs_for_months_takes_no_memory() -> None:
    progress = LogProgress(remembered=100)
    for number in range(5000):
        progress.add(f"2026-01-01 0:00:00 7 [Warning] Aborted connection {number} to db")
    assert progress.count == 5000
    assert len(progress._recent) == 100
    progress.end()
    progress.add("one more")
    assert (progress.count, len(progress._recent)) == (5000, 0)


def test_a_line_without_an_end_is_passed_on_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stackroles.agents.galera.process._LONGEST_LINE", 1000)
    server = ServerProcess(
        ["sh", "-c", "head -c 3500 /dev/zero | tr '\\0' x"], str(tmp_path / "s"), "root"
    )
    # It ends by itself: a signal could come before it has written anything.
    server._process.wait(timeout=20)
    server.cleanup()
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [1000, 1000, 1000, 500]


def whole_member() -> tuple[MagicMock, MagicMock]:
    """Return an agent and its server, which answers that it is synced."""
    agent, server = MagicMock(), MagicMock(progress=LogProgress())
    agent.recovery_wanted.return_value = False
    agent.settings.operator_password = ""
    server.given_up = False
    server.sample.return_value = parse_status(
        {"wsrep_cluster_status": "Primary", "wsrep_ready": "ON", "wsrep_local_state": "4"}
    )
    return agent, server


def test_once_whole_a_member_remembers_no_line_of_its_log() -> None:
    agent, server = whole_member()
    server.progress.add("a line")
    ServerWatch(agent, server).check()
    assert server.progress._recent == {}


def test_a_whole_member_whose_server_answers_nothing_any_more_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent, server = whole_member()
    watch = ServerWatch(agent, server)
    began = time.monotonic()

    def after(seconds: float) -> str | None:
        monkeypatch.setattr(time, "monotonic", lambda: began + seconds)
        return watch.check()[0]

    assert after(0.0) is None
    server.sample.return_value = None
    assert after(SILENT_SECONDS - 1) is None
    assert after(SILENT_SECONDS + 1) == "it has answered nothing for 120 s"


def test_a_member_backs_off_after_a_failed_start(tmp_path: Path) -> None:
    agent = Agent(
        MemberSettings(member="m-0", pod_uid="u", address="a", ordinal=0, peers=(), volume=tmp_path)
    )
    assert not agent.report().backing_off

    agent._fail("disk on fire")

    report = agent.report()
    assert (report.backing_off, report.failed_starts) == (True, 1)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ("799", None),
        ("800", Connections(account="nova", count=700, used=800, limit=1000)),
    ],
)
def test_who_has_the_connections_is_asked_once_few_are_left(
    used: str, expected: Connections | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "SHOW": [("Threads_connected", used)],
        "SELECT @@max_connections": [("1000",)],
        "SELECT user": [("nova", "700")],
    }

    def query(_: ServerProcess, sql: str) -> Any:
        return next(rows for start, rows in answers.items() if sql.startswith(start))

    monkeypatch.setattr(ServerProcess, "query", query)
    server = ServerProcess(["true"], "/nowhere", "mysql")
    try:
        sample = server.sample()
    finally:
        server.stop(5)
        server.cleanup()

    assert sample is not None
    assert sample.connections == expected
    if expected and sample.connections:
        assert (sample.connections.count, sample.connections.used) == (700, 800)


def test_how_full_a_volume_is_counts_what_its_user_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(tmp_path)
    found = MagicMock(f_blocks=1000, f_bfree=300, f_bavail=200, f_frsize=4096)
    monkeypatch.setattr("os.statvfs", lambda _: found)

    assert volume.percent_used() == 78
    assert not volume.is_full()
    found.f_blocks = found.f_bfree = found.f_bavail = 0
    assert volume.percent_used() == -1


@pytest.mark.parametrize(
    ("gibibytes", "mebibytes_left", "full"),
    [(2, 103, False), (2, 102, True), (2000, 1025, False), (2000, 1023, True), (2, 0, True)],
)
def test_a_volume_is_full_below_a_twentieth_and_at_most_a_gibibyte(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gibibytes: int,
    mebibytes_left: int,
    full: bool,
) -> None:
    left = mebibytes_left * 256
    found = MagicMock(f_blocks=gibibytes * 2**18, f_bfree=left, f_bavail=left, f_frsize=4096)
    monkeypatch.setattr("os.statvfs", lambda _: found)

    assert Volume(tmp_path).is_full() is full
