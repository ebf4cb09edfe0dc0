"""Runs cycles one after the other: clients, fault, recovery, accounts, a line for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lab.errors import LabError
from lab.soak import accounting, faults, health, results, state, workloads
from lab.soak.accounting import Attempt, Times
from lab.soak.plan import Cycle
from lab.soak.results import Result, Verdict
from lab.soak.testbed import Testbed
from lab.soak.workloads import PRIMARY, Workload

BEFORE_SECONDS = 600
CATCH_UP_SECONDS = 60
SHOWN = 10
"""How many identities of lost rows or messages a result names."""

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a run of a campaign needs to know.

    Attributes:
        seed: the plan's.
        file: where results are added.
        state: where the cycle under way is noted.
        commit: of the checkout.
        machine: facts of the machine.
        notify: is given a line for each step.
    """

    seed: int
    file: Path
    state: Path
    commit: str
    machine: Mapping[str, str | int]
    notify: Notify


@dataclass(slots=True)
class Course:
    """How a cycle went, in seconds of the machine's clock.

    Attributes:
        started: when its fault began.
        complete: when all of the fault was done.
        whole: when full strength was there.
        stuck: what was lacking when the time for it was over, or what could not be done.
    """

    started: float
    complete: float = 0.0
    whole: float | None = None
    stuck: str = ""


@dataclass(slots=True)
class Bounds:
    """How far a run goes.

    Attributes:
        cycles: at most so many; None for all.
        until: no cycle begins after this moment of the monotonic clock; None for no end.
    """

    cycles: int | None = None
    until: float | None = None
    _begun: int = field(default=0)

    def begin(self) -> bool:
        """Return whether another cycle may begin, and count it."""
        self._begun += 1
        enough = self.cycles is not None and self._begun > self.cycles
        return not enough and (self.until is None or time.monotonic() < self.until)


def run(bed: Testbed, campaign: Campaign, cycles: Sequence[Cycle], bounds: Bounds) -> list[Result]:
    """Run cycles and return their results; each is on disk before the next one begins.

    Raises:
        LabError: the cloud was not at full strength before a cycle, or a cycle lost something or
            is stuck: the state is left as it is.
    """
    interrupted(bed, campaign)
    done: list[Result] = []
    if not cycles:
        return done
    health.operator(bed)
    bed.cloud.wait_ready(BEFORE_SECONDS)
    with workloads.running(bed) as clients:
        for cycle in cycles:
            if not bounds.begin():
                break
            health.wait(bed, BEFORE_SECONDS, {})
            result = _cycle(bed, campaign, cycle, clients)
            results.append(campaign.file, result)
            state.end(campaign.state)
            done.append(result)
            campaign.notify(line(result))
            _stop_at_defect(result, campaign.file)
    return done


def interrupted(bed: Testbed, campaign: Campaign) -> None:
    """Undo the fault of a cycle that was under way when a campaign was ended, and record it."""
    found = state.under_way(campaign.state)
    if found is None:
        return
    campaign.notify(f"cycle {found.cycle} ({found.group}: {found.fault}) was interrupted")
    faults.of(found.group, found.fault).undo(bed, found.victims)
    results.append(
        campaign.file,
        Result(
            seed=found.seed, cycle=found.cycle, group=found.group, fault=found.fault,
            victims=found.victims, start=found.start, verdict=Verdict.INTERRUPTED,
            commit=campaign.commit, machine=dict(campaign.machine),
        ),
    )  # fmt: skip
    state.end(campaign.state)


def line(result: Result) -> str:
    """Return a result in one line for people."""
    figures = (("serving", result.serving), ("full strength", result.full_strength))
    shown = ", ".join(f"{name} {value:.1f} s" for name, value in figures if value is not None)
    counts = ", ".join(
        f"{count.acknowledged} {name}, {count.lost} lost"
        for name, count in result.workloads.items()
    )
    return (
        f"cycle {result.cycle} {result.verdict}: {result.group}: {result.fault}: {shown}; {counts}"
    )


def _stop_at_defect(result: Result, file: Path) -> None:
    if result.verdict is Verdict.PASSED:
        return
    raise LabError(
        f"cycle {result.cycle} ({result.group}: {result.fault}) {result.verdict}: {result.detail}",
        remedy=f"look at the cluster, which is as the cycle left it; {file} has the figures; "
        "the next run goes on with the next cycle",
    )


