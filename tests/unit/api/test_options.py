"""What may stand in spec.config, as the models see it; the API server's own rules: apiserver."""

from typing import Any

import pytest
from pydantic import ValidationError

from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec
from stackroles.api.v1alpha1.options import is_secret_name


def parse(options: dict[str, Any], section: str = "DEFAULT") -> CloudControllerSpec:
    return CloudControllerSpec.model_validate({"config": {"nova": {section: options}}})


@pytest.mark.parametrize(
    "options",
    [{"debug": "true"}, {"workers": 2}, {"hook-master-start": "x"}, {"timeout client": "1s"},
     {"listeners.tcp.default": 1}, {"default_log_levels": "amqp=WARN,boto=WARN"},
     {"proxy": "http://proxy:3128/a@b"}],
)  # fmt: skip
def test_what_services_know_is_accepted(options: dict[str, Any]) -> None:
    parse(options)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_value_cannot_begin_another_section(end: str) -> None:
    with pytest.raises(ValidationError, match="one line"):
        parse({"debug": f"true{end}[database]{end}connection = mysql://elsewhere"})


@pytest.mark.parametrize("name", ["", " a", "a ", "a=b", "a:b", "a\nb", "[a]", "#a", "[a"])
def test_a_name_cannot_be_read_as_something_else(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be the name of an option"):
        parse({name: "1"})


@pytest.mark.parametrize("name", ["", "a]", "[a", "a\nb", " a"])
def test_a_section_cannot_be_read_as_something_else(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be the name of a section"):
        parse({"debug": "true"}, name)


@pytest.mark.parametrize(
    "name",
    ["connection", "transport_url", "password", "admin_password", "rabbit_password",
     "memcache_secret_key", "metadata_proxy_shared_secret", "s3_store_access_key",
     "s3_store_secret_key", "default_pass", "fixed_key", "hmac_keys", "root_token_id",
     "approle-secret_id"],
)  # fmt: skip
def test_an_option_that_holds_a_secret_is_refused_without_quoting_it(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse({name: "hunter2-hunter2"})
    errors = str(caught.value.errors(include_input=False, include_url=False))
    assert name in errors
    assert "spec.credentials" in errors
    assert "hunter2" not in errors


def test_a_url_with_a_password_is_refused_whatever_its_option() -> None:
    with pytest.raises(ValidationError, match=r"spec\.credentials"):
        parse({"coordination_backend": "redis://:hunter2@host:6379"})


@pytest.mark.parametrize(
    "name", ["inject_password", "send_service_user_token", "max_password_length", "key_repository"]
)
def test_a_switch_about_secrets_is_none(name: str) -> None:
    assert not is_secret_name(name)
