"""Pieces that several resources share."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar, get_origin

from annotated_types import Ge, MaxLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from typing_extensions import override

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.errors import SpecInvalid
from stackroles.quantity import amount

Name = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
Quantity = Annotated[
    str,
    Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$"),
]
LabelKey = Annotated[
    str,
    Field(
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
    ),
]
LabelValue = Annotated[
    str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
]
LabelMap = Annotated[dict[LabelKey, LabelValue], Field(max_length=16)]


ATOMIC: JsonDict = {"x-kubernetes-list-type": "atomic"}


def list_map(*keys: str) -> JsonDict:
    """Return the schema keywords of a list whose items are distinguished by keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class Model(BaseModel):
    """Base of all wire models: frozen, camelCase on the wire, lenient to newer fields."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore"
    )


class StatusPart(Model):
    """Base of what a status consists of.

    Its bounds (`max_length`, `ge`) are those of the CRD's schema alone: what is observed is never
    an error here. `api.v1alpha1.fit` holds a status to them when it is written.
    """

    @classmethod
    @override
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Move the bounds of the fields from pydantic's checks into the schema."""
        super().__pydantic_init_subclass__(**kwargs)
        for field in cls.__pydantic_fields__.values():
            is_list = get_origin(field.annotation) is tuple
            schema: dict[str, Any] = {}
            for bound in field.metadata:
                if isinstance(bound, MaxLen):
                    schema["maxItems" if is_list else "maxLength"] = bound.max_length
                elif isinstance(bound, Ge):
                    schema["minimum"] = bound.ge
            field.metadata = [m for m in field.metadata if not isinstance(m, MaxLen | Ge)]
            if schema:
                given = field.json_schema_extra
                field.json_schema_extra = {**(given if isinstance(given, dict) else {}), **schema}
        cls.model_rebuild(force=True)


class Status(StatusPart):
    """Base of every status."""

    omitted: dict[str, int] | None = Field(
        None,
        description="Entries left out of lists that hold no more, by list.",
        json_schema_extra={"maxProperties": 16},
    )


class DeletionPolicy(StrEnum):
    """What happens to volumes and Secrets when the resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class ClusteringModel(StrEnum):
    """How the members of a role share its work."""

    ACTIVE_ACTIVE = "ActiveActive"
    ACTIVE_PASSIVE = "ActivePassive"


class Standby(StrEnum):
    """What the members of an ActivePassive role that are not active run."""

    HOT = "Hot"
    COLD = "Cold"


class OnApiLoss(StrEnum):
    """What an active member does while the Kubernetes API does not answer."""

    STOP = "Stop"
    KEEP = "Keep"


class AccessMode(StrEnum):
    """Who may mount a volume, as Kubernetes names it."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"
    READ_WRITE_MANY = "ReadWriteMany"


class Failover(Model):
    """How an ActivePassive role replaces an active member that fails."""

    lease_duration_seconds: int | None = Field(
        None,
        ge=4,
        le=300,
        description="Seconds after which a member that does not renew its Lease is replaced; it "
        "has stopped after three quarters of them. 8 when left out.",
    )
    standby: Standby | None = Field(
        None,
        description="Hot: members that are not active run the service and get no requests. "
        "Cold: only the active member runs it. Each role has its own default.",
    )
    on_api_loss: OnApiLoss | None = Field(
        None,
        description="Stop: an active member that cannot renew its Lease stops. Keep: it goes on, "
        "which takes a volume that admits one pod (ReadWriteOncePod). Stop when left out.",
    )


class Toleration(Model):
    """A taint that the role's pods tolerate."""

    key: str | None = Field(
        None, max_length=317, description="The taint's key; all keys when left out."
    )
    operator: Literal["Exists", "Equal"] = Field("Equal", description="How the value is compared.")
    value: str | None = Field(None, max_length=63, description="The taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect; all effects when left out."
    )


