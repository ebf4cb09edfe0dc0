"""Each shipped alert fires when it should and not otherwise, by promtool; each has its page."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.roles.registry import CONTROLLER_ROLES
from tests.support.alerts import rules
from tests.support.binaries import ROOT, binary
from tests.unit.codegen.conftest import Render

PAGES = ROOT / "docs" / "alerts"
HEADINGS = ("## What it means", "## What it costs", "## What to look at", "## What to do")
OPERATOR = 'namespace="stackroles-system",service="stackroles"'
CLOUD = 'namespace="openstack",name="demo"'
REQUESTS = f'rest_client_requests_total{{{OPERATOR},method="GET",code='


@dataclass(frozen=True, slots=True)
class Case:
    """Series with which an alert fires after its time, and with which it does not.

    Attributes:
        fires: samples a minute, in promtool's notation, by series.
        quiet: the same for what is close to it and no reason to alert.
        minutes: how long it must have been so.
    """

    fires: dict[str, str]
    quiet: dict[str, str]
    minutes: int


def condition(kind: ConditionType, bad: int, minutes: int, of: str = "CloudController") -> Case:
    """Return the case of a condition whose bad status has a value."""
    series = f'stackroles_condition{{{CLOUD},kind="{of}",condition="{kind}"}}'
    return Case({series: f"{bad}x200"}, {series: f"{1 - bad}x200"}, minutes)


def reason(found: Reason) -> Case:
    """Return the case of a reason for which nothing goes on."""
    series = f'stackroles_condition_reason{{{CLOUD},kind="CloudController",condition="{found.type}"'
    return Case(
        {f'{series},reason="{found.value}"}}': "1x200"},
        {f'{series},reason="{Reason.ROLLING_OUT.value}"}}': "1x200"},
        2,
    )


def role(name: str, *, ready: int, active: bool) -> dict[str, str]:
    """Return the series of a role whose two members take turns."""
    labels = f'{CLOUD},role="{name}"'
    members = f'stackroles_role_members{{{labels},model="ActivePassive",state='
    found = {f'{members}"desired"}}': "2x200", f'{members}"ready"}}': f"{ready}x200"}
    return {**found, f"stackroles_role_active{{{labels}}}": "1x200"} if active else found


def gauge(name: str, labels: str, bad: float, good: float, minutes: int) -> Case:
    """Return the case of a value."""
    series = f"{name}{{{labels}}}"
    return Case({series: f"{bad:g}x200"}, {series: f"{good:g}x200"}, minutes)


_STALE = 'service="stackroles",namespace="openstack"'
_FAILED = f'controller_runtime_reconcile_total{{{OPERATOR},controller="backup",result='
_NODE = "ComputeNode"
CASES = {
    "StackrolesNobodyLeads": gauge("leader_election_master_status", OPERATOR, 0, 1, 2),
    "StackrolesWatchStale": gauge(
        "stackroles_watch_age_seconds", f'{_STALE},kind="Pod"', 400, 200, 5
    ),
    "StackrolesNamespaceLost": gauge("stackroles_namespace_served", _STALE, 0, 1, 10),
    "StackrolesPassHangs": gauge(
        "workqueue_longest_running_processor_seconds", OPERATOR, 400, 300, 5
    ),
    "StackrolesQueueWaits": gauge("workqueue_longest_wait_seconds", OPERATOR, 400, 200, 10),
    "StackrolesReconcileFails": Case(
        {f'{_FAILED}"error"}}': "0+1x200"}, {f'{_FAILED}"success"}}': "0+1x200"}, 15
    ),
    "StackrolesApiFails": Case(
        {f'{REQUESTS}"200"}}': "0+80x200", f'{REQUESTS}"503"}}': "0+20x200"},
        {f'{REQUESTS}"200"}}': "0+95x200", f'{REQUESTS}"503"}}': "0+5x200"},
        10,
    ),
    "StackrolesResourceNotReady": condition(ConditionType.READY, 0, 15),
    "StackrolesBackupNotReady": condition(ConditionType.READY, 0, 60, "BackupPolicy"),
    "StackrolesVerificationFailed": condition(ConditionType.VERIFIED, 0, 10, "BackupPolicy"),
    "StackrolesCopyFailed": condition(ConditionType.COPIED, 0, 60, "BackupPolicy"),
    # The clock of promtool begins at 0: a point of its first minute, and one that goes with it.
    "StackrolesPointInTimeStale": Case(
        {f"stackroles_recoverable_until_timestamp_seconds{{{CLOUD}}}": "0x200"},
        {f"stackroles_recoverable_until_timestamp_seconds{{{CLOUD}}}": "0+60x200"},
        6,
    ),
    "StackrolesNeedsAttention": condition(ConditionType.STALLED, 1, 10),
    "StackrolesQuorumAtRisk": condition(ConditionType.QUORUM_AT_RISK, 1, 5),
    "StackrolesDatabaseBlocked": reason(Reason.DATABASE_BLOCKED),
    "StackrolesMessagingBlocked": reason(Reason.MESSAGING_BLOCKED),
    "StackrolesOvnBlocked": reason(Reason.OVN_BLOCKED),
    "StackrolesDatabaseDegraded": condition(ConditionType.DATABASE_DEGRADED, 1, 10),
    "StackrolesHousekeepingFailing": condition(ConditionType.HOUSEKEEPING_FAILING, 1, 10),
    "StackrolesMessagingDegraded": condition(ConditionType.MESSAGING_DEGRADED, 1, 10),
    "StackrolesNoActiveMember": Case(
        role("placement", ready=2, active=False),
        {**role("placement", ready=1, active=True), **role("ovn-northd", ready=2, active=False)},
        2,
    ),
    "StackrolesStandbyMissing": Case(
        role("placement", ready=1, active=True), role("placement", ready=2, active=False), 10
    ),
    "StackrolesRecoverySlow": condition(ConditionType.RECONCILING, 1, 30),
    "StackrolesNetworkStale": condition(ConditionType.NETWORK_FOLLOWS, 0, 5, _NODE),
    "StackrolesGuestsFailing": condition(ConditionType.GUESTS_FAILING, 1, 5, _NODE),
}


@pytest.fixture
def groups(render: Render) -> dict[str, Any]:
    return rules(render('metrics={"prometheusRule":{"enabled":true}}'))


def alerts(groups: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups["groups"] for rule in group["rules"]}


def unit_tests(cases: dict[str, Case]) -> Iterator[dict[str, Any]]:
    """Yield promtool's tests: firing after the time, not shortly before, and never when quiet."""
    for alert, case in cases.items():
        for series, firing in ((case.fires, (False, True)), (case.quiet, (False, False))):
            ask = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
            moments = (case.minutes - 1, case.minutes + 12)
            yield {
                "interval": "1m",
                "name": alert,
                "input_series": [{"series": s, "values": values} for s, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": ask,
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
                    }
                    for minute, fires in zip(moments, firing, strict=True)
                ],
            }


