"""Children that somebody waits for are not taken by the collector of orphans."""

import subprocess
import sys

PROGRAM = """
import os, sys, threading
from stackroles.agents import children

children.adopt_orphans()
done = threading.Event()

def collect():
    while not done.is_set():
        children.reap(set())

thread = threading.Thread(target=collect)
thread.start()
codes = []
for _ in range(40):
    with children.awaited(["sh", "-c", "exit 3"]) as process:
        codes.append(process.wait())
# An orphan: its parent ends at once, and nobody waits for it.
with children.awaited(["sh", "-c", "sleep 0 & echo $!"], stdout=-1) as process:
    orphan = int(process.stdout.read())
while os.path.exists(f"/proc/{orphan}"):
    pass
done.set()
thread.join()
print(set(codes))
"""


def test_an_awaited_program_keeps_its_exit_code_and_an_orphan_is_collected() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "{3}"
