"""The steps by which a service's deleted rows are counted, and removed by its own tool."""

from collections.abc import Mapping
from typing import Final

from stackroles.agents import wire
from stackroles.agents.housekeeping.protocol import (
    PLAN_PATH,
    DeletedRows,
    HousekeepingPlan,
    Removal,
)
from stackroles.api.v1alpha1.housekeeping import DAYS, HousekeepingMode
from stackroles.config.cloud import Cloud
from stackroles.roles.api_service import ApiService
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    Mount,
    Security,
    Variable,
)
from stackroles.roles.definition import Step

_PROGRAM: Final = "stackroles.agents.housekeeping.run"
# A purge begins no batch after so long; the next run goes on.
_SECONDS: Final = 3600
# For the batch under way, and the count after it.
_LAST_BATCH_SECONDS: Final = 1800
# nova's own default: so many rows in one transaction are no load to a Galera cluster.
_BATCH: Final = 1000


def housekeeping_steps(
    service: ApiService,
    *,
    rows: tuple[DeletedRows, ...],
    removals: tuple[Removal, ...],
    env: tuple[Variable, ...] = (),
    mounts: tuple[Mount, ...] = (),
) -> Mapping[HousekeepingMode, Step[Cloud]]:
    """Return the steps that count a service's deleted rows, and that remove them.

    Args:
        service: the service, whose first database has the URL.
        rows: what its tool takes for deleted.
        removals: the tool's commands that remove a batch.
        env: environment besides the URLs of the service's databases.
        mounts: mounts besides the service's files and the places to write.
    """
    url = service.database_env[0].name

    def files(cloud: Cloud) -> Mapping[str, str]:
        declared = cloud.spec.housekeeping
        plan = HousekeepingPlan(
            url=url,
            days=declared.older_than_days if declared else DAYS,
            seconds=_SECONDS,
            batch=_BATCH,
            rows=rows,
            removals=removals,
        )
        return {**service.setup_files(cloud), PLAN_PATH: wire.dumps(plan, indent=1)}

    def step(mode: HousekeepingMode) -> Step[Cloud]:
        name = mode.value.lower()
        task = service.task(
            name,
            *(*AGENT_COMMAND, _PROGRAM, mode.value),
            env=(AGENT_PATH, *env),
            mounts=(AgentMount(), *mounts),
        )
        return Step(
            name=name,
            image=service.name,
            security=Security(user=service.user),
            files=files,
            tasks=(task,),
            deadline=_SECONDS + _LAST_BATCH_SECONDS,
            retries=1,
        )

    return {mode: step(mode) for mode in HousekeepingMode}
