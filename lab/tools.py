"""Debian packages the lab needs, and installing those that are missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import shell
from lab.errors import LabError

PROGRAMS = {
    "dockerd": ("docker.io", "runc", "containerd"),
    "docker": ("docker.io",),
    "mmdebstrap": ("mmdebstrap", "debian-archive-keyring"),
    "jq": ("jq",),
    "iptables": ("iptables",),
    "ip": ("iproute2",),
    "xz": ("xz-utils",),
    "gcc": ("gcc", "libc6-dev"),
    "mkfs.ext4": ("e2fsprogs",),
}
"""Program looked for -> the Debian packages that bring it."""
ENGINE = "dockerd"


def find(program: str) -> str | None:
    """Return where a program is, also looking where administrators' programs live."""
    return shutil.which(program, path=shell.environment()["PATH"])


def needed(*, engine_answers: bool) -> list[str]:
    """Return the programs the lab uses: all but the engine where one answers already."""
    return [program for program in PROGRAMS if not (engine_answers and program == ENGINE)]


def missing_packages(
    programs: Iterable[str], locate: Callable[[str], str | None] = find
) -> list[str]:
    """Return the packages to install so that every program of ``programs`` is there."""
    packages: list[str] = []
    for program in programs:
        if locate(program) is None:
            packages += [package for package in PROGRAMS[program] if package not in packages]
    return packages


def ensure(programs: Iterable[str], log: Path) -> list[str]:
    """Install what is missing and return the packages that were installed.

    Raises:
        LabError: A package could not be installed.
    """
    packages = missing_packages(programs)
    if not packages:
        return []
    if find("apt-get") is None:
        raise LabError(
            f"these packages are missing and this machine has no apt-get: {' '.join(packages)}",
            remedy="install them by this machine's own package manager",
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    shell.logged(["apt-get", "-q", "update"], log, env=quiet)
    install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    with no_services_started():
        shell.logged(install, log, env=quiet)
    return packages


@contextmanager
def no_services_started(policy: Path = Path("/usr/sbin/policy-rc.d")) -> Iterator[None]:
    """Keep packages from starting daemons: the engine is started with what this machine allows."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def archive_uri(sources: Iterable[str]) -> str:
    """Return the Debian archive that this machine's apt sources name, from the text of those files.

    Both formats are understood: deb822 (``URIs:``) and one line per source (``deb [options] URI
    suite ...``). Security archives and other vendors' archives are passed over.

    Raises:
        LabError: No source names a Debian archive.
    """
    for text in sources:
        found = re.findall(r"^URIs:\s*(\S+)", text, re.MULTILINE)
        found += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+\s+main\b", text, re.MULTILINE)
        for uri in found:
            if str(uri).rstrip("/").endswith("/debian"):
                return str(uri).rstrip("/")
    raise LabError(
        "no Debian archive in this machine's apt sources",
        remedy="add one below /etc/apt/sources.list.d",
    )


def apt_sources(root: Path = Path("/etc/apt")) -> list[str]:
    """Return the text of this machine's enabled apt sources."""
    files = [root / "sources.list", *sorted((root / "sources.list.d").glob("*.sources"))]
    files += sorted((root / "sources.list.d").glob("*.list"))
    return [file.read_text() for file in files if file.is_file()]
