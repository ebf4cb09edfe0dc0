"""Structured logs: one JSON object a line, ours and those of libraries alike."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

# aiohttp's access log and asyncio's slow-callback notes say nothing an operator's user needs.
_QUIET: Final = ("aiohttp.access", "asyncio", "kopf.objects", "kopf._core", "urllib3")


def configure(level: str) -> None:
    """Send all logging of this process to stderr as JSON lines.

    Args:
        level: a level's name, such as "info".
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _resource_of_kopf],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _resource_of_kopf(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Name the resource of kopf's own lines as ours do."""
    record = event.get("_record")
    ref = getattr(record, "k8s_ref", None)
    if isinstance(ref, dict):
        parts = (ref.get("kind"), ref.get("namespace"), ref.get("name"))
        event["resource"] = "/".join(part for part in parts if part)
    return event
