"""The end of a log, shortened to the lines that explain a failure."""

import re

from stackroles.agents.text import tail

EXCERPT_LENGTH = 700
_LINES = 6
# A termination message from a log holds that many bytes of its end, so that its first word may be
# half of one (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/).
_MESSAGE_BYTES = 2048
# oslo.log: date, time, process, level, logger, and perhaps the request in brackets.
_OSLO = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \d+ (?:ERROR|CRITICAL|WARNING|INFO|DEBUG|TRACE) \S+ ?"
    r"(?:\[[^\]]*\] ?)?"
)
# Frames and source lines of a traceback; what was raised is not indented.
_FRAME = re.compile(r"^\s|^Traceback \(most recent call last\)|^During handling of|^The above exc")
# What a server says when it gives up says nothing about why.
_FAREWELL = re.compile(
    r"^(?:\*\*\* no app loaded|unable to load app|OOPS !|SIGINT/SIGTERM received|goodbye to uWSGI"
    r"|VACUUM:|worker \d+ |.* need-app requested)",
    re.IGNORECASE,
)


def summarize(text: str) -> str:
    """Return the last lines of a log that say something, without prefixes and tracebacks.

    Where nothing is left by that, the end of the text as it is.
    """
    if len(text.encode()) >= _MESSAGE_BYTES:
        text = tail(text, len(text) - 1)
    lines: list[str] = []
    for raw in text.rstrip().splitlines():
        line = _OSLO.sub("", raw)
        if not line.strip() or _FRAME.match(line) or _FAREWELL.match(line):
            continue
        if line not in lines:
            lines.append(line.rstrip())
    kept = "\n".join(lines[-_LINES:]) or text.strip()
    return kept if len(kept) <= EXCERPT_LENGTH else f"... {tail(kept, EXCERPT_LENGTH)}"
