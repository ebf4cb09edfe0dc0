"""Asks a cloud's APIs, as its administrator, for an answer that only a whole service can give."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from stackroles.openstack.access import USER_AGENT, Credentials, without_request_id

Answer = tuple[int, str]
"""The HTTP status and what the body says; status 0 and the error where nobody answered."""

REQUEST_SECONDS: Final = 10.0
_LARGEST: Final = 16384
_EXCERPT: Final = 300
_TOKEN: Final = "X-Subject-Token"  # noqa: S105 - a header's name
_TAG: Final = re.compile(r"<(?:style|script).*?</(?:style|script)>|<[^>]*>", re.DOTALL)


async def ask_apis(
    credentials: Credentials, keystone: str, lists: Mapping[str, str]
) -> dict[str, Answer]:
    """Return what each API answers, keystone first and the others side by side.

    Args:
        credentials: whose token is asked for.
        keystone: the role that gives tokens.
        lists: URL of a list by role. None is asked without a token, and none is in the answer then.

    Returns:
        An answer a role that was asked.
    """
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    headers["Accept-Encoding"] = "identity"
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, auto_decompress=False
    ) as session:
        answer, token = await _ask_token(session, credentials)
        answers = {keystone: answer}
        if token:
            found = await asyncio.gather(
                *(
                    _ask(session, "GET", url, headers={"X-Auth-Token": token})
                    for url in lists.values()
                )
            )
            answers |= {
                role: (status, excerpt(body, token, credentials.password))
                for role, (status, body, _) in zip(lists, found, strict=True)
            }
    return answers


async def _ask_token(
    session: aiohttp.ClientSession, credentials: Credentials
) -> tuple[Answer, str]:
    user = {
        "name": credentials.username,
        "domain": {"id": "default"},
        "password": credentials.password,
    }
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": credentials.project, "domain": {"id": "default"}}},
        }
    }
    url = f"{credentials.auth_url}/auth/tokens?nocatalog"
    status, text, headers = await _ask(session, "POST", url, json=body)
    token = headers.get(_TOKEN, "") if status == 201 else ""
    if status == 201 and not token:
        return (0, f"keystone answered without a {_TOKEN}"), ""
    return (status, "" if token else excerpt(text, credentials.password)), token


async def _ask(
    session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, str, Mapping[str, str]]:
    """Return status, the beginning of the body and headers; 0 and the error without an answer."""
    try:
        async with session.request(method, url, allow_redirects=False, **options) as response:
            body = await response.content.read(_LARGEST)
            return response.status, body.decode(errors="replace"), response.headers
    except TimeoutError:
        return 0, f"no answer within {REQUEST_SECONDS:.0f} s", {}
    except aiohttp.ClientError as error:
        return 0, str(error) or type(error).__name__, {}


def excerpt(body: str, *secrets: str) -> str:
    """Return what an error's body says, as one line of at most 300 characters.

    Args:
        body: JSON as OpenStack's services write it (the first `message` or `detail` in it is
            taken), a page or text.
        secrets: what must not be shown.
    """
    try:
        text = _message(json.loads(body)) or body
    except ValueError:
        text = _TAG.sub(" ", body)
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = " ".join(without_request_id(text).split())
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 4]} ..."


def _message(document: Any) -> str:
    """Return the first message or detail in an error's document."""
    if isinstance(document, dict):
        for key in ("message", "detail"):
            if isinstance(document.get(key), str):
                return str(document[key])
    values = document.values() if isinstance(document, dict) else document
    nested = values if isinstance(document, dict | list) else ()
    return next((found for value in nested if (found := _message(value))), "")
