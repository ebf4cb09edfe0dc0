"""Who works with a repository: whoever has not ended, of that repository and no other."""

from typing import Any

from stackroles.workloads.recovery_set.users import user_among

DONE: dict[str, Any] = {"conditions": [{"type": "Complete", "status": "True"}]}


def found(name: str, repository: str, step: str = "run", **status: Any) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/instance": name,
        "stackroles.io/repository": repository,
        "stackroles.io/step": f"backup.{step}",
    }
    return {"metadata": {"labels": labels}, "status": status}


def test_runs_into_one_repository_exclude_each_other_and_no_others() -> None:
    assert user_among([], "r1") == ""
    assert user_among([found("other", "r2")], "r1") == ""
    users = [found("b", "r2"), found("c", "r1"), found("a", "r1", "removal")]
    assert user_among(users, "r1") == "Backup a"


def test_a_verification_is_named_as_one_of_its_policy() -> None:
    verification = found("nightly", "r1", "verification")

    assert user_among([verification], "r1") == "a verification of BackupPolicy nightly"


def test_what_has_ended_does_not_count_and_a_pod_without_its_job_does() -> None:
    assert user_among([found("a", "r1", **DONE), found("a", "r1", phase="Failed")], "r1") == ""
    assert user_among([found("a", "r1", **DONE), found("a", "r1", phase="Running")], "r1") != ""
