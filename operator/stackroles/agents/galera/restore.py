"""Puts the copy of a recovery set's database in the place of a stopped member's data.

The main program of a Job that has the member's volume mounted; standard library only. Its pod may
be killed anywhere and tried again: the copy is fetched, made consistent and tried beside the data,
and takes its place only once it is whole and durable. In mode `clear` the data is removed instead:
of a member that is to get everything from the one that was restored.

The outcome, good or bad, is one line of JSON in the termination message, which the API shows to the
operator, and in the log.
"""

import contextlib
import http.client
import os
import signal
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from stackroles.agents import wire
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.reader_protocol import ReaderProblem
from stackroles.agents.binlog.protocol import TRANSACTIONS_PATH
from stackroles.agents.galera.incoming import Incoming, Restored, clear
from stackroles.agents.galera.new_history import RestoreFailed, begin_history
from stackroles.agents.galera.physical_copy import (
    CopyFailed,
    CopyPart,
    make_consistent,
    unpack,
)
from stackroles.agents.galera.replay import Replayed, position, replay
from stackroles.agents.galera.restore_protocol import (
    RestoreMode,
    RestoreOutcome,
    RestoreSettings,
    from_environment,
)
from stackroles.agents.galera.volume import Volume
from stackroles.agents.text import shorten, shorten_encoded

# The reader itself gives up a repository that stalls, after 240 s.
READ_TIMEOUT = 300.0
_CHUNK = 1 << 18
_MESSAGE_BYTES = 3000
_LONGEST_LINE = 65536
_FULL = "the volume is full or too small, raise the size of the database's volumes"


def run(settings: RestoreSettings, progress: Progress) -> RestoreOutcome:
    """Do what is asked of the volume; never raises CopyFailed or OSError."""
    began = time.monotonic()
    volume = Volume(Path(settings.volume))
    outcome = RestoreOutcome()
    try:
        outcome = replace(outcome, volume_id=volume.prepare())
        if settings.mode is RestoreMode.CLEAR:
            clear(volume)
        else:
            found = restore(settings, volume, progress)
            outcome = replace(
                outcome,
                uuid=found.uuid,
                seqno=found.seqno,
                tables=found.tables,
                bytes=settings.bytes,
                transactions=found.transactions,
                last=found.last,
                until=found.until,
            )
        outcome = replace(outcome, ok=True)
    except (CopyFailed, OSError) as error:
        outcome = replace(outcome, message=str(error))
    return replace(outcome, seconds=round(time.monotonic() - began, 2))


def restore(settings: RestoreSettings, volume: Volume, progress: Progress) -> Restored:
    """Make the copy the member's data, or end what an earlier try began.

    Raises:
        CopyFailed: it cannot be done; the data is what it was.
        OSError: the volume or a program fails.
    """
    incoming = Incoming(volume)
    found = incoming.restored()
    if found is None or found.id != settings.id:
        incoming.forget()
        _check_room(settings, volume)
        incoming.begin()
        try:
            progress.begin("copy")
            fetch(settings, incoming.path, progress)
            progress.begin("prepare")
            make_consistent(settings.backup, incoming.path)
            replayed = apply_transactions(settings, incoming.path, progress)
            progress.begin("start")
            found = Restored(
                settings.id,
                *begin_history(settings, incoming.path),
                replayed.transactions,
                replayed.last,
                replayed.time,
            )
        except BaseException as error:
            full = volume.is_full()
            # It would take the room of the member's own data.
            incoming.discard()
            if full and isinstance(error, OSError | CopyFailed):
                raise RestoreFailed(f"{_FULL}: {error}") from error
            raise
        incoming.complete(found)
    incoming.exchange()
    return found


def _check_room(settings: RestoreSettings, volume: Volume) -> None:
    left, whole = volume.room()
    if whole and left < settings.bytes:
        raise RestoreFailed(
            f"{_FULL}: the copy takes {settings.bytes} bytes beside the data that it replaces, "
            f"and there is room for {left}"
        )


