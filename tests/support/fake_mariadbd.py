#!/usr/bin/env python3
"""Stands in for the programs of a database server; which one is told by the first argument.

Everything happens in a control directory: `status.json` is what SHOW STATUS answers (the server
answers nothing without it), `sessions` exists while a client is connected, `recovered` is what the
recovery prints, `started` gets one JSON line a start with what the server found then, `queries`
every statement. Without an agent to ask (`agent-port`) it is a restore's: of the data directory it
is given, whose tables are `tables`, those that do not open `unread`, and which gets `grastate` at
its end. `answers.json` has rows for statements by a part of their text, which go first; one whose
rows are a text is refused with that, one whose rows are a number ends the server with it (a
signal where it is negative). A copy is unpacked as the file that `unpacked` names, else `ibdata1`.
"""

import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path


def packet(sequence: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


def text(value: str) -> bytes:
    data = value.encode()
    return (
        bytes([len(data)]) if len(data) < 251 else b"\xfc" + struct.pack("<H", len(data))
    ) + data


def value(of: "str | None") -> bytes:
    return b"\xfb" if of is None else text(of)


def result(rows: "list[list[str | None]]") -> bytes:
    width = len(rows[0]) if rows else 1
    column = text("def") * 1 + text("") * 5 + b"\x0c" + b"\x00" * 12
    parts = [bytes([width]), *[column] * width, b"\xfe\x00\x00\x02\x00"]
    parts += [b"".join(map(value, row)) for row in rows] + [b"\xfe\x00\x00\x02\x00"]
    return b"".join(packet(n + 1, part) for n, part in enumerate(parts))


def session_count(control: Path) -> str:
    """Return how many clients there are, one until they are killed where `sessions` exists."""
    return "1" if (control / "sessions").exists() else "0"


def table_lines(control: Path, sql: str) -> list[str]:
    """Return how many tables there are, or those that do not open."""
    path = control / ("tables" if "COUNT" in sql else "unread")
    return path.read_text().splitlines() if path.exists() else []


def prepared(control: Path, sql: str) -> "bytes | None":
    """Return the answer that a test gave for a statement, None where it gave none."""
    path = control / "answers.json"
    answers = json.loads(path.read_text()) if path.exists() else {}
    found = next((rows for part, rows in answers.items() if part in sql), None)
    if isinstance(found, str):
        code, message = found.split(" ", 1)
        return packet(1, b"\xff" + struct.pack("<H", int(code)) + b"#HY000" + message.encode())
    if isinstance(found, int):
        sys.stdout.write("[ERROR] mysqld got signal 6\n")
        sys.stdout.flush()
        if found < 0:
            os.kill(os.getpid(), -found)
        os._exit(found)
    return None if found is None else result(found)


def answer(control: Path, sql: str) -> bytes:
    with (control / "queries").open("a") as file:
        file.write(sql + "\n")
    if (given := prepared(control, sql)) is not None:
        return given
    if sql.startswith("KILL"):
        (control / "sessions").unlink(missing_ok=True)
    if not sql.startswith(("SELECT", "SHOW GLOBAL STATUS")):
        return packet(1, b"\x00\x00\x00\x02\x00\x00\x00")
    return result(known_rows(control, sql))


def known_rows(control: Path, sql: str) -> "list[list[str | None]]":
    """Return what every test's server answers."""
    if sql.startswith("SHOW GLOBAL STATUS"):
        found = json.loads((control / "status.json").read_text())
        return [[*pair] for pair in found.items()]
    if "MAX(table_id)" in sql:
        return [["7"]]
    if "information_schema.tables" in sql:
        return [[line] for line in table_lines(control, sql)]
    if sql.startswith("SELECT COUNT"):
        return [[session_count(control)]]
    return [["7"]] if "innodb_trx" in sql else []


def session(control: Path, connection: socket.socket) -> None:
    with connection:
        greeting = b"\x0a11.8-fake\0" + b"\0" * 4 + b"saltsalt\0" + b"\0" * 18 + b"saltsaltsalt\0"
        connection.sendall(packet(0, greeting + b"mysql_native_password\0"))
        if not connection.recv(65536):
            return
        connection.sendall(packet(2, b"\x00\x00\x00\x02\x00\x00\x00"))
        while data := connection.recv(65536):
            if not (control / "status.json").exists():
                return
            connection.sendall(answer(control, data[5:].decode()))


def serve(control: Path, path: str) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    while True:
        connection, _ = server.accept()
        threading.Thread(target=session, args=(control, connection), daemon=True).start()


def option(name: str) -> str:
    """Return the value of an option on the command line, "" where it is not."""
    begin = f"--{name}="
    return next((word.removeprefix(begin) for word in sys.argv if word.startswith(begin)), "")


def asked_report(control: Path) -> object:
    """Return what the agent reports while it starts the server, None where there is no agent."""
    if not (control / "agent-port").exists():
        return None
    port = int((control / "agent-port").read_text())
    with socket.create_connection(("127.0.0.1", port)) as agent, agent.makefile("rb") as response:
        agent.sendall(b"GET /report HTTP/1.0\r\n\r\n")
        return json.loads(response.read().partition(b"\r\n\r\n")[2])


def record_start(control: Path) -> None:
    """Note with what the server was started."""
    applied = control.parent / "volume/agent/applied"
    found = {
        "arguments": sys.argv[1:],
        "report": asked_report(control),
        "applied": json.loads(applied.read_text()) if applied.exists() else None,
        "view": (control.parent / "volume/data/gvwstate.dat").exists(),
        "pid": os.getpid(),
    }
    with (control / "started").open("a") as file:
        file.write(json.dumps(found) + "\n")


def ended(control: Path) -> int:
    """Leave what a server leaves that ends in good order; return its exit code."""
    if (control / "grastate").exists():
        data = Path(option("datadir"))
        (data / "grastate.dat").write_text((control / "grastate").read_text())
        (data / "galera.cache").touch()
    return int((control / "exit-code").read_text()) if (control / "exit-code").exists() else 0


def mariadbd(control: Path) -> int:
    if "--version" in sys.argv:
        sys.stdout.write("mariadbd  Ver 11.8.3-MariaDB for Linux on x86_64\n")
        return 0
    if "--help" in sys.argv:
        refused = control / "refuse-options"
        sys.stderr.write(refused.read_text() if refused.exists() else "")
        return int(refused.exists())
    record_start(control)
    if (control / "refuse").exists():
        sys.stdout.write((control / "refuse").read_text() + "\n")
        return 7
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ended(control)))
    path = option("socket") or (control / "socket-path").read_text()
    threading.Thread(target=serve, args=(control, path), daemon=True).start()
    while True:
        time.sleep(0.05)
        if (control / "chatter").exists():
            sys.stdout.write(time.strftime((control / "chatter").read_text()) + "\n")
            sys.stdout.flush()


