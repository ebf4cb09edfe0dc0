from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.constants import LABEL_INSTANCE, LABEL_OWNER_NAME
from stackroles.errors import (
    Conflict,
    LeadershipLost,
    NotOwned,
    NotReady,
    Rejected,
    Unavailable,
)
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import ObjectRef
from tests.support.fake_api import FakeApi, Fault, client_of, fake_api
from tests.support.objects import (
    child_labels,
    config_map,
    custom,
    deployment,
    owned_by,
    secret,
    service,
)

Object = dict[str, Any]
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@dataclass
class World:
    api: FakeApi
    cluster: Cluster
    fence: list[float]

    def owner(self) -> Object:
        found = self.cluster.get("CloudController", "ns", "demo")
        assert found is not None
        return found

    def see(self, obj: Object) -> Object:
        """Store an object and let the cache hear of it."""
        made = self.api.put(obj)
        self.cluster.cache.upsert(made)
        return made

    def restarted(self, cluster: Cluster) -> Cluster:
        """Return a cluster as a new process would have it, its cache filled."""
        for obj in self.api._objects.values():
            cluster.cache.upsert(obj)
        return cluster


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with fake_api() as api, client_of(api) as client:
        left = [10.0]

        def fence() -> float:
            if left[0] <= 0:
                raise LeadershipLost("lost")
            return left[0]

        now = datetime(2026, 1, 1, tzinfo=UTC)
        cluster = Cluster(client, Cache(), fence, now=lambda: now)
        made = World(api, cluster, left)
        made.see(custom())
        yield made


def children(owner: Object) -> list[Object]:
    made = [deployment("demo-d"), config_map("demo-c", a="1"), service("demo-s")]
    for manifest in made:
        manifest["metadata"] = {**manifest["metadata"], "ownerReferences": owned_by(owner)}
    return made


async def apply_and_record(w: World, manifests: list[Object]) -> None:
    records = await w.cluster.apply_children(w.owner(), manifests)
    await w.cluster.patch_status(w.owner(), {"children": [r.to_dict() for r in records]})


async def test_children_get_namespace_and_labels() -> None:
    async with world() as w:
        await w.cluster.apply_children(w.owner(), children(w.owner()))

        made = w.api.get("deployments", "ns", "demo-d")
        assert made is not None
        assert made["metadata"]["labels"] == child_labels()


async def test_second_pass_makes_no_call() -> None:
    async with world() as w:
        await apply_and_record(w, children(w.owner()))
        before = len(w.api.requests)

        await apply_and_record(w, children(w.owner()))

        assert w.api.requests[before:] == []


async def test_first_pass_of_a_new_process_makes_no_call() -> None:
    async with world() as w:
        await apply_and_record(w, children(w.owner()))
        async with client_of(w.api) as client:
            fresh = w.restarted(
                Cluster(client, Cache(), lambda: 10.0, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
            )
            before = len(w.api.requests)
            owner = fresh.get("CloudController", "ns", "demo")
            assert owner is not None
            records = await fresh.apply_children(owner, children(owner))
            written = await fresh.patch_status(owner, {"children": [r.to_dict() for r in records]})

        assert w.api.requests[before:] == []
        assert not written


async def test_deleted_child_is_made_again() -> None:
    async with world() as w:
        await apply_and_record(w, children(w.owner()))
        gone = w.cluster.get("Deployment", "ns", "demo-d")
        assert gone is not None
        w.api.remove("deployments", "ns", "demo-d")
        w.cluster.cache.remove(gone)

        await apply_and_record(w, children(w.owner()))

        assert w.api.get("deployments", "ns", "demo-d") is not None


async def test_foreign_change_is_put_right() -> None:
    async with world() as w:
        await apply_and_record(w, children(w.owner()))
        drifted = w.api.get("deployments", "ns", "demo-d")
        assert drifted is not None
        w.see({**drifted, "spec": {**drifted["spec"], "replicas": 9}})

        await apply_and_record(w, children(w.owner()))

        made = w.api.get("deployments", "ns", "demo-d")
        assert made is not None
        assert made["spec"]["replicas"] == 1


async def test_network_policy_that_was_changed_or_deleted_is_put_back() -> None:
    async with world() as w:
        policy = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "demo-p", "ownerReferences": owned_by(w.owner())},
            "spec": {"podSelector": {"a": "b"}, "policyTypes": ["Ingress"]},
        }
        await apply_and_record(w, [policy])
        there = w.api.get("networkpolicies", "ns", "demo-p")
        assert there is not None
        w.see({**there, "spec": {**there["spec"], "podSelector": {"a": "theirs"}}})

        await apply_and_record(w, [policy])

        put_back = w.api.get("networkpolicies", "ns", "demo-p")
        assert put_back is not None
        assert put_back["spec"]["podSelector"] == {"a": "b"}
        w.api.remove("networkpolicies", "ns", "demo-p")
        w.cluster.cache.remove(put_back)
        await apply_and_record(w, [policy])
        assert w.api.get("networkpolicies", "ns", "demo-p") is not None


