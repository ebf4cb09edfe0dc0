import pytest

from stackroles.errors import OperatorError
from stackroles.settings import from_environment


def test_defaults_serve_all_namespaces() -> None:
    settings = from_environment({})

    assert settings.namespaces == ()
    assert settings.lease == "stackroles-leader"
    assert settings.image_tags == {"default": "latest"}


def test_environment_of_the_chart_is_understood() -> None:
    settings = from_environment(
        {
            "STACKROLES_WATCH_NAMESPACES": "a, b,",
            "STACKROLES_NAMESPACE": "system",
            "STACKROLES_POD_NAME": "stackroles-1",
            "STACKROLES_IMAGE_REGISTRY": "registry.example/x/",
            "STACKROLES_IMAGE_TAG": "2",
            "STACKROLES_IMAGE_TAGS": '{"nova": "3"}',
            "STACKROLES_LOG_LEVEL": "DEBUG",
        }
    )

    assert settings.namespaces == ("a", "b")
    assert (settings.pod_namespace, settings.pod_name) == ("system", "stackroles-1")
    assert settings.image_registry == "registry.example/x"
    assert settings.image_tags == {"default": "2", "nova": "3"}
    assert settings.log_level == "debug"


@pytest.mark.parametrize(
    "environment",
    [
        {"STACKROLES_LOG_LEVEL": "loud"},
        {"STACKROLES_WORKERS": "many"},
        {"STACKROLES_WORKERS": "0"},
        {"STACKROLES_NODE_RIGHTS": "perhaps"},
        {"STACKROLES_IMAGE_TAGS": "[1]"},
        {"STACKROLES_IMAGE_TAGS": "{"},
    ],
)
def test_bad_value_is_reported_by_its_name(environment: dict[str, str]) -> None:
    name = next(iter(environment))

    with pytest.raises(OperatorError, match=name):
        from_environment(environment)
