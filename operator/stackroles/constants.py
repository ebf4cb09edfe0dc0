"""Names that are a contract with the cluster: API group, labels, annotations, field managers."""

from typing import Final

API_GROUP: Final = "stackroles.io"
API_VERSION: Final = "v1alpha1"
GROUP_VERSION: Final = f"{API_GROUP}/{API_VERSION}"
CATEGORY: Final = "openstack"

MANAGED_BY: Final = "stackroles"
FIELD_MANAGER: Final = "stackroles"
STATUS_MANAGER: Final = "stackroles-status"

# Kubernetes' recommended labels; the pair (OWNER_KIND, INSTANCE) maps a child to its parent, or
# (OWNER_KIND, OWNER_NAME) what has no owner reference. Other tools act on INSTANCE: an Argo CD
# Application of that name that tracks by label prunes what carries it and has no owner.
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_OWNER_KIND: Final = f"{API_GROUP}/owner-kind"
LABEL_OWNER_NAME: Final = f"{API_GROUP}/owner-name"
# Set on pods of one-shot Jobs, so that no budget or Service ever selects them.
LABEL_STEP: Final = f"{API_GROUP}/step"
# On pods of roles that share a disruption budget: which.
LABEL_BUDGET: Final = f"{API_GROUP}/disruption-budget"
# On Jobs and pods of a backup: which repository they write.
LABEL_REPOSITORY: Final = f"{API_GROUP}/repository"
# On those of a copy: into which other one.
LABEL_COPY_REPOSITORY: Final = f"{API_GROUP}/copy-repository"
# The operator's own node label: agents are pinned by it, the user's label only selects.
# Of pods whose program runs behind a gate: the clustering model that it keeps to.
ANNOTATION_CLUSTERING: Final = f"{API_GROUP}/clustering"
LABEL_POOL: Final = f"compute.{API_GROUP}/pool"

ANNOTATION_CONFIG_HASH: Final = f"{API_GROUP}/config-hash"
# Names of the ConfigMaps a pod reads, comma-separated: they stay while such a pod lives.
ANNOTATION_CONFIG_MAPS: Final = f"{API_GROUP}/config-maps"
# Of a workload: digest of its pods' template.
ANNOTATION_TEMPLATE: Final = f"{API_GROUP}/template"
# On pods: a keyed digest of the keys that somebody else made; others replace the pods, which read
# them at their start.
ANNOTATION_EXTERNAL_KEYS: Final = f"{API_GROUP}/external-keys"
# Names of the values of a Secret that exist once, each with a digest of the one in use: one of
# these that is missing is lost, one that does not fit its digest was changed.
ANNOTATION_KEYS: Final = f"{API_GROUP}/keys"
# On a ComputeNode, set by a person: another value makes the node run its probe guest again.
ANNOTATION_PROBE: Final = f"{API_GROUP}/probe"
# On the Job of a verification: what it verifies, and on that of a copy: what it copies.
ANNOTATION_BACKUP: Final = f"{API_GROUP}/backup"
ANNOTATION_BACKUP_UID: Final = f"{API_GROUP}/backup-uid"
ANNOTATION_LEVEL: Final = f"{API_GROUP}/verification-level"
# Whether it is another verification of a set in quarantine.
ANNOTATION_AGAIN: Final = f"{API_GROUP}/verification-again"
# The time of the mark that it follows.
ANNOTATION_DUE: Final = f"{API_GROUP}/verification-due"
FINALIZER: Final = f"{API_GROUP}/teardown"
