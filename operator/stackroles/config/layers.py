"""One function merges layers of options: the operator's own and the user's of service and role.

Each value keeps where it comes from. What is one option to a program may have several spellings;
which these are is each program's own (`Spelling`), so that a later layer replaces an option however
it is written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from typing_extensions import override

Value = str | int | bool | Sequence[str]
Sections = Mapping[str, Mapping[str, Value]]
"""Options by section and name."""
Key = tuple[str, str]
Spelling = Callable[[str, str], Key]
"""From section and name as they are written to what is equal for all spellings of an option."""

DEFAULTS = "the operator's defaults"


def dashes(section: str, name: str) -> Key:
    """Return the key of programs that take "-" and "_" in a name for one."""
    return section, name.replace("-", "_")


class Layer(Sections):
    """Sections whose values know their origin: "the operator's defaults", "spec.config.nova"."""

    def __init__(self, sections: Sections, origins: str | Mapping[Key, str] = DEFAULTS) -> None:
        """Make a layer.

        Args:
            sections: options by section and name.
            origins: where all come from, or each by section and name as written.
        """
        self._sections, self._origins = sections, origins

    @override
    def __getitem__(self, section: str) -> Mapping[str, Value]:
        return self._sections[section]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    @override
    def __len__(self) -> int:
        return len(self._sections)

    def origin(self, section: str, name: str) -> str:
        """Return where a value comes from.

        Raises:
            KeyError: there is no such option in this spelling.
        """
        if isinstance(self._origins, str):
            return self._origins
        return self._origins[section, name]

    def only(self, takes: Callable[[str], bool]) -> "Layer":
        """Return the sections that a predicate takes."""
        kept = {section: values for section, values in self._sections.items() if takes(section)}
        return Layer(kept, self._origins)

    def without(self, option: Key) -> "Layer":
        """Return all but one option, given by section and name as they are written."""
        kept = {
            section: {name: value for name, value in values.items() if (section, name) != option}
            for section, values in self._sections.items()
        }
        return Layer(kept, self._origins)

    def of(self, origin: str) -> "Layer":
        """Return the options that come from an origin."""
        kept: dict[str, dict[str, Value]] = {}
        for section, values in self._sections.items():
            for name, value in values.items():
                if self.origin(section, name) == origin:
                    kept.setdefault(section, {})[name] = value
        return Layer(kept, origin)

    def find(self, wanted: Key, same: Spelling = dashes) -> Key | None:
        """Return section and name of an option as they are written, None where it is not set."""
        written = ((s, n) for s, options in self._sections.items() for n in options)
        return next((key for key in written if same(*key) == wanted), None)


def merge(*layers: Sections, same: Spelling = dashes) -> Layer:
    """Return layers laid over each other, later ones winning option by option.

    A value that replaces another is put in the place of a new one, after all that were there: many
    programs take the last of several.

    Args:
        layers: the first is the lowest. What is no Layer is the operator's own.
        same: which spellings are one option.
    """
    merged: dict[Key, tuple[str, str, Value, str]] = {}
    for part in layers:
        layer = part if isinstance(part, Layer) else Layer(part)
        for section, options in layer.items():
            for name, value in options.items():
                key = same(section, name)
                merged.pop(key, None)
                merged[key] = (section, name, value, layer.origin(section, name))
    sections: dict[str, dict[str, Value]] = {}
    origins: dict[Key, str] = {}
    for section, name, value, origin in merged.values():
        sections.setdefault(section, {})[name] = value
        origins[section, name] = origin
    return Layer(sections, origins)


def user_options(config: Mapping[str, Sections], role: str, service: str) -> Layer:
    """Return the user's options of a role: its service's, overlaid by its own.

    Args:
        config: `spec.config` of a cloud or a pool.
        role: the role.
        service: its service.
    """
    names = dict.fromkeys((service, role))
    return merge(*(Layer(config.get(name, {}), f"spec.config.{name}") for name in names))


def repeated(sections: Sections, same: Spelling) -> Iterable[tuple[Key, Key]]:
    """Return pairs of spellings by which one layer sets an option twice."""
    seen: dict[Key, Key] = {}
    for section, options in sections.items():
        for name in options:
            first = seen.setdefault(same(section, name), (section, name))
            if first != (section, name):
                yield first, (section, name)