async def test_one_rejected_child_does_not_stop_the_others() -> None:
    async with world() as w:
        w.api.faults.append(Fault("PATCH", "configmaps/demo-c", 422))

        with pytest.raises(Rejected):
            await w.cluster.apply_children(w.owner(), children(w.owner()))

        assert w.api.get("deployments", "ns", "demo-d") is not None
        before = len(w.api.writes())
        await w.cluster.apply_children(w.owner(), children(w.owner()))
        assert w.api.writes()[before:] == [("PATCH", "/api/v1/namespaces/ns/configmaps/demo-c")], (
            "what was applied beside the refused one is remembered"
        )


async def test_object_that_is_not_ours_is_not_taken_over() -> None:
    async with world() as w:
        foreign = config_map("demo-c", b="theirs")
        foreign["metadata"] = {**foreign["metadata"], "namespace": "ns"}
        w.api.put(foreign)

        with pytest.raises(NotOwned, match="not managed by stackroles"):
            await w.cluster.apply_children(w.owner(), children(w.owner()))

        kept = w.api.get("configmaps", "ns", "demo-c")
        assert kept is not None
        assert kept["data"] == {"b": "theirs"}


async def test_child_of_a_deleted_namesake_is_waited_for() -> None:
    async with world() as w:
        earlier = {**w.owner(), "metadata": {**w.owner()["metadata"], "uid": "earlier"}}
        old = deployment("demo-d")
        old["metadata"] = {
            "name": "demo-d", "namespace": "ns", "labels": child_labels(),
            "ownerReferences": owned_by(earlier),
        }  # fmt: skip
        w.see(old)

        with pytest.raises(NotReady):
            await w.cluster.apply_children(w.owner(), children(w.owner()))


async def test_child_being_deleted_is_left_alone() -> None:
    async with world() as w:
        going = deployment("demo-d")
        going["metadata"] = {
            "name": "demo-d", "namespace": "ns", "labels": child_labels(),
            "ownerReferences": owned_by(w.owner()), "deletionTimestamp": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        w.see(going)

        records = await w.cluster.apply_children(w.owner(), [children(w.owner())[0]])

        assert records == ()


async def test_prune_deletes_what_is_no_longer_wanted_and_nothing_else() -> None:
    async with world() as w:
        owner = w.owner()
        kept_secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "demo-password"}}
        await w.cluster.create_once(kept_secret, owner)
        await apply_and_record(w, children(owner))

        gone = await w.cluster.prune(w.owner(), [children(owner)[0]])

        assert gone == (
            ObjectRef("ConfigMap", "ns", "demo-c"),
            ObjectRef("Service", "ns", "demo-s"),
        )
        assert w.api.get("deployments", "ns", "demo-d") is not None
        assert w.api.get("secrets", "ns", "demo-password") is not None


