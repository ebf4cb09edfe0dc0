import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from stackroles.runtime import logs


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored")
def test_every_line_is_json_with_its_resource(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    with structlog.contextvars.bound_contextvars(resource="CloudController/ns/demo"):
        structlog.get_logger("ours").info("Applied", child="ConfigMap/ns/c")
        logging.getLogger("library").warning("of %s", "theirs")
    ref = {"kind": "Pod", "namespace": "ns", "name": "p"}
    logging.getLogger("kopf").warning("seen", extra={"k8s_ref": ref})
    logging.getLogger("library").debug("not shown")

    ours, library, kopf = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["message"], ours["resource"]) == ("Applied", "CloudController/ns/demo")
    assert (library["message"], library["resource"]) == ("of theirs", "CloudController/ns/demo")
    assert (kopf["message"], kopf["resource"], kopf["level"]) == ("seen", "Pod/ns/p", "warning")
