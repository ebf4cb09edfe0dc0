"""glance: images."""

from dataclasses import replace

from stackroles.agents.housekeeping.protocol import DeletedRows, Removal
from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec
from stackroles.api.v1alpha1.common import Standby
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config import oslo
from stackroles.config.cloud import Cloud
from stackroles.config.endpoint import HTTP, Endpoint
from stackroles.config.layers import Sections, merge, user_options
from stackroles.errors import SpecInvalid
from stackroles.roles import common
from stackroles.roles.api_service import ApiService
from stackroles.roles.container import (
    DataMount,
    Env,
    FieldEnv,
    ResourceDefaults,
    SecretEnv,
    Security,
    Variable,
)
from stackroles.roles.definition import (
    Catalogue,
    ClusteringChoice,
    DatabaseUrl,
    DataVolume,
    Step,
    Workload,
)
from stackroles.roles.housekeeping import housekeeping_steps

PORT = 9292
HOME = "/var/lib/glance"
FILES = "file:file"

_RESOURCES = ResourceDefaults(memory="224Mi", memory_limit="1Gi")
# The store whose keys come through the environment, whose variables carry its name.
_OBJECT_STORE = "s3"
_ACCESS_KEY, _SECRET_KEY = "s3-access-key", "s3-secret-key"
_STORE_ENV = (
    SecretEnv("OS_S3__S3_STORE_ACCESS_KEY", "glance", _ACCESS_KEY, optional=True),
    SecretEnv("OS_S3__S3_STORE_SECRET_KEY", "glance", _SECRET_KEY, optional=True),
)
# What is staged on one member for an import is fetched from there by the others.
_SELF = (
    FieldEnv("POD_IP", "status.podIP"),
    Env("OS_DEFAULT__WORKER_SELF_REFERENCE_URL", Endpoint(HTTP, "$(POD_IP)", PORT).url()),
)


_API_ENV: tuple[Variable, ...] = (
    *_STORE_ENV,
    *_SELF,
    *common.token_env("glance"),
)
# Loads the application as the WSGI server does, and ends.
_LOAD = "import os; from glance.common import wsgi_app; wsgi_app.init_app(); os._exit(0)"


def _options(cloud: Cloud, _: str) -> Sections:
    return merge(
        common.logging(),
        common.database(),
        common.authtoken(cloud, "glance", "image"),
        {
            "DEFAULT": {"enabled_backends": FILES},
            "glance_store": {"default_backend": "file"},
            "file": {"filesystem_store_datadir": f"{HOME}/images/"},
            # Reserved names, which glance wants whenever it has several stores.
            "os_glance_staging_store": {"filesystem_store_datadir": f"{HOME}/staging/"},
            "os_glance_tasks_store": {"filesystem_store_datadir": f"{HOME}/tasks/"},
            "paste_deploy": {"flavor": "keystone"},
            "oslo_concurrency": {"lock_path": f"{HOME}/lock"},
            "oslo_messaging_notifications": {"driver": "noop"},
        },
    )


_SERVICE = ApiService(
    name="glance",
    user=42415,
    config="/etc/glance/glance-api.conf",
    options=_options,
    connections={"database": DatabaseUrl(key="database-url", database="glance")},
)
_FILES = _SERVICE.api_files(
    "glance",
    "glance.common.wsgi_app:init_app()",
    PORT,
    # An upload keeps its worker until it is done; somebody must answer meanwhile.
    processes=2,
    # Uploads under way get this long when the pod is stopped.
    worker_reload_mercy=540,
)


def _stores(spec: CloudControllerSpec) -> list[tuple[str, str]]:
    """Return name and type of each store."""
    options = user_options(spec.config, "glance", "glance")
    written = options.find(oslo.spelling("DEFAULT", "enabled_backends"), oslo.spelling)
    enabled = str(options[written[0]][written[1]]) if written else FILES
    stores = [item.strip().rpartition(":") for item in enabled.split(",")]
    return [(name, kind) for name, _, kind in stores]