async def test_prune_spares_an_object_that_took_the_name() -> None:
    async with world() as w:
        await apply_and_record(w, [children(w.owner())[1]])
        seen = w.cluster.get("ConfigMap", "ns", "demo-c")
        assert seen is not None
        w.api.remove("configmaps", "ns", "demo-c")
        w.cluster.cache.remove(seen)
        other = config_map("demo-c", b="theirs")
        other["metadata"] = {"name": "demo-c", "namespace": "ns"}
        w.see(other)

        assert await w.cluster.prune(w.owner(), []) == ()
        assert w.api.get("configmaps", "ns", "demo-c") is not None


async def test_delete_of_another_object_of_the_name_is_refused() -> None:
    async with world() as w:
        old = w.see(service("s") | {"metadata": {"name": "s", "namespace": "ns"}})
        w.api.remove("services", "ns", "s")
        w.api.put(service("s") | {"metadata": {"name": "s", "namespace": "ns"}})

        with pytest.raises(Conflict):
            await w.cluster.delete(old)

        assert w.api.get("services", "ns", "s") is not None


async def test_delete_of_what_is_gone_is_done() -> None:
    async with world() as w:
        old = w.see(service("s") | {"metadata": {"name": "s", "namespace": "ns"}})
        w.api.remove("services", "ns", "s")

        await w.cluster.delete(old)

        assert w.cluster.get("Service", "ns", "s") is None


async def test_create_once_never_changes_what_exists() -> None:
    async with world() as w:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "p"},
            "data": {"k": "YQ=="},
        }
        await w.cluster.create_once(secret, w.owner())
        before = w.api.get("secrets", "ns", "p")

        await w.cluster.create_once({**secret, "data": {"k": "Yg=="}}, w.owner())

        assert w.api.get("secrets", "ns", "p") == before
        assert await w.cluster.read_secret("ns", "p") == {"k": b"a"}


async def test_watched_secret_is_read_once_a_version() -> None:
    async with world() as w:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "p"},
            "data": {"k": "YQ=="},
        }
        await w.cluster.create_once(secret, w.owner())
        await w.cluster.read_secret("ns", "p")
        before = len(w.api.requests)

        await w.cluster.read_secret("ns", "p")
        assert w.api.requests[before:] == []

        changed = w.api.get("secrets", "ns", "p")
        assert changed is not None
        w.see({**changed, "data": {"k": "Yg=="}})
        assert await w.cluster.read_secret("ns", "p") == {"k": b"b"}


async def test_as_many_secrets_as_there_are_stay_read() -> None:
    async with world() as w:
        names = [f"cloud-{number}" for number in range(300)]
        for name in names:
            secret = {"metadata": {"name": name, "namespace": "ns"}, "data": {"k": "YQ=="}}
            w.see({"apiVersion": "v1", "kind": "Secret", **secret})
            await w.cluster.read_secret("ns", name)
        before = len(w.api.requests)

        for name in names:
            await w.cluster.read_secret("ns", name)

        assert w.api.requests[before:] == []


async def test_what_is_gone_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        for name in ("a", "b"):
            metadata = {"name": name, "namespace": "ns"}
            w.see({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {}})
        monkeypatch.setattr("time.monotonic", lambda: 0.0)
        await w.cluster.read_secret("ns", "a")
        w.cluster.cache.remove(w.api.get("secrets", "ns", "a") or {})

        monkeypatch.setattr("time.monotonic", lambda: 60.0)
        await w.cluster.read_secret("ns", "b")

        assert [ref.name for ref in w.cluster._memory] == ["b"]


async def test_status_is_written_on_a_difference_and_recorded() -> None:
    async with world() as w:
        ready = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": EARLY}

        assert await w.cluster.patch_status(w.owner(), {"conditions": [ready], "release": "1"})
        assert not await w.cluster.patch_status(
            w.owner(), {"conditions": [{**ready, "lastTransitionTime": LATE}], "release": "1"}
        )
        broken = {**ready, "status": "False", "reason": "Broken", "message": "No quorum"}
        assert await w.cluster.patch_status(w.owner(), {"conditions": [broken]})

        assert w.owner()["status"] == {"conditions": [broken]}
        events = [o for (plural, _, _), o in w.api._objects.items() if plural == "events"]
        assert [(e["type"], e["reason"]) for e in events] == [
            ("Normal", "Ready"),
            ("Warning", "Broken"),
        ]


