import pytest

from stackroles.config import oslo


def read_back(text: str) -> dict[str, dict[str, str]]:
    """Read a file as oslo.config's parser does (oslo_config/iniparser.py, 2025.1)."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.rstrip()
        if not line or line.startswith(("#", ";")):
            continue
        assert not line.startswith((" ", "\t")), "a continuation"
        if line.startswith("["):
            section = line[1:-1]
            continue
        colon, equal = line.find(":"), line.find("=")
        at = equal if colon < 0 or 0 <= equal < colon else colon
        value = line[at + 1 :].strip()
        if value and value[0] == value[-1] and value.startswith(('"', "'")):
            value = value[1:-1]
        found.setdefault(section, {})[line[:at].strip()] = value
    return found


@pytest.mark.parametrize(
    "value",
    ["plain", " leading", "trailing ", "", "'quoted'", '"', "'", "a # b", "#a", "50%", "%(x)s",
     "a = b", "a: b", "[section]", '"a" and "b"', "key:value,other:value", "$$5"],
)  # fmt: skip
def test_a_value_arrives_as_written(value: str) -> None:
    text = oslo.render({"DEFAULT": {"before": "1", "option": value, "zz": "1"}})
    assert read_back(text) == {"DEFAULT": {"before": "1", "option": value, "zz": "1"}}


def test_a_hash_is_quoted_for_readers_to_whom_it_begins_a_comment() -> None:
    assert 'option = "a # b"\n' in oslo.render({"mysqld": {"option": "a # b"}})


def test_the_values_of_everyday_stay_bare() -> None:
    text = oslo.render({"DEFAULT": {"a": True, "b": 3, "c": ("x", "y"), "d": 'it\'s 5 % "off"'}})
    assert text.splitlines()[1:5] == ["a = true", "b = 3", "c = x,y", 'd = it\'s 5 % "off"']