def shares_images(spec: CloudControllerSpec) -> bool:
    """Return whether every store is one that all members reach: none keeps files on a volume."""
    return all(kind != "file" for _, kind in _stores(spec))


def uses_object_store(spec: CloudControllerSpec) -> bool:
    """Return whether a store is one of objects, whose keys a user must supply.

    Raises:
        SpecInvalid: such a store has another name than the one its keys are passed by.
    """
    names = [name for name, kind in _stores(spec) if kind == "s3"]
    if any(name != _OBJECT_STORE for name in names):
        raise SpecInvalid(
            Reason.SPEC_INVALID,
            "spec.config.glance.DEFAULT.enabled_backends: the store of type s3 must be called "
            f"{_OBJECT_STORE}, since its keys are passed by that name. Write s3:s3, and its "
            "options in the section s3.",
        )
    return bool(names)


GLANCE = replace(
    _SERVICE.api(
        _FILES,
        port=PORT,
        env=_API_ENV,
        mounts=(DataMount(HOME),),
        # It asks the database only when it is asked, so it starts while that is made.
        needs=(),
        resources=_RESOURCES,
        backup="its database; the files of the store are not in it",
    ),
    workload=Workload.STATEFUL_SET,
    replicas=2,
    volume=DataVolume(size="10Gi"),
    # A volume is one member's: no successor can be tried beside it. So options are tried before.
    update_strategy="OnDelete",
    grace_period=600,
    shares_data=shares_images,
    clustering=ClusteringChoice(
        models=common.EITHER,
        because=(
            "with a shared store all may serve; images on one volume take one member at a time"
        ),
        standby=(Standby.COLD,),
        exclusion="ReadWriteOncePod, where the volume has it",
    ),
    single_because=(
        "images are on one volume of one node: losing that node stops uploads, and boots from "
        "images that no host has cached; with a shared store more members can serve"
    ),
)
_SCRATCH = common.scratch(HOME)

_DELETED = "deleted_at < {before}"
# glance's own default: the id of an image whose row is gone may be given to another (OSSN-0075).
_IMAGE_DAYS = 180
_PURGE = ("--age_in_days", "{days}", "--max_rows", "{batch}")
_HOUSEKEEPING = housekeeping_steps(
    _SERVICE,
    # Of glance/db/sqlalchemy/api.py: `purge_deleted_rows`, `purge_deleted_rows_from_images`.
    rows=(
        DeletedRows(
            database="glance",
            tables=("task_info",),
            condition=f"task_id IN (SELECT id FROM tasks WHERE {_DELETED})",  # noqa: S608 - no input
        ),
        DeletedRows(
            database="glance",
            tables=("image_properties", "image_tags", "image_locations", "image_members", "tasks"),
            condition=_DELETED,
        ),
        DeletedRows(
            database="glance", tables=("images",), condition=_DELETED, least_days=_IMAGE_DAYS
        ),
    ),
    removals=(
        Removal(words=("glance-manage", "db", "purge", *_PURGE)),
        Removal(
            words=("glance-manage", "db", "purge_images_table", *_PURGE), least_days=_IMAGE_DAYS
        ),
    ),
    mounts=_SCRATCH,
)

SERVICE = replace(
    _SERVICE.definition(
        Catalogue(
            type="image", name="glance", role="glance", port=PORT, listing="/v2/images?limit=1"
        ),
        _SERVICE.setup(_SERVICE.migration("db-sync", "glance-manage", "db_sync", mounts=_SCRATCH)),
        Step(
            name="check",
            image="glance",
            security=Security(user=_SERVICE.user),
            files=_FILES,
            guards="glance",
            deadline=300,
            retries=1,
            tasks=(_SERVICE.task("load", "python3", "-c", _LOAD, env=_API_ENV, mounts=_SCRATCH),),
            resources=_RESOURCES,
            advice="correct spec.config.glance; until then members serve with the former options",
        ),
    ),
    external=(_ACCESS_KEY, _SECRET_KEY),
    external_for=uses_object_store,
    housekeeping=_HOUSEKEEPING,
)