def test_every_alert_fires_when_it_should_and_not_otherwise(
    groups: dict[str, Any], tmp_path: Path
) -> None:
    assert alerts(groups).keys() == CASES.keys()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups))
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": list(unit_tests(CASES)),
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    for arguments in (("check", "rules", "rules.yaml"), ("test", "rules", "tests.yaml")):
        done = subprocess.run(
            [str(binary("promtool")), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_page_and_every_page_an_alert(groups: dict[str, Any]) -> None:
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == alerts(groups).keys()
    for name, rule in alerts(groups).items():
        text = (PAGES / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        assert tuple(re.findall(r"^## .+$", text, re.MULTILINE)) == HEADINGS, name
        assert f"`{rule['labels']['severity']}`, after {rule['for']}" in text, name


def test_the_runbook_is_a_page_below_a_base_that_the_user_sets(render: Render) -> None:
    base = "https://runbooks.example/stackroles/"
    set_to = f'metrics={{"prometheusRule":{{"enabled":true,"runbookBaseUrl":"{base}"}}}}'

    for name, rule in alerts(rules(render(set_to))).items():
        assert rule["annotations"]["runbook_url"] == f"{base}{name}.md"


def test_the_runbook_is_a_path_of_the_sources_otherwise(groups: dict[str, Any]) -> None:
    for rule in alerts(groups).values():
        assert (ROOT / rule["annotations"]["runbook_url"]).is_file()


def test_roles_without_a_lease_of_ours_are_left_out_of_those_that_need_an_active_member(
    groups: dict[str, Any],
) -> None:
    own = {
        role.name
        for role in CONTROLLER_ROLES
        if role.clustering.models == (ClusteringModel.ACTIVE_PASSIVE,)
        and not role.clustering.standby
    }
    (named,) = re.findall(r'role!~"([^"]+)"', alerts(groups)["StackrolesNoActiveMember"]["expr"])

    assert own == set(named.split("|"))


def test_conditions_and_reasons_in_alerts_are_those_of_the_api(groups: dict[str, Any]) -> None:
    text = " ".join(rule["expr"] for rule in alerts(groups).values())

    assert set(re.findall(r'condition="(\w+)"', text)) <= {kind.value for kind in ConditionType}
    assert set(re.findall(r'reason="(\w+)"', text)) <= {reason.value for reason in Reason}
