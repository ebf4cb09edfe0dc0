"""URLs and addresses come from one place."""

import ast
from pathlib import Path

import pytest

import stackroles
from stackroles.config.endpoint import HTTP, OVSDB, Endpoint
from tests.support.clouds import cloud

PACKAGE = Path(stackroles.__file__).parent
# The schemes of what the cloud's own servers speak.
SCHEMES = ("http://", "https://", "tcp:", "ssl:")


def test_it_is_written_as_url_as_address_and_as_ovsdb_remote() -> None:
    assert Endpoint(HTTP, "api.ns.svc", 80).url("/v3") == "http://api.ns.svc:80/v3"
    assert Endpoint(HTTP, "fd00::1", 80).url() == "http://[fd00::1]:80"
    assert Endpoint(OVSDB, "nb.ns.svc", 6641).remote == "tcp:nb.ns.svc:6641"
    assert cloud().endpoint("keystone", 5000).address == "demo-keystone.ns.svc:5000"


@pytest.mark.parametrize(
    "path",
    [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.is_relative_to(PACKAGE / "agents")
        and not path.is_relative_to(PACKAGE / "codegen")
    ],
)
def test_nobody_else_writes_a_scheme_before_a_host(path: str) -> None:
    tree = ast.parse((PACKAGE / path).read_text())
    written = [
        part.value
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
        if isinstance(part, ast.Constant) and str(part.value).endswith(SCHEMES)
    ]
    assert not written
