from collections.abc import Iterable
from contextvars import copy_context
from datetime import UTC, datetime
from random import Random
from typing import Any

from stackroles.constants import LABEL_COMPONENT, LABEL_NAME
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import Key, ObjectRef, PartRef
from stackroles.main import parts
from stackroles.runtime.queue import WorkQueue
from stackroles.runtime.router import CURRENT_KEY, EventRouter, Owners, Watcher, belongs_to_parent
from stackroles.runtime.wakeups import WATCHERS, owners_of_child, parts_of_controller
from tests.support.objects import child_labels, config_map, custom, stored

RECONCILERS = parts()[0]
DEMO = ObjectRef("CloudController", "ns", "demo")


def router(
    owners: Owners = belongs_to_parent, /, **watchers: tuple[Watcher, ...]
) -> tuple[EventRouter, WorkQueue]:
    queue = WorkQueue(lambda: 0.0, Random(1))
    cluster = Cluster(
        None,  # type: ignore[arg-type]
        Cache(),
        lambda: 1.0,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    made = EventRouter(cluster, queue, watchers, RECONCILERS, owners)
    made.begin()
    return made, queue


def write(
    made: EventRouter, key: Key, obj: dict[str, Any], sent: dict[str, Any] | None = None
) -> None:
    """Keep an answer as Writer does, in the pass of a key; all of it was sent by default."""
    context = copy_context()
    context.run(CURRENT_KEY.set, key)
    context.run(made._cache.upsert, obj, obj if sent is None else sent)


def drain(queue: WorkQueue) -> list[Key]:
    """Return the keys that wait, but for parts."""
    return [key for key in drain_all(queue) if isinstance(key, ObjectRef)]


def drain_all(queue: WorkQueue) -> list[Key]:
    keys = []
    while (key := queue.take()) is not None:
        queue.done(key)
        keys.append(key)
    return keys


def test_custom_resource_and_child_enqueue_the_resource() -> None:
    made, queue = router()
    made.changed(stored(custom(), 1))
    assert drain(queue) == [DEMO]

    made.changed(stored(config_map("c"), 2, uid="2", labels=child_labels()))

    assert drain(queue) == [DEMO]


def test_event_that_is_no_news_enqueues_nothing() -> None:
    made, queue = router()
    made.changed(stored(custom(), 1))
    drain(queue)

    made.changed(stored(custom(), 1))

    assert drain(queue) == []


def test_deletion_of_a_child_enqueues_its_parent_though_the_event_has_no_labels() -> None:
    made, queue = router()
    made.changed(stored(config_map("c"), 2, uid="2", labels=child_labels()))
    drain(queue)

    made.deleted(stored(config_map("c"), 3, uid="2"))

    assert drain(queue) == [DEMO]


def test_child_that_changed_its_parent_enqueues_both() -> None:
    made, queue = router()
    made.changed(stored(config_map("c"), 2, uid="2", labels=child_labels("one")))
    drain(queue)

    made.changed(stored(config_map("c"), 3, uid="2", labels=child_labels("two")))

    assert {key.name for key in drain(queue)} == {"one", "two"}


def test_watcher_maps_a_change_to_further_keys() -> None:
    def pools(obj: dict[str, Any], cache: Cache) -> Iterable[ObjectRef]:
        return [
            ObjectRef("ComputePool", "ns", p["metadata"]["name"]) for p in cache.list("ComputePool")
        ]

    made, queue = router(CloudController=(Watcher(pools),))
    made.changed(stored(custom("pool", kind="ComputePool"), 1, uid="p"))
    drain(queue)

    made.changed(stored(custom(), 2))

    assert set(drain(queue)) == {DEMO, ObjectRef("ComputePool", "ns", "pool")}


def test_list_reports_what_the_watch_missed() -> None:
    made, queue = router()
    made.changed(stored(config_map("c"), 2, uid="2", labels=child_labels()))
    drain(queue)

    assert made.listed("ConfigMap", "ns", [], 5) == 1
    assert drain(queue) == [DEMO]


def test_label_of_a_foreign_kind_names_no_parent() -> None:
    made, queue = router()
    made.changed(stored(config_map("c"), 2, uid="2", labels=child_labels(kind="Elsewhere")))

    assert drain(queue) == []


def test_write_of_a_pass_wakes_all_but_its_own_key() -> None:
    made, queue = router(**WATCHERS)
    made.changed(stored(custom("daily", kind="BackupPolicy"), 1, uid="p"))
    drain(queue)
    backup = custom("run", kind="Backup", policy="daily")

    write(made, ObjectRef("BackupPolicy", "ns", "daily"), stored(backup, 2, uid="b"))

    assert drain(queue) == [ObjectRef("Backup", "ns", "run")]
    made.changed(stored(backup, 2, uid="b"))
    assert drain(queue) == [], "the watch's event of the same version is no news"


def test_verified_backup_wakes_its_policy() -> None:
    made, queue = router(**WATCHERS)
    backup = custom("run", kind="Backup", policy="daily")
    made.changed(stored(backup, 1, uid="b"))
    drain(queue)

    verified = stored({**backup, "status": {"verified": True}}, 2, uid="b")
    write(made, ObjectRef("Backup", "ns", "run"), verified)

    assert drain(queue) == [ObjectRef("BackupPolicy", "ns", "daily")]


def test_status_of_a_controller_wakes_its_pools() -> None:
    made, queue = router(**WATCHERS)
    made.changed(stored(custom("pool", kind="ComputePool", controller="demo"), 1, uid="p"))
    made.changed(stored(custom(), 2))
    drain(queue)

    write(made, DEMO, stored({**custom(), "status": {"writer": "demo-mariadb-1"}}, 3))

    assert drain(queue) == [ObjectRef("ComputePool", "ns", "pool")]


def test_a_status_in_which_nothing_changed_for_others_wakes_nobody() -> None:
    made, queue = router(**WATCHERS)
    made.changed(stored(custom("pool", kind="ComputePool", controller="demo"), 1, uid="p"))
    made.changed(stored(custom("daily", kind="BackupPolicy", controller="demo"), 2, uid="b"))
    made.changed(stored(custom("run", kind="Backup", policy="daily"), 3, uid="r"))
    made.changed(stored(custom(), 4))
    drain_all(queue)
    roles = [{"name": "nova-api", "ready": 2, "message": "one more starts"}]

    write(made, DEMO, stored({**custom(), "status": {"roles": roles}}, 5))
    assert set(drain(queue)) == {
        ObjectRef("ComputePool", "ns", "pool"),
        ObjectRef("BackupPolicy", "ns", "daily"),
        ObjectRef("Backup", "ns", "run"),
    }

    roles = [{"name": "nova-api", "ready": 1, "message": None}]
    write(made, DEMO, stored({**custom(), "status": {"roles": roles, "conditions": []}}, 6))
    assert drain_all(queue) == []


def test_a_controller_wakes_no_backup_that_has_ended() -> None:
    made, queue = router(**WATCHERS)
    complete = {"type": "Complete", "status": "True", "reason": "BackupVerified"}
    made.changed(stored(custom("daily", kind="BackupPolicy", controller="demo"), 1, uid="b"))
    ended = custom("run", kind="Backup", policy="daily")
    made.changed(stored({**ended, "status": {"conditions": [complete]}}, 2, uid="r"))
    made.changed(stored(custom(), 3))
    drain(queue)

    made.changed(stored(custom(region="two"), 4))

    assert set(drain(queue)) == {DEMO, ObjectRef("BackupPolicy", "ns", "daily")}


def backup(number: int, made: EventRouter, **status: Any) -> dict[str, Any]:
    """Store a Backup of policy daily, by its number in age; return it."""
    run = custom(f"run-{number}", kind="Backup", policy="daily")
    seen = stored({**run, "status": status}, 100 + number, uid=f"r{number}")
    seen["metadata"]["creationTimestamp"] = f"2026-01-{number:02}T00:00:00Z"
    made.changed(seen)
    return seen


def later(obj: dict[str, Any], version: int, **status: Any) -> dict[str, Any]:
    metadata = {**obj["metadata"], "resourceVersion": str(version)}
    return {**obj, "metadata": metadata, "status": status}


VERIFIED = {
    "verified": True,
    "conditions": [{"type": "Complete", "status": "True", "reason": "BackupVerified"}],
}


def test_a_policy_wakes_the_backups_at_work_and_only_by_its_spec() -> None:
    made, queue = router(**WATCHERS)
    policy = custom("daily", kind="BackupPolicy", controller="demo")
    made.changed(stored(policy, 1, uid="p"))
    for number in range(1, 6):
        backup(number, made, **VERIFIED)
    backup(6, made, startedAt="2026-01-06T00:00:00Z")
    leaving = backup(7, made, **VERIFIED)
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-08T00:00:00Z", "resourceVersion": "108"}
    made.changed(leaving)
    drain(queue)
    key = ObjectRef("BackupPolicy", "ns", "daily")

    policy = {**policy, "status": {"lastBackup": "run-6"}}
    write(made, key, stored(policy, 200, uid="p"))
    assert drain(queue) == []

    policy = {**policy, "spec": {**policy["spec"], "suspend": True}}
    write(made, key, stored(policy, 201, uid="p"))
    assert [found.name for found in drain(queue)] == ["run-6", "run-7"]


def test_the_end_of_a_run_wakes_who_waits_and_whom_retention_ends() -> None:
    made, queue = router(**WATCHERS)
    for number in range(1, 10):
        backup(number, made, **VERIFIED)
    running = backup(10, made, startedAt="2026-01-10T00:00:00Z")
    backup(11, made)
    drain(queue)
    key = ObjectRef("Backup", "ns", "run-10")

    begun = {"startedAt": "2026-01-10T00:00:00Z", "progress": {"part": "images"}}
    write(made, key, later(running, 200, **begun))
    assert drain(queue) == [], "how far it is concerns nobody"

    write(made, key, later(running, 201, **begun, **VERIFIED, expiredBackups=["run-1"]))
    names = {name.name for name in drain(queue)}
    assert names == {"daily", "run-1", "run-7", "run-11"}, "a set, a log, and whose turn it is"


def test_a_status_of_a_pool_wakes_no_other_pool_and_no_cloud() -> None:
    made, queue = router(**WATCHERS)
    one = custom("one", kind="ComputePool", controller="demo")
    made.changed(stored(custom(), 1))
    made.changed(stored(one, 2, uid="1"))
    made.changed(stored(custom("two", kind="ComputePool"), 3, uid="2", namespace="elsewhere"))
    drain(queue)
    key = ObjectRef("ComputePool", "ns", "one")

    write(made, key, stored({**one, "status": {"ready": 1}}, 4, uid="1"))
    assert drain(queue) == []

    selector = {**one["spec"], "nodeSelector": {"other": "label"}}
    made.changed(stored({**one, "spec": selector}, 5, uid="1"))
    assert ObjectRef("ComputePool", "elsewhere", "two") in drain(queue)


def labels_of(role: str) -> dict[str, str]:
    return {**child_labels(), LABEL_NAME: role, LABEL_COMPONENT: role}


def test_a_member_of_the_database_wakes_its_service_and_the_database_alone() -> None:
    made, queue = router(owners_of_child, **WATCHERS)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "demo-mariadb-0"}}
    made.changed(stored(pod, 1, uid="1", labels=labels_of("mariadb")))
    assert set(drain_all(queue)) == {PartRef(*DEMO, "services/mariadb"), PartRef(*DEMO, "database")}

    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "demo-keystone-0"}}
    made.changed(stored(pod, 2, uid="2", labels=labels_of("keystone")))
    assert drain_all(queue) == [PartRef(*DEMO, "services/keystone")]