def galera_recovery(control: Path) -> int:
    output = (control / "recovered").read_text()
    (sys.stdout if output.startswith("--") else sys.stderr).write(output + "\n")
    return 0 if output.startswith("--") else 1


def install_db(control: Path) -> int:
    (control.parent / "volume/data/mysql").mkdir()
    return 0


def backup(control: Path) -> int:
    if "--prepare" in sys.argv:
        sys.stdout.write((control / "prepare-log").read_text() + "\n")
        return 0
    while (control / "backup-silent").exists():
        time.sleep(0.05)
    sys.stdout.write((control / "backup").read_text())
    sys.stderr.write((control / "backup-log").read_text() + "\n")
    return int((control / "backup-code").read_text())


def mbstream(control: Path) -> int:
    complaint = control / "mbstream-fails"
    if complaint.exists():
        sys.stdout.write(complaint.read_text() + "\n")
        return 1
    named = control / "unpacked"
    name = named.read_text() if named.exists() else "ibdata1"
    with Path(sys.argv[sys.argv.index("-C") + 1], name).open("wb") as file:
        while data := sys.stdin.buffer.read(65536):
            file.write(data)
    return 0


PROGRAMS = {
    "mariadbd": mariadbd,
    "galera_recovery": galera_recovery,
    "mariadb-install-db": install_db,
    "mariadb-backup": backup,
    "mbstream": mbstream,
}


def main() -> int:
    return PROGRAMS[Path(sys.argv[0]).name](Path(os.environ["FAKE_CONTROL"]))


if __name__ == "__main__":
    sys.exit(main())
