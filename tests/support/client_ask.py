"""Runs in a pod: asks the cloud's APIs as a user would and prints what they answered as JSON.

The request is JSON on standard input: `{"auth_url", "gets": {name: url}, "plain": [url]}`. `gets`
are asked with a token of the administrator, `plain` without one. An answer is `{"status", "body"}`,
with the status 0 where none came.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

SECONDS = 20


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
