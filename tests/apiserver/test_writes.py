"""Server-side apply and the status subresource, as the operator uses them."""

from typing import Any

from tests.apiserver.conftest import WATCHED_NAMESPACE
from tests.apiserver.specs import build, objects_path
from tests.support.apiclient import ApiClient


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": "Applied",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }


def test_the_same_apply_again_writes_nothing(admin: ApiClient, namespace: str) -> None:
    path = f"{objects_path('CloudController', namespace)}/sample"
    cloud = build("CloudController", roles={"mariadb": {"clustering": {"replicas": 3}}})

    first, second = admin.apply(path, cloud).must(), admin.apply(path, cloud).must()

    assert first["spec"] == cloud["spec"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_what_was_stored_can_be_applied_as_it_is(admin: ApiClient, namespace: str) -> None:
    collection = objects_path("BackupPolicy", namespace)
    stored = admin.create(collection, build("BackupPolicy")).must()
    stored["metadata"].pop("managedFields")

    again = admin.apply(f"{collection}/sample", stored).must()

    assert again["metadata"]["generation"] == 1
    assert again["spec"] == stored["spec"]


def test_a_field_that_one_manager_drops_goes_and_another_managers_stays(
    admin: ApiClient, namespace: str
) -> None:
    path = f"{objects_path('CloudController', namespace)}/sample"
    admin.apply(path, build("CloudController", suspend=True, region="here"), "one").must()
    admin.apply(path, build("CloudController", deletionPolicy="Delete"), "two").must()

    stored = admin.apply(path, build("CloudController", region="here"), "one").must()

    assert stored["spec"] == {"region": "here", "deletionPolicy": "Delete"}


def test_status_is_written_apart_from_spec(admin: ApiClient, namespace: str) -> None:
    path = f"{objects_path('CloudController', namespace)}/sample"
    both = {**build("CloudController"), "status": {"release": "2025.1"}}
    stored = admin.apply(path, both).must()
    assert "status" not in stored

    status = {"observedGeneration": 1, "conditions": [condition("Ready")]}
    answer = admin.merge(f"{path}/status", {"status": status, "spec": {"suspend": True}}).must()

    assert answer["status"] == status
    assert "suspend" not in answer["spec"]
    assert answer["metadata"]["generation"] == 1


def test_conditions_of_two_managers_merge_by_type(admin: ApiClient, namespace: str) -> None:
    path = f"{objects_path('CloudController', namespace)}/sample"
    cloud = admin.create(objects_path("CloudController", namespace), build("CloudController"))
    cloud.must()
    for manager, kind in (("one", "Ready"), ("two", "Available")):
        body = {**build("CloudController"), "status": {"conditions": [condition(kind)]}}
        del body["spec"]
        answer = admin.apply(f"{path}/status", body, manager).must()

    assert [c["type"] for c in answer["status"]["conditions"]] == ["Ready", "Available"]


def test_a_status_of_the_wrong_shape_is_refused(admin: ApiClient, namespace: str) -> None:
    path = f"{objects_path('CloudController', namespace)}/sample"
    admin.create(objects_path("CloudController", namespace), build("CloudController")).must()

    bad = admin.merge(f"{path}/status", {"status": {"conditions": [condition("Ready", "Maybe")]}})
    unknown = admin.merge(f"{path}/status", {"status": {"phase": "x"}}, fieldValidation="Strict")

    assert (bad.status, unknown.status) == (422, 422)
    assert "status.conditions[0].status" in bad.message
    assert 'unknown field "status.phase"' in unknown.message


def test_the_operator_writes_status_and_nothing_of_the_spec(
    admin: ApiClient, operator: ApiClient
) -> None:
    collection = objects_path("Backup", WATCHED_NAMESPACE)
    operator.create(collection, build("Backup", name="made-by-operator")).must()
    path = f"{collection}/made-by-operator"

    operator.merge(f"{path}/status", {"status": {"verified": True}}).must()

    assert admin.get(path).must()["status"] == {"verified": True}
    operator.delete(path).must()