class Placement(Model):
    """Where pods may run."""

    node_selector: LabelMap = Field(
        default_factory=dict, description="Labels a node must have to run this role's pods."
    )
    tolerations: tuple[Toleration, ...] = Field(
        (),
        max_length=32,
        description="Taints that this role's pods tolerate.",
        json_schema_extra=ATOMIC,
    )


class Resources(Model):
    """Requests and limits of a container."""

    requests: dict[Literal["cpu", "memory"], Quantity] = Field(
        default_factory=dict, description="What the scheduler reserves."
    )
    limits: dict[Literal["cpu", "memory"], Quantity] = Field(
        default_factory=dict, description="What the container may not exceed."
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Refuse a request above its own limit, which the API server would say of each pod."""
        for name, limit in self.limits.items():
            request = self.requests.get(name)
            if request is not None and amount(request) > amount(limit):
                raise ValueError(
                    f"the request of {name}, {request}, is above its limit of {limit}: lower it, "
                    "or raise the limit"
                )
        return self

    def over(self, base: "Resources") -> "Resources":
        """Return these requests and limits laid over others, value by value.

        Where only one of request and limit is declared here, the other gives way: a limit below the
        base's request is the request as well, a request above the base's limit the limit as well.
        """
        requests, limits = base.requests | self.requests, base.limits | self.limits
        for name in requests.keys() & limits.keys():
            if amount(requests[name]) > amount(limits[name]):
                chosen = limits if name in self.limits else requests
                requests[name] = limits[name] = chosen[name]
        return Resources(requests=requests, limits=limits)


class Storage(Model):
    """The volume of each member."""

    size: Quantity | None = Field(None, description="Size of each member's volume.")
    storage_class_name: Name | None = Field(
        None, description="Storage class; the cluster's default when left out."
    )
    access_mode: AccessMode | None = Field(
        None,
        description="Who may mount the volume that the members of an ActivePassive role share: "
        "ReadWriteOnce keeps them on one node, ReadWriteMany does not, and ReadWriteOncePod admits "
        "one pod. ReadWriteOnce when left out.",
    )


class Condition(StatusPart):
    """A condition as Kubernetes knows it."""

    type: str = Field(max_length=64, description="What the condition is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=64, description="One word for programs; stable.")
    message: str = Field(
        "", max_length=2048, description="A sentence for people: what, where, what to do."
    )
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: int = Field(0, ge=0, description="The generation that was observed.")


class ChildRecord(StatusPart):
    """What was last applied to one child; lets a pass without changes make no call."""

    kind: str = Field(max_length=63, description="Kind of the child.")
    namespace: str | None = Field(
        None, max_length=63, description="Its namespace, when it has one."
    )
    name: str = Field(max_length=253, description="Its name.")
    uid: str = Field(max_length=64, description="Its identity.")
    hash: str = Field(max_length=64, description="Hash of the manifest last applied.")
    generation: int | None = Field(None, ge=0, description="Its generation after that apply.")
    resource_version: str | None = Field(
        None, max_length=64, description="Its resourceVersion then, for kinds without a generation."
    )


Children = Annotated[
    tuple[ChildRecord, ...],
    Field(
        max_length=2048,
        description="Children as last applied.",
        json_schema_extra=ATOMIC,
    ),
]
Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=32,
        description="Conditions of the resource.",
        json_schema_extra=list_map("type"),
    ),
]


Spec = TypeVar("Spec", bound=Model)


def parse_spec(model: type[Spec], resource: Mapping[str, Any]) -> Spec:
    """Return the spec of a resource.

    Raises:
        SpecInvalid: a value has the wrong type or lies outside its bounds, with each field's path.
            The API server refuses these; a resource stored under an older schema is met here.
    """
    try:
        return model.model_validate(resource.get("spec") or {})
    except ValidationError as error:
        problems = "; ".join(
            f"spec.{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise SpecInvalid(Reason.SPEC_INVALID, f"{problems}. Correct the fields named.") from error


def dump(model: BaseModel) -> dict[str, Any]:
    """Return a model as its wire form: camelCase, without unset optionals, JSON types only."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
