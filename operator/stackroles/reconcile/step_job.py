"""The Job of a step: made once for its inputs, tried again when it failed."""

from typing import Any

from stackroles.constants import LABEL_INSTANCE, LABEL_OWNER_KIND, LABEL_STEP
from stackroles.kube.kinds import Key, is_owned, ref_of
from stackroles.reconcile.context import Context
from stackroles.workloads.step import StepState

Object = dict[str, Any]

_IDENTITY = (LABEL_INSTANCE, LABEL_OWNER_KIND, LABEL_STEP)


class StepJob:
    """One step's Jobs in one pass.

    Args:
        context: the operator's context.
        resource: the resource whose step it is.
        manifest: the Job of the step's present inputs, whose name holds their hash.
        key: whose pass it is, the resource's by default: what is reconciled again.
    """

    def __init__(
        self, context: Context, resource: Object, manifest: Object, key: Key | None = None
    ) -> None:
        self._context = context
        self._resource = resource
        self._manifest = manifest
        self._key = key or ref_of(resource)
        self._ref = ref_of(manifest)
        self._labels = {key: manifest["metadata"]["labels"][key] for key in _IDENTITY}

    def seen(self) -> tuple[Object | None, list[Object]]:
        """Return the Job of the present inputs, None where it is not there, and its pods."""
        job = self._context.cluster.get(*self._ref)
        if job is None or job["metadata"].get("deletionTimestamp"):
            return None, []
        pods = self._context.cluster.list("Pod", self._ref.namespace, self._labels)
        return job, [pod for pod in pods if is_owned(pod, job)]

    async def run(self, state: StepState) -> None:
        """Have the Job run unless it has, and those of other inputs go.

        Args:
            state: how it stands; one that failed goes when it is due, and is made again.
        """
        cluster, now, due = self._context.cluster, self._context.clock.now(), state.retry_at
        present = cluster.get(*self._ref) is not None
        await self.remove(but_present=due is None or now < due)
        if not present:
            await cluster.create_once(self._manifest, self._resource)
        elif due is not None:
            self._context.enqueue(self._key, max(1.0, (due - now).total_seconds()))

    async def remove(self, *, but_present: bool = False) -> None:
        """Delete the step's Jobs, or those of other inputs than the present ones."""
        for job in self._context.cluster.list("Job", self._ref.namespace, self._labels):
            kept = but_present and ref_of(job) == self._ref
            if not kept and not job["metadata"].get("deletionTimestamp"):
                await self._context.cluster.delete(job)
