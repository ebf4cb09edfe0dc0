"""Reads: from the cache, and live for what the cache leaves out on purpose."""

import base64
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog

from stackroles.errors import ClusterError, NotFound
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient
from stackroles.kube.kinds import OWN_KINDS, ObjectRef, kind_of, ref_of, uid_of, version_of
from stackroles.kube.redact import Redact, named_secrets, redactor

Object = dict[str, Any]
Objects = list[Object]
log = structlog.get_logger(__name__)

# A user's own Secret is not watched: how long its content may be taken from memory.
_UNWATCHED_SECONDS: Final = 10.0


class Reader:
    """Reads objects; those returned from the cache are shared and must not be changed."""

    def __init__(self, client: KubeClient, cache: Cache) -> None:
        self.cache = cache
        self._client = client
        # As much as is watched, and what was read a moment ago.
        self._memory: dict[ObjectRef, tuple[int, float, Object]] = {}

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return a watched object (trimmed), or None."""
        return self.cache.get(kind, namespace, name)

    def list(
        self, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Objects:
        """Return watched objects (trimmed) of a kind, by namespace ("" for all) and labels."""
        return self.cache.list(kind, namespace, labels)

    def naming(self, kind: str, namespace: str, field: str, name: str) -> Objects:
        """Return the resources of ours whose `spec.<field>` names an object of their namespace."""
        return self.cache.naming(kind, namespace, field, name)

    def owned(self, owner: Object, kind: str = "") -> Objects:
        """Return watched objects (trimmed) with an owner reference to `owner`."""
        return self.cache.owned(uid_of(owner), kind)

    async def read(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return the whole object from the API server, or None when it does not exist."""
        try:
            found: Object = await self._client.request("GET", kind_of(kind).path(namespace, name))
        except NotFound:
            return None
        return found

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        """Return a Secret's decoded data, or None when it does not exist.

        One that we watch is read once a version; a user's own at most every ten seconds.
        """
        secret = await self._remembered(ObjectRef("Secret", namespace, name))
        if secret is None:
            return None
        return {key: base64.b64decode(value) for key, value in secret.get("data", {}).items()}

    async def read_redactor(self, namespace: str) -> Redact:
        """Return what masks the content of a namespace's Secrets in a text.

        All Secrets that we made there count, and those that resources of ours name; each is read as
        by `read_secret`. One that cannot be read is left out: programs that can read it speak of it
        as of any other only after that is mended.
        """
        names = {secret["metadata"]["name"] for secret in self.list("Secret", namespace)}
        for kind in OWN_KINDS:
            for resource in self.list(kind, namespace):
                names |= named_secrets(resource)
        values: set[str] = set()
        for name in sorted(names):
            try:
                data = await self.read_secret(namespace, name)
            except ClusterError as error:
                log.warning("A Secret cannot be read to mask it", secret=name, error=str(error))
                continue
            values |= {value.decode(errors="replace").strip() for value in (data or {}).values()}
        return redactor(values)

    async def read_config_map(self, namespace: str, name: str) -> dict[str, str] | None:
        """Return a ConfigMap's data, or None when it does not exist; see `read_secret`."""
        config_map = await self._remembered(ObjectRef("ConfigMap", namespace, name))
        return None if config_map is None else dict(config_map.get("data", {}))

    async def read_events(self, obj: Object, reason: str) -> Objects:
        """Return the Events about exactly this object with a reason; the API keeps them an hour."""
        namespace = obj["metadata"].get("namespace", "")
        query = {"fieldSelector": f"regarding.uid={uid_of(obj)},reason={reason}", "limit": "50"}
        path = kind_of("Event").path(namespace)
        answer = await self._client.request("GET", path, query=query)
        return list(answer.get("items") or ())

    async def read_log(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        lines: int = 20,
        *,
        previous: bool = False,
    ) -> str:
        """Return the last lines of a container's log, empty when there is none (yet).

        Args:
            namespace: the pod's namespace.
            pod: its name.
            container: which container; needed when there are several.
            lines: how many lines.
            previous: of the container's run before this one.
        """
        query = {"tailLines": str(lines), "limitBytes": "65536"}
        if container:
            query["container"] = container
        if previous:
            query["previous"] = "true"
        path = kind_of("Pod").path(namespace, pod, "log")
        try:
            text = await self._client.request_bytes("GET", path, query=query)
        except NotFound:
            return ""
        return text.decode(errors="replace").strip()

    async def _remembered(self, ref: ObjectRef) -> Object | None:
        seen, now = self.get(*ref), time.monotonic()
        version = version_of(seen) if seen is not None else 0
        known = self._memory.get(ref)
        if known is not None:
            fresh = known[0] >= version if seen is not None else now - known[1] < _UNWATCHED_SECONDS
            if fresh:
                return known[2]
        found = await self.read(*ref)
        if found is None:
            self._memory.pop(ref, None)
            return None
        self._memory = {
            known: entry
            for known, entry in self._memory.items()
            if self.get(*known) is not None or now - entry[1] < _UNWATCHED_SECONDS
        }
        self._memory[ref_of(found)] = (version_of(found), now, found)
        return found

    def _latest(self, obj: Object) -> Object:
        """Return the cached object if it is a newer version of `obj`, else `obj`."""
        seen = self.get(*ref_of(obj))
        newer = (
            seen is not None and uid_of(seen) == uid_of(obj) and version_of(seen) > version_of(obj)
        )
        return seen if seen is not None and newer else obj
