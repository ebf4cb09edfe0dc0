"""What services contribute to the housekeeping: plans that fit their databases and Secrets."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from stackroles.agents import wire
from stackroles.agents.housekeeping.counting import Age, statement
from stackroles.agents.housekeeping.protocol import PLAN_PATH, HousekeepingPlan
from stackroles.api.v1alpha1.housekeeping import HousekeepingMode
from stackroles.domains.credentials import generate as credentials
from stackroles.roles import registry
from stackroles.roles.container import SecretEnv
from stackroles.roles.definition import OpenStackService, Step
from tests.support.clouds import cloud

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
SERVICES = [service for service in registry.SERVICES if service.housekeeping]
STEPS = [
    (service, mode, step) for service in SERVICES for mode, step in service.housekeeping.items()
]


def plans() -> Iterator[tuple[OpenStackService, HousekeepingPlan]]:
    for service, _, step in STEPS:
        assert step.files is not None
        files = step.files(cloud(housekeeping={"schedule": "@daily", "olderThanDays": 30}))
        yield service, wire.loads(HousekeepingPlan, files[PLAN_PATH])


def test_services_that_mark_rows_as_deleted_have_a_housekeeping() -> None:
    assert sorted(service.name for service in SERVICES) == ["glance", "keystone", "nova"]


@pytest.mark.parametrize(
    ("service", "mode", "step"), STEPS, ids=lambda value: getattr(value, "name", str(value))
)
def test_a_step_runs_its_mode_and_finds_its_values(
    service: OpenStackService, mode: HousekeepingMode, step: Step
) -> None:
    (task,) = step.tasks
    assert task.command[-2:] == ("stackroles.agents.housekeeping.run", mode.value)
    assert step.security.user != 0
    secret = credentials.service_secret(
        cloud(), service, {}, lambda size: bytes(range(65, 65 + size))
    )
    wanted = [env for env in task.env if isinstance(env, SecretEnv)]
    assert {env.service for env in wanted} == {service.name}
    assert {env.key for env in wanted} <= set(secret)


def test_a_plan_is_of_the_declared_age_and_of_the_service_s_own_databases() -> None:
    for service, plan in plans():
        assert plan.days == 30
        assert {rows.database for rows in plan.rows} <= set(service.databases)
        (task,) = service.housekeeping[HousekeepingMode.REPORT].tasks
        assert plan.url in {env.name for env in task.env}


def test_every_name_in_a_plan_is_known() -> None:
    for _, plan in plans():
        age = Age(NOW, plan.days, plan.batch)
        for rows in plan.rows:
            assert "{" not in statement(rows, "t", age)
        for removal in plan.removals:
            values = age.words(removal.least_days)
            assert not [word for word in removal.words if "{" in word.format_map(values)]


def test_rows_of_images_are_counted_and_removed_at_the_same_age() -> None:
    plan = next(plan for service, plan in plans() if service.name == "glance")
    removal = next(r for r in plan.removals if "purge_images_table" in r.words)
    rows = next(r for r in plan.rows if "images" in r.tables)

    assert removal.least_days == rows.least_days == 180
    words = [word.format_map(Age(NOW, plan.days, 10).words(180)) for word in removal.words]
    assert words[words.index("--age_in_days") + 1] == "180"
