"""A plain client of the Kubernetes API for tests: what goes over the wire is what a test says."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import urllib3

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """Status and decoded body of one call."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def message(self) -> str:
        """The API server's own message, empty when it had none."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""

    def must(self) -> dict[str, Any]:
        """Return the body; fail the test when the call was refused."""
        assert self.ok, f"{self.status}: {self.body}"
        return dict(self.body)


@dataclass(frozen=True)
class ApiClient:
    """Calls the API server as one user."""

    url: str
    ca_file: Path
    token: str
    _pool: urllib3.PoolManager = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        object.__setattr__(self, "_pool", urllib3.PoolManager(ssl_context=context, retries=False))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self._pool.request(
            method,
            f"{self.url}{path}" + (f"?{urlencode(params)}" if params else ""),
            body=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
            timeout=urllib3.Timeout(connect=5, read=30),
        )
        try:
            return Answer(answer.status, json.loads(answer.data or b"{}"))
        except ValueError:
            return Answer(answer.status, answer.data.decode(errors="replace"))

    def get(self, path: str, **params: str) -> Answer:
        return self.call("GET", path, params=params)

    def create(self, path: str, body: Any, **params: str) -> Answer:
        """POST as kubectl does: unknown and duplicate fields are refused, not dropped."""
        return self.call("POST", path, body, params={"fieldValidation": "Strict", **params})

    def apply(self, path: str, body: Any, manager: str = "test", **params: str) -> Answer:
        """Server-side apply of one object, forced."""
        params = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", **params}
        return self.call("PATCH", path, body, content_type=APPLY, params=params)

    def merge(self, path: str, body: Any, **params: str) -> Answer:
        return self.call("PATCH", path, body, content_type=MERGE, params=params)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def as_user(self, token: str) -> Self:
        """Return a client of the same server with another token."""
        return type(self)(self.url, self.ca_file, token)
