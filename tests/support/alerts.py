"""The alerts of the chart, and a Prometheus on this machine that evaluates them."""

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.install import CHART, RELEASE, SYSTEM, Site
from lab.versions import KUBERNETES
from tests.support.binaries import binary
from tests.support.gates import wait_for
from tests.support.ports import free_port

START_SECONDS = 60
ANSWER_SECONDS = 5
PERIOD = "2s"


def rules(objects: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of a file of rules, from the objects that the chart renders to."""
    (found,) = [item for item in objects if item["kind"] == "PrometheusRule"]
    spec: dict[str, Any] = found["spec"]
    return spec


def rendered(site: Site) -> list[dict[str, Any]]:
    """Return what the chart of this checkout renders to with its alerts, as it is installed."""
    text = site.run_helm(
        "template", RELEASE, str(CHART), "--kube-version", KUBERNETES,
        "--set", "metrics.prometheusRule.enabled=true",
    )  # fmt: skip
    return [item for item in yaml.safe_load_all(text) if item]


def hastened(groups: dict[str, Any], period: str) -> dict[str, Any]:
    """Return the same alerts, each of which fires after a period."""
    return {
        "groups": [
            {**group, "rules": [{**rule, "for": period} for rule in group["rules"]]}
            for group in groups["groups"]
        ]
    }


def configuration(pods: Iterable[str], proxy: int) -> dict[str, Any]:
    """Return Prometheus' configuration: the operator's pods through a proxy of kubectl.

    The labels of a target are those that the chart's ServiceMonitor gives it.
    """
    return {
        "global": {"scrape_interval": PERIOD, "evaluation_interval": PERIOD},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": pod,
                "honor_labels": True,
                "metrics_path": f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8080/proxy/metrics",
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{proxy}"],
                        "labels": {"namespace": SYSTEM, "service": RELEASE, "pod": pod},
                    }
                ],
            }
            for pod in pods
        ],
    }


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs."""

    port: int

    def ask(self, path: str) -> Any:
        """Return the data of an answer. Raises OSError."""
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)["data"]

    def up(self) -> bool:
        """Return whether every target was read."""
        try:
            targets = self.ask("/api/v1/targets?state=active")["activeTargets"]
        except OSError:
            return False
        return bool(targets) and all(target["health"] == "up" for target in targets)

    def firing(self) -> set[str]:
        """Return the alerts that fire."""
        alerts = self.ask("/api/v1/alerts")["alerts"]
        return {item["labels"]["alertname"] for item in alerts if item["state"] == "firing"}


@contextlib.contextmanager
def prometheus(site: Site, folder: Path, period: str) -> Iterator[Prometheus]:
    """Evaluate the chart's alerts on the operator's own metrics, each after a period."""
    pods = site.system.items("pods", f"app.kubernetes.io/instance={RELEASE}")
    names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    proxy, port = free_port(), free_port()
    (folder / "rules.yaml").write_text(yaml.safe_dump(hastened(rules(rendered(site)), period)))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(names, proxy)))
    kubectl = str(site.cluster.programs["kubectl"])
    commands = (
        (kubectl, f"--kubeconfig={site.cluster.kubeconfig}", "proxy", f"--port={proxy}"),
        (
            str(binary("prometheus")),
            "--config.file=prometheus.yaml",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ),
    )
    with contextlib.ExitStack() as stack:
        for command in commands:
            stack.enter_context(_running(command, folder))
        found = Prometheus(port)
        wait_for(found.up, "Prometheus reads the operator", START_SECONDS)
        yield found


@contextlib.contextmanager
def _running(command: tuple[str, ...], folder: Path) -> Iterator[None]:
    """Run a program in a folder, which gets its log, and end it."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()
