"""What `helm test` runs: does the operator answer, and does the API server know its resources.

Standard library only, so that it runs in the operator's image or any other with Python. Creates
nothing: the CloudController it sends is a server-side dry run.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEADLINE_SECONDS = 120


class CheckError(Exception):
    """A check did not hold."""


def call_api(method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Return status and body of one call of the Kubernetes API as this pod's ServiceAccount."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{host}:{port}{path}",
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def wait_until_ready(url: str, deadline: float) -> None:
    """Wait until the operator says that it is ready."""
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - in the cluster
                if answer.status == 200:
                    return
        except OSError as error:
            last = str(error)
        time.sleep(1)
    raise CheckError(f"{url} did not become ready within {DEADLINE_SECONDS} s: {last}")


def dry_run(namespace: str, spec: dict[str, Any]) -> tuple[int, Any]:
    """Send a CloudController as a strict server-side dry run; nothing is stored."""
    path = f"/apis/stackroles.io/v1alpha1/namespaces/{namespace}/cloudcontrollers"
    return call_api(
        "POST",
        f"{path}?dryRun=All&fieldValidation=Strict",
        {
            "apiVersion": "stackroles.io/v1alpha1",
            "kind": "CloudController",
            "metadata": {"generateName": "helm-test-"},
            "spec": spec,
        },
    )


def main() -> int:
    """Run the checks in order; the first that fails is told and ends the run."""
    namespace = os.environ["TEST_NAMESPACE"]
    try:
        wait_until_ready(os.environ["OPERATOR_URL"], time.monotonic() + DEADLINE_SECONDS)
        sys.stdout.write("ok: the operator is ready\n")
        status, answer = dry_run(namespace, {})
        if status != 201:
            raise CheckError(f"an empty spec was refused ({status}): {answer.get('message')}")
        sys.stdout.write("ok: the API server accepts a CloudController\n")
        status, answer = dry_run(namespace, {"unknownField": True})
        if status not in (400, 422):
            raise CheckError(f"an unknown field was not refused ({status})")
        sys.stdout.write("ok: the API server refuses an unknown field\n")
    except CheckError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
