"""Asks the reader of a recovery set, over HTTP at its pod's address."""

import hashlib
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlencode

from stackroles.agents import wire
from stackroles.agents.backup.reader_protocol import (
    MANIFEST_PATH,
    PARTS_PATH,
    PORT,
    Manifest,
    ManifestPart,
    ReaderProblem,
)
from stackroles.agents.binlog.protocol import COVERAGE_PATH, Coverage
from stackroles.reconcile.pod_http import get_answer, url_of

T = TypeVar("T")

# Secrets are small: a mebibyte is the most that Kubernetes keeps of one.
LARGEST_PART: Final = 16 * 2**20
"""Bytes of the largest part that is read."""


async def read_part(address: str, token: str, part: ManifestPart) -> bytes | None:
    """Return a small part of a recovery set, None without a whole answer.

    Args:
        address: the reader's.
        token: what it asks for.
        part: what the manifest says of it.
    """
    url = url_of(address, PORT, f"{PARTS_PATH}{part.name}")
    answer = await get_answer(url, token=token, seconds=60.0, largest=LARGEST_PART)
    if answer is None or answer[0] != HTTPStatus.OK:
        return None
    return answer[1] if hashlib.sha256(answer[1]).hexdigest() == part.sha256 else None


async def read_coverage(address: str, token: str, history: str) -> Coverage | ReaderProblem | None:
    """Return which transactions of a history are stored, or why that cannot be read.

    None without an answer.

    Args:
        address: the reader's.
        token: what it asks for.
        history: its uuid.
    """
    url = url_of(address, PORT, f"{COVERAGE_PATH}?{urlencode({'history': history})}")
    return await _message(Coverage, url, token)


async def read_manifest(address: str, token: str) -> Manifest | ReaderProblem | None:
    """Return what a recovery set says of itself, or why it cannot be read; None without an answer.

    Args:
        address: the reader's.
        token: what it asks for.
    """
    return await _message(Manifest, url_of(address, PORT, MANIFEST_PATH), token)


async def _message(kind: type[T], url: str, token: str) -> T | ReaderProblem | None:
    # A repository that is far away takes a while for its first question.
    answer = await get_answer(url, token=token, seconds=30.0)
    if answer is None:
        return None
    status, body = answer
    try:
        if status == HTTPStatus.OK:
            return wire.loads(kind, body)
        return wire.loads(ReaderProblem, body)
    except wire.WireError as error:
        return ReaderProblem(
            reason="AnswerUnknown", message=f"The reader's answer {status} is not known: {error}"
        )
