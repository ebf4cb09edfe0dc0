import base64
import json
import os
from urllib.parse import urlsplit

import yaml

from stackroles.domains.credentials import generate as credentials
from stackroles.roles import registry
from stackroles.roles.definition import DatabaseUrl, OpenStackService
from tests.support.clouds import cloud, counted

SERVICE = OpenStackService(
    name="nova",
    databases=("nova",),
    connections=(DatabaseUrl(key="database-url", database="nova"),),
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
        "digest-key",
        "database-url",
        "transport-url",
    }
    generated = [data[key] for key in credentials.generated_keys(SERVICE)]
    assert len(set(generated)) == len(generated)


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


def test_a_value_that_was_there_is_lost_and_one_that_is_new_is_drawn() -> None:
    wanted = credentials.generated_keys(SERVICE)
    values = dict.fromkeys(wanted, "value")
    assert credentials.missing_keys(wanted, values, None) == ()
    del values["broker-password"], values["metadata-secret"]
    recorded = frozenset(wanted) - {"metadata-secret"}
    assert credentials.missing_keys(wanted, values, recorded) == ("broker-password",)
    assert credentials.missing_keys(wanted, values, None) == ("broker-password", "metadata-secret")
    assert credentials.missing_keys(wanted, {}, frozenset()) == ()


def test_a_value_that_was_emptied_is_lost() -> None:
    assert credentials.missing_keys(("a",), {"a": ""}, None) == ("a",)
