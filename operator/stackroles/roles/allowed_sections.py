"""Which sections of `spec.config` a role takes: data that the schema's rules are made from too."""

from collections.abc import Iterable
from dataclasses import dataclass

# Section of a role's options that goes to its WSGI server, not to oslo.config.
UWSGI = "uwsgi"


@dataclass(frozen=True, slots=True)
class AllowedSections:
    """AllowedSections that are taken, or, with `others`, all that are not named here."""

    names: tuple[str, ...] = ()
    others: bool = False

    def __contains__(self, section: str) -> bool:
        """Return whether a section is taken."""
        return (section in self.names) != self.others

    @property
    def nothing(self) -> bool:
        """Whether no section is taken."""
        return not self.names and not self.others

    def __or__(self, other: "AllowedSections") -> "AllowedSections":
        """Return what either takes."""
        if self.others and other.others:
            return AllowedSections(tuple(n for n in self.names if n in other.names), others=True)
        if self.others or other.others:
            most, few = (self, other) if self.others else (other, self)
            return AllowedSections(tuple(n for n in most.names if n not in few.names), others=True)
        return AllowedSections(tuple(dict.fromkeys((*self.names, *other.names))))

    def describe_rejection(self, name: str) -> str:
        """Return what is wrong with a section that is not taken, for the user."""
        listed = ", ".join(self.names)
        if self.nothing:
            return f"{name} takes no options"
        return f"{name} takes {'no' if self.others else 'only the'} section {listed}"


NOTHING = AllowedSections()
ANY = AllowedSections(others=True)
# Options of a service that runs under no WSGI server.
NO_WSGI = AllowedSections((UWSGI,), others=True)


def by_name(taken: Iterable[tuple[str, str, AllowedSections]]) -> dict[str, AllowedSections]:
    """Return what each role, and each service for its roles, takes.

    Args:
        taken: (service, role, what the role takes) of each role.
    """
    made: dict[str, AllowedSections] = {}
    roles = list(taken)
    for service, _, sections in roles:
        made[service] = made.get(service, NOTHING) | sections
    # A role of its service's name is alone in it, or the service's options are its own as well.
    made.update((role, sections) for service, role, sections in roles if role != service)
    return made
