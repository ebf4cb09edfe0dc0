"""A client inside the cluster, independent of the operator: it writes rows and asks APIs."""

import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.kubectl import Object
from tests.support.cloud import Cloud, wait_gone

NAME = "e2e-client"
DATABASE = "e2e"
PROGRAMS = Path(__file__).parent
FOLDER = "/programs"
RECORD = "/record/rows.jsonl"
CALLS = "/record/calls.jsonl"
LOAD = "/record/load.jsonl"
USER = 65534


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one attempt to write a row.

    Attributes:
        identity: the row's id, used by this attempt only.
        sent: when it was begun, seconds of the machine's clock.
        at: when its end was known.
        host: the member that acknowledged it; empty where none did.
        error: why it was not acknowledged.
    """

    identity: int
    sent: float
    at: float
    host: str = ""
    error: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether the database promised to keep it."""
        return bool(self.host)


def read_rows(text: str) -> list[Row]:
    """Return the rows of a record; a last line that is still being written is left out."""
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    return [
        Row(
            line["id"], line["sent"], line["at"],
            host=line.get("host", ""), error=line.get("error", ""),
        )
        for line in map(json.loads, lines)
    ]  # fmt: skip


def first_after(rows: Iterable[Row], moment: float) -> Row | None:
    """Return the first acknowledged row whose attempt began after a moment."""
    return next((row for row in rows if row.acknowledged and row.sent > moment), None)


def longest_gap(rows: Iterable[Row], since: float) -> float:
    """Return the longest time between two acknowledgements, the later of them after a moment."""
    times = [row.at for row in rows if row.acknowledged]
    pairs = itertools.pairwise(times)
    return max((later - earlier for earlier, later in pairs if later > since), default=0.0)


