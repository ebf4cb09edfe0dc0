import base64
import json
import os
from urllib.parse import urlsplit

import pytest
import yaml

from stackroles.errors import SpecInvalid
from stackroles.plan import credentials
from stackroles.roles import registry
from stackroles.roles.definition import Connection, ServiceDefinition
from tests.support.clouds import cloud, counted

SERVICE = ServiceDefinition(
    name="nova",
    databases=("nova",),
    connections=(Connection(key="database-url", database="nova"),),
    broker=True,
    identity=True,
    secrets=("metadata-secret",),
)


def test_secret_has_what_the_service_declares() -> None:
    data = credentials.service_secret(cloud(), SERVICE, {}, counted())
    assert set(data) == {
        "database-password",
        "broker-password",
        "service-password",
        "metadata-secret",
        "database-url",
        "transport-url",
    }
    drawn = [data[key] for key in credentials.drawn_keys(SERVICE)]
    assert len(set(drawn)) == len(drawn)


def test_a_later_pass_changes_nothing() -> None:
    first = credentials.service_secret(cloud(), SERVICE, {}, os.urandom)
    assert credentials.service_secret(cloud(), SERVICE, first, os.urandom) == first


def test_a_value_that_is_missing_is_drawn_and_the_others_stay() -> None:
    first = credentials.service_secret(cloud(), SERVICE, {}, os.urandom)
    partial = {key: value for key, value in first.items() if key != "metadata-secret"}
    second = credentials.service_secret(cloud(), SERVICE, partial, os.urandom)
    changed = {key for key in first if first[key] != second[key]}
    assert changed == {"metadata-secret"}


def test_database_url_leads_through_the_proxy() -> None:
    data = credentials.service_secret(cloud(), SERVICE, {}, counted())
    url = urlsplit(data["database-url"])
    assert (url.scheme, url.hostname, url.port) == (
        "mysql+pymysql",
        "demo-haproxy.ns.svc",
        3306,
    )
    assert (url.username, url.password) == ("nova", data["database-password"])


def test_transport_url_names_every_broker_with_the_account() -> None:
    spec = {"roles": {"rabbitmq": {"clustering": {"replicas": 5}}}}
    data = credentials.service_secret(cloud(**spec), SERVICE, {}, counted())
    members, _, vhost = data["transport-url"].removeprefix("rabbit://").partition("/")
    hosts = [member.rpartition("@") for member in members.split(",")]
    assert {account for account, _, _ in hosts} == {f"nova:{data['broker-password']}"}
    assert [host for _, _, host in hosts] == [
        f"demo-rabbitmq-{i}.demo-rabbitmq.ns.svc:5672" for i in range(5)
    ]
    assert vhost == "nova"


def test_broker_definitions_hold_every_account_and_no_password() -> None:
    secrets = {
        s.name: credentials.service_secret(cloud(), s, {}, os.urandom) for s in registry.SERVICES
    }
    text = credentials.broker_secret(registry.SERVICES, secrets)["definitions.json"]
    users = {user["name"] for user in json.loads(text)["users"]}
    assert users == {s.name for s in registry.SERVICES if s.broker}
    for service in users:
        assert secrets[service]["broker-password"] not in text
    assert credentials.broker_secret(registry.SERVICES, secrets)["definitions.json"] == text


def test_key_repository_is_drawn_once() -> None:
    first = credentials.keyring({}, os.urandom)
    assert set(first) == {"0", "1"}
    assert all(len(base64.urlsafe_b64decode(key)) == 32 for key in first.values())
    assert credentials.keyring(first, os.urandom) == first


def test_administrators_secret_is_a_clouds_yaml() -> None:
    data = credentials.admin_secret(cloud(region="north"), {}, os.urandom)
    entry = yaml.safe_load(data["clouds.yaml"])["clouds"]["demo"]
    assert entry["auth"]["password"] == data["password"]
    assert entry["auth"]["auth_url"] == "http://demo-keystone.ns.svc:5000/v3"
    assert entry["region_name"] == "north"
    assert credentials.admin_secret(cloud(region="north"), data, os.urandom) == data


def test_brought_passwords_win_over_drawn_ones() -> None:
    brought = {
        "database-password": "chosen-by-the-user",
        "broker-password": "another.one",
        "service-password": "a~third_one",
        "note": "ignored: what it is for",
    }
    taken = credentials.check_brought(SERVICE, "mine", brought)
    data = credentials.service_secret(cloud(), SERVICE, taken, counted())
    assert data["database-password"] == "chosen-by-the-user"
    assert "chosen-by-the-user" in data["database-url"]
    assert "note" not in data


@pytest.mark.parametrize(
    ("brought", "words"),
    [
        (None, "does not exist"),
        ({"database-password": "x" * 12}, "broker-password, service-password"),
    ],
)
def test_missing_secret_is_named_with_its_keys(brought: dict[str, str] | None, words: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        credentials.check_brought(SERVICE, "mine", brought)
    assert caught.value.reason == "CredentialsMissing"
    assert "mine" in caught.value.message
    assert words in caught.value.message


@pytest.mark.parametrize(
    "value", ["", "short", "with space in it", "new-line\n", "quo'te-quote", "$dollars$"]
)
def test_password_that_cannot_be_used_is_refused_without_being_quoted(value: str) -> None:
    brought = dict.fromkeys(credentials.account_keys(SERVICE), "long-enough") | {
        "broker-password": value
    }
    with pytest.raises(SpecInvalid) as caught:
        credentials.check_brought(SERVICE, "mine", brought)
    assert caught.value.reason == "CredentialsInvalid"
    assert "broker-password" in caught.value.message
    assert not value or value not in caught.value.message
