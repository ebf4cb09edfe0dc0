import base64
import os

import pytest

from stackroles.domains.credentials import generate as credentials
from stackroles.domains.credentials.user_supplied import check_user_supplied, keyring_of
from stackroles.errors import SpecInvalid
from stackroles.roles import keystone, registry
from stackroles.roles.definition import OpenStackService
from tests.support.clouds import cloud, counted
from tests.unit.domains.credentials.test_generate import SERVICE

KEY = base64.urlsafe_b64encode(os.urandom(32)).decode()
GLANCE = registry.service("glance")


def test_brought_passwords_win_over_drawn_ones() -> None:
    supplied = {
        "database-password": "chosen-by-the-user",
        "broker-password": "another.one",
        "service-password": "a~third_one",
        "note": "ignored: what it is for",
    }
    taken = check_user_supplied(SERVICE, "mine", supplied)
    data = credentials.service_secret(cloud(), SERVICE, taken, counted())
    assert data["database-password"] == "chosen-by-the-user"
    assert "chosen-by-the-user" in data["database-url"]
    assert "note" not in data


@pytest.mark.parametrize(
    ("supplied", "expected"),
    [
        (None, "does not exist"),
        ({"database-password": "x" * 12}, "broker-password, service-password"),
    ],
)
def test_missing_secret_is_named_with_its_keys(
    supplied: dict[str, str] | None, expected: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        check_user_supplied(SERVICE, "mine", supplied)
    assert caught.value.reason == "CredentialsMissing"
    assert "mine" in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    "value", ["", "short", "with space in it", "new-line\n", "quo'te-quote", "$dollars$"]
)
def test_password_that_cannot_be_used_is_refused_without_being_quoted(value: str) -> None:
    supplied = dict.fromkeys(credentials.account_keys(SERVICE), "long-enough") | {
        "broker-password": value
    }
    with pytest.raises(SpecInvalid) as caught:
        check_user_supplied(SERVICE, "mine", supplied)
    assert caught.value.reason == "CredentialsInvalid"
    assert "broker-password" in caught.value.message
    assert not value or value not in caught.value.message


@pytest.mark.parametrize("service", registry.CREDENTIALS, ids=lambda service: service.name)
def test_what_can_be_supplied_for_a_service_is_taken(service: OpenStackService) -> None:
    values = dict.fromkeys((*credentials.generated_keys(service), *service.external), "long-enough")
    values |= {f"{ring}.{number}": KEY for ring in service.keyrings for number in (0, 1)}
    assert values
    assert check_user_supplied(service, "mine", values) == values


def test_services_without_passwords_are_not_among_those_to_bring() -> None:
    names = {service.name for service in registry.CREDENTIALS}
    assert {"mariadb", "rabbitmq", "keystone", "nova", "admin"} <= names
    assert not names & {"haproxy", "memcached", "ovn"}


def test_a_secret_that_holds_nothing_known_is_refused() -> None:
    with pytest.raises(SpecInvalid, match=r"holds nothing that is known.*erlang-cookie"):
        check_user_supplied(registry.service("rabbitmq"), "mine", {"erlang_cookie": "long-enough"})


def test_keys_of_an_object_store_come_without_passwords_and_have_their_own_form() -> None:
    values = {"s3-access-key": "AKIA", "s3-secret-key": "wJal/K7MDENG+bPx="}
    required = ("s3-access-key", "s3-secret-key")
    assert check_user_supplied(GLANCE, "mine", values, required) == values
    with pytest.raises(SpecInvalid, match="has no s3-secret-key") as caught:
        check_user_supplied(GLANCE, "mine", {"s3-access-key": "AKIA"}, required)
    assert caught.value.reason == "CredentialsMissing"
    with pytest.raises(SpecInvalid) as caught:
        check_user_supplied(GLANCE, "mine", values | {"s3-secret-key": "a$b"}, required)
    assert caught.value.reason == "CredentialsInvalid"


def test_a_key_repository_is_supplied_whole_and_in_keystones_form() -> None:
    ring = keystone.FERNET_KEYS
    taken = check_user_supplied(keystone.SERVICE, "mine", {f"{ring}.0": KEY, f"{ring}.7": KEY})
    assert keyring_of(taken, ring) == {"0": KEY, "7": KEY}
    assert keyring_of(taken, keystone.CREDENTIAL_KEYS) == {}
    for values in ({f"{ring}.0": KEY}, {f"{ring}.1": KEY, f"{ring}.2": KEY}):
        with pytest.raises(SpecInvalid, match="a part of fernet-keys"):
            check_user_supplied(keystone.SERVICE, "mine", values)
    with pytest.raises(SpecInvalid, match=r"cannot be used in fernet-keys\.1"):
        check_user_supplied(keystone.SERVICE, "mine", {f"{ring}.0": KEY, f"{ring}.1": "too short"})