@dataclass(frozen=True, slots=True)
class Client:
    """The client's pod, its account in the database and its record.

    Attributes:
        cloud: what it is a client of.
        node: where its pod runs; anywhere when empty.
    """

    cloud: Cloud
    node: str = ""

    def start(self) -> None:
        """Make the account, the table and the pod, and wait until the first row is acknowledged."""
        self.stop()
        password = secrets.token_hex(16)
        writer = self.cloud.wait_ready()["status"]["writer"]
        self.cloud.sql(
            writer,
            f"CREATE OR REPLACE DATABASE {DATABASE}; "
            f"CREATE TABLE {DATABASE}.acknowledged (id BIGINT PRIMARY KEY) ENGINE=InnoDB; "
            f"CREATE OR REPLACE USER '{DATABASE}'@'%' IDENTIFIED BY '{password}'; "
            f"GRANT ALL ON {DATABASE}.* TO '{DATABASE}'@'%'",
        )
        self.cloud.kubectl.apply(*self._manifests(password))
        self.cloud.kubectl.run("wait", f"pod/{NAME}", "--for=condition=Ready", "--timeout=90s")
        self.wait_acknowledged(0.0, seconds=60)

    def stop(self) -> None:
        """Remove the pod and its files; the table goes with the next start."""
        for kind in ("pod", "configmap", "secret"):
            self.cloud.kubectl.run(
                "delete", kind, NAME, "--ignore-not-found", "--wait=false", "--grace-period=5"
            )
        wait_gone(self.cloud.kubectl, "pod", NAME, 60)

    def rows(self, record: str = RECORD) -> list[Row]:
        """Return everything recorded so far."""
        return read_rows(self.cloud.kubectl.run("exec", NAME, "--", "cat", record))

    def start_rows(self, record: str, first: int, **environment: str) -> None:
        """Write rows beside those of the pod's own program from now on.

        Args:
            record: their file.
            first: the ids of these rows come after it.
            environment: of the program, over the pod's.
        """
        values = {**environment, "RECORD": record, "FIRST_ID": str(first)}
        assigned = " ".join(f"{name}={value}" for name, value in values.items())
        program = f"python3 -B {FOLDER}/client_program.py"
        command = f"{assigned} {program} > {record}.errors 2>&1 &"
        self.cloud.kubectl.run("exec", NAME, "--", "sh", "-ec", command)

    def wait_acknowledged(self, moment: float, *, seconds: float) -> Row:
        """Wait for a row that was begun after a moment and acknowledged; return it."""
        found: list[Row] = []

        def check() -> tuple[bool, str]:
            rows = self.rows()
            row = first_after(rows, moment)
            found[:] = [row] if row else []
            last = rows[-1] if rows else None
            return row is not None, last.error or "only older rows" if last else "no row yet"

        self.cloud.kubectl.wait("an acknowledged row", check, seconds=seconds)
        return found[0]

    def stored(self, member: str) -> set[int]:
        """Return the ids that a member holds, after it applied all it has received."""
        asked = "SET SESSION wsrep_sync_wait=1; SELECT id FROM e2e.acknowledged"
        return {int(line) for line in self.cloud.sql(member, asked, timeout=60).split()}

    def ask(self, gets: Mapping[str, str], plain: Iterable[str] = ()) -> dict[str, Any]:
        """Ask the cloud's APIs from inside the cluster; see client_ask for the answers."""
        wanted = {
            "auth_url": f"http://{self.cloud.name}-keystone:5000/v3",
            "gets": dict(gets),
            "plain": list(plain),
        }
        answered: dict[str, Any] = json.loads(
            self.cloud.kubectl.run(
                "exec", "-i", NAME, "--", "python3", f"{FOLDER}/client_ask.py",
                stdin=json.dumps(wanted), timeout=120,
            )
        )  # fmt: skip
        return answered

    def start_calls(self, gets: Mapping[str, str]) -> None:
        """Call APIs every second from now on, by the addresses their Services have now.

        Args:
            gets: Service and path of each call by its name: `{"images": "glance:9292/v2/images"}`.
        """
        wanted = {
            "auth_url": f"http://{self._address('keystone')}:5000/v3",
            "gets": {name: self._url(item) for name, item in gets.items()},
        }
        self._begin("client_calls.py", wanted)

    def calls(self) -> list[Object]:
        """Return every call made so far; see client_calls for the fields."""
        return self._recorded(CALLS)

    def start_load(self, lists: Iterable[str], plain: Iterable[str]) -> None:
        """Put a steady load on APIs from now on, by the addresses their Services have now.

        Args:
            lists: Service, port and path of each list: `glance:9292/v2/images`.
            plain: those of what is asked without a token.
        """
        self._begin(
            "client_load.py",
            {
                "auth_url": f"http://{self._address('keystone')}:5000/v3",
                "lists": [self._url(item) for item in lists],
                "plain": [self._url(item) for item in plain],
            },
        )

    def load(self) -> list[Object]:
        """Return every call of the load so far; see client_load for the fields."""
        return self._recorded(LOAD)

    def _begin(self, program: str, wanted: Mapping[str, Any]) -> None:
        """Start a program of this pod: exec ends, and the program goes on until the pod does."""
        name = program.removesuffix(".py")
        asked, errors = f"/record/{name}.json", f"/record/{name}.errors"
        command = f"python3 -B {FOLDER}/{program} < {asked} > {errors} 2>&1 &"
        self.cloud.kubectl.run(
            "exec", "-i", NAME, "--", "sh", "-ec", f"cat > {asked}; {command}",
            stdin=json.dumps(wanted),
        )  # fmt: skip

    def _recorded(self, record: str) -> list[Object]:
        text = self.cloud.kubectl.run("exec", NAME, "--", "cat", record)
        whole = text if text.endswith("\n") else text.rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def _url(self, item: str) -> str:
        role, _, rest = item.partition(":")
        return f"http://{self._address(role)}:{rest}"

    def _address(self, role: str) -> str:
        found = self.cloud.kubectl.get("service", f"{self.cloud.name}-{role}")
        if found is None:
            raise LabError(f"the Service of {role} does not exist")
        return str(found["spec"]["clusterIP"])

    def compute_services(self) -> list[Object]:
        """Return nova's services, empty while the API does not answer."""
        url = f"http://{self.cloud.name}-nova-api:8774/v2.1/os-services"
        answer = self.ask({"services": url}).get("services", {})
        return list(answer["body"]["services"]) if answer.get("status") == 200 else []

    def _manifests(self, password: str) -> list[Object]:
        programs = {
            name: (PROGRAMS / name).read_text()
            for name in (
                *("client_program.py", "client_ask.py", "client_calls.py", "client_load.py"),
            )
        }
        image = self.cloud.pods("keystone")[0]["spec"]["containers"][0]["image"]
        labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": self.cloud.name}
        metadata = {"name": NAME, "labels": labels}
        return [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": programs},
            {
                "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
                "stringData": {"password": password},
            },
            {
                "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
                "spec": self._pod(image),
            },
        ]  # fmt: skip

    def _pod(self, image: str) -> Object:
        admin = f"{self.cloud.name}-admin"
        environment = [
            {"name": "DATABASE_HOST", "value": f"{self.cloud.name}-haproxy"},
            {"name": "DATABASE_USER", "value": DATABASE},
            {"name": "DATABASE_NAME", "value": DATABASE},
            from_secret("DATABASE_PASSWORD", NAME, "password"),
            from_secret("ADMIN_USER", admin, "username"),
            from_secret("ADMIN_PASSWORD", admin, "password"),
        ]
        command = ["python3", "-B", f"{FOLDER}/client_program.py"]
        spec = pod_spec(NAME, image, command, environment, memory="128Mi")
        return {**spec, **placed_on(self.node)}


def pod_spec(
    programs: str, image: str, command: list[str], environment: list[Object], memory: str
) -> Object:
    """Return the spec of a client's pod: no rights, programs to read, a record to write.

    Args:
        programs: ConfigMap with the programs.
        image: what it runs in.
        command: what it runs.
        environment: the variables of its container.
        memory: the most it may use.
    """
    container = {
        "name": "client",
        "image": image,
        "command": command,
        "env": environment,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {
            "requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": memory},
        },
        "volumeMounts": [
            {"name": "programs", "mountPath": FOLDER, "readOnly": True},
            {"name": "record", "mountPath": str(Path(RECORD).parent)},
        ],
    }  # fmt: skip
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "programs", "configMap": {"name": programs}},
            {"name": "record", "emptyDir": {}},
        ],
    }  # fmt: skip


def placed_on(node: str) -> Object:
    """Return the part of a pod's spec that places it on a node; empty: the scheduler decides."""
    return {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}


def from_secret(variable: str, secret: str, key: str) -> Object:
    """Return a container's variable that comes from a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
