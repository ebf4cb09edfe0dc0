"""Layers of options: who wins, in which spelling, and from where a value comes."""

from stackroles.config import layers, oslo
from stackroles.config.layers import DEFAULTS, Layer, Sections, merge
from tests.support.clouds import cloud
from tests.unit.config.test_pool import pool

OURS: Sections = {"DEFAULT": {"debug": "false", "workers": 1}, "database": {"max_retries": -1}}


def test_a_later_layer_wins_and_each_value_knows_where_it_comes_from() -> None:
    service = Layer({"DEFAULT": {"workers": 2, "debug": "true"}}, "spec.config.nova")
    role = Layer({"DEFAULT": {"workers": 3}}, "spec.config.nova-api")
    merged = merge(OURS, service, role)

    assert merged["DEFAULT"] == {"debug": "true", "workers": 3}
    assert merged.origin("DEFAULT", "workers") == "spec.config.nova-api"
    assert merged.origin("DEFAULT", "debug") == "spec.config.nova"
    assert merged.origin("database", "max_retries") == DEFAULTS


def test_origins_survive_another_merge() -> None:
    user = merge(Layer({"a": {"x": 1}}, "service"), Layer({"a": {"y": 2}}, "role"))
    merged = merge({"a": {"x": 0}}, user)

    assert merged.origin("a", "x") == "service"
    assert merged.origin("a", "y") == "role"
    assert merged.of("role") == {"a": {"y": 2}}


def test_another_spelling_replaces_the_value_and_comes_after_the_others() -> None:
    merged = merge({"a": {"max_x": 1, "other": 2}}, Layer({"a": {"max-x": 3}}, "user"))

    assert list(merged["a"].items()) == [("other", 2), ("max-x", 3)]


def test_oslo_finds_groups_in_any_case_and_options_with_dashes() -> None:
    text = oslo.render(OURS, {"Database": {"max-retries": 5}, "default": {"debug": "true"}})

    assert "max_retries" not in text
    assert "[database]\nmax-retries = 5\n" in text
    assert "[DEFAULT]\ndebug = false\n" in text


def test_one_layer_that_sets_an_option_twice_is_found() -> None:
    twice = {"DEFAULT": {"use-x": 1, "use_x": 2, "y": 3}}

    assert list(layers.repeated(twice, layers.dashes)) == [
        (("DEFAULT", "use-x"), ("DEFAULT", "use_x"))
    ]


def test_clouds_and_pools_have_the_same_layers() -> None:
    config = {"nova": {"DEFAULT": {"a": 1, "b": 1}}, "nova-compute": {"DEFAULT": {"b": 2}}}
    of_pool = pool(config=config).options("nova-compute", "nova")
    config = {"nova": {"DEFAULT": {"a": 1, "b": 1}}, "nova-api": {"DEFAULT": {"b": 2}}}
    of_cloud = cloud(config=config).options("nova-api", "nova")

    assert of_pool == of_cloud
    assert of_pool.origin("DEFAULT", "a") == of_cloud.origin("DEFAULT", "a") == "spec.config.nova"
    assert of_pool.origin("DEFAULT", "b") == "spec.config.nova-compute"