def test_a_change_of_others_within_an_answer_wakes_the_pass_that_wrote() -> None:
    made, queue = router(owners_of_child, **WATCHERS)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "demo-mariadb-0"}}
    labels = labels_of("mariadb")
    made.changed(stored(pod, 1, uid="1", labels=labels))
    drain_all(queue)
    database, sent = PartRef(*DEMO, "database"), {"metadata": {"annotations": {"a": "b"}}}
    service = PartRef(*DEMO, "services/mariadb")

    noted = stored(pod, 2, uid="1", labels=labels, annotations={"a": "b"})
    write(made, database, noted, sent)
    assert drain_all(queue) == [service]

    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    noted = stored({**pod, "status": ready}, 3, uid="1", labels=labels, annotations={"a": "c"})
    write(made, database, noted, {"metadata": {"annotations": {"a": "c"}}})
    assert set(drain_all(queue)) == {service, database}


def test_everything_begins_with_the_parts_too() -> None:
    made, queue = router()
    made.changed(stored(custom(), 1))
    drain_all(queue)
    made.everything()
    assert set(drain_all(queue)) == {DEMO, *parts_of_controller(custom(), made._cache)}


def test_a_spec_or_a_finalizer_wakes_all_parts_and_a_status_none() -> None:
    made, queue = router(owners_of_child, **WATCHERS)
    made.changed(stored(custom(), 1))
    parts = set(parts_of_controller(custom(), made._cache))
    assert set(drain_all(queue)) == {DEMO, *parts}
    made.changed(stored(custom(), 2, finalizers=["stackroles.io/teardown"]))
    assert set(drain_all(queue)) == {DEMO, *parts}
    written = {**custom(), "status": {"writer": "demo-mariadb-0"}}
    made.changed(stored(written, 3, finalizers=["stackroles.io/teardown"]))
    assert drain_all(queue) == [DEMO]


def test_end_of_a_pool_wakes_rivals_in_all_namespaces() -> None:
    made, queue = router(**WATCHERS)
    made.changed(stored(custom("one", kind="ComputePool"), 1, uid="1"))
    other = stored(custom("two", kind="ComputePool"), 2, uid="2", namespace="elsewhere")
    made.changed(other)
    drain(queue)

    made.deleted(stored(custom("one", kind="ComputePool"), 3, uid="1"))

    assert ObjectRef("ComputePool", "elsewhere", "two") in drain(queue)


def test_nothing_is_enqueued_before_somebody_takes_keys() -> None:
    made, queue = router()
    idle = EventRouter(made._cluster, queue, {}, RECONCILERS)
    drain(queue)

    idle.changed(stored(custom(), 1))
    idle.everything()

    assert drain(queue) == []
    idle.begin()
    assert drain(queue) == [DEMO]


def test_a_kind_that_nothing_reconciles_is_never_enqueued() -> None:
    made, queue = router()

    made.changed(stored(custom("worker", kind="ComputeNode"), 1, uid="n"))
    child = stored(config_map("c"), 2, uid="2", labels=child_labels("worker", kind="ComputeNode"))
    made.changed(child)
    made.everything()

    assert drain(queue) == []
