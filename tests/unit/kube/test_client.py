import pytest

from stackroles.errors import Expired, NotFound, Throttled, Unavailable
from stackroles.kube.client import KubeClient, load_credentials
from stackroles.kube.kinds import KINDS
from tests.support.fake_api import Fault, client_of, fake_api
from tests.support.objects import child_labels, config_map, custom


async def test_list_reads_all_pages_and_names_the_kind() -> None:
    async with fake_api() as api, client_of(api) as client:
        api.page = 2
        for number in range(5):
            api.put({**custom(f"c{number}")})

        page = await client.list(KINDS["CloudController"], "ns")

        assert [item["metadata"]["name"] for item in page.items] == ["c0", "c1", "c2", "c3", "c4"]
        assert {item["kind"] for item in page.items} == {"CloudController"}
        assert page.version == 5


async def test_list_of_children_asks_for_ours_only() -> None:
    async with fake_api() as api, client_of(api) as client:
        ours, foreign = config_map("ours"), config_map("foreign")
        ours["metadata"] = {**ours["metadata"], "namespace": "ns", "labels": child_labels()}
        foreign["metadata"] = {**foreign["metadata"], "namespace": "ns"}
        api.put(ours)
        api.put(foreign)

        page = await client.list(KINDS["ConfigMap"], "ns")

        assert [item["metadata"]["name"] for item in page.items] == ["ours"]


async def test_failures_are_errors_of_our_tree() -> None:
    async with fake_api() as api, client_of(api) as client:
        with pytest.raises(NotFound):
            await client.request("GET", KINDS["Pod"].path("ns", "nobody"))
        api.faults.append(Fault("GET", "pods", 429, {"Retry-After": "3"}))
        with pytest.raises(Throttled) as caught:
            await client.request("GET", KINDS["Pod"].path("ns", "nobody"))

        assert caught.value.delay == 3.0


async def test_no_answer_is_an_error_and_is_counted() -> None:
    seen: list[tuple[str, int]] = []
    async with fake_api() as api, client_of(api) as reachable:
        configuration = reachable.configuration
    client = KubeClient(configuration, lambda method, status: seen.append((method, status)))

    with pytest.raises(Unavailable):
        await client.request("GET", "/api/v1/pods", timeout=2)
    await client.close()

    assert seen == [("GET", 0)]


async def test_credentials_that_are_missing_are_reported(tmp_path: object) -> None:
    with pytest.raises(Exception, match="No way to reach Kubernetes"):
        await load_credentials(kubeconfig=f"{tmp_path}/nothing")


async def test_a_list_whose_next_page_has_expired_is_read_anew() -> None:
    async with fake_api() as api, client_of(api) as client:
        api.page = 2
        for number in range(5):
            api.put({**custom(f"c{number}")})
        api.faults += [Fault("GET", "continue=", 410)] * 2

        page = await client.list(KINDS["CloudController"], "ns")

        assert [item["metadata"]["name"] for item in page.items] == ["c0", "c1", "c2", "c3", "c4"]
        api.faults += [Fault("GET", "continue=", 410)] * 3
        with pytest.raises(Expired):
            await client.list(KINDS["CloudController"], "ns")
