"""Transactions applied to a restored copy, around programs that stand in for the database's."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stackroles.agents.binlog.events import MAGIC
from stackroles.agents.galera.physical_copy import CopyFailed
from stackroles.agents.galera.replay import Replayed, position, replay
from stackroles.agents.galera.restore_protocol import (
    RestoreMode,
    RestoreSettings,
    from_environment,
    to_environment,
)
from tests.support.alarm import alarm
from tests.support.binaries import ROOT
from tests.support.binlogs import described, numbers_of, transaction

# Both take all of their input, and fail when a file says so.
BINLOG = """#!{python} -SE
import pathlib, sys
control = pathlib.Path({control!r})
assert sys.argv[1:] == ["--no-defaults", "-"]
data = sys.stdin.buffer.read()
(control / "binlog").write_bytes(data)
sys.stdout.write("applied %d" % len(data))
"""
CLIENT = """#!{python} -SE
import pathlib, sys
control = pathlib.Path({control!r})
(control / "client").write_text(" ".join(sys.argv[1:]))
if (control / "refuse-sql").exists():
    sys.stderr.write((control / "refuse-sql").read_text())
    sys.exit(1)
(control / "applied").write_bytes(sys.stdin.buffer.read())
"""


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(120):
        yield


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RestoreSettings:
    control = tmp_path / "control"
    control.mkdir()
    (tmp_path / "data").mkdir()
    (control / "status.json").write_text(json.dumps({"wsrep_ready": "OFF"}))
    monkeypatch.setenv("FAKE_CONTROL", str(control))
    _, _, server = (ROOT / "tests/support/fake_mariadbd.py").read_text().partition("\n")
    texts = {
        "mariadbd": f"#!{sys.executable} -SE\n{server}",
        "mariadb-binlog": BINLOG.format(python=sys.executable, control=str(control)),
        "mariadb": CLIENT.format(python=sys.executable, control=str(control)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return RestoreSettings(
        id="uid-1",
        member="m-0",
        mode=RestoreMode.RESTORE,
        defaults=str(tmp_path / "my.cnf"),
        socket=str(tmp_path / "sock"),
        server=str(tmp_path / "mariadbd"),
        binlog=str(tmp_path / "mariadb-binlog"),
        client=str(tmp_path / "mariadb"),
        until=9,
        history="h",
    )


def log_of(*numbers: int) -> bytes:
    return MAGIC + described() + b"".join(transaction(n, 10_000 - n) for n in numbers)


def apply(settings: RestoreSettings, data: bytes, after: int = 4) -> Replayed:
    chunks = (data[at : at + 100] for at in range(0, len(data), 100))
    return replay(settings, Path(settings.socket).with_name("data"), after, chunks)


def control(settings: RestoreSettings) -> Path:
    return Path(settings.socket).with_name("control")


def test_transactions_are_applied_by_a_server_that_is_no_member(settings: RestoreSettings) -> None:
    found = apply(settings, log_of(5, 7))

    assert found == Replayed(transactions=2, last=7, time=9_995)
    assert numbers_of((control(settings) / "binlog").read_bytes()) == [5, 7]
    assert (control(settings) / "applied").read_bytes().startswith(b"applied ")
    [started] = (control(settings) / "started").read_text().splitlines()
    arguments = json.loads(started)["arguments"]
    assert {"--wsrep-on=OFF", "--skip-networking", "--skip-log-bin"} <= set(arguments)
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(started)["pid"], 0)


def test_without_transactions_no_server_is_started(settings: RestoreSettings) -> None:
    assert apply(settings, b"") == Replayed(transactions=0, last=4, time=0)
    assert not (control(settings) / "started").exists()


def test_what_is_not_applied_fails_with_what_the_server_refused(settings: RestoreSettings) -> None:
    (control(settings) / "refuse-sql").write_text("ERROR 1032 (HY000): Can't find record in 'a'")

    with pytest.raises(CopyFailed, match="Can't find record in 'a'"):
        apply(settings, log_of(*range(5, 3000)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (log_of(4), "transaction 4 of domain 1 came after 4"),
        (log_of(5, 7, 6), "transaction 6 of domain 1 came after 7"),
        (b"something else" * 50, "no binary log"),
    ],
    ids=["known", "order", "none"],
)
def test_what_was_not_asked_for_is_refused(
    settings: RestoreSettings, data: bytes, says: str
) -> None:
    with pytest.raises(CopyFailed, match=says):
        apply(settings, data)
    assert not (control(settings) / "applied").exists()


def test_an_answer_that_breaks_off_is_not_applied_as_whole(settings: RestoreSettings) -> None:
    def chunks() -> Iterator[bytes]:
        yield log_of(5)
        raise CopyFailed("it broke off")

    with pytest.raises(CopyFailed, match="broke off"):
        replay(settings, Path(settings.socket).with_name("data"), 4, chunks())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mariadb_backup_binlog_info", "binlog.000002\t379\t1-1-22"),
        ("mariadb_backup_binlog_info", "binlog.000002\t379\t100-1-9,1-1-22\n"),
        ("mariadb_backup_binlog_info", "binlog.000002\t379\t0-1-7,\n1-3-22"),
        ("xtrabackup_binlog_info", "binlog.000002\t379\t1-1-22\n"),
    ],
)
def test_a_copy_says_where_it_stands(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert position(tmp_path) == 22


@pytest.mark.parametrize("write", [lambda p: None, lambda p: p.write_text("binlog.1\t4\t100-1-9")])
def test_a_copy_without_a_place_in_the_logs_is_refused(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "mariadb_backup_binlog_info")

    with pytest.raises(CopyFailed, match="without a point in time"):
        position(tmp_path)


def test_settings_with_a_point_in_time_pass_through_the_environment(
    settings: RestoreSettings,
) -> None:
    assert from_environment(to_environment(settings)) == settings
