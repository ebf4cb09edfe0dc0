"""Whether the APIs of a cloud serve: what they answered, and what follows for its conditions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from stackroles.api.v1alpha1.common import Condition
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding

# One answer may be lost while a member is replaced; a second one half a minute later is a fault.
FAILURES_REPORTED = 2
_NAMED = 3
UNAUTHORIZED = 401
_NOTHING: Mapping[str, "ApiFailure"] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ApiFailure:
    """What an API answered instead of what it was asked for.

    Attributes:
        status: the HTTP status, 0 where there was no answer.
        text: what the first such answer in a row reads.
        count: how many there were in a row, at most FAILURES_REPORTED.
    """

    status: int
    text: str
    count: int

    @property
    def message(self) -> str:
        """The failure as part of a sentence."""
        detail = f": {self.text}" if self.text else ""
        return f"answers HTTP {self.status}{detail}" if self.status else f"does not answer{detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """What is known of a cloud's APIs.

    Attributes:
        asked: roles that answered or should have, in the last round.
        failures: of those that failed, by role.
        accepted: a password that keystone takes from the administrator where it refuses the one in
            use; stays in memory.
    """

    asked: frozenset[str] = frozenset()
    failures: Mapping[str, ApiFailure] = field(default_factory=dict)
    accepted: str = field(default="", repr=False)

    @property
    def reported(self) -> dict[str, ApiFailure]:
        """The failures that are no accident."""
        return {r: f for r, f in self.failures.items() if f.count >= FAILURES_REPORTED}


def next_state(before: ApiState | None, answers: Mapping[str, tuple[int, str]]) -> ApiState:
    """Return what is known after one more round of answers.

    The same failure keeps its first text, so that a state changes when something has changed.

    Args:
        before: what was known, None before the first round.
        answers: HTTP status and text by role, as of openstack.probe.ask_apis.
    """
    known = before.failures if before else _NOTHING
    failures = {}
    for role, (status, text) in answers.items():
        if 200 <= status < 300:
            continue
        former = known.get(role)
        same = former is not None and former.status == status
        failures[role] = ApiFailure(
            status=status,
            text=former.text if former is not None and same else text,
            count=min((former.count if former else 0) + 1, FAILURES_REPORTED),
        )
    return ApiState(asked=frozenset(answers), failures=failures)


def rejected_administrator(state: ApiState | None, keystone: str, secret: str) -> Finding | None:
    """Return that keystone refuses the administrator, with the cure; None when it does not.

    Args:
        state: what is known of the APIs.
        keystone: the role that gives tokens.
        secret: name of the Secret with the administrator's password.
    """
    failure = state.reported.get(keystone) if state else None
    if failure is None or failure.status != UNAUTHORIZED:
        return None
    return Finding(
        Reason.CREDENTIALS_REFUSED,
        f"keystone refuses the administrator with the password that is in use (HTTP 401: "
        f"{failure.text}). If it was changed in keystone, write the new one into Secret {secret}, "
        "key password. To set keystone's back to the one in use, and enable the user admin, delete "
        "the Job of step keystone/setup, which then runs again.",
    )


def assess_served(
    state: ApiState | None,
    expected: Collection[str],
    keystone: str,
    previous: Sequence[Condition],
    *,
    new: bool,
    error: str = "",
) -> Finding | None:
    """Return why not all APIs are known to serve, None when all do.

    Args:
        state: what is known of the APIs, None before the first answer.
        expected: roles of APIs that have members which are ready.
        keystone: the role that gives tokens.
        previous: the conditions so far: what they say of APIs stays until there is an answer.
        new: whether the cloud has never been Ready; it is not before every API has answered once.
        error: why they cannot be asked, empty while they can.
    """
    if error:
        return Finding(
            Reason.SERVICES_UNKNOWN, f"Whether the APIs serve is not known, asking fails: {error}."
        )
    if state is None:
        return _not_asked_yet(expected) if new else _as_before(previous)
    reported = {role: f for role, f in state.reported.items() if role in expected}
    refused = reported.get(keystone)
    if refused is not None and refused.status == UNAUTHORIZED:
        return Finding(
            Reason.SERVICES_UNKNOWN,
            "Whether the APIs serve is not known: keystone refuses the administrator's password "
            f"(HTTP 401: {refused.text}). Condition Reconciled says what to do.",
        )
    if reported:
        texts = [f"{role} {reported[role].message}" for role in sorted(reported)]
        more = f" And {len(texts) - _NAMED} more APIs." if len(texts) > _NAMED else ""
        roles = ", ".join(sorted(reported))
        return Finding(
            Reason.SERVICES_FAILING,
            f"{'; '.join(texts[:_NAMED])}.{more} Asked through their Services as the "
            f"administrator, again and again. See the logs of {roles}.",
        )
    waiting = [role for role in expected if role not in state.asked]
    return _not_asked_yet(waiting) if new and waiting else None


def _not_asked_yet(roles: Collection[str]) -> Finding | None:
    if not roles:
        return None
    return Finding(
        Reason.SERVICES_UNKNOWN, f"Not known to serve yet, to be asked: {', '.join(sorted(roles))}."
    )


def _as_before(previous: Sequence[Condition]) -> Finding | None:
    kept = {Reason.SERVICES_UNKNOWN.value, Reason.SERVICES_FAILING.value}
    for condition in previous:
        if condition.type == Reason.SERVICES_FAILING.type.value and condition.reason in kept:
            return Finding(
                next(r for r in Reason if r.value == condition.reason), condition.message
            )
    return None
