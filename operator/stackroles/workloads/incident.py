"""Which loss of a role's members a user consents to; pure."""

from collections.abc import Mapping

from stackroles import naming


def incident(
    owner_uid: str,
    role: str,
    lost: Mapping[str, str],
    remaining: Mapping[str, str],
    former: str = "",
) -> str:
    """Return the digest that a consent to one loss of members must name, eight hexadecimal digits.

    Another loss has another digest, so that a consent that stays in a repository of manifests never
    applies to a later one: other members are lost, or volumes were replaced, or what remains has
    been through a recovery since.

    Args:
        owner_uid: identity of the resource that the role belongs to.
        role: the role.
        lost: uid of the volume claim of each member that is lost, by pod name; empty where there is
            no claim.
        remaining: what the data of each remaining member is, by pod name: the uid of its claim, and
            what differs after the member has continued by consent.
        former: the last incident that is over, where a recovery by consent keeps all claims, so
            that nothing else tells the next one from it.
    """
    return naming.digest([owner_uid, role, dict(lost), dict(remaining), former], 8)
