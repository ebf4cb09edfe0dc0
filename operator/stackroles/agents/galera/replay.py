"""Applies transactions of binary logs to a restored copy, before a history begins with it.

Runs inside role pods: standard library only. The server for it belongs to no cluster and writes no
binary log: to a member of a cluster mariadb-binlog's output cannot be applied, since it sets
`server_id`, which Galera refuses with wsrep_gtid_mode. What it fails with costs nothing: the copy
is thrown away with it.
"""

import contextlib
import itertools
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stackroles.agents.binlog.events import (
    DOMAIN,
    BinlogError,
    BinlogWriter,
    Gtid,
    Splitter,
)
from stackroles.agents.binlog.reading import ChunkSource, read_piece_format
from stackroles.agents.galera.physical_copy import ALONE, CopyFailed, server_on
from stackroles.agents.galera.restore_protocol import RestoreSettings
from stackroles.agents.text import shorten

# mariadb-backup's note of where its copy stands; the second is its former name.
_POSITION_FILES = ("mariadb_backup_binlog_info", "xtrabackup_binlog_info")
# The largest row that a server takes, in base64.
_PACKET = "--max-allowed-packet=1G"


@dataclass(frozen=True)
class Replayed:
    """What was applied.

    Attributes:
        transactions: how many.
        last: the last one's number; that of the copy where none was.
        time: the last one's time, seconds since 1970; 0 where none was.
    """

    transactions: int
    last: int
    time: int


def position(copy: Path) -> int:
    """Return the number of the last transaction of the cluster that a copy holds.

    Raises:
        CopyFailed: the copy does not say.
        OSError: it cannot be read.
    """
    for name in _POSITION_FILES:
        with contextlib.suppress(FileNotFoundError):
            gtids = (copy / name).read_text(encoding="utf-8").split()[2:]
            for gtid in "".join(gtids).split(","):
                domain, _, rest = gtid.partition("-")
                number = rest.rpartition("-")[2]
                if domain == str(DOMAIN) and number.isdecimal():
                    return int(number)
    raise CopyFailed(
        "the copy does not say which transaction was its last (mariadb_backup_binlog_info has no "
        f"GTID of domain {DOMAIN}): it was taken of a server without binary logs; restore it "
        "without a point in time"
    )


def command(settings: RestoreSettings, data: Path) -> list[str]:
    """Return the command of a server that takes transactions, and that nobody else reaches."""
    return [
        settings.server,
        f"--defaults-file={settings.defaults}",
        f"--datadir={data}",
        f"--socket={settings.socket}",
        f"--pid-file={Path(settings.socket).with_name('replay.pid')}",
        *ALONE,
        _PACKET,
        # A copy that is cut off is made anew; its server's end makes it durable.
        "--innodb-flush-log-at-trx-commit=0",
    ]


def replay(settings: RestoreSettings, data: Path, after: int, chunks: Iterator[bytes]) -> Replayed:
    """Apply a binary log to a copy.

    Args:
        settings: the restore's.
        data: the copy, consistent.
        after: the last transaction that it holds.
        chunks: the log, nothing where there are no transactions; what they raise passes, once the
            programs have ended.

    Raises:
        CopyFailed: it cannot be applied, or does not continue the copy.
        OSError: a program does not start.
    """
    first = next(chunks, b"")
    if not first:
        return Replayed(0, after, 0)
    Path(settings.socket).unlink(missing_ok=True)
    with (
        server_on(command(settings, data), settings.socket, settings.user, data),
        _applying(settings) as write,
    ):
        return _pass_on(itertools.chain((first,), chunks), after, write)


def _pass_on(chunks: Iterator[bytes], after: int, write: Callable[[bytes], object]) -> Replayed:
    """Pass transactions on which follow each other; return what they were."""
    count, last, time = 0, after, 0
    writer = BinlogWriter(write)

    def wanted(gtid: Gtid) -> bool:
        if gtid.domain != DOMAIN or gtid.number <= last:
            raise CopyFailed(
                f"transaction {gtid.number} of domain {gtid.domain} came after {last}: the "
                "reader's answer is not what was asked for",
                proven=False,
            )
        writer.begin(splitter.format)
        return True

    source = ChunkSource(filter(None, chunks))
    try:
        splitter = Splitter(source, read_piece_format(source), wanted, write)
        for transaction in splitter:
            count += 1
            last, time = transaction.gtid.number, max(time, transaction.gtid.time)
    except BinlogError as error:
        raise CopyFailed(f"the transactions cannot be applied: {error}", proven=False) from error
    return Replayed(count, last, time)


@contextlib.contextmanager
def _applying(settings: RestoreSettings) -> Iterator[Callable[[bytes], object]]:
    """Yield what takes a binary log, whose statements a client gives to the server.

    Raises:
        CopyFailed: one of them was not applied.
    """
    reading = [settings.binlog, "--no-defaults", "-"]
    giving = [
        settings.client, "--no-defaults", f"--socket={settings.socket}", f"--user={settings.user}",
        "--binary-mode", "--batch", _PACKET,
    ]  # fmt: skip
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            reading, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output
        ) as binlog,
        subprocess.Popen(
            giving, stdin=binlog.stdout, stdout=subprocess.DEVNULL, stderr=output
        ) as client,
    ):
        assert binlog.stdin is not None  # noqa: S101 - they were opened as pipes
        assert binlog.stdout is not None  # noqa: S101
        binlog.stdout.close()
        taken = False
        try:
            yield binlog.stdin.write
            binlog.stdin.close()
            taken = True
        except BrokenPipeError:
            # One of them has ended, and says why below.
            taken = False
        except BaseException:
            # Before the end of their input, which would have them end well.
            binlog.kill()
            client.kill()
            _close(binlog.stdin)
            raise
        finally:
            _close(binlog.stdin)
        codes = client.wait(), binlog.wait()
        if any(codes) or not taken:
            raise CopyFailed(
                f"the transactions were not applied: mariadb ended with {codes[0]}, mariadb-binlog "
                f"with {codes[1]}: {_last_output(output)}"
            )


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def _last_output(output: IO[bytes]) -> str:
    size = output.seek(0, 2)
    output.seek(max(0, size - 4096))
    text = " ".join(output.read().decode(errors="replace").split())
    return shorten(text, 600) or "they wrote nothing"
