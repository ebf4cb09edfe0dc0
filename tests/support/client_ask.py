"""Runs in a pod: asks the cloud's APIs as a user would and prints what they answered as JSON.

The request is JSON on standard input: `{"auth_url", "gets": {name: url}, "plain": [url]}`. `gets`
are asked with a token of the administrator, `plain` without one. An answer is `{"status", "body"}`,
with the status 0 where none came.
"""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

SECONDS = 20
# Tokens end after an hour; those that others are made of are made anew long before.
TOKEN_SECONDS = 600.0


def call(
    url: str, *, data: Any = None, token: str = "", seconds: float = SECONDS
) -> tuple[dict[str, Any], str]:
    """Return an answer and the token it carried."""
    headers = {"Content-Type": "application/json"} | ({"X-Auth-Token": token} if token else {})
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - http by design
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            text, got = answer.read().decode(), answer.headers.get("X-Subject-Token", "")
            # A page is an answer, too.
            page = answer.headers.get_content_type() == "text/html"
            read = text if page else json.loads(text or "null")
            return {"status": answer.status, "body": read}, got
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")[:300]
        # 300 Multiple Choices is how some of the APIs answer at their root
        return {"status": error.code, "body": text}, ""
    except (OSError, ValueError) as error:
        return {"status": 0, "body": f"{type(error).__name__}: {error}"}, ""


def token_of(
    auth_url: str, *, by: str = "", seconds: float = SECONDS
) -> tuple[dict[str, Any], str]:
    """Return the answer to the administrator's login and the token.

    Args:
        auth_url: keystone's.
        by: a token that takes the place of the password.
        seconds: how long the answer may take.
    """
    domain = {"name": "Default"}
    user = {
        "name": os.environ["ADMIN_USER"], "password": os.environ["ADMIN_PASSWORD"],
        "domain": domain,
    }  # fmt: skip
    password = {"methods": ["password"], "password": {"user": user}}
    identity = {"methods": ["token"], "token": {"id": by}} if by else password
    scope = {"project": {"name": "admin", "domain": domain}}
    login = {"auth": {"identity": identity, "scope": scope}}
    answer, token = call(f"{auth_url}/auth/tokens", data=login, seconds=seconds)
    return {"status": answer["status"], "body": "" if token else answer["body"]}, token


class Login:
    """A token that others are made of: a password costs keystone 0.2 s of CPU.

    Args:
        auth_url: keystone's.
        seconds: how long an answer may take.
    """

    def __init__(self, auth_url: str, seconds: float = SECONDS) -> None:
        self._auth_url, self._seconds = auth_url, seconds
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def fresh(self) -> tuple[dict[str, Any], str]:
        """Return an answer of keystone and a token that no service has seen before."""
        with self._lock:
            if time.monotonic() > self._until:
                answer, token = token_of(self._auth_url, seconds=self._seconds)
                if not token:
                    return answer, ""
                self._token, self._until = token, time.monotonic() + TOKEN_SECONDS
        return token_of(self._auth_url, by=self._token, seconds=self._seconds)


def main() -> None:
    """Ask what standard input says."""
    wanted = json.load(sys.stdin)
    answers: dict[str, Any] = {url: call(url)[0] for url in wanted.get("plain", ())}
    if wanted.get("gets"):
        answers["login"], token = token_of(wanted["auth_url"])
        if token:
            answers |= {n: call(url, token=token)[0] for n, url in wanted["gets"].items()}
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
