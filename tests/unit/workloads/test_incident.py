"""A consent to one loss never applies to another one."""

from stackroles.workloads.incident import incident

LOST = {"demo-rabbitmq-1": "claim-1", "demo-rabbitmq-2": "claim-2"}
LEFT = {"demo-rabbitmq-0": "claim-0"}
DIGEST = incident("uid-cloud", "rabbitmq", LOST, LEFT)


def test_the_same_loss_has_the_same_digest_in_the_form_that_the_field_takes() -> None:
    assert incident("uid-cloud", "rabbitmq", dict(reversed(LOST.items())), LEFT) == DIGEST
    assert len(DIGEST) == 8
    assert int(DIGEST, 16) >= 0


def test_every_other_loss_has_another_digest() -> None:
    others = {
        incident("uid-other", "rabbitmq", LOST, LEFT),
        incident("uid-cloud", "ovn-nb", LOST, LEFT),
        incident("uid-cloud", "rabbitmq", {**LOST, "demo-rabbitmq-2": "claim-3"}, LEFT),
        incident("uid-cloud", "rabbitmq", LEFT, LOST),
        incident("uid-cloud", "rabbitmq", LOST, {"demo-rabbitmq-0": f"claim-0 {DIGEST}"}),
    }
    assert len(others) == 5
    assert DIGEST not in others
