"""docs/reliability.md and its plots, from the results of cycles and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from lab.soak import plots
from lab.soak.plan import COUNTS, FAULTS, Group
from lab.soak.results import Result, Verdict

DOCUMENT = "reliability.md"
FOLDER = "reliability"
RAW = f"{FOLDER}/results.jsonl"
SERVING, FULL = "client served again", "full strength"
_HEAD = f"""\
# Reliability

Measured by `make soak`, the fault campaign, on a running cloud; written from [{RAW}]({RAW}).
[The fault campaign](development-cluster.md#the-fault-campaign) is run on the lab's cluster.
"""
_TIMES = f"""
## Recovery

Seconds since the fault began, over the cycles that passed.
"{SERVING}" is the first acknowledgement of an attempt begun after the client's last failed one.
"{FULL}" is when every member of every role was back and the operator had nothing under way.
A fault that is held for a time, such as a frozen process or a stopped node, counts with that time.
"""
_LOSSES = """
## Acknowledged and lost

Clients run through all cycles, so each count is of all faults, whatever role they were aimed at.
A call has no entry to lose: its failures are those of the API whose members take turns.

| client | acknowledged | failed attempts | acknowledged and lost |
|---|---|---|---|
"""


def render(results: Sequence[Result]) -> dict[str, str]:
    """Return the files of the report, relative to docs: name -> text."""
    judged = [result for result in results if result.verdict is not Verdict.INTERRUPTED]
    if not judged:
        return {DOCUMENT: f"{_HEAD}\nNo cycle is on record.\n"}
    parts = [_HEAD, _counts(results), _TIMES, _table(judged)]
    files: dict[str, str] = {}
    for group in Group:
        passed = [item for item in judged if item.group == group and item.verdict == Verdict.PASSED]
        if passed:
            file = f"{FOLDER}/{_file(group)}.svg"
            files[file] = _plot(group, passed)
            parts.append(f"\n![{group}: seconds of recovery]({file})\n")
    parts += [_LOSSES, _lost(judged), _defects(judged), _origin(results)]
    return {DOCUMENT: "".join(parts), **files}


def _file(group: str) -> str:
    return group.replace(", ", "-").replace("/", "-").replace(" ", "-")


def _counts(results: Sequence[Result]) -> str:
    rows = [
        "\n## Cycles\n",
        "| role | planned | passed | lost | stuck | interrupted and repeated |",
    ]
    rows.append("|---|---|---|---|---|---|")
    for group in Group:
        verdicts = [result.verdict for result in results if result.group == group]
        each = " | ".join(str(verdicts.count(verdict)) for verdict in Verdict)
        rows.append(f"| {group} | {COUNTS[group]} | {each} |")
    return "\n".join(rows) + "\n"


def _table(judged: Iterable[Result]) -> str:
    passed = [result for result in judged if result.verdict is Verdict.PASSED]
    rows = [
        "",
        f"| role | fault | cycles | {SERVING}: median, 90 %, most | {FULL}: median, 90 %, most |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        found = [item for item in passed if (item.group, item.fault) == (fault.group, fault.name)]
        if found:
            serving, full = _known(found, "serving"), _known(found, "full_strength")
            rows.append(
                f"| {fault.group} | {fault.name} | {len(found)} "
                f"| {quantiles(serving)} | {quantiles(full)} |"
            )
    return "\n".join(rows) + "\n"


def quantiles(values: Sequence[float]) -> str:
    """Return median, 90th percentile (nearest rank) and maximum as text."""
    if not values:
        return "none"
    ordered = sorted(values)
    ninth = ordered[math.ceil(0.9 * len(ordered)) - 1]
    return f"{median(ordered):.1f}, {ninth:.1f}, {ordered[-1]:.1f}"


def _known(found: Iterable[Result], name: str) -> list[float]:
    return [value for item in found if (value := getattr(item, name)) is not None]


def _plot(group: Group, passed: Sequence[Result]) -> str:
    names = [fault.name for fault in FAULTS if fault.group is group]

    def rows(field: str) -> Mapping[str, list[float]]:
        return {
            name: found
            for name in names
            if (found := _known([item for item in passed if item.fault == name], field))
        }

    measured = {SERVING: rows("serving"), FULL: rows("full_strength")}
    return plots.strips(f"{group}: seconds of recovery", measured)


def _lost(judged: Sequence[Result]) -> str:
    names = list(dict.fromkeys(name for result in judged for name in result.workloads))
    rows = []
    for name in names:
        counts = [result.workloads[name] for result in judged if name in result.workloads]
        acknowledged, failed = (
            sum(count.acknowledged for count in counts), sum(count.failed for count in counts),
        )  # fmt: skip
        # A loss stays one: each cycle counts what is gone of all that was ever acknowledged.
        lost = max(count.lost for count in counts)
        rows.append(f"| {name} | {acknowledged:,} | {failed:,} | {lost:,} |")
    return "\n".join(rows) + "\n"


def _defects(judged: Iterable[Result]) -> str:
    rows = [
        f"| {item.seed} | {item.cycle} | {item.group} | {item.fault} | {item.verdict} "
        f"| {item.commit} | {_cell(item.detail)} |"
        for item in judged
        if item.verdict is not Verdict.PASSED
    ]
    if not rows:
        return "\nNo cycle lost anything, and none was stuck.\n"
    head = "| seed | cycle | role | fault | verdict | commit | what was seen |"
    return "\n".join(["\n## Defects\n", head, f"|{'---|' * 7}", *rows]) + "\n"


def _cell(text: str, most: int = 200) -> str:
    return text.replace("|", "/").replace("\n", " ")[:most]


def _origin(results: Sequence[Result]) -> str:
    rows = [
        "\n## Origin\n",
        "| seed | commit | cycles | from | to | machine |",
        "|---|---|---|---|---|---|",
    ]
    runs: dict[tuple[int, str, str], list[Result]] = {}
    for item in results:
        machine = ", ".join(f"{name} {value}" for name, value in item.machine.items())
        runs.setdefault((item.seed, item.commit, machine), []).append(item)
    for (seed, commit, machine), found in runs.items():
        first, last = found[0].start[:16], found[-1].start[:16]
        rows.append(f"| {seed} | {commit} | {len(found)} | {first} | {last} | {machine} |")
    return "\n".join(rows) + "\n"
