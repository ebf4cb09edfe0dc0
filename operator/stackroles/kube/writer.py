"""Single writes to the Kubernetes API; each first passes the leader's fence."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stackroles.constants import FIELD_MANAGER, STATUS_MANAGER
from stackroles.errors import Conflict, NotFound, Rejected
from stackroles.kube.cache import Cache
from stackroles.kube.client import APPLY_PATCH, MERGE_PATCH, KubeClient
from stackroles.kube.kinds import ObjectRef, kind_of, ref_of, uid_of

Object = dict[str, Any]
Fence = Callable[[], float]
"""Returns the seconds for which this process may still write; raises LeadershipLost when none."""

_WRITE_SECONDS: Final = 30.0


class Writer:
    """Writes objects and keeps the cache at what the API server answered.

    The cache notifies its listener, so that a write wakes all it concerns as a watch's event would:
    that event comes with the same version later and is no change then.

    No request outlives the fence, so a write cannot land after another replica took over unless the
    API server itself delays it.
    """

    def __init__(self, client: KubeClient, cache: Cache, fence: Fence) -> None:
        self._client = client
        self._cache = cache
        self._fence = fence

    async def apply(self, manifest: Object, manager: str = FIELD_MANAGER) -> Object:
        """Apply a manifest server-side, taking over fields that others own.

        Returns:
            The whole object as stored.

        Raises:
            ClusterError: the API server refused or did not answer.
            LeadershipLost: another replica may be the leader.
        """
        query = {"fieldManager": manager, "force": "true"}
        path = _path(ref_of(manifest))
        answer = await self._send("PATCH", path, manifest, APPLY_PATCH, query)
        return self._keep(answer, manifest)

    async def create(self, manifest: Object, manager: str = FIELD_MANAGER) -> Object:
        """Create an object; see `apply`. Raises Conflict when the name is taken."""
        ref = ref_of(manifest)
        path = kind_of(ref.kind).path(ref.namespace)
        answer = await self._send("POST", path, manifest, query={"fieldManager": manager})
        return self._keep(answer, manifest)

    async def delete(
        self, obj: Object, propagation: str = "Background", grace_seconds: int | None = None
    ) -> None:
        """Delete exactly this object in exactly this state; one that is gone already is fine.

        Args:
            obj: the object.
            propagation: what becomes of its dependents.
            grace_seconds: how long a pod may take to end, 0 not to wait for its kubelet; the pod's
                own grace period by default.

        Raises:
            Conflict: it is another object of that name, or it has changed since.
        """
        metadata = obj["metadata"]
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
        }
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        try:
            await self._send("DELETE", _path(ref_of(obj)), body)
        except NotFound:
            self._cache.remove(obj)

    async def patch(
        self, obj: Object, patch: Object, subresource: str = "", manager: str = FIELD_MANAGER
    ) -> Object:
        """Merge a patch into exactly this object (by uid).

        Raises:
            Conflict: it is gone, it is another object of that name, or the patch's own
                resourceVersion is old.
        """
        metadata = {**patch.get("metadata", {}), "uid": uid_of(obj)}
        body = {**patch, "metadata": metadata}
        path = _path(ref_of(obj), subresource)
        try:
            answer = await self._send("PATCH", path, body, MERGE_PATCH, {"fieldManager": manager})
        except Rejected as error:
            if "metadata.uid" in error.fields:
                raise Conflict(f"{error}: another object has this name now", 409) from error
            raise
        except NotFound as error:
            # The watch has not delivered that yet.
            self._cache.remove(obj)
            raise Conflict(f"{error}: it is gone", 409) from error
        return self._keep(answer, body)

    async def patch_status(self, obj: Object, patch: Object) -> Object:
        """Merge a patch into the status of exactly this version of an object."""
        version = obj["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        return await self.patch(obj, body, "status", STATUS_MANAGER)

    async def _send(
        self,
        method: str,
        path: str,
        body: Object,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        seconds = min(self._fence(), _WRITE_SECONDS)
        answer: Object = await self._client.request(
            method, path, query=query, body=body, content_type=content_type, timeout=seconds
        )
        return answer

    def _keep(self, answer: Object, sent: Object) -> Object:
        if kind_of(answer["kind"]).watched:
            self._cache.upsert(answer, sent)
        return answer


def _path(ref: ObjectRef, subresource: str = "") -> str:
    return kind_of(ref.kind).path(ref.namespace, ref.name, subresource)
