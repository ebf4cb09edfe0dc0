"""The options of a set without its Backup name one set, or say what is wrong."""

from typing import Any

import pytest

from stackroles.cli.ask import CommandError
from stackroles.cli.bare_set import BareSet, set_of, source_of

KEY: dict[str, Any] = {"policy": "p", "encryption_secret": "key"}
BUCKET: dict[str, Any] = {**KEY, "credentials_secret": "s3"}


@pytest.mark.parametrize(
    ("backup", "options", "says"),
    [
        (None, {}, "a Backup, or by --policy"),
        ("b", {"policy": "p"}, "a Backup or a set by --policy, not both"),
        (None, {"name": "n"}, "by --policy"),
        (None, {"policy": "p", "ca_secret": "c"}, "--ca-secret go with --repository"),
        (None, {"policy": "p", "repository": "claim:c"}, "needs --encryption-secret"),
        (None, {**KEY, "repository": "s3:https://h/b"}, "needs --credentials-secret"),
        (None, {**BUCKET, "repository": "claim:c"}, "are of a bucket, not of a volume"),
        *(
            (None, {**BUCKET, "repository": address}, f"--repository {address} is none: it is s3:")
            for address in ("", "claim:", "https://h/b", "s3:h/b", "s3:https://h", "s3:ftp://h/b")
        ),
        (None, {**BUCKET, "repository": "s3:https://a:b@h/b"}, "is none"),
    ],
)
def test_what_names_no_set_says_what_to_do(
    backup: str | None, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(CommandError) as error:
        source_of(backup, BareSet(**options))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3:http://h:9000/b", {"s3": {"endpoint": "http://h:9000", "bucket": "b"}}),
        ("s3:https://h/b/c/d/", {"s3": {"endpoint": "https://h", "bucket": "b", "prefix": "c/d"}}),
    ],
)
def test_an_address_of_restic_names_a_bucket(address: str, expected: dict[str, Any]) -> None:
    bare = BareSet(**BUCKET, repository=address, ca_secret="ca", region="r")
    further = {"credentialsSecret": "s3", "caSecret": "ca", "region": "r"}
    assert source_of(None, bare)["recoverySet"]["repository"] == {
        "s3": {**expected["s3"], **further}
    }


def test_a_claim_names_a_volume() -> None:
    found = source_of(None, BareSet(**KEY, name="n", repository="claim:c"))
    assert found == {
        "recoverySet": {
            "policy": "p",
            "name": "n",
            "repository": {"volume": {"claimName": "c"}},
            "encryptionSecret": "key",
        }
    }
    assert set_of(found) == "set n"
    assert set_of(source_of("b", BareSet())) == "Backup b"
    assert set_of(source_of(None, BareSet(policy="p"))) == "the newest set of policy p"
