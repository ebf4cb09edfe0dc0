"""The versions the lab is made of; Go modules are pinned in their own go.mod and go.sum."""

KUBERNETES = "v1.34.4"
COREDNS = "v1.14.6"
ETCD = "3.5.16-0"
"""The version Debian 13 has; the form is the one kubeadm reads the etcd release from."""
RESTIC = "0.18.0"
"""The version Debian 13 has, and so the image for backups; for tests."""
LOCAL_PATH = "v0.0.30"
PAUSE = "3.10.1"
PROMETHEUS = "2.42.0+ds-5+deb12u1"
"""The version Debian 12 has, for tests of the alerts."""
PROMETHEUS_SHA256 = "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55"
"""Of its package for amd64."""

NODE_SUITE = "bookworm"
"""systemd 252 boots in a container on a cgroup v1 host; the 257 of Debian 13 refuses."""
ROLE_SUITE = "trixie"
"""OpenStack 2025.1 and MariaDB 11.8 are Debian 13's."""

KINDEST = (
    "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
)
"""The node image that kind 0.30 (lab/tools/kind) has as its default; a test compares them."""