def broken(message: str) -> Object:
    condition = {"type": "Ready", "status": "False", "reason": "StepFailed"}
    return {"conditions": [{**condition, "message": message, "lastTransitionTime": EARLY}]}


async def test_what_secrets_hold_reaches_neither_status_nor_event() -> None:
    async with world() as w:
        w.see(secret("demo-keystone", "ours-5ca1ab1e", labels=child_labels()))
        w.api.put(secret("restic", "of-the-user-5ca1ab1e"))
        policy = custom("nightly", "BackupPolicy", encryptionSecret="restic")
        w.see(policy)

        message = "ours-5ca1ab1e, of-the-user-5ca1ab1e, mysql://nova:else@db/nova"
        await w.cluster.patch_status(w.owner(), broken(message))

        masked = "***, ***, mysql://nova:***@db/nova"
        assert w.owner()["status"] == broken(masked)
        events = [o for (plural, _, _), o in w.api._objects.items() if plural == "events"]
        assert [event["note"] for event in events] == [masked]
        before = len(w.api.requests)
        assert not await w.cluster.patch_status(w.owner(), broken(message))
        assert w.api.requests[before:] == []


async def test_an_event_of_its_own_is_redacted() -> None:
    async with world() as w:
        w.see(secret("demo-keystone", "ours-5ca1ab1e", labels=child_labels()))
        await w.cluster.event(w.owner(), "Normal", "Said", "it said ours-5ca1ab1e")
        events = [o for (plural, _, _), o in w.api._objects.items() if plural == "events"]
        assert [event["note"] for event in events] == ["it said ***"]


async def test_a_status_out_of_its_bounds_is_written_within_them() -> None:
    async with world() as w:
        phases = [{"name": f"phase-{n}", "startedAt": EARLY} for n in range(300)]
        await w.cluster.patch_status(w.owner(), {**broken("x " * 5000), "phases": phases})
        status = w.owner()["status"]
        assert len(status["conditions"][0]["message"]) <= 2048
        assert (len(status["phases"]), status["omitted"]) == (256, {"phases": 44})


async def test_status_of_an_older_version_is_refused() -> None:
    async with world() as w:
        old = w.owner()
        w.api.put({**old, "spec": {"changed": True}})

        with pytest.raises(Conflict):
            await w.cluster.patch_status(old, {"release": "x"})


async def test_event_that_cannot_be_written_does_not_fail_the_pass() -> None:
    async with world() as w:
        w.api.faults.append(Fault("POST", "events", 500))

        await w.cluster.event(w.owner(), "Normal", "Started", "It started")


async def test_same_event_twice_in_a_row_is_recorded_once() -> None:
    async with world() as w:
        for _ in range(3):
            await w.cluster.event(w.owner(), "Normal", "Started", "It started")

        assert [r for r in w.api.requests if "events" in r[1]] == [
            ("POST", "/apis/events.k8s.io/v1/namespaces/ns/events")
        ]


async def test_annotation_goes_to_exactly_this_pod() -> None:
    async with world() as w:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}
        old = w.see(pod)
        w.api.remove("pods", "ns", "p")
        w.api.put(pod)

        with pytest.raises(Conflict):
            await w.cluster.annotate_pod(old, {"a": "b"})


async def test_annotation_that_is_there_makes_no_call() -> None:
    async with world() as w:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}
        seen = w.see(pod)
        await w.cluster.annotate_pod(seen, {"a": "b"})
        before = len(w.api.requests)

        await w.cluster.annotate_pod(seen, {"a": "b"})

        assert w.api.requests[before:] == []


async def test_finalizer_comes_and_goes_beside_others() -> None:
    async with world() as w:
        w.see({**w.owner(), "metadata": {**w.owner()["metadata"], "finalizers": ["other/one"]}})

        await w.cluster.set_finalizer(w.owner(), present=True)
        assert w.owner()["metadata"]["finalizers"] == ["other/one", "stackroles.io/teardown"]
        await w.cluster.set_finalizer(w.owner(), present=False)

        assert w.owner()["metadata"]["finalizers"] == ["other/one"]


