"""HAProxy's first sections, `global` and `defaults`: ours, with the user's laid over them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stackroles.config.layers import Key, Layer, Sections, merge
from stackroles.roles.allowed_sections import AllowedSections

# A keyword that is followed by a password.
_SECRET = ("stats auth",)
# Keywords of which each line counts.
_ADDED = ("log", "stats socket")


@dataclass(frozen=True, slots=True, kw_only=True)
class HaproxyOptions:
    """The options of a role that runs HAProxy.

    Attributes:
        own: the operator's, by section: keywords with what follows them. A user's win.
        reserved: keywords that have no effect, since a later section sets them again; with what to
            do instead.
    """

    own: Sections
    reserved: Mapping[Key, str] = field(default_factory=dict)

    @property
    def allowed(self) -> AllowedSections:
        """The sections that a user may set."""
        return AllowedSections(tuple(self.own))

    def spelling(self, section: str, name: str) -> Key:
        """Return the key of a keyword: what follows may be part of its name, and `no` before it.

        Of a keyword that is written otherwise ("timeout" with the value "connect 5s") HAProxy takes
        the last line; but global's maxconn counts as it was first written (seen with 3.0.11).
        """
        tokens = name.split()[name.startswith("no ") :]
        others = (*(keyword for place, keyword in self.reserved if place == section), *_SECRET)
        known = [k.split() for k in (*self.own.get(section, ()), *others) if k not in _ADDED]
        found = next((keyword for keyword in known if tokens[: len(keyword)] == keyword), tokens)
        return section, " ".join(found)

    def lines(self, user: Layer) -> list[str]:
        """Return the lines of the sections, ours first, without what the user sets."""
        merged = merge(self.own, user, same=self.spelling)
        made: list[str] = []
        for section in self.own:
            options = merged[section].items()
            made += [section, *(f"  {name} {value}".rstrip() for name, value in options), ""]
        return made


def reserved(section: str, keywords: Iterable[str], instead: str) -> Mapping[Key, str]:
    """Return keywords of a section as `HaproxyOptions.reserved` takes them."""
    return {(section, keyword): instead for keyword in keywords}
