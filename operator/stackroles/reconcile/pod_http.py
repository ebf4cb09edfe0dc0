"""Asks pods over HTTP at their addresses, without the Kubernetes API; no answer is None."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar

import aiohttp
import structlog

from stackroles.agents import wire
from stackroles.config.endpoint import HTTP, Endpoint

T = TypeVar("T")
log = structlog.get_logger(__name__)

_SECONDS: Final = 1.0
_LARGEST: Final = 65536


def url_of(address: str, port: int, path: str) -> str:
    """Return the URL of a path at a pod's address."""
    return Endpoint(HTTP, address, port).url(path)


async def get_messages(kind: type[T], urls: Mapping[str, str]) -> dict[str, T | None]:
    """Return the agents' answers by name, as `get_all`; None also for one of another form.

    Args:
        kind: the message of the agent's protocol.
        urls: what to ask, by name.
    """
    answers = await get_all(urls)
    return {name: _message(kind, name, answer) for name, answer in answers.items()}


def _message(kind: type[T], name: str, answer: str | None) -> T | None:
    if answer is None:
        return None
    try:
        return wire.loads(kind, answer)
    except wire.WireError as error:
        log.warning("An agent's answer is of another form", agent=name, error=str(error))
        return None


async def get_all(urls: Mapping[str, str]) -> dict[str, str | None]:
    """Return the answers by name, asked side by side within a second; None where there is none."""
    if not urls:
        return {}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    # A few bytes that unpack to gigabytes are no answer of an agent or a proxy.
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        answers = await asyncio.gather(*(_get(session, url) for url in urls.values()))
    return dict(zip(urls, answers, strict=True))


async def get_answer(
    url: str, *, token: str, seconds: float, largest: int = _LARGEST
) -> tuple[int, bytes] | None:
    """Return the status and the body of one answer, None where there is none in time.

    Args:
        url: what to ask.
        token: what the pod asks for.
        seconds: how long it may take.
        largest: bytes of a body beyond which it is no answer.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                body = await _read_bounded(response.content, largest)
                return None if body is None else (response.status, body)
        except (aiohttp.ClientError, TimeoutError):
            return None


async def _get(session: aiohttp.ClientSession, url: str) -> str | None:
    """Return the answer, None when there is none.

    A pod may have been taken over: it cannot send the operator to another address, nor make it hold
    more than `_LARGEST` bytes.
    """
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                return None
            body = await _read_bounded(response.content)
            return None if body is None else body.decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError):
        return None


async def _read_bounded(content: aiohttp.StreamReader, largest: int = _LARGEST) -> bytes | None:
    """Return a whole body, or None for one of more bytes than are taken."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > largest:
            return None
    return bytes(body)