async def test_nothing_is_written_past_the_fence() -> None:
    async with world() as w:
        w.fence[0] = 0.0
        owner = w.owner()

        with pytest.raises(LeadershipLost):
            await w.cluster.apply_children(owner, children(owner))
        with pytest.raises(LeadershipLost):
            await w.cluster.patch_status(owner, {"release": "x"})
        with pytest.raises(LeadershipLost):
            await w.cluster.delete(owner)
        with pytest.raises(LeadershipLost):
            await w.cluster.create_once(config_map("x"), owner)

        assert w.api.writes() == []


async def test_log_of_a_pod_that_is_gone_is_empty() -> None:
    async with world() as w:
        assert await w.cluster.read_log("ns", "p") == "first line\nlast line"
        w.api.faults.append(Fault("GET", "/log", 404))
        assert await w.cluster.read_log("ns", "p") == ""


async def test_server_error_is_unavailable() -> None:
    async with world() as w:
        w.api.faults.append(Fault("PATCH", "deployments", 503))

        with pytest.raises(Unavailable):
            await w.cluster.apply_children(w.owner(), children(w.owner()))


async def test_a_lost_lease_is_no_failure_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        seconds = iter([10.0])

        def fence() -> float:
            try:
                return next(seconds)
            except StopIteration:
                raise LeadershipLost("lost") from None

        monkeypatch.setattr(w.cluster._writer, "_fence", fence)
        w.api.faults.append(Fault("PATCH", "configmaps/demo-c", 422))

        # The ConfigMap is refused, and by the time of the Deployment the Lease is lost.
        with pytest.raises(LeadershipLost):
            await w.cluster.apply_children(w.owner(), children(w.owner()))


async def test_what_has_no_owner_loses_the_label_that_others_act_on() -> None:
    async with world() as w:
        labels = child_labels()
        for number, kind in enumerate(("Secret", "PersistentVolumeClaim", "ConfigMap")):
            metadata = {"name": f"c{number}", "namespace": "ns", "labels": labels}
            w.see({"apiVersion": "v1", "kind": kind, "metadata": metadata})
        owned = config_map("owned")
        owned["metadata"] |= {"namespace": "ns", "labels": labels}
        owned["metadata"] |= {"ownerReferences": owned_by(w.owner())}
        w.see(owned)
        w.api.faults.append(Fault("PATCH", "persistentvolumeclaims/c1", 500))

        await w.cluster.relabel_ownerless(w.owner())
        await w.cluster.relabel_ownerless(w.owner())

        moved = {key: value for key, value in labels.items() if key != LABEL_INSTANCE}
        moved[LABEL_OWNER_NAME] = "demo"
        for plural, name in (
            ("secrets", "c0"), ("persistentvolumeclaims", "c1"), ("configmaps", "c2"),
        ):  # fmt: skip
            found = w.api.get(plural, "ns", name)
            assert found is not None
            assert found["metadata"]["labels"] == moved
        kept = w.api.get("configmaps", "ns", "owned")
        assert kept is not None
        assert kept["metadata"]["labels"] == labels
        before = len(w.api.requests)
        await w.cluster.relabel_ownerless(w.owner())
        assert len(w.api.requests) == before


def claim_template(label: str, size: str) -> Object:
    return {
        "metadata": {"name": "data", "labels": {"a": label}},
        "spec": {"resources": {"requests": {"storage": size}}},
    }


async def test_a_stateful_set_that_exists_keeps_what_its_claims_cannot_change() -> None:
    async with world() as w:
        spec = {"volumeClaimTemplates": [claim_template("old", "1Gi")]}
        manifest = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}}
        await w.cluster.apply_children(w.owner(), [{**manifest, "spec": spec}])
        fresh = {"volumeClaimTemplates": [claim_template("new", "2Gi")]}

        await w.cluster.apply_children(w.owner(), [{**manifest, "spec": fresh}])

        found = w.api.get("statefulsets", "ns", "db")
        assert found is not None
        assert found["spec"] == spec
