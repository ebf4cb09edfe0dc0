"""A running cloud as its users see it: resources, members, and what its pods say."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import LabError
from lab.kubectl import Kubectl, Object, condition_of, holds

COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
OWNER_NAME = "stackroles.io/owner-name"
OWNER_KIND = "stackroles.io/owner-kind"
SOCKET = "/run/mysqld/mysqld.sock"
READY_SECONDS = 420


@dataclass(frozen=True, slots=True)
class Cloud:
    """One CloudController and its members."""

    kubectl: Kubectl
    name: str = "demo"

    def resource(self) -> Object:
        """Return the CloudController.

        Raises:
            LabError: it does not exist.
        """
        found = self.kubectl.get("cloudcontroller", self.name)
        if found is None:
            raise LabError(
                f"CloudController {self.name} does not exist: bring the cluster up first"
            )
        return found

    def wait_ready(self, seconds: float = READY_SECONDS) -> Object:
        """Wait until the cloud is Ready of its newest generation and nothing is under way."""
        last: list[Object] = []

        def check() -> tuple[bool, str]:
            last[:] = [self.resource()]
            ready, state = holds(last[0], "Ready")
            return ready and condition_of(last[0], "Reconciling").get("status") == "False", state

        self.kubectl.wait(f"Ready of cloud {self.name}", check, seconds=seconds)
        return last[0]

    def wait_reason(
        self,
        condition: str,
        reason: str,
        *,
        seconds: float,
        status: str = "False",
        contains: str = "",
    ) -> Object:
        """Wait until a condition of this cloud has a reason, and return the condition."""
        return wait_reason(
            self.kubectl,
            "cloudcontroller",
            self.name,
            condition,
            reason,
            status=status,
            seconds=seconds,
            contains=contains,
        )

    def members(self, role: str) -> list[str]:
        """Return the names of a role's pods, in order."""
        return sorted(pod["metadata"]["name"] for pod in self.pods(role))

    def pods(self, role: str = "") -> list[Object]:
        """Return the pods of a role, or of every role.

        Left out are the one-shot pods of steps and pods on their way out.
        """
        selector = f"{INSTANCE}={self.name},{OWNER_KIND}=CloudController"
        selector += f",app.kubernetes.io/name={role}" if role else ",app.kubernetes.io/name!=step"
        found = self.kubectl.items("pods", selector)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def exec(self, pod: str, *command: str, timeout: float = 60) -> str:
        """Run a command in a member's main container and return what it printed."""
        return self.kubectl.run("exec", pod, "--", *command, timeout=timeout)

    def agent(self, member: str, port: int, path: str) -> str:
        """Return what a member's agent answers, through the API server.

        A program in the member would cost its node more than the answer.

        Raises:
            LabError: it does not answer.
        """
        pod = f"/api/v1/namespaces/{self.kubectl.namespace}/pods/{member}:{port}"
        return self.kubectl.run("get", "--raw", f"{pod}/proxy{path}", timeout=30)

    def server_process(self, member: str, program: str) -> str:
        """Return the start time of a member's server, which is another after a kill."""
        asked = f"stat --format=%Y.%i /proc/$(pidof {program})"
        return self.exec(member, "sh", "-c", asked).strip()

    def sql(self, member: str, statement: str, timeout: float = 30) -> str:
        """Run a statement on one database member, over its own socket; returns rows by tabs."""
        return self.exec(
            member, "mariadb", f"--socket={SOCKET}", "--batch", "--skip-column-names",
            "--execute", statement, timeout=timeout,
        )  # fmt: skip

    def database_state(self, member: str) -> tuple[str, str]:
        """Return a member's own state and cluster size, or what kept it from answering."""
        asked = (
            "SELECT variable_value FROM information_schema.global_status WHERE variable_name IN "
            "('wsrep_local_state_comment', 'wsrep_cluster_size') ORDER BY variable_name"
        )
        try:
            answer = self.sql(member, asked, timeout=15).split()
        except LabError as error:
            return "silent", (error.detail or error.what).splitlines()[-1]
        return (answer[1], answer[0]) if len(answer) == 2 else ("silent", " ".join(answer))

    def wait_synced(self, members: list[str], seconds: float) -> None:
        """Wait until every database member says itself that it is synced with all others."""

        def check() -> tuple[bool, str]:
            states = {member: self.database_state(member) for member in members}
            done = all(state == ("Synced", str(len(members))) for state in states.values())
            return done, ", ".join(f"{name}: {' of '.join(s)}" for name, s in states.items())

        self.kubectl.wait(f"{len(members)} synced members", check, seconds=seconds)

    def identities(self) -> dict[str, dict[str, str]]:
        """Return role -> pod name -> what changes when the pod is replaced or restarted."""
        found: dict[str, dict[str, str]] = {}
        for pod in self.pods():
            labels, metadata = pod["metadata"]["labels"], pod["metadata"]
            restarts = sum(
                c["restartCount"] for c in pod.get("status", {}).get("containerStatuses", [])
            )
            role = labels["app.kubernetes.io/name"]
            found.setdefault(role, {})[metadata["name"]] = f"{metadata['uid']} {restarts}"
        return found


def wait_reason(
    kubectl: Kubectl,
    kind: str,
    name: str,
    condition: str,
    reason: str,
    *,
    status: str = "False",
    seconds: float,
    contains: str = "",
) -> Object:
    """Wait until a condition of the newest generation has a reason, and return the condition.

    Args:
        kubectl: bound to the resource's namespace.
        kind: the resource's kind.
        name: the resource's name.
        condition: the condition's type.
        reason: the reason it shall have.
        status: the status that belongs to the reason.
        seconds: the deadline.
        contains: text that the message must contain.
    """
    last: list[Object] = []

    def check() -> tuple[bool, str]:
        found = kubectl.get(kind, name)
        if found is None:
            return False, f"{kind}/{name} does not exist"
        last[:] = [condition_of(found, condition)]
        now = last[0]
        fresh = now.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
        right = now.get("reason") == reason and now.get("status") == status
        state = summary(found)
        return fresh and right and contains in now.get("message", ""), state

    kubectl.wait(f"{condition}={reason} of {kind}/{name}", check, seconds=seconds)
    return last[0]


def summary(found: Mapping[str, Any]) -> str:
    """Return every condition of a resource in one line each."""
    conditions = found.get("status", {}).get("conditions", [])
    return "\n".join(
        f"{c['type']} {c['status']} {c.get('reason', '')}: {c.get('message', '')}"
        for c in conditions
    )


def wait_gone(kubectl: Kubectl, kind: str, name: str, seconds: float) -> None:
    """Wait until an object no longer exists."""

    def check() -> tuple[bool, str]:
        found = kubectl.get(kind, name)
        return found is None, summary(found or {}) or "it still exists"

    kubectl.wait(f"the end of {kind}/{name}", check, seconds=seconds)


def wait_until(
    kubectl: Kubectl, what: str, check: Callable[[], Any], *, wanted: Any, seconds: float
) -> None:
    """Wait until a check returns what is wanted; the error says what was seen last."""

    def compare() -> tuple[bool, str]:
        seen = check()
        return seen == wanted, json.dumps(seen, default=str)

    kubectl.wait(what, compare, seconds=seconds)
