"""Why the demo's guest does not serve, as nova, its hosts and their nodes have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lab.errors import LAB, LabError
from lab.kubectl import Kubectl, Object, condition_of

if TYPE_CHECKING:
    from openstack.connection import Connection

SINCE = "30m"
QEMU_LOGS = "/var/log/libvirt/qemu"
LINES = 6
WIDTH = 400
# Instance actions with the events' hosts and details.
MICROVERSION = "2.84"
POWER_STATES = {0: "none", 1: "running", 3: "paused", 4: "shut down", 6: "crashed", 7: "suspended"}
_ENV = f'eval "$({LAB} env)"'


def explain(error: LabError, cloud: Kubectl, connection: Connection, name: str) -> LabError:
    """Return an error with everything that the cloud knows of the guest it is about.

    Args:
        error: what went wrong with the guest.
        cloud: kubectl in the cloud's namespace.
        connection: the administrator's.
        name: the guest's name.

    Returns:
        The same error; its detail is nova's fault with the failed events and their hosts,
        nova-compute's own lines of the log, the state of the guest in libvirt and the ComputeNodes'
        conditions; its remedy is the next command.
    """
    server = next(iter(connection.compute.servers(name=f"^{name}$")), None)
    sections: list[tuple[str, Callable[[], Sequence[str]]]] = [
        ("ComputeNodes", lambda: node_lines(cloud.items("computenode"))),
    ]
    if server is not None:
        uuid, domain = str(server.id), str(server.instance_name or "")
        sections = [
            ("nova's record", lambda: server_lines(server)),
            ("nova's failed events", lambda: event_lines(_actions(connection, uuid))),
            ("nova-compute's log", lambda: _log_lines(cloud, uuid)),
            (f"libvirt's view of {domain}", lambda: _domain(cloud, server.compute_host, domain)),
            *sections,
        ]
    parts = [error.detail] if error.detail else []
    parts += [f"{title}:\n{_text(read)}" for title, read in sections]
    return LabError(error.what, detail="\n".join(parts), remedy=next_command(server, cloud))


def explain_pool(error: LabError, cloud: Kubectl) -> LabError:
    """Return an error with what each ComputeNode says of itself.

    Args:
        error: why the pool is not Ready.
        cloud: kubectl in the cloud's namespace.
    """
    nodes = _text(lambda: node_lines(cloud.items("computenode")))
    detail = "\n".join(part for part in (error.detail, f"ComputeNodes:\n{nodes}") if part)
    return LabError(error.what, detail=detail, remedy=next_command(None, cloud))


def next_command(server: Any, cloud: Kubectl) -> str:
    """Return what a person types next: the log of nova-compute, or that of the guest's QEMU."""
    kubectl = f"kubectl -n {cloud.namespace}"
    if server is None:
        return f"{_ENV}; {kubectl} describe computenode"
    if server.status == "ERROR" or not server.compute_host:
        pods = f"logs -l {_selector('nova-compute')} -c nova-compute --since={SINCE} --tail=-1"
        return f"{_ENV}; {kubectl} {pods} --prefix | grep {server.id}"
    log = f"{QEMU_LOGS}/{server.instance_name}.log"
    pod = f"$({kubectl} get pod -l {_selector('libvirt')} -o name"
    on = f" --field-selector spec.nodeName={server.compute_host})"
    return f"{_ENV}; {kubectl} exec {pod}{on} -- tail -n 60 {log}"


def server_lines(server: Any) -> list[str]:
    """Return a server's states and its fault in nova's message."""
    power = POWER_STATES.get(server.power_state, str(server.power_state))
    state = f"{server.status}, task {server.task_state or 'none'}, power {power}"
    lines = [f"{server.id}: {state}, host {server.compute_host or 'none'}"]
    fault = server.fault or {}
    if fault.get("message"):
        lines.append(f"fault {fault.get('code', '')}: {fault['message']}")
    details = str(fault.get("details", "")).strip().splitlines()
    return lines + [line.strip() for line in details[-1:]]


def event_lines(actions: Iterable[Object]) -> list[str]:
    """Return the events of a server's actions that failed, with their host and message."""
    lines = []
    for action in actions:
        for event in action.get("events") or ():
            if event.get("result") not in ("Error", "error"):
                continue
            trace = str(event.get("traceback") or "").strip().splitlines()
            last = trace[-1].strip() if trace else str(event.get("details") or "no reason given")
            where = event.get("host") or "unknown host"
            lines.append(f"{action.get('action', '')}: {event.get('event')} on {where}: {last}")
    return lines


def node_lines(nodes: Iterable[Object]) -> list[str]:
    """Return each ComputeNode with what runs guests there, and the conditions that say more."""
    lines = []
    for node in nodes:
        status = node.get("status") or {}
        virt = f"{status.get('virtType', 'not probed')}, {status.get('virtReason', 'no reason')}"
        lines.append(f"{node['metadata']['name']}: {status.get('state', 'unknown')}; {virt}")
        ready, failing = condition_of(node, "Ready"), condition_of(node, "GuestsFailing")
        if ready.get("status") != "True":
            lines.append(f"  Ready={ready.get('status')} {_excerpt(ready)}")
        if failing.get("status") == "True":
            lines.append(f"  GuestsFailing=True {_excerpt(failing)}")
    return lines


def error_lines(log: str, uuid: str) -> list[str]:
    """Return the last errors of a nova-compute's log that name a server."""
    kept = [line for line in log.splitlines() if uuid in line and " ERROR " in line]
    return kept[-LINES:]


def _excerpt(condition: Object) -> str:
    return f"{condition.get('reason', '')}: {condition.get('message', '')}"


def _text(read: Callable[[], Sequence[str]]) -> str:
    """Return what was read, indented; what cannot be read says why and hides nothing else."""
    from openstack.exceptions import SDKException  # noqa: PLC0415 - see apis

    try:
        lines = list(read()) or ["nothing"]
    except (LabError, SDKException) as error:
        lines = [f"could not be read: {error}"]
    return "\n".join(f"  {line[:WIDTH]}" for line in lines)


def _actions(connection: Connection, uuid: str) -> list[Object]:
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 - see apis

    def get(path: str) -> Any:
        response = connection.compute.get(path, microversion=MICROVERSION)
        raise_from_response(response)
        return response.json()

    base = f"/servers/{uuid}/os-instance-actions"
    found = get(base)["instanceActions"]
    return [get(f"{base}/{action['request_id']}")["instanceAction"] for action in found]


def _log_lines(cloud: Kubectl, uuid: str) -> list[str]:
    lines = []
    for pod in cloud.items("pod", _selector("nova-compute")):
        name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
        log = cloud.run("logs", name, "-c", "nova-compute", f"--since={SINCE}")
        lines += [f"{node}: {line}" for line in error_lines(log, uuid)]
    return lines


def _domain(cloud: Kubectl, host: str | None, domain: str) -> list[str]:
    """Return a guest's state in the libvirt of its host, and the end of its QEMU's log."""
    pods = cloud.items("pod", _selector("libvirt"))
    pod = next((p["metadata"]["name"] for p in pods if p["spec"].get("nodeName") == host), None)
    if pod is None:
        return [f"it is on no host ({host or 'none'})"]
    state = cloud.run("exec", pod, "--", "virsh", "domstate", domain, "--reason").strip()
    log = cloud.run(
        "exec", pod, "--", "tail", "-n", str(LINES), f"/var/log/libvirt/qemu/{domain}.log"
    )
    return [f"{state} on {host}", *log.strip().splitlines()]


def _selector(role: str) -> str:
    return f"app.kubernetes.io/name={role}"
