"""What was encrypted when a set was taken is readable again, and what is encrypted now too."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackroles.domains.restore.keys import add_keys, secrets_in


def archive(**files: str) -> bytes:
    """Return a tar as a run writes it: a folder for each Secret."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as opened:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text.encode())
            opened.addfile(info, io.BytesIO(text.encode()))
    return target.getvalue()


def test_secrets_are_read_by_name_and_key() -> None:
    found = secrets_in(archive(ring__0="a\n", ring__1="b", other__password="c"))

    assert found == {"ring": {"0": b"a\n", "1": b"b"}, "other": {"password": b"c"}}


def test_what_is_no_archive_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        secrets_in(b"no archive")


@pytest.mark.parametrize(
    ("present", "former", "wanted"),
    [
        # Nothing is missing: a rotation since has kept them.
        ({"0": "c", "1": "a", "2": "b"}, {"0": "b", "1": "a"}, {"0": "c", "1": "a", "2": "b"}),
        # A cloud that was made anew.
        ({"0": "y", "1": "x"}, {"0": "b", "1": "a"}, {"0": "y", "1": "b", "2": "a", "3": "x"}),
        # A key that was rotated out since.
        ({"0": "d", "1": "b", "2": "c"}, {"1": "a"}, {"0": "d", "1": "a", "2": "b", "3": "c"}),
        ({"0": "a", "1": "b"}, {}, {"0": "a", "1": "b"}),
        ({"1": "b"}, {"1": "a"}, {"1": "a", "2": "b"}),
    ],
)  # fmt: skip
def test_missing_keys_become_the_oldest(
    present: dict[str, str], former: dict[str, str], wanted: dict[str, str]
) -> None:
    assert add_keys(present, former) == wanted


RINGS = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True).map(
    lambda keys: {str(n): key for n, key in enumerate(keys)}
)


@given(present=RINGS, former=RINGS)
def test_all_keys_decrypt_and_who_encrypts_now_and_next_stays(
    present: dict[str, str], former: dict[str, str]
) -> None:
    found = add_keys(present, former)

    assert set(found.values()) == {*present.values(), *former.values()}
    assert found["0"] == present["0"]
    if len(present) > 1:
        assert found[max(found, key=int)] == present[max(present, key=int)]
    assert sorted(found, key=int) == [str(n) for n in range(len(found))]
    assert add_keys(found, former) == found
