"""The node image: the published one where it can be pulled, else one of Debian and Go programs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import binaries, docker, shell, tools, versions
from lab.artifacts import digest, tree
from lab.engine import Engine
from lab.paths import REPOSITORY, Paths

NODE_FILES = REPOSITORY / "lab" / "node"
PREFIX = "localhost/stackroles"
COMPONENT_PACKAGES = ("iptables", "nftables", "conntrack", "kmod", "ca-certificates", "iproute2")
NODE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "containerd", "runc", "containernetworking-plugins"),
    *("iptables", "nftables", "ebtables", "ethtool", "socat", "conntrack", "iproute2"),
    *("iputils-ping", "kmod", "procps", "util-linux", "ca-certificates", "jq", "gettext-base"),
    *("mount", "hostname", "curl", "tcpdump", "xz-utils"),
)
MASKED = (
    "systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket "
    "systemd-udevd-control.socket console-getty.service e2scrub_reap.service e2scrub_all.timer "
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer systemd-journald-audit.socket "
    "sys-kernel-debug.mount sys-kernel-tracing.mount "
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
COMPONENT_BASE = f"{PREFIX}/component-base:1"
SCRATCH = "scratch"
COMPONENTS = {
    f"kube-apiserver:{versions.KUBERNETES}": (
        "kube-apiserver",
        "/usr/local/bin/kube-apiserver",
        SCRATCH,
    ),
    f"kube-controller-manager:{versions.KUBERNETES}": (
        "kube-controller-manager",
        "/usr/local/bin/kube-controller-manager",
        SCRATCH,
    ),
    f"kube-scheduler:{versions.KUBERNETES}": (
        "kube-scheduler",
        "/usr/local/bin/kube-scheduler",
        SCRATCH,
    ),
    f"kube-proxy:{versions.KUBERNETES}": (
        "kube-proxy",
        "/usr/local/bin/kube-proxy",
        COMPONENT_BASE,
    ),
    f"etcd:{versions.ETCD}": ("etcd", "/usr/local/bin/etcd", COMPONENT_BASE),
    f"coredns:{versions.COREDNS}": ("coredns", "/coredns", SCRATCH),
    f"pause:{versions.PAUSE}": ("pause", "/pause", SCRATCH),
    f"local-path-provisioner:{versions.LOCAL_PATH}": (
        "local-path-provisioner",
        "/usr/bin/local-path-provisioner",
        SCRATCH,
    ),
    "nodenet:1": ("nodenet", "/usr/local/bin/nodenet", COMPONENT_BASE),
}
"""Image -> its program, where the program is in it, and what it is built on."""


def obtain(paths: Paths, engine: Engine) -> str:
    """Return the name of a node image the engine has, pulling or building it where it is not there.

    Raises:
        LabError: A step of the build failed.
    """
    if not engine.own and docker.can_have(engine, versions.KINDEST):
        return versions.KINDEST
    return _built(paths, engine)


def is_published(image: str) -> bool:
    """Return whether a node image is the published one, with its own network and components."""
    return image == versions.KINDEST


def component_images() -> list[str]:
    """Return the names of the images that an own node's containers run."""
    return [*(f"{PREFIX}/{name}" for name in COMPONENTS), COMPONENT_BASE]


def _built(paths: Paths, engine: Engine) -> str:
    """Make the root file systems beside the Go builds, then the components and the node image."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        node = pool.submit(_base, paths, engine, "node-base", NODE_PACKAGES)
        component = pool.submit(_base, paths, engine, "component-base", COMPONENT_PACKAGES)
        folders = [*binaries.every(paths), binaries.pause(paths)]
        node_base, component_base = node.result(), component.result()
    shell.output(["docker", "tag", component_base, COMPONENT_BASE], env=engine.env)
    programs = {file.name: file for folder in folders for file in folder.iterdir()}
    for name, (program, target, base) in COMPONENTS.items():
        text = f"FROM {base}\nCOPY {program} {target}\n"
        text += "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n"
        text += f'ENTRYPOINT ["{target}"]\n'
        made_of = base if base == SCRATCH else component_base
        key = digest(
            {"dockerfile": text, "base": made_of, "program": programs[program].parent.name}
        )
        _ensure(
            paths,
            engine,
            f"{PREFIX}/{name}",
            key=key,
            dockerfile=text,
            files={program: programs[program]},
        )
    kubernetes = programs["kubelet"].parent.name
    text = DOCKERFILE.format(base=node_base)
    key = digest({**tree(NODE_FILES), "dockerfile": text, "kubernetes": kubernetes})
    files = {
        "files": NODE_FILES,
        **{name: programs[name] for name in ("kubeadm", "kubelet", "kubectl")},
    }
    tag = f"{PREFIX}/node:{versions.KUBERNETES}"
    _ensure(paths, engine, tag, key=key, dockerfile=text, files=files)
    return tag


def _base(paths: Paths, engine: Engine, name: str, packages: tuple[str, ...]) -> str:
    tag = (
        f"{PREFIX}/{name}:{digest({'suite': versions.NODE_SUITE, 'packages': ' '.join(packages)})}"
    )
    if not docker.has_image(engine, tag):
        uri = tools.archive_uri(tools.apt_sources())
        log = paths.cache / "log" / f"{name}.log"
        docker.bootstrap(
            engine, tag, suite=versions.NODE_SUITE, packages=packages, uri=uri, log=log
        )
    return tag


def _ensure(
    paths: Paths, engine: Engine, tag: str, *, key: str, dockerfile: str, files: dict[str, Path]
) -> None:
    """Build an image of a fixed name, unless the one there is was built from the same inputs."""
    if docker.image_key(engine, tag) != key:
        text = f'{dockerfile}LABEL {docker.KEY_LABEL}="{key}"\n'
        docker.build_from(engine, tag, text, files, binaries.log(paths))
