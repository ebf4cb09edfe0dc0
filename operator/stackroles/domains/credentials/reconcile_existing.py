"""Secrets that were made for a cloud once: read as they are, and never generated anew."""

from collections.abc import Mapping
from typing import Any

import structlog

from stackroles import naming
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_KEYS, LABEL_MANAGED_BY, MANAGED_BY
from stackroles.domains.credentials import generate as credentials
from stackroles.domains.credentials.changed import Copy, InUse, changed_keys, find_in_use
from stackroles.domains.credentials.keyring import follows, malformed_keys
from stackroles.domains.credentials.note import Note, read_note
from stackroles.errors import SpecInvalid
from stackroles.kube.apply import records_of
from stackroles.kube.cluster import Cluster
from stackroles.roles.definition import OpenStackService

Object = dict[str, Any]
Strings = Mapping[str, str]
log = structlog.get_logger(__name__)


class ExistingSecrets:
    """The Secrets of a cloud as the cluster has them.

    Args:
        cluster: the cluster.
        resource: the CloudController as in the cache.
        cloud: the same, resolved.
    """

    def __init__(self, cluster: Cluster, resource: Object, cloud: Cloud) -> None:
        self._cluster = cluster
        self._cloud = cloud
        self._made = {ref.name for ref in records_of(resource) if ref.kind == "Secret"}
        state = cluster.get("ConfigMap", cloud.namespace, naming.state(cloud.name))
        # A database without any record of Secrets is one that a resource takes up again.
        self._taken_up = state is not None and not self._made

    async def read(self, name: str) -> dict[str, str]:
        """Return what a Secret of the cloud's holds, nothing before it was made.

        Raises:
            SpecInvalid: it was made and is gone; new passwords would fit no database.
        """
        found = await self._cluster.read_secret(self._cloud.namespace, name)
        if found is not None:
            return {key: value for key, value in decode(name, found).items() if value}
        if name in self._made or self._taken_up:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} was made for this cloud and is gone. What it held is not generated "
                "anew, since the databases know the old passwords. Bring it back from a backup, "
                f"with the label {LABEL_MANAGED_BY}: {MANAGED_BY}.",
            )
        return {}

    def note(self, name: str) -> Note | None:
        """Return what is noted on a Secret; None where that is lost, empty for one not yet made."""
        seen = self._cluster.get("Secret", self._cloud.namespace, name)
        noted = (seen or {}).get("metadata", {}).get("annotations", {}).get(ANNOTATION_KEYS)
        if noted is not None:
            return read_note(noted)
        return None if name in self._made or self._taken_up else Note()

    async def find_in_use(
        self, keys: tuple[str, ...], name: str, place: str, written: Strings
    ) -> InUse:
        """Return the values that accounts and processes have, of what two Secrets hold.

        Args:
            keys: names of the values.
            name: the Secret that people see.
            place: the one that pods read.
            written: values of the former.

        Raises:
            SpecInvalid: neither holds them any more.
        """
        found = await self._cluster.read_secret(self._cloud.namespace, place)
        made = found is not None or place in self._made
        copy = Copy(decode(place, found or {}), self.note(place) if made else Note())
        in_use = find_in_use(keys, written, self.note(name) or Note(), copy)
        if in_use.lost:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Neither Secret {name} nor Secret {place} is known to hold the value in use of "
                f"{', '.join(in_use.lost)}. What they hold reaches no account and no process. Put "
                f"the value back into {name} from a backup. Where that holds none, give the "
                "accounts a new value by hand, write it into both Secrets and remove the "
                f"annotation {ANNOTATION_KEYS} from both.",
            )
        if changed_keys(keys, copy.values, in_use.values):
            log.warning("What somebody changed in a copy of a Secret is put back", secret=place)
        return in_use

    def _recorded(self, name: str) -> frozenset[str] | None:
        """Return the names noted on a Secret; without a note, none for one that was not made."""
        note = self.note(name)
        return None if note is None else note.names

    def check_kept(
        self, service: OpenStackService, name: str, wanted: tuple[str, ...], values: Strings
    ) -> None:
        """Raise SpecInvalid where values that were made once are gone from a service's Secret."""
        missing = credentials.missing_keys(wanted, values, self._recorded(name))
        if missing:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} has lost {', '.join(missing)}. That is not generated anew, since "
                "the databases and services know the old value. Put it back from Secret "
                f"{naming.credentials_in_use(self._cloud.name, service.name)}, which pods read, or "
                f"from a backup, or bring it by spec.credentials.{service.name}.",
            )

    def check_ring(
        self, service: OpenStackService, ring: str, name: str, keys: Strings, key: str
    ) -> None:
        """Check a key repository: no rotation loses all keys, or leaves what is none.

        Args:
            service: whose it is.
            ring: its name.
            name: its Secret.
            keys: what that holds, by number.
            key: the key of the service's digests, empty where there is none yet.

        Raises:
            SpecInvalid: it has lost keys, or holds something else.
        """
        least, note = credentials.RING_KEYS, self.note(name) or Note()
        if len(keys) < len(least) and self._recorded(name) != frozenset():
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} has lost keys: it holds {', '.join(sorted(keys)) or 'none'}. New "
                "ones would make unreadable what was encrypted by the old ones. Put them back from "
                f"a backup; where it holds none, spec.credentials.{service.name} may bring them.",
            )
        if malformed := malformed_keys(keys):
            raise SpecInvalid(
                Reason.CREDENTIALS_INVALID,
                f"Secret {name} holds no key under {', '.join(malformed)}. keystone's keys are 32 "
                "bytes in URL-safe base64, as keystone-manage makes them. Put them back from a "
                "backup.",
            )
        if key and not follows(key, ring, keys, note):
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} holds none of the keys that it held. What was encrypted by those "
                "is unreadable: put them back from a backup beside the new ones. To give them up, "
                f"remove the annotation {ANNOTATION_KEYS} from that Secret.",
            )


def decode(secret: str, found: Mapping[str, bytes]) -> dict[str, str]:
    """Return what a Secret holds as text.

    Raises:
        SpecInvalid: it holds something else; the message names no content.
    """
    try:
        return {key: value.decode() for key, value in found.items()}
    except UnicodeDecodeError:
        message = f"Secret {secret} holds bytes that are no text: put text there."
        raise SpecInvalid(Reason.CREDENTIALS_INVALID, message) from None
