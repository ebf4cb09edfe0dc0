"""Where recovery sets are kept."""

from pydantic import Field
from pydantic.config import JsonDict

from stackroles.api.v1alpha1.common import (
    Model,
    Name,
    Quantity,
)


class VolumeRepository(Model):
    """A repository on a volume."""

    claim_name: Name | None = Field(
        None,
        description="An existing claim; left out, the operator makes one and never deletes it.",
    )
    size: Quantity = Field(
        "10Gi",
        description="Size of a claim the operator makes; it grows where its class can, and never "
        "shrinks.",
    )
    storage_class_name: Name | None = Field(None, description="Its storage class.")


class S3Repository(Model):
    """A repository in a bucket."""

    endpoint: str = Field(
        max_length=512, pattern=r"^https?://", description="Address of the S3 API."
    )
    bucket: str = Field(min_length=3, max_length=63, description="The bucket.")
    prefix: str = Field("", max_length=512, description="Path in the bucket.")
    region: str | None = Field(
        None, max_length=64, description="Region, where the server wants one."
    )
    credentials_secret: Name = Field(description="Secret with accessKeyId and secretAccessKey.")
    ca_secret: Name | None = Field(
        None, description="Secret with ca.crt of the server's authority."
    )


class Bandwidth(Model):
    """How much of the way to a repository may be used.

    A run gives up a repository that takes nothing for four minutes; at the least of these limits
    what restic has under way (agents/backup/restic_process.py) takes less than two.
    """

    upload_mebibytes: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="MiB a second that each pod may write; no limit when left out.",
    )
    download_mebibytes: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="MiB a second that each pod may read, also those of a Restore; no limit when "
        "left out.",
    )


class Repository(Model):
    """Where recovery sets are kept."""

    volume: VolumeRepository | None = Field(None, description="On a volume.")
    s3: S3Repository | None = Field(None, description="In a bucket.")
    bandwidth: Bandwidth = Field(
        default_factory=Bandwidth,
        description="Limits of what is written to it and read from it in a second.",
    )


ONE_REPOSITORY: JsonDict = {
    "rule": "has(self.volume) != has(self.s3)",
    "message": "name exactly one of volume and s3",
}
