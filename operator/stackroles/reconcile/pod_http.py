"""Asks pods over HTTP at their addresses, without the Kubernetes API; no answer is None."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from stackroles.config.endpoint import HTTP, Endpoint

_SECONDS: Final = 1.0
_LARGEST: Final = 65536


def url_of(address: str, port: int, path: str) -> str:
    """Return the URL of a path at a pod's address."""
    return Endpoint(HTTP, address, port).url(path)


async def get_all(urls: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers by name, asked side by side within a second; None where there is none."""
    if not urls:
        return {}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    # A few bytes that unpack to gigabytes are no answer of an agent or a proxy.
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        answers = await asyncio.gather(*(_get(session, url) for url in urls.values()))
    return dict(zip(urls, answers, strict=True))


async def _get(session: aiohttp.ClientSession, url: str) -> Any:
    """Return the answer: parsed when it is JSON, else as text; None when there is none.

    A pod may have been taken over: it cannot send the operator to another address, nor make it hold
    more than `_LARGEST` bytes.
    """
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                return None
            body = await _read_bounded(response.content)
            if body is not None and response.content_type == "application/json":
                return json.loads(body)
            return None if body is None else body.decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


async def _read_bounded(content: aiohttp.StreamReader) -> bytes | None:
    """Return a whole body, or None for one of more than `_LARGEST` bytes."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _LARGEST:
            return None
    return bytes(body)
