"""What is observed of the members of a role that decides by majority; data only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.workloads.incident import incident

R = TypeVar("R")
M = TypeVar("M", bound="Member")  # type: ignore[type-arg]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Generic[R]):
    """One member as observed.

    Attributes:
        pod: the pod's name.
        claim: uid of its volume claim; empty where there is none.
        report: its agent's; None when none came: unknown, never down.
    """

    pod: str
    claim: str = ""
    report: R | None = None

    @property
    def data(self) -> str:
        """What its data is: another after it has continued by a consent."""
        return self.claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Members(Generic[M]):
    """All members of a role, and what its user consents to.

    Attributes:
        owner_uid: identity of the CloudController.
        role: the role.
        members: every member that should exist, by ordinal.
        consent: `spec.roles.<role>.recovery`.
    """

    owner_uid: str
    role: str
    members: Sequence[M]
    consent: Recovery | None = None

    def incident(self, lost: Sequence[M], former: str = "") -> str:
        """Return the incident that some of them are lost, after a former one that is over."""
        names = {member.pod for member in lost}
        remaining = {m.pod: m.data for m in self.members if m.pod not in names}
        claims = {m.pod: m.claim for m in lost}
        return incident(self.owner_uid, self.role, claims, remaining, former)

    def survivor(self, candidates: Sequence[M], number: str) -> M | None:
        """Return the candidate that the consent to an incident names, None without such consent."""
        consent = self.consent
        if consent is None or consent.incident != number:
            return None
        return next((member for member in candidates if member.pod == consent.survivor), None)

    def explain_consent(self, number: str) -> str:
        """Return why the consent in the spec does not serve for an incident.

        Returns:
            A sentence with a leading space, empty without a consent.
        """
        consent = self.consent
        if consent is None:
            return ""
        if consent.incident != number:
            return f" The consent in the spec is for another incident, {consent.incident}."
        survivor = consent.survivor
        return f" The consent in the spec names {survivor}, which has no data to continue with."
