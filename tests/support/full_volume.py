"""A volume that is too small: a file system of 2 MiB in a file, loop-mounted on a node."""

from dataclasses import dataclass

from lab.cluster import Cluster
from lab.kubectl import Kubectl, Object

SIZE = "2M"
USER = 42434
# restic makes 256 folders at once; a journal would take half of so small a file system.
FORMAT = "mkfs.ext4 -q -F -b 1024 -m 0 -N 512 -O ^has_journal"


@dataclass(frozen=True, slots=True)
class FullVolume:
    """The mount on a node, the volume and the claim that are bound to it.

    Attributes:
        cluster: where the node is.
        kubectl: bound to the namespace of the claim.
        name: of the claim and the volume; the folder on the node has it too.
    """

    cluster: Cluster
    kubectl: Kubectl
    name: str

    @property
    def node(self) -> str:
        """The node whose file system it is."""
        return self.cluster.nodes[-1]

    @property
    def folder(self) -> str:
        """Where it is mounted on the node."""
        return f"/var/local/{self.name}"

    def make(self) -> None:
        """Make the file system and the claim."""
        self._on_node(
            f"mkdir -p {self.folder} && truncate -s {SIZE} {self.folder}.image && "
            f"{FORMAT} {self.folder}.image && mount -o loop {self.folder}.image {self.folder} && "
            f"chown {USER}:{USER} {self.folder}"
        )
        self.kubectl.apply(self._volume(), self._claim())

    def remove(self) -> None:
        """Remove whatever of it is there; nothing may use the claim any more."""
        for kind in ("pvc", "pv"):
            self.kubectl.run("delete", kind, self.name, "--ignore-not-found", "--timeout=60s")
        self._on_node(
            f"if mountpoint -q {self.folder}; then umount {self.folder}; fi; "
            f"rm -rf {self.folder} {self.folder}.image"
        )

    def _on_node(self, script: str) -> str:
        return self.cluster.docker("exec", self.node, "sh", "-euc", script)

    def _volume(self) -> Object:
        term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self.node]}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": self.name},
            "spec": {
                "capacity": {"storage": SIZE + "i"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": self.kubectl.namespace, "name": self.name},
                "local": {"path": self.folder},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
            },
        }

    def _claim(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "volumeName": self.name,
                "resources": {"requests": {"storage": SIZE + "i"}},
            },
        }
