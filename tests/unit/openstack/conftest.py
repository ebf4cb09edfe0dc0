import warnings
from collections.abc import Iterator

import pytest
from openstack.warnings import RemovedInSDK50Warning

from stackroles.openstack.access import CloudAccess, Credentials
from tests.support.fake_openstack import FakeCloud, serving


@pytest.fixture(autouse=True)
def quiet_sdk() -> None:
    # openstacksdk 4.22 calls its own functions in ways it has deprecated.
    warnings.filterwarnings("ignore", category=RemovedInSDK50Warning)


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with serving(FakeCloud()) as fake:
        yield fake


@pytest.fixture
def administrator(cloud: FakeCloud) -> Credentials:
    return Credentials(
        auth_url=f"{cloud.url}/identity/v3",
        username="admin",
        password="secret",
        project="admin",
        region="RegionOne",
        secret="demo-admin",
    )


@pytest.fixture
def access(administrator: Credentials) -> CloudAccess:
    return CloudAccess(administrator, lambda: 10.0)
