"""Stands in for restic: a repository is a folder that keeps snapshots as plain files.

Files in it make the program misbehave: `fail-<command>` holds an exit code and a message,
`hang-<command>` what it complains of, `rot` changes what is read, `read-only` refuses locks; of
what is read, except a manifest, the beginning is repeated where `slow` is, and nothing follows it
where `stalls` is, or an error where `breaks` is. Beside the folder `asked` gets a line for each
command, `checked` what the last check was asked for, and `pid` is of the last one that read.
"""

import json
import sys
from pathlib import Path

CONFIG = json.dumps({"version": 2, "id": "repository-1"})
MASTER_KEY = json.dumps({"mac": {"k": "k", "r": "r"}, "encrypt": "c2VjcmV0" * 5 + "c2U="})

RESTIC = """#!{python}
import datetime, hashlib, json, os, pathlib, signal, sys, threading, time
options = ("--no-cache", "--quiet", "--stuck-request-timeout")
args = [a for a in sys.argv[1:] if not a.startswith(options)]
store = pathlib.Path({store!r})
unlocked = "--no-lock" in args
args = [a for a in args if a != "--no-lock"]
with (store.parent / "asked").open("a") as asked:
    asked.write(args[0] + "\\n")
if (store / "read-only").exists() and not unlocked:
    sys.stderr.write("create lock: read-only file system")
    sys.exit(1)
fail = store / ("fail-" + args[0])
if fail.exists():
    code, message = fail.read_text().split(" ", 1)
    sys.stderr.write(message)
    sys.exit(int(code))
hang = store / ("hang-" + args[0])
if hang.exists():
    sys.stderr.write(hang.read_text())
    sys.stderr.flush()
    time.sleep(600)
locks = store / "locks"
def locked():
    if list(locks.glob("*")):
        sys.stderr.write("repository is already locked")
        sys.exit(11)
def free_when_asked():
    signal.sigwait([signal.SIGTERM])
    (locks / str(os.getpid())).unlink(missing_ok=True)
    os._exit(130)
def now():
    stamp = datetime.datetime.now(datetime.UTC)
    return stamp.isoformat(timespec="microseconds").replace("+00:00", "123Z")
def kept():
    return [json.loads(l) for l in (store / "log").read_text().splitlines()]
if args[0] == "unlock":
    [lock.unlink() for lock in locks.glob("*")]
elif args[0] in ("check", "prune", "forget") and not unlocked:
    locked()
if args[0] == "check":
    (store.parent / "checked").write_text(" ".join(args[1:]))
if args[0] == "cat":
    if not (store / "config").exists():
        sys.exit(10)
    print({{"config": {config!r}, "masterkey": {master_key!r}}}[args[1]])
elif args[0] == "key":
    print('[{{"current": true, "id": "key-1"}}, {{"current": false, "id": "key-2"}}]')
if args[0] == "init":
    (store / "config").touch()
    (store / "log").touch()
    locks.mkdir()
elif args[0] == "backup":
    locks.mkdir(exist_ok=True)
    # A handler would wait for input that never comes, where the signal came just before the read.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    (locks / str(os.getpid())).touch()
    threading.Thread(target=free_when_asked, daemon=True).start()
    data = b""
    while chunk := sys.stdin.buffer.read(65536):
        data += chunk
        if (store / "noisy").exists():
            for stream in (sys.stdout, sys.stderr):
                stream.write("x" * 65536 + "\\n")
                stream.flush()
        while (store / "deaf").exists():
            retry = "Save(<data/1>) returned error, retrying after 1s: request timeout\\n"
            sys.stderr.write(retry)
            sys.stderr.flush()
            time.sleep(0.1)
    name = hashlib.sha256(data).hexdigest()[:8]
    tags = [args[i + 1] for i, a in enumerate(args) if a == "--tag"]
    (store / name).write_bytes(data)
    with (store / "log").open("a") as log:
        log.write(json.dumps({{"id": name, "tags": tags, "time": now()}}) + "\\n")
    print(json.dumps({{"message_type": "summary", "snapshot_id": name, "data_added_packed": 7}}))
    (locks / str(os.getpid())).unlink(missing_ok=True)
elif args[0] == "list":
    print("\\n".join(snapshot["id"] for snapshot in kept()))
elif args[0] == "forget":
    with (store / "forgotten").open("a") as asked:
        asked.write(" ".join(args[1:]) + "\\n")
    left = [snapshot for snapshot in kept() if snapshot["id"] not in args]
    (store / "log").write_text("".join(json.dumps(s) + "\\n" for s in left))
elif args[0] == "dump":
    data = (store / args[1]).read_bytes()
    (store.parent / "pid").write_text(str(os.getpid()))
    if args[2] == "/manifest.json":
        sys.stdout.write(data.decode())
        sys.exit(0)
    for name in ("slow", "stalls", "breaks"):
        while (store / name).exists():
            sys.stdout.buffer.write(data[:65536])
            sys.stdout.flush()
            time.sleep(600 if name == "stalls" else 0.05)
            if name == "breaks":
                sys.stderr.write("ciphertext verification failed")
                sys.exit(1)
    if (store / "noisy").exists():
        sys.stderr.write("x" * (1 << 20))
    sys.stdout.buffer.write(data + (b"x" if (store / "rot").exists() else b""))
elif args[0] == "snapshots":
    print(json.dumps([s for s in kept() if not s.get("damaged")]))
"""


def install_restic(folder: Path) -> Path:
    """Put the program into a folder as `restic`; return the repository beside it."""
    store = folder / "store"
    store.mkdir()
    program = folder / "restic"
    program.write_text(
        RESTIC.format(python=sys.executable, store=str(store), config=CONFIG, master_key=MASTER_KEY)
    )
    program.chmod(0o755)
    return store
