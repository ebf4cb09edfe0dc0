"""Asking a cloud's APIs, over HTTP."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stackroles.openstack import probe
from stackroles.openstack.access import Credentials
from stackroles.openstack.probe import ask_apis, excerpt

UNAUTHORIZED = {
    "error": {"code": 401, "message": "The request you have made requires authentication."}
}


class Apis:
    """A keystone and a nova; `answer` is nova's."""

    def __init__(self) -> None:
        self.answer = web.json_response({"servers": []})
        self.tokens: list[str] = []

    async def token(self, request: web.Request) -> web.Response:
        given = (await request.json())["auth"]["identity"]["password"]["user"]["password"]
        if given != "right":
            return web.json_response(UNAUTHORIZED, status=401)
        return web.json_response({"token": {}}, status=201, headers={"X-Subject-Token": "t0ken"})

    async def servers(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers["X-Auth-Token"])
        return self.answer


@pytest.fixture
def apis() -> Apis:
    return Apis()


@pytest.fixture
async def url(apis: Apis) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/v3/auth/tokens", apis.token)
    application.router.add_get("/servers", apis.servers)
    async with TestServer(application) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest.fixture
def account(url: str) -> Credentials:
    return Credentials(
        auth_url=f"{url}/v3",
        username="admin",
        password="right",
        project="admin",
        region="RegionOne",
        secret="demo-admin",
    )


async def test_every_api_is_asked_with_a_token(apis: Apis, url: str, account: Credentials) -> None:
    found = await ask_apis(account, "keystone", {"nova-api": f"{url}/servers?limit=1"})
    assert {role: status for role, (status, _) in found.items()} == {
        "keystone": 201,
        "nova-api": 200,
    }
    assert apis.tokens == ["t0ken"]


async def test_a_rejection_is_reported_in_the_services_own_text(
    apis: Apis, url: str, account: Credentials
) -> None:
    body = {"message": "The Keystone service is temporarily unavailable.\n\n", "code": "503"}
    apis.answer = web.json_response(body, status=503)
    found = await ask_apis(account, "keystone", {"nova-api": f"{url}/servers"})
    assert found["nova-api"] == (503, "The Keystone service is temporarily unavailable.")


async def test_nobody_is_asked_without_a_token(apis: Apis, url: str, account: Credentials) -> None:
    wrong = replace(account, password="wrong")
    found = await ask_apis(wrong, "keystone", {"nova-api": f"{url}/servers"})
    assert found == {"keystone": (401, "The request you have made requires authentication.")}
    assert apis.tokens == []


async def test_no_connection_is_an_answer(account: Credentials) -> None:
    found = await ask_apis(account, "keystone", {"nova-api": "http://127.0.0.1:9/servers"})
    status, text = found["nova-api"]
    assert status == 0
    assert "127.0.0.1" in text


async def test_redirects_are_not_followed(apis: Apis, url: str, account: Credentials) -> None:
    apis.answer = web.Response(status=302, headers={"Location": f"{url}/elsewhere"})
    found = await ask_apis(account, "keystone", {"nova-api": f"{url}/servers"})
    assert found["nova-api"][0] == 302


async def test_a_body_without_end_is_not_read_to_its_end(
    apis: Apis, url: str, account: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_LARGEST", 1024)
    apis.answer = web.Response(status=500, text="x" * 1_000_000)
    found = await ask_apis(account, "keystone", {"nova-api": f"{url}/servers"})
    assert len(found["nova-api"][1]) <= 300


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (json.dumps(UNAUTHORIZED), "The request you have made requires authentication."),
        ('{"errors": [{"status": 500, "detail": "No such table"}]}', "No such table"),
        ("<html><head><title>503</title></head><body>Busy</body></html>", "503 Busy"),
        ("refused, see req-0a1b2c3d-0000-4000-8000-000000000000", "refused, see"),
        ("the token was s3cret-token", "the token was ***"),
        ("", ""),
    ],
)
def test_what_a_body_says_is_one_line_without_secrets(body: str, shown: str) -> None:
    assert excerpt(body, "s3cret-token") == shown
