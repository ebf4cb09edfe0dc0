"""What a user consents to lose of a database that no member can serve as a whole; pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from stackroles.agents.galera.protocol import Report
from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.domains.database.model import Member, PersistedState
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.members import Member as Holder
from stackroles.workloads.members import Members

_ROLE = DEFAULT.database.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A user's consent, and the resource that it is given in.

    Attributes:
        owner_uid: identity of the CloudController.
        given: `spec.roles.mariadb.recovery`, None without any.
    """

    owner_uid: str = ""
    given: Recovery | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Transactions that are gone, while all members have reported what they hold.

    Attributes:
        lost: names of the members whose volumes are gone.
        survivor: the member with the highest position of those that are left.
        incident: what a consent to it must name.
        consented: whether the consent in the spec is for it.
        how: how to consent, and why the consent in the spec is for something else; sentences.
    """

    lost: tuple[str, ...]
    survivor: Member
    incident: str
    consented: bool
    how: str

    @property
    def given(self) -> str:
        """What is given up, as a sentence."""
        return (
            f"What {self.survivor.name} does not hold is given up, by the consent to incident "
            f"{self.incident}."
        )


def assess_loss(
    members: Sequence[Member],
    lost: Collection[str],
    survivor: Member,
    persisted: PersistedState,
    consent: Consent,
) -> Loss:
    """Return a loss and whether it is consented to.

    Args:
        members: all members, each with a report.
        lost: names of those whose volumes are gone.
        survivor: who is to continue.
        persisted: what is recorded; a former consent is part of the incident, so that one that
            stays in a repository of manifests applies to nothing else.
        consent: the user's.
    """
    holders = [
        Holder(pod=m.name, claim=m.known.volume_id, report=m.known) for m in members if m.known
    ]
    observed: Members[Holder[Report]] = Members(
        owner_uid=consent.owner_uid, role=_ROLE, members=holders, consent=consent.given
    )
    number = observed.incident([h for h in holders if h.pod in lost], persisted.consented)
    [chosen] = [holder for holder in holders if holder.pod == survivor.name]
    consented = observed.survivor([chosen], number) is not None
    how = (
        f"Only if that is gone for good, set spec.roles.{_ROLE}.recovery to "
        f"{{from: {survivor.name}, incident: {number}}}: the database then goes on with what it "
        "holds."
    )
    given = consent.given
    if given is not None and given.incident == number:
        how += f" The consent in the spec names {given.survivor}, which holds less."
    else:
        how += observed.explain_consent(number)
    return Loss(tuple(sorted(lost)), survivor, number, consented, how)


def give_up(loss: Loss, persisted: PersistedState) -> PersistedState:
    """Return the state without what was lost by consent.

    Nobody waits for the lost volumes any more, and the survivor may start below the position of an
    earlier start, which a lost member may have had.
    """
    volumes = {name: v for name, v in persisted.volumes.items() if name not in loss.lost}
    record, position = persisted.bootstrap, loss.survivor.position
    if record is not None and position is not None:
        floor = min(record.decision.seqno, position.seqno)
        record = replace(record, decision=replace(record.decision, seqno=floor))
    return replace(persisted, volumes=volumes, bootstrap=record, consented=loss.incident)
