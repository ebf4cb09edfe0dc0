"""The operator's rights: what the table may say at all."""

import pytest
import yaml

from stackroles.codegen.rbac import LEASE_NAME, RULES, Rule, Scope, render_scope, rules_of
from stackroles.kube.kinds import KINDS, WATCHED_KINDS, Kind
from stackroles.roles import registry
from stackroles.roles.clustering import PASSIVE
from stackroles.roles.definition import RoleDefinition
from stackroles.settings import Settings
from stackroles.workloads.manifests.gate import behind_gate
from tests.support.clouds import cloud

# Events of a controller whose pods do not come, looked for then only; and what pods read that get
# the right from the operator.
ASKED = {("events.k8s.io", "events"), ("discovery.k8s.io", "endpointslices")}
CLUSTER_SCOPED = {"nodes", "storageclasses"}
WRITES = {"create", "update", "patch", "delete"}


def verbs_of(kind: Kind) -> set[str]:
    return {
        verb
        for rule in RULES
        if rule.group == kind.group and kind.plural in rule.resources
        for verb in rule.verbs
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.scope}-{rule.resources[0]}")
def test_each_rule_names_what_it_allows_and_why(rule: Rule) -> None:
    assert "*" not in {rule.group, *rule.resources, *rule.verbs}
    assert not {"impersonate", "escalate", "bind", "deletecollection"} & set(rule.verbs)
    assert len(rule.why) > 10


def test_rights_without_a_namespace_are_a_short_list() -> None:
    found = {
        resource
        for rule in RULES
        if rule.scope in (Scope.NODES, Scope.CLUSTER)
        for resource in rule.resources
    }

    assert found == CLUSTER_SCOPED


def test_secrets_stand_alone() -> None:
    scopes = {rule.scope for rule in RULES if "secrets" in rule.resources}

    assert scopes == {Scope.SECRETS}
    assert all(rule.resources == ("secrets",) for rule in RULES if rule.scope is Scope.SECRETS)


def test_nodes_are_patched_and_never_made_or_deleted() -> None:
    assert verbs_of(KINDS["Node"]) & WRITES == {"patch"}


def test_nothing_gives_the_right_to_run_commands_in_pods() -> None:
    resources = {resource for rule in RULES for resource in rule.resources}

    assert not resources & {
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/ephemeralcontainers",
    }


def test_no_right_to_give_others_more_than_its_own() -> None:
    """The API server lets an account grant what it has itself, and more only by these verbs."""
    verbs = {verb for rule in RULES for verb in rule.verbs}

    assert not verbs & {"escalate", "bind", "impersonate", "*"}


def test_rights_are_given_in_watched_namespaces_alone() -> None:
    giving = {rule.scope for rule in RULES if rule.group == "rbac.authorization.k8s.io"}

    assert giving == {Scope.WORKLOADS}


@pytest.mark.parametrize("role", registry.CONTROLLER_ROLES, ids=lambda role: role.name)
def test_the_operator_has_every_right_that_pods_get_from_it(role: RoleDefinition) -> None:
    passive = {"roles": {role.name: {"clustering": {"model": "ActivePassive"}}}}
    declared = cloud(**passive) if PASSIVE in role.clustering.models else cloud()

    for right in behind_gate(declared, role).rights:
        for resource in right.resources:
            own = {
                verb
                for rule in RULES
                if (rule.scope, rule.group) == (Scope.WORKLOADS, right.group)
                and resource in rule.resources
                for verb in rule.verbs
            }
            assert set(right.verbs) <= own


@pytest.mark.parametrize("kind", WATCHED_KINDS, ids=lambda kind: kind.name)
def test_every_watched_kind_may_be_read(kind: Kind) -> None:
    assert {"get", "list", "watch"} <= verbs_of(kind)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.scope}-{rule.resources[0]}")
def test_only_what_is_watched_may_be_listed(rule: Rule) -> None:
    watched = {(kind.group, kind.plural) for kind in WATCHED_KINDS}
    listed = {(rule.group, r) for r in rule.resources if {"list", "watch"} & set(rule.verbs)}

    assert listed <= watched | ASKED


def test_nothing_may_be_touched_that_the_operator_does_not_know() -> None:
    known = {(kind.group, kind.plural) for kind in KINDS.values()}
    allowed = {(rule.group, r.partition("/")[0]) for rule in RULES for r in rule.resources}

    assert allowed <= known


def test_the_lease_has_the_name_the_operator_uses() -> None:
    assert Settings().lease == LEASE_NAME


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_is_rendered_with_its_reasons(scope: Scope) -> None:
    text = render_scope(scope)

    assert yaml.safe_load(text) == rules_of(scope)
    assert all(f"# {rule.why}\n" in text for rule in RULES if rule.scope == scope)
