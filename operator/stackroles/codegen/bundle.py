"""manifests/install.yaml: the chart rendered with its defaults, for `kubectl apply`."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from stackroles.codegen.text import dump_yaml

NAMESPACE: Final = "stackroles-system"
KUBE_VERSION: Final = "1.34.0"
"""What the chart is rendered for; a helm built from its module knows no version of its own."""

_HELM_ONLY: Final = frozenset(
    {"helm.sh/chart", "app.kubernetes.io/managed-by", "helm.sh/resource-policy"}
)


class HelmError(Exception):
    """The chart could not be rendered; the message says why."""


def render_chart(chart: Path, *arguments: str) -> list[dict[str, Any]]:
    """Return the objects of the chart, in helm's install order.

    Args:
        chart: directory of the chart.
        arguments: further arguments of `helm template`, such as `--set`.

    Raises:
        HelmError: helm is not on PATH or refused the chart.
    """
    helm = shutil.which("helm")
    if helm is None:
        raise HelmError(
            "helm is not on PATH; `eval $(.venv/bin/python -m lab env)` puts the lab's there"
        )
    command = [helm, "template", "stackroles", str(chart), "--namespace", NAMESPACE]
    command += ["--kube-version", KUBE_VERSION, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise HelmError(f"helm refused the chart: {result.stderr.strip()}")
    documents = yaml.load_all(result.stdout, Loader=yaml.CSafeLoader)
    return [document for document in documents if document]


def install_manifest(rendered: Iterable[dict[str, Any]]) -> str:
    """Return the objects as one plain manifest: own namespace first, no trace of helm."""
    plain = [_plain(document) for document in rendered if not _is_hook(document)]
    return "---\n".join(dump_yaml(document) for document in (_namespace(), *plain))


def _namespace() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }


def _is_hook(document: dict[str, Any]) -> bool:
    return "helm.sh/hook" in (document["metadata"].get("annotations") or {})


def _plain(value: Any) -> Any:
    """Return a copy without labels and annotations that speak of helm, at any depth."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _plain(item) for key, item in value.items()}
    for key in ("labels", "annotations"):
        held = result.get(key)
        if isinstance(held, dict) and not _HELM_ONLY.isdisjoint(held):
            kept = {k: v for k, v in held.items() if k not in _HELM_ONLY}
            result.pop(key)
            if kept:
                result[key] = kept
    return result
