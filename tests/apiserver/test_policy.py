"""What a schema cannot know of a schedule: the API server refuses it, and the policy says so."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from stackroles.domains.backup.reconcile_policy import reconcile_backup_policy
from stackroles.errors import NotReady, SpecInvalid
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient, load_credentials
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.blocked import reconcile_reporting_errors
from stackroles.reconcile.context import Context
from stackroles.runtime.replica import SystemClock
from stackroles.settings import Settings
from tests.apiserver.conftest import ACCOUNT, SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.apiserver.specs import build, objects_path
from tests.support.apiclient import ApiClient
from tests.support.controlplane import ControlPlane
from tests.support.polls import Polls, Time

Object = dict[str, Any]
_NAMES = itertools.count(1)


@pytest.fixture
async def context(plane: ControlPlane) -> AsyncIterator[Context]:
    """What a pass is given, with the operator's own rights."""
    token = plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
    kubeconfig = plane.kubeconfig("policy-test", token)
    client = KubeClient(await load_credentials(str(kubeconfig)))
    yield Context(
        cluster=Cluster(client, Cache(), lambda: 10.0, now=lambda: datetime.now(UTC)),
        poller=Polls(Time()),
        tasks=None,  # type: ignore[arg-type]
        clock=SystemClock(),
        random=Random(1),
        settings=Settings(),
        openstack=None,
        enqueue=lambda _ref, delay=0.0: None,
        leader="one",
    )
    await client.close()


def declare(admin: ApiClient, context: Context, kind: str, **spec: Any) -> Object:
    made = build(kind, name=f"policy-{next(_NAMES)}", **spec)
    stored = admin.create(objects_path(kind, WATCHED_NAMESPACE), made).must()
    context.cluster.cache.upsert(stored)
    return stored


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "30-10 * * * *"},
        {"schedule": "0 0 * * fri-mon"},
        {"timeZone": "Nowhere/Bogus"},
    ],
    ids=lambda wrong: str(*wrong.values()),
)
async def test_policy_says_what_the_api_server_refuses(
    admin: ApiClient, context: Context, wrong: dict[str, str]
) -> None:
    cloud = declare(admin, context, "CloudController")
    policy = declare(admin, context, "BackupPolicy", controller=cloud["metadata"]["name"], **wrong)

    with pytest.raises(SpecInvalid):
        await reconcile_reporting_errors(context, reconcile_backup_policy, policy)

    path = f"{objects_path('BackupPolicy', WATCHED_NAMESPACE)}/{policy['metadata']['name']}"
    stored = admin.get(path).must()
    conditions = {c["type"]: c for c in stored["status"]["conditions"]}
    assert conditions["Reconciled"]["reason"] == conditions["Ready"]["reason"] == "SpecInvalid"
    assert "spec.schedule or spec.timeZone" in conditions["Ready"]["message"]

    right = {"spec": {"schedule": "0 3 * * *", "timeZone": "Etc/UTC"}}
    context.cluster.cache.upsert(admin.merge(path, right).must())
    corrected = context.cluster.get("BackupPolicy", WATCHED_NAMESPACE, policy["metadata"]["name"])
    assert corrected is not None
    with pytest.raises(NotReady, match="Secret"):
        await reconcile_reporting_errors(context, reconcile_backup_policy, corrected)
    assert "Secret" in admin.get(path).must()["status"]["conditions"][0]["message"]
