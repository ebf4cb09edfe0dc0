"""What whoever works with a repository needs first: the user's Secrets, a volume, its turn."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import LABEL_STEP
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding
from stackroles.workloads.recovery_set.repository import (
    RepositoryAccess,
    claim_name,
)
from stackroles.workloads.recovery_set.users import STEPS, user_among
from stackroles.workloads.recovery_set.volume import find_volume_problem

Object = dict[str, Any]
KEY = "password"
MINIMUM_KEY = 8
# To find a repository free and to start a run on it are one step; leaders are fenced from each
# other.
_LOCKS: WeakKeyDictionary[Cluster, asyncio.Lock] = WeakKeyDictionary()


def start_lock(context: Context) -> asyncio.Lock:
    """Return the lock that whoever asks whether a repository is free, and takes it, must hold."""
    return _LOCKS.setdefault(context.cluster, asyncio.Lock())


def user_of(context: Context, *repositories: str) -> str:
    """Return who works with one of some repositories, as a phrase; empty when all are free.

    A verification only reads, and a copy reads one of its two, but what a run removes meanwhile
    they would miss.

    Args:
        context: the context.
        repositories: their ids (`repository_id`).
    """
    found = [
        one
        for step in STEPS
        for kind in ("Job", "Pod")
        for one in context.cluster.list(kind, "", {LABEL_STEP: step})
    ]
    return next((user for one in repositories if (user := user_among(found, one))), "")


async def find_access_problem(
    context: Context, namespace: str, policy_name: str, access: RepositoryAccess
) -> Finding | None:
    """Return what keeps a repository from being used, None when its Secrets and volume do not."""
    problem = await find_secret_problem(context, namespace, access)
    return problem or await find_claim_problem(context, namespace, policy_name, access)


async def find_secret_problem(
    context: Context, namespace: str, access: RepositoryAccess
) -> Finding | None:
    """Return what is wrong with the Secrets of a repository, None when all can be used."""
    problem = await _find_key_problem(context, namespace, access.encryption_secret)
    s3 = access.repository.s3
    if problem or s3 is None:
        return problem
    wanted = {s3.credentials_secret: ("accessKeyId", "secretAccessKey")}
    if s3.ca_secret:
        wanted[s3.ca_secret] = (*wanted.get(s3.ca_secret, ()), "ca.crt")
    for name, keys in wanted.items():
        problem = await _find_missing(context, namespace, name, keys)
        if problem:
            return problem
    return None


async def _find_key_problem(context: Context, namespace: str, name: str) -> Finding | None:
    secret = await context.cluster.read_secret(namespace, name)
    if secret is None:
        return Finding(
            Reason.ENCRYPTION_SECRET_MISSING,
            f"Secret {name} does not exist in {namespace}: create it with the key {KEY}, and keep "
            "a copy elsewhere, since without it no backup can be read.",
        )
    if len(secret.get(KEY, b"").strip()) < MINIMUM_KEY:
        return Finding(
            Reason.ENCRYPTION_SECRET_INVALID,
            f"Secret {name} has no key {KEY} of at least {MINIMUM_KEY} characters: add it.",
        )
    return None


async def _find_missing(
    context: Context, namespace: str, name: str, keys: tuple[str, ...]
) -> Finding | None:
    secret = await context.cluster.read_secret(namespace, name)
    if secret is None:
        return Finding(
            Reason.REPOSITORY_SECRET_MISSING,
            f"Secret {name}, which spec.repository.s3 names, does not exist in {namespace}: create "
            f"it with {' and '.join(keys)}.",
        )
    missing = [key for key in keys if not secret.get(key, b"").strip()]
    if missing:
        return Finding(
            Reason.REPOSITORY_SECRET_INVALID,
            f"Secret {name}, which spec.repository.s3 names, has no {' and no '.join(missing)}: "
            "add it.",
        )
    return None


async def find_claim_problem(
    context: Context, namespace: str, policy_name: str, access: RepositoryAccess
) -> Finding | None:
    """Return why the repository has no volume to be on, None when it has or needs none."""
    name = claim_name(policy_name, access)
    if name is None:
        return None
    cluster = context.cluster
    # A user's own claim is not watched.
    claim = cluster.get("PersistentVolumeClaim", namespace, name) or await cluster.read(
        "PersistentVolumeClaim", namespace, name
    )
    if claim is None:
        return Finding(
            Reason.VOLUME_PENDING,
            f"Volume claim {name} does not exist in {namespace}: create it, or correct "
            "spec.repository.volume.claimName.",
        )
    phase, wanted = claim.get("status", {}).get("phase"), claim["spec"].get("storageClassName")
    found = await cluster.read("StorageClass", "", wanted) if wanted and phase != "Bound" else None
    return find_volume_problem(claim, found, context.clock.now())
