"""Kubernetes, kind, helm, CoreDNS, the volume provisioner, etcd, restic: files on this machine."""

from __future__ import annotations

import functools
import hashlib
import shutil
import urllib.request
from pathlib import Path

from lab import shell, tools, versions
from lab.artifacts import Store, digest, tree
from lab.errors import LabError
from lab.paths import REPOSITORY, Paths

MODULE = REPOSITORY / "lab" / "kubernetes"
TOOLS = REPOSITORY / "lab" / "tools"
COMPONENTS = (
    "kubeadm",
    "kubectl",
    "kubelet",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
TOOL_PACKAGES = {
    "kind": "sigs.k8s.io/kind",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "coredns": ".",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
}
TEST_PACKAGES = {"versitygw": "github.com/versity/versitygw/cmd/versitygw"}
"""Programs that only tests use: built when one asks for them."""
GO = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
ETCD_PACKAGES = ("etcd-server", "etcd-client")


def kubernetes(paths: Paths) -> Path:
    """Return the folder with the Kubernetes programs and the cluster's network agent (nodenet)."""
    flags = version_flags(versions.KUBERNETES)

    def make(work: Path) -> None:
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in COMPONENTS]
        command = [
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            flags,
            "-o",
            f"{work}/",
            *packages,
            "./nodenet",
        ]
        shell.logged(command, log(paths), env=GO, cwd=MODULE)

    return _store(paths).obtain(
        "kubernetes", digest({**tree(MODULE), "flags": flags, "go": _go_version()}), make
    )


def tool(paths: Paths, name: str) -> Path:
    """Return the folder with one program of lab/tools."""
    module = TOOLS / name

    def make(work: Path) -> None:
        command = ["go", "build", "-trimpath", "-ldflags", "-s -w"]
        command += ["-o", str(work / name), {**TOOL_PACKAGES, **TEST_PACKAGES}[name]]
        shell.logged(command, log(paths), env=GO, cwd=module)

    return _store(paths).obtain(name, digest({**tree(module), "go": _go_version()}), make)


def etcd(paths: Paths) -> Path:
    """Return the folder with etcd and etcdctl, extracted from Debian's signed packages."""
    return _of_suite(paths, "etcd", versions.ETCD, ETCD_PACKAGES, ("etcd", "etcdctl"))


def restic(paths: Paths) -> Path:
    """Return the folder with the restic that the image for backups has, from the same suite."""
    return _of_suite(paths, "restic", versions.RESTIC, ("restic",), ("restic",))


def _of_suite(
    paths: Paths, name: str, version: str, packages: tuple[str, ...], programs: tuple[str, ...]
) -> Path:
    """Return the folder with programs of the roles' suite, extracted from its signed packages."""

    def make(work: Path) -> None:
        root = work / "root"
        uri = tools.archive_uri(tools.apt_sources())
        wanted = f"--include={','.join(packages)}"
        shell.logged(
            ["mmdebstrap", "--variant=extract", wanted, versions.ROLE_SUITE, root, uri], log(paths)
        )
        for program in programs:
            shutil.copy2(root / "usr" / "bin" / program, work / program)
        shutil.rmtree(root)

    key = digest({"suite": versions.ROLE_SUITE, "version": version, "packages": " ".join(packages)})
    return _store(paths).obtain(name, key, make)


def prometheus(paths: Paths) -> Path:
    """Return the folder with prometheus and promtool, out of Debian's package of a fixed digest.

    Raises:
        LabError: The package could not be downloaded, or is another one.
    """
    version, wanted = versions.PROMETHEUS, versions.PROMETHEUS_SHA256

    def make(work: Path) -> None:
        uri = tools.archive_uri(tools.apt_sources())
        package, root = work / "prometheus.deb", work / "root"
        url = f"{uri}/pool/main/p/prometheus/prometheus_{version}_amd64.deb"
        package.write_bytes(_download(url, wanted))
        shell.logged(["dpkg-deb", "--extract", package, root], log(paths))
        for program in ("prometheus", "promtool"):
            shutil.copy2(root / "usr" / "bin" / program, work / program)
        shutil.rmtree(root)
        package.unlink()

    return _store(paths).obtain("prometheus", digest({"version": version, "sha256": wanted}), make)


def _download(url: str, sha256: str) -> bytes:
    """Return what is at an address.

    Raises:
        LabError: It could not be had, or has another digest.
    """
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - of apt's sources
            content = bytes(answer.read())
    except OSError as error:
        raise LabError(f"{url} could not be downloaded: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise LabError(f"{url} has the SHA-256 digest {found} instead of {sha256}")
    return content


def pause(paths: Paths) -> Path:
    """Return the folder with the program of the sandbox container."""
    source = MODULE.parent / "pause" / "pause.c"

    def make(work: Path) -> None:
        shell.logged(["gcc", "-static", "-Os", "-s", "-o", work / "pause", source], log(paths))

    return _store(paths).obtain("pause", digest(tree(source.parent)), make)


def check_format() -> None:
    """Check the form of the lab's own Go programs; the compiler and the cluster check the rest.

    Raises:
        LabError: A file is not as gofmt would write it; the detail is the difference.
    """
    difference = shell.output(["gofmt", "-d", MODULE, TOOLS], env=GO)
    if difference:
        raise LabError("Go files are not formatted", detail=difference, remedy="gofmt -w lab")


def every(paths: Paths) -> list[Path]:
    """Return the folders with all programs, building what is missing."""
    built = [tool(paths, name) for name in TOOL_PACKAGES]
    return [kubernetes(paths), *built, etcd(paths), restic(paths), prometheus(paths)]


def go_cache() -> Path:
    """Return the folder of Go's build cache.

    Raises:
        LabError: Go is not on this machine.
    """
    _go_version()
    return Path(shell.output([tools.find("go") or "go", "env", "GOCACHE"], env=GO).strip())


def search_path(paths: Paths) -> list[Path]:
    """Return the folders a user's PATH needs; they may not have been built yet.

    Raises:
        LabError: Go is not on this machine.
    """
    flags = version_flags(versions.KUBERNETES)
    store = _store(paths)
    go = _go_version()
    found = [store.location("kubernetes", digest({**tree(MODULE), "flags": flags, "go": go}))]
    return found + [
        store.location(name, digest({**tree(TOOLS / name), "go": go})) for name in ("kind", "helm")
    ]


def version_flags(version: str) -> str:
    """Return the linker flags that stamp a Kubernetes version, with a build date that is fixed."""
    major, minor, _ = version.removeprefix("v").split(".")
    stamp = "k8s.io/component-base/version"
    values = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "unknown",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    return " ".join(["-s", "-w", *(f"-X {stamp}.{key}={value}" for key, value in values.items())])


def log(paths: Paths) -> Path:
    """Return the file that the builds write to."""
    return paths.cache / "log" / "build.log"


def _store(paths: Paths) -> Store:
    return Store(paths.artifacts)


@functools.cache
def _go_version() -> str:
    program = tools.find("go")
    if program is None:
        raise LabError(
            "Go is not on this machine", remedy="install Go 1.26 or later and put it in PATH"
        )
    return shell.output([program, "env", "GOVERSION"], env=GO).strip()
