from stackroles.domains.backup.outcome import read_outcome


def test_success_needs_a_verified_outcome() -> None:
    good = read_outcome('{"ok": true, "verified": true, "steps": [{"name": "a", "bytes": 3}]}')
    unverified = read_outcome('{"ok": true, "verified": false}')

    assert good is not None
    assert (good.ok, good.size) == (True, 3)
    assert unverified is not None
    assert not unverified.ok
    assert read_outcome("killed") is None
    assert read_outcome("[1]") is None
    assert read_outcome("") is None


def test_an_outcome_of_another_form_is_none() -> None:
    assert read_outcome('{"ok": true, "verified": true, "steps": [{"bytes": "many"}]}') is None
    assert read_outcome('{"ok": true, "verified": true, "steps": ["x"]}') is None
    assert read_outcome('{"ok": true, "verified": true, "stored": {}}') is None
    assert read_outcome('{"ok": true, "verified": true, "steps": 3}') is None
