"""The node image: the published one where it can be pulled, else one made of Debian packages and Go programs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import binaries, docker, shell, tools, versions
from lab.artifacts import digest, tree
from lab.engine import Engine
from lab.paths import REPOSITORY, Paths

NODE_FILES = REPOSITORY / "lab" / "node"
PREFIX = "localhost/stackroles"
COMPONENT_PACKAGES = ("iptables", "nftables", "conntrack", "kmod", "ca-certificates", "iproute2")
NODE_PACKAGES = tuple(
    "systemd systemd-sysv dbus containerd runc containernetworking-plugins iptables nftables ebtables ethtool socat "
    "conntrack iproute2 iputils-ping kmod procps util-linux ca-certificates jq gettext-base mount hostname curl "
    "tcpdump xz-utils".split()
)
MASKED = (
    "systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket "
    "console-getty.service e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer "
    "dpkg-db-backup.timer systemd-journald-audit.socket sys-kernel-debug.mount sys-kernel-tracing.mount "
    "dev-hugepages.mount systemd-modules-load.service"
)
DOCKERFILE = f"""\
FROM {{base}}
COPY kubeadm kubelet kubectl /usr/bin/
COPY files/ /
RUN mkdir -p /opt/cni /etc/kubernetes/manifests && ln -s /usr/lib/cni /opt/cni/bin \\
    && systemctl enable containerd kubelet && systemctl mask {MASKED}
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"""
IMPORT = """\
set -e
containerd >/tmp/containerd.log 2>&1 & pid=$!
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || { cat /tmp/containerd.log; exit 1; }
  sleep 0.2
done
ctr -n k8s.io images import /preload.tar
kill $pid; wait $pid || true
rm -rf /run/containerd /tmp/containerd.log
"""


def obtain(paths: Paths, engine: Engine) -> str:
    """Return the name of a node image the engine has, pulling or building it where it is not there.

    Raises:
        LabError: A step of the build failed.
    """
    if not engine.own and _pullable(engine, versions.KINDEST):
        return versions.KINDEST
    return _built(paths, engine)


def is_published(image: str) -> bool:
    """Say whether this node image is the published one, with its own network and component images."""
    return image == versions.KINDEST


def _pullable(engine: Engine, image: str) -> bool:
    if docker.has_image(engine, image):
        return True
    return shell.succeeds(["docker", "pull", "--quiet", image], env=engine.env, timeout=600)


def _built(paths: Paths, engine: Engine) -> str:
    kubernetes = binaries.search_path(paths)[0]
    key = digest(
        {
            **tree(NODE_FILES),
            "kubernetes": kubernetes.name,
            "packages": " ".join((*NODE_PACKAGES, "/", *COMPONENT_PACKAGES)),
            "dockerfile": DOCKERFILE + IMPORT,
            "versions": f"{versions.COREDNS} {versions.ETCD} {versions.LOCAL_PATH} {versions.PAUSE}",
            "tools": repr(sorted(tree(binaries.TOOLS).items())),
        }
    )
    tag = f"{PREFIX}/node:{versions.KUBERNETES}-{key}"
    if docker.has_image(engine, tag):
        return tag
    node_base, programs = _parts(paths, engine)
    raw = f"{PREFIX}/node:raw"
    files = {"files": NODE_FILES, **{name: programs[name] for name in ("kubeadm", "kubelet", "kubectl")}}
    docker.build(engine, raw, DOCKERFILE.format(base=node_base), files, binaries.log(paths))
    _preload(paths, engine, raw, tag, _components(paths, engine, programs))
    return tag


def _parts(paths: Paths, engine: Engine) -> tuple[str, dict[str, Path]]:
    """Make the root file systems beside the Go builds; return the node's base image and program -> file."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        base = pool.submit(_base, paths, engine, "node-base", NODE_PACKAGES)
        component = pool.submit(_base, paths, engine, "component-base", COMPONENT_PACKAGES)
        folders = [*binaries.every(paths), binaries.pause(paths)]
        shell.output(["docker", "tag", component.result(), f"{PREFIX}/component-base:1"], env=engine.env)
        programs = {file.name: file for folder in folders for file in folder.iterdir()}
        return base.result(), programs


def _base(paths: Paths, engine: Engine, name: str, packages: tuple[str, ...]) -> str:
    tag = f"{PREFIX}/{name}:{digest({'suite': versions.NODE_SUITE, 'packages': ' '.join(packages)})}"
    if not docker.has_image(engine, tag):
        uri = tools.archive_uri(tools.apt_sources())
        log = paths.cache / "log" / f"{name}.log"
        docker.bootstrap(engine, tag, versions.NODE_SUITE, packages, uri, log)
    return tag


def _components(paths: Paths, engine: Engine, programs: dict[str, Path]) -> list[str]:
    """Build one image for each component and return their names."""
    version = versions.KUBERNETES
    scratch, debian = "scratch", f"{PREFIX}/component-base:1"
    images = {
        f"kube-apiserver:{version}": ("kube-apiserver", "/usr/local/bin/kube-apiserver", scratch),
        f"kube-controller-manager:{version}": (
            "kube-controller-manager",
            "/usr/local/bin/kube-controller-manager",
            scratch,
        ),
        f"kube-scheduler:{version}": ("kube-scheduler", "/usr/local/bin/kube-scheduler", scratch),
        f"kube-proxy:{version}": ("kube-proxy", "/usr/local/bin/kube-proxy", debian),
        f"etcd:{versions.ETCD}": ("etcd", "/usr/local/bin/etcd", debian),
        f"coredns:{versions.COREDNS}": ("coredns", "/coredns", scratch),
        f"pause:{versions.PAUSE}": ("pause", "/pause", scratch),
        f"local-path-provisioner:{versions.LOCAL_PATH}": (
            "local-path-provisioner",
            "/usr/bin/local-path-provisioner",
            scratch,
        ),
        "nodenet:1": ("nodenet", "/usr/local/bin/nodenet", debian),
    }
    for name, (program, target, base) in images.items():
        text = f'FROM {base}\nCOPY {program} {target}\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n'
        text += f'ENTRYPOINT ["{target}"]\n'
        docker.build(engine, f"{PREFIX}/{name}", text, {program: programs[program]}, binaries.log(paths))
    return [*(f"{PREFIX}/{name}" for name in images), debian]


def _preload(paths: Paths, engine: Engine, raw: str, tag: str, images: list[str]) -> None:
    """Import the components' images into the node image's container runtime."""
    archive = paths.cache / "log" / "preload.tar"
    name = "stackroles-preload"
    run = _runner(paths, engine)
    try:
        run("docker", "save", "--output", str(archive), *images)
        mount = f"{archive}:/preload.tar:ro"
        shell.succeeds(["docker", "rm", "--force", name], env=engine.env)
        run("docker", "run", "--privileged", "--name", name, "--volume", mount, "--entrypoint", "sh", raw, "-c", IMPORT)
        entrypoint = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
        run("docker", "commit", "--change", entrypoint, "--change", "CMD []", name, tag)
    finally:
        shell.succeeds(["docker", "rm", "--force", name], env=engine.env)
        archive.unlink(missing_ok=True)


def _runner(paths: Paths, engine: Engine) -> Callable[..., None]:
    def run(*command: str) -> None:
        shell.logged(command, binaries.log(paths), env=engine.env)

    return run
