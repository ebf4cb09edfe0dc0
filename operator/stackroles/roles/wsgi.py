"""The WSGI server under which APIs run: its configuration and its container."""

import re
from collections.abc import Iterable

from stackroles.config.layers import Layer, merge
from stackroles.roles import resolvers
from stackroles.roles.allowed_sections import UWSGI
from stackroles.roles.container import (
    Container,
    FileMount,
    Mount,
    Port,
    ResourceDefaults,
    Security,
    Variable,
)

CONFIGURATION = "uwsgi.ini"
"""Name of the file with the server's configuration."""
# As Python writes it inside a string.
_NEW_LINE = "\\n"


NO_API_LIVENESS = (
    "the WSGI master replaces workers that die; one that waits for the database or the broker is "
    "not helped by a restart"
)


def _load(module: str) -> str:
    """Return the line of Python by which the WSGI server loads an application.

    oslo.config ends the process when it refuses a value. The server takes that for the death of a
    worker and starts another one for ever; for a failure to load it ends, with `need-app`, and the
    service's last lines become the container's message.
    """
    package, _, name = module.partition(":")
    lines = (
        "try:",
        f" import {package} as package",
        f" application = package.{name}",
        "except SystemExit:",
        " raise ImportError('it ended while it was loaded') from None",
    )
    return f'exec("{_NEW_LINE.join(lines)}")'


def uwsgi(module: str, port: int, user: Layer, **extra: str | int) -> str:
    """Return the configuration of the WSGI server.

    Args:
        module: the application, `package.module:callable`, or a call that returns it.
        port: where it listens.
        user: the user's options, whose section `uwsgi` wins.
        extra: options of one service; underscores stand for dashes.
    """
    options: dict[str, str | int] = {
        "plugins": "python3",
        "http-socket": f"0.0.0.0:{port}",
        "eval": _load(module),
        "master": "true",
        "processes": 1,
        # Applications under eventlet are not safe with more.
        "threads": 1,
        "enable-threads": "true",
        # Connections to the database and the broker must not be shared by forked workers.
        "lazy-apps": "true",
        "need-app": "true",
        "thunder-lock": "true",
        "no-orphans": "true",
        # Tokens and requests for metadata exceed the default of 4 KiB.
        "buffer-size": 65535,
        "listen": 100,
        # Without it clients that keep connections open see resets.
        "add-header": "Connection: close",
        # Requests under way are answered before SIGTERM ends the workers.
        "hook-master-start": "unix_signal:15 gracefully_kill_them_all",
        "worker-reload-mercy": 60,
        "disable-logging": "true",
        "log-4xx": "true",
        "log-5xx": "true",
    }
    options |= {name.replace("_", "-"): value for name, value in extra.items()}
    merged = merge({UWSGI: options}, user.only(lambda section: section == UWSGI))
    lines = (f"{name} = {value}" for name, value in merged[UWSGI].items())
    return "\n".join(["[uwsgi]", *lines, ""])


def workers(configuration: str) -> int:
    """Return how many requests a server serves at a time, by its configuration."""
    found = re.findall(r"^processes = (\d+)$", configuration, re.MULTILINE)
    return int(found[-1]) if found else 1


def api_container(
    *,
    name: str,
    port: int,
    user: int,
    ini: str,
    env: Iterable[Variable],
    mounts: Iterable[Mount],
    resources: ResourceDefaults,
) -> Container:
    """Return the container of an API under the WSGI server; its gate has the probes.

    Args:
        name: the role.
        port: where it listens.
        user: whom it runs as.
        ini: path of the WSGI server's configuration.
        env: its environment.
        mounts: its mounts besides its files.
        resources: what it may use.
    """
    return Container(
        name=name,
        command=("uwsgi", "--ini", ini),
        security=Security(user=user),
        ports=(Port("api", port),),
        no_liveness_because=NO_API_LIVENESS,
        env=(*resolvers.PYTHON, *env),
        mounts=(FileMount(), *mounts),
        resources=resources,
    )
