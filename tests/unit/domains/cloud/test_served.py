"""What follows from the answers of a cloud's APIs."""

from datetime import UTC, datetime

from stackroles.api.v1alpha1.common import Condition
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.cloud.served import (
    ApiState,
    assess_served,
    next_state,
    rejected_administrator,
)

EXPECTED = frozenset({"keystone", "nova-api"})
SERVED = {"keystone": (201, ""), "nova-api": (200, "")}
FAILING = {"keystone": (201, ""), "nova-api": (503, "The Keystone service is unavailable.")}
REFUSED = {"keystone": (401, "The request you have made requires authentication.")}


def after(*rounds: dict[str, tuple[int, str]]) -> ApiState:
    state = None
    for answers in rounds:
        state = next_state(state, answers)
    assert state is not None
    return state


def reason(state: ApiState | None, *, new: bool = False) -> Reason | None:
    found = assess_served(state, EXPECTED, "keystone", (), new=new)
    return found.reason if found else None


def test_an_api_that_only_refuses_is_reported_with_its_own_message() -> None:
    found = assess_served(after(SERVED, FAILING, FAILING), EXPECTED, "keystone", (), new=False)
    assert found is not None
    assert found.reason is Reason.SERVICES_FAILING
    assert "nova-api answers HTTP 503: The Keystone service is unavailable." in found.message


def test_one_lost_answer_is_no_fault() -> None:
    assert reason(after(SERVED, FAILING)) is None
    assert reason(after(SERVED, FAILING, SERVED, FAILING)) is None


def test_one_good_answer_ends_it() -> None:
    assert reason(after(FAILING, FAILING, FAILING, SERVED)) is None


def test_a_failure_that_lasts_does_not_change_the_state() -> None:
    other = {**FAILING, "nova-api": (503, "Another text of the same failure.")}
    assert after(FAILING, FAILING) == after(FAILING, FAILING, other)


def test_no_answer_is_a_failure_too() -> None:
    silent = {"keystone": (201, ""), "nova-api": (0, "no answer within 10 s")}
    found = assess_served(after(silent, silent), EXPECTED, "keystone", (), new=False)
    assert found is not None
    assert "nova-api does not answer: no answer within 10 s" in found.message


def test_what_cannot_be_asked_is_not_known() -> None:
    found = assess_served(after(SERVED, REFUSED, REFUSED), EXPECTED, "keystone", (), new=False)
    assert found is not None
    assert found.reason is Reason.SERVICES_UNKNOWN
    assert found.reason.status == "Unknown"
    assert "requires authentication" in found.message


def test_a_refused_administrator_names_the_secret_and_the_cure() -> None:
    assert rejected_administrator(after(SERVED, REFUSED), "keystone", "demo-admin") is None
    found = rejected_administrator(after(SERVED, REFUSED, REFUSED), "keystone", "demo-admin")
    assert found is not None
    assert "Secret demo-admin, key password" in found.message
    assert "keystone/setup" in found.message


def test_keystone_that_fails_otherwise_is_no_matter_of_passwords() -> None:
    broken = {"keystone": (500, "An unexpected error")}
    state = after(broken, broken)
    assert rejected_administrator(state, "keystone", "demo-admin") is None
    assert reason(state) is Reason.SERVICES_FAILING


def test_a_new_cloud_is_known_to_serve_only_after_every_api_answered() -> None:
    assert reason(None, new=True) is Reason.SERVICES_UNKNOWN
    assert reason(after({"keystone": (201, "")}), new=True) is Reason.SERVICES_UNKNOWN
    assert reason(after(SERVED), new=True) is None
    assert reason(None) is None


def test_a_restarted_operator_does_not_take_back_what_was_reported() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    known = Condition(
        type="Available",
        status="False",
        reason="ServicesFailing",
        message="nova-api answers HTTP 503.",
        last_transition_time=since,
    )
    found = assess_served(None, EXPECTED, "keystone", (known,), new=False)
    assert found is not None
    assert (found.reason, found.message) == (Reason.SERVICES_FAILING, known.message)
