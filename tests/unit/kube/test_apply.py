from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stackroles.kube.apply import (
    AppliedRecord,
    contains,
    is_same_status,
    is_settled,
    manifest_hash,
    merge_patch,
)
from tests.support.objects import config_map, deployment, owned_by, service, stored

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
documents = st.dictionaries(
    st.text(max_size=2),
    st.recursive(
        scalars, lambda c: st.dictionaries(st.text(max_size=2), c) | st.lists(c), max_leaves=8
    ),
    max_size=4,
)


def rfc7386(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = rfc7386(result.get(key), value)
    return result


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return value


@given(documents, documents)
def test_merge_patch_turns_old_into_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    # A merge patch cannot carry a null as a value, so there are none in what is stored.
    stored_old, wanted = without_nulls(old), without_nulls(new)

    assert rfc7386(stored_old, merge_patch(stored_old, wanted)) == wanted


@given(documents)
def test_merge_patch_of_equals_is_empty(document: dict[str, Any]) -> None:
    assert merge_patch(without_nulls(document), without_nulls(document)) == {}


def applied(
    manifest: dict[str, Any], version: int = 7, **metadata: Any
) -> tuple[Any, AppliedRecord, Any]:
    seen = stored(manifest, version, **metadata)
    digest = manifest_hash(manifest)
    return manifest, AppliedRecord.of(seen, digest, "ns"), seen


def test_workload_is_settled_while_its_generation_stands() -> None:
    manifest, record, seen = applied(deployment("d"), generation=3)
    later = stored(deployment("d"), 99, generation=3)

    assert is_settled(manifest, manifest_hash(manifest), record, seen)
    assert is_settled(manifest, manifest_hash(manifest), record, later)


def test_foreign_change_of_a_workload_is_seen() -> None:
    manifest, record, _ = applied(deployment("d"), generation=3)
    changed = stored(deployment("d", 5), 99, generation=4)

    assert not is_settled(manifest, manifest_hash(manifest), record, changed)


def test_foreign_change_of_a_config_map_is_seen() -> None:
    manifest, record, _ = applied(config_map("c", a="1"))

    assert not is_settled(manifest, manifest_hash(manifest), record, stored(manifest, 8))


def test_status_change_of_a_service_is_no_drift() -> None:
    manifest, record, _ = applied(service("s"))
    seen = stored({**manifest, "status": {"loadBalancer": {"ingress": []}}}, 8)

    assert is_settled(manifest, manifest_hash(manifest), record, seen)


def test_changed_port_of_a_service_is_drift() -> None:
    manifest, record, _ = applied(service("s"))

    assert not is_settled(manifest, manifest_hash(manifest), record, stored(service("s", 81), 8))


def test_new_manifest_is_not_settled() -> None:
    _, record, seen = applied(deployment("d"), generation=3)

    assert not is_settled(deployment("d", 2), manifest_hash(deployment("d", 2)), record, seen)


def test_object_made_anew_is_not_settled() -> None:
    manifest, record, _ = applied(deployment("d"), generation=1)
    other = stored(manifest, 8, uid="another", generation=1)

    assert not is_settled(manifest, manifest_hash(manifest), record, other)


def test_removed_label_is_drift_though_the_generation_stands() -> None:
    manifest = deployment("d")
    manifest["metadata"] = {**manifest["metadata"], "labels": {"ours": "1"}}
    _, record, _ = applied(manifest, generation=3)
    bare = stored(deployment("d"), 9, generation=3)

    assert not is_settled(manifest, manifest_hash(manifest), record, bare)


def test_foreign_owner_reference_beside_ours_is_no_drift() -> None:
    owner = stored({**deployment("o")}, 1, uid="owner")
    manifest = deployment("d")
    manifest["metadata"] = {**manifest["metadata"], "ownerReferences": owned_by(owner)}
    _, record, _ = applied(manifest, generation=3)
    both = [{"uid": "x", "kind": "Y", "name": "y", "apiVersion": "v1"}, *owned_by(owner)]
    seen = stored(manifest, 9, generation=3, ownerReferences=both)

    assert is_settled(manifest, manifest_hash(manifest), record, seen)


def test_record_survives_its_wire_form() -> None:
    _, record, _ = applied(config_map("c"))

    assert AppliedRecord.from_dict(record.to_dict()) == record
    assert record.to_dict()["resourceVersion"] == "7"
    assert "namespace" not in record.to_dict()


def test_hash_does_not_depend_on_key_order() -> None:
    assert manifest_hash({"a": 1, "b": 2}) == manifest_hash({"b": 2, "a": 1})


def test_lists_of_values_must_match_item_by_item() -> None:
    assert contains({"ports": [{"port": 1, "more": 2}]}, {"ports": [{"port": 1}]})
    assert not contains({"ports": [{"port": 1}, {"port": 2}]}, {"ports": [{"port": 1}]})


def test_status_that_differs_in_transition_times_only_is_the_same() -> None:
    old = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "1"}]}
    new = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2"}]}

    assert is_same_status(old, new)
    assert not is_same_status(old, {"conditions": [{**new["conditions"][0], "status": "False"}]})


def test_phase_time_that_is_new_makes_a_different_status() -> None:
    assert not is_same_status({"phases": {}}, {"phases": {"startedAt": "1"}})
