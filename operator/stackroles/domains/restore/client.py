"""Asks the reader of a recovery set, over HTTP at its pod's address."""

from http import HTTPStatus

from stackroles.agents import wire
from stackroles.agents.backup.reader_protocol import MANIFEST_PATH, PORT, Manifest, ReaderProblem
from stackroles.reconcile.pod_http import get_answer, url_of


async def read_manifest(address: str, token: str) -> Manifest | ReaderProblem | None:
    """Return what a recovery set says of itself, or why it cannot be read; None without an answer.

    Args:
        address: the reader's.
        token: what it asks for.
    """
    # A repository that is far away takes a while for its first question.
    answer = await get_answer(url_of(address, PORT, MANIFEST_PATH), token=token, seconds=30.0)
    if answer is None:
        return None
    status, body = answer
    try:
        if status == HTTPStatus.OK:
            return wire.loads(Manifest, body)
        return wire.loads(ReaderProblem, body)
    except wire.WireError as error:
        return ReaderProblem(
            reason="AnswerUnknown", message=f"The reader's answer {status} is not known: {error}"
        )