def fetch(settings: RestoreSettings, target: Path, progress: Progress) -> None:
    """Unpack the copy as the reader sends it; raises CopyFailed unless it is whole."""
    part = CopyPart(bytes=settings.bytes, sha256=settings.sha256)
    with _asked(settings) as response:
        chunks = _chunks(response, settings.bytes)
        unpack(settings.mbstream, target, chunks, part, progress.count)


def apply_transactions(settings: RestoreSettings, copy: Path, progress: Progress) -> Replayed:
    """Apply what followed a copy, up to the time that is asked for; nothing where none is.

    Raises:
        CopyFailed: not all of it can be had, or applied.
        OSError: a program fails.
    """
    if not settings.until:
        return Replayed(0, 0, 0)
    progress.begin("transactions")
    after = position(copy)
    query = {"history": settings.history, "after": after, "until": settings.until}
    with _asked(settings, f"{TRANSACTIONS_PATH}?{urllib.parse.urlencode(query)}") as response:
        return replay(settings, copy, after, _counted(_chunks(response), progress))


def _counted(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        progress.count(len(chunk))
        yield chunk


def _chunks(response: http.client.HTTPResponse, size: int = 0) -> Iterator[bytes]:
    """Yield the reader's answer; raises RestoreFailed where it breaks off."""
    done = 0
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
            done += len(chunk)
    except (http.client.HTTPException, OSError) as error:
        raise RestoreFailed(
            f"{'the copy' if size else 'what follows it'} broke off after {done}"
            f"{f' of {size}' if size else ''} bytes: {error!r}. The log of the reader's pod says "
            "why"
        ) from error


@contextlib.contextmanager
def _asked(settings: RestoreSettings, path: str = "") -> Iterator[http.client.HTTPResponse]:
    """Ask the reader for a path, or the copy; raises RestoreFailed where it is not answered."""
    address = urllib.parse.urlsplit(settings.source)
    token = Path(settings.token_file).read_text(encoding="utf-8").strip()
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=READ_TIMEOUT
    )
    with contextlib.closing(connection):
        try:
            headers = {"Authorization": f"Bearer {token}"}
            connection.request("GET", path or address.path, headers=headers)
            response = connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            raise RestoreFailed(
                f"the reader at {settings.source} does not answer: {error!r}. See whether its pod "
                "runs"
            ) from error
        with response:
            _refuse_problem(response)
            yield response


def _refuse_problem(response: http.client.HTTPResponse) -> None:
    if response.status == http.client.OK:
        return
    body = response.read(_LONGEST_LINE)
    try:
        why = wire.loads(ReaderProblem, body).message
    except wire.WireError:
        why = shorten(body.decode(errors="replace").strip(), 500)
    raise RestoreFailed(f"the reader answered {response.status}: {why}")


def _stop(number: int, _: FrameType | None) -> NoReturn:
    """End in order: Python as the first process of a container would not end at all."""
    # Once: what is under way has to end.
    signal.signal(number, signal.SIG_IGN)
    raise RestoreFailed(
        f"it was asked to end ({signal.Signals(number).name}): its Job was deleted or reached its "
        "deadline, or its node was drained; the data is what it was, or what was restored"
    )


def main() -> int:
    """Do what the environment asks of the volume; return 0 only when it is done."""
    settings = from_environment(os.environ)
    signal.signal(signal.SIGTERM, _stop)
    progress = Progress()
    progress.start()
    outcome = run(settings, progress)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    progress.stop()
    message = wire.dumps(
        replace(outcome, message=shorten_encoded(outcome.message, _MESSAGE_BYTES)),
        separators=(",", ":"),
    )
    path = Path(os.environ.get("RESTORE_RESULT", "/dev/termination-log"))
    path.write_text(message, encoding="utf-8")
    print(message, flush=True)
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
