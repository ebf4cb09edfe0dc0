import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stackroles.kube.cache import Cache, trim
from tests.support.objects import child_labels, config_map, custom, deployment, owned_by, stored


def test_newer_object_replaces_older() -> None:
    cache = Cache()

    assert cache.upsert(stored(custom(a=1), 1))
    assert cache.upsert(stored(custom(a=2), 2))

    found = cache.get("CloudController", "ns", "demo")
    assert found is not None
    assert found["spec"] == {"a": 2}


def test_versions_compare_as_numbers() -> None:
    cache = Cache()
    cache.upsert(stored(custom(a=1), 10))

    assert not cache.upsert(stored(custom(a=2), 9))


def test_same_version_is_no_news() -> None:
    cache = Cache()
    cache.upsert(stored(custom(), 5))

    assert not cache.upsert(stored(custom(), 5))


def test_heartbeat_of_a_node_is_stored_but_no_news() -> None:
    cache = Cache()

    def node(version: int, beat: str, status: str) -> dict[str, Any]:
        condition = {"type": "Ready", "status": status, "lastHeartbeatTime": beat}
        metadata = {"name": "n", "uid": "u", "resourceVersion": str(version)}
        return {
            "apiVersion": "v1", "kind": "Node", "metadata": metadata,
            "status": {"conditions": [condition], "images": [1]},
        }  # fmt: skip

    assert cache.upsert(node(1, "1", "True"))
    assert not cache.upsert(node(2, "2", "True"))
    assert cache.upsert(node(3, "3", "False"))
    found = cache.get("Node", "", "n")
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "3"


def test_deleted_uid_never_comes_back() -> None:
    cache = Cache()
    cache.upsert(stored(custom(), 1, uid="old"))
    cache.remove(stored(custom(), 3, uid="old"))

    assert not cache.upsert(stored(custom(), 2, uid="old"))
    assert cache.upsert(stored(custom(), 4, uid="new"))


def test_late_deletion_of_old_object_spares_its_successor() -> None:
    cache = Cache()
    cache.upsert(stored(custom(), 4, uid="new"))

    assert not cache.remove(stored(custom(), 3, uid="old"))
    assert cache.get("CloudController", "ns", "demo") is not None


def test_secret_data_is_not_kept_but_its_change_is_seen() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"k": "cGFzcw=="},
    }
    other = {**secret, "data": {"k": "b3RoZXI="}}

    one, two = trim(stored(secret, 1)), trim(stored(other, 1))

    assert "cGFzcw" not in json.dumps(one)
    assert one["dataKeys"] == ["k"]
    assert one["dataDigest"] != two["dataDigest"]


def test_copy_that_kubectl_leaves_in_annotations_is_not_kept() -> None:
    name = "kubectl.kubernetes.io/last-applied-configuration"
    obj = stored(config_map("c"), 1, annotations={name: "secret", "mine": "x"}, managedFields=[1])

    assert trim(obj)["metadata"]["annotations"] == {"mine": "x"}
    assert "managedFields" not in trim(obj)["metadata"]


def test_workloads_keep_replicas_and_status_only() -> None:
    obj = stored({**deployment("d", 3), "status": {"readyReplicas": 2}}, 1)

    assert trim(obj)["spec"] == {"replicas": 3}
    assert trim(obj)["status"] == {"readyReplicas": 2}


def test_list_selects_by_namespace_and_labels() -> None:
    cache = Cache()
    cache.upsert(stored(config_map("a"), 1, uid="1", labels=child_labels("one")))
    cache.upsert(stored(config_map("b"), 2, uid="2", labels=child_labels("two")))
    cache.upsert(stored(config_map("c"), 3, uid="3", namespace="other", labels=child_labels("one")))

    by_owner = cache.list("ConfigMap", "ns", child_labels("one"))

    assert [obj["metadata"]["name"] for obj in by_owner] == ["a"]
    assert len(cache.list("ConfigMap")) == 3


def test_owned_follows_owner_references_and_their_removal() -> None:
    cache = Cache()
    owner = stored(custom(), 1, uid="owner")
    cache.upsert(stored(config_map("a"), 2, uid="1", ownerReferences=owned_by(owner)))
    assert [obj["metadata"]["name"] for obj in cache.owned("owner")] == ["a"]

    cache.upsert(stored(config_map("a"), 3, uid="1"))

    assert cache.owned("owner") == []


def test_full_list_finds_what_was_missed() -> None:
    cache = Cache()
    cache.upsert(stored(config_map("stays"), 1, uid="1"))
    cache.upsert(stored(config_map("gone"), 2, uid="2"))
    cache.upsert(stored(config_map("newer-than-list"), 9, uid="3"))

    changes: list[tuple[str, bool]] = []

    def note(old: dict[str, Any] | None, new: dict[str, Any] | None, _own: bool) -> None:
        changes.append(((new or old or {})["metadata"]["name"], bool(new)))

    cache.follow(note)
    changed = cache.replace(
        "ConfigMap",
        "ns",
        [stored(config_map("stays"), 1, uid="1"), stored(config_map("new"), 4, uid="4")],
        5,
    )

    assert (changed, changes) == (2, [("new", True), ("gone", False)])
    names = [obj["metadata"]["name"] for obj in cache.list("ConfigMap")]
    assert names == ["new", "newer-than-list", "stays"]


def test_full_list_of_one_namespace_leaves_others_alone() -> None:
    cache = Cache()
    cache.upsert(stored(config_map("a"), 1, uid="1", namespace="other"))

    assert cache.replace("ConfigMap", "ns", [], 5) == 0


@given(st.permutations([(1, "one"), (2, "two"), (3, "three"), (3, "three")]))
def test_any_order_of_events_ends_at_the_newest(events: list[tuple[int, str]]) -> None:
    cache = Cache()
    for version, value in events:
        cache.upsert(stored(custom(value=value), version))

    found = cache.get("CloudController", "ns", "demo")
    assert found is not None
    assert found["spec"] == {"value": "three"}


@given(st.permutations(["create", "modify", "delete"]))
def test_any_order_of_a_life_ends_without_the_object(events: list[str]) -> None:
    cache = Cache()
    steps = {
        "create": lambda: cache.upsert(stored(custom(), 1)),
        "modify": lambda: cache.upsert(stored(custom(a=1), 2)),
        "delete": lambda: cache.remove(stored(custom(a=1), 3)),
    }
    for event in events:
        steps[event]()

    assert cache.list("CloudController") == []
