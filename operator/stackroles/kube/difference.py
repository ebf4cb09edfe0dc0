"""Whether a write is all that changed an object."""

from collections.abc import Mapping
from typing import Any, Final

Object = Mapping[str, Any]

# What every write changes.
_VERSIONS: Final = frozenset({"resourceVersion", "generation", "managedFields"})


def is_explained(before: Object | None, after: Object, sent: Object) -> bool:
    """Return whether an object differs from what it was in nothing but what was sent.

    An answer to a write holds whatever others wrote since we last saw the object: a kubelet's
    status, for one. Whoever wrote has not read that.

    Args:
        before: the object as it was known, trimmed; None when it was not.
        after: the same as the API server answered, trimmed.
        sent: the manifest or merge patch that was written.
    """
    return before is None or _explained(before, after, sent)


def _explained(before: Any, after: Any, sent: Any) -> bool:
    if before == after:
        return True
    if not isinstance(sent, Mapping):
        return bool(after == sent)
    old, new = _mapping(before), _mapping(after)
    return all(
        key in _VERSIONS
        or old.get(key) == new.get(key)
        or (key in sent and _explained(old.get(key), new.get(key), sent[key]))
        for key in old.keys() | new.keys()
    )


def _mapping(value: Any) -> Object:
    return value if isinstance(value, Mapping) else {}