def _cycle(
    bed: Testbed, campaign: Campaign, cycle: Cycle, clients: Mapping[str, Workload]
) -> Result:
    before = {name: len(client.record.attempts()) for name, client in clients.items()}
    victims, pods = bed.victims(cycle), health.identities(bed)
    campaign.notify(f"cycle {cycle.number}: {cycle.title}: {' '.join(victims)}")
    course = Course(started=time.time())
    start = datetime.fromtimestamp(course.started, UTC).isoformat(timespec="milliseconds")
    state.begin(
        campaign.state,
        state.UnderWay(
            seed=campaign.seed, cycle=cycle.number, group=cycle.fault.group,
            fault=cycle.fault.name, victims=victims, start=start,
        ),
    )  # fmt: skip
    try:
        _make(bed, cycle, victims, pods, course)
        _wait_served(bed, clients[PRIMARY[cycle.fault.group]], course)
    except LabError as error:
        course.stuck = f"{error.what}: {error.detail}"
    seen, counts, detail = _accounts(clients, before, PRIMARY[cycle.fault.group], course)
    lost = sum(count.lost for count in counts.values())
    verdict = Verdict.STUCK if course.stuck else Verdict.LOST if lost else Verdict.PASSED
    return Result(
        seed=campaign.seed, cycle=cycle.number, group=cycle.fault.group, fault=cycle.fault.name,
        victims=victims, start=start, verdict=verdict, first_loss=seen.first_loss,
        serving=seen.serving, longest_gap=seen.longest_gap,
        full_strength=None if course.whole is None else course.whole - course.started,
        workloads=counts, detail="; ".join(filter(None, (course.stuck, detail))),
        commit=campaign.commit, machine=dict(campaign.machine),
    )  # fmt: skip


def _make(
    bed: Testbed, cycle: Cycle, victims: Sequence[str], pods: Mapping[str, str], course: Course
) -> None:
    """Make the fault, hold it, undo it, and wait for full strength.

    Raises:
        LabError: the fault could not be made, or full strength was not there in time.
    """
    action, seconds = faults.action(cycle.fault), health.SECONDS[cycle.fault.group]
    try:
        action.begin(bed, victims)
        course.complete = time.time()
        time.sleep(action.hold)
    finally:
        action.undo(bed, victims)
    health.switched(bed, cycle, victims, seconds)
    replaced = {pod: pods[pod] for pod in victims if action.replaces and pod in pods}
    health.wait(bed, seconds, replaced)
    course.whole = time.time()


def _wait_served(bed: Testbed, client: Workload, course: Course) -> None:
    """Wait until the role's own client is served after its last failure.

    Raises:
        LabError: it was not in time.
    """

    def check() -> tuple[bool, str]:
        attempts = client.record.attempts()
        seen = accounting.times(attempts, course.started, course.complete)
        return seen.serving is not None, f"{len(attempts)} attempts"

    bed.kubectl.wait("an acknowledgement", check, seconds=CATCH_UP_SECONDS)


def _accounts(
    clients: Mapping[str, Workload], before: Mapping[str, int], primary: str, course: Course
) -> tuple[Times, dict[str, results.Workload], str]:
    """Return what the role's own client saw, the counts of all, and what is lost as text."""
    counts: dict[str, results.Workload] = {}
    texts: list[str] = []
    complete = course.complete or course.started
    for name, client in clients.items():
        attempts = list(client.record.attempts())
        cycle = attempts[before[name] :]
        missing: list[int] = []
        # Members that are away cannot show what they keep: a stuck cycle's losses are not known.
        if not course.stuck:
            missing = client.lost(attempts)
        good = sum(attempt.good for attempt in cycle)
        counts[name] = results.Workload(good, len(cycle) - good, len(missing))
        if missing:
            texts.append(f"{len(missing)} {name} lost, the first: {missing[:SHOWN]}")
    seen = accounting.times(_since(clients[primary], before[primary]), course.started, complete)
    return seen, counts, "; ".join(texts)


def _since(client: Workload, first: int) -> list[Attempt]:
    """Return the attempts of a cycle with the one before it."""
    return list(client.record.attempts())[max(0, first - 1) :]
