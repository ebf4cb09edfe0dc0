from hypothesis import given
from hypothesis import strategies as st

from stackroles.workloads.config_maps import kept_config_maps

NAMES = [f"c{i}" for i in range(8)]
some = st.frozensets(st.sampled_from(NAMES))


@given(wanted=some, in_use=some, rolling=st.frozensets(st.sampled_from(["nova", "glance"])))
def test_what_a_template_or_a_live_pod_names_is_kept(
    wanted: frozenset[str], in_use: frozenset[str], rolling: frozenset[str]
) -> None:
    existing = {name: ("nova", "glance")[i % 2] for i, name in enumerate(NAMES)}
    kept = kept_config_maps(existing, wanted, in_use, rolling)
    assert wanted | in_use <= kept
    assert {name for name, role in existing.items() if role in rolling} <= kept


def test_old_configuration_goes_when_the_roll_is_over() -> None:
    existing = {"old": "nova", "new": "nova"}
    assert kept_config_maps(existing, ["new"], [], frozenset()) == {"new"}
    assert kept_config_maps(existing, ["new"], [], frozenset({"nova"})) == {"old", "new"}


def test_agents_of_any_rolling_role_are_kept() -> None:
    existing = {"old": "agents"}
    assert kept_config_maps(existing, [], [], frozenset({"mariadb"})) == {"old"}
    assert kept_config_maps(existing, [], [], frozenset()) == frozenset()
