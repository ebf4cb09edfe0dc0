import os

import pytest
from hypothesis import settings

# Every client reads the machine's certificates, which takes longer than most tests: none is needed.
os.environ["SSL_CERT_FILE"] = os.devnull

# How long an example takes says something of the machine, nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-cases",
        action="store_true",
        help="write what the builders make now as what golden cases expect",
    )
