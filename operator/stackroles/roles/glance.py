"""glance: images."""

from collections.abc import Mapping

from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec
from stackroles.config import oslo
from stackroles.config.cloud import Cloud, Sections
from stackroles.roles import common
from stackroles.roles.accepts import ANY, UWSGI
from stackroles.roles.definition import (
    Amount,
    Catalogue,
    Connection,
    DataMount,
    DataVolume,
    FileMount,
    RoleDefinition,
    SecretEnv,
    Security,
    ServiceDefinition,
    Step,
    Task,
    Workload,
)

USER = 42415
PORT = 9292
HOME = "/var/lib/glance"
FILES = "file:file"

_CONFIG = "/etc/glance/glance-api.conf"
_ENV = (SecretEnv("OS_DATABASE__CONNECTION", "glance", "database-url"),)


def _render(cloud: Cloud, user: Sections) -> str:
    return oslo.render(
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
        user,
    )


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the API's files."""
    options = cloud.options("glance", "glance")
    overrides = options.get(UWSGI, {})
    return {
        _CONFIG: _render(cloud, common.oslo_options(options)),
        "/etc/glance/uwsgi.ini": common.uwsgi(
            "glance.common.wsgi_app:init_app()",
            PORT,
            overrides,
            # An upload keeps its worker until it is done; somebody must answer meanwhile.
            processes=2,
            # Uploads under way get this long when the pod is stopped.
            worker_reload_mercy=540,
        ),
    }


def setup_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of the set-up step."""
    return {_CONFIG: _render(cloud, common.setup_options(cloud, "glance"))}


def shares_images(spec: CloudControllerSpec) -> bool:
    """Return whether every store is one that all members reach: none keeps files on a volume."""
    backends = str(spec.config.get("glance", {}).get("DEFAULT", {}).get("enabled_backends", FILES))
    return all(item.rpartition(":")[2].strip() != "file" for item in backends.split(","))


GLANCE = RoleDefinition(
    name="glance",
    service="glance",
    open_because="clients of the API, and agents in the nodes' own network",
    image="glance",
    workload=Workload.STATEFUL_SET,
    replicas=2,
    files=files,
    options=ANY,
    volume=DataVolume(size="10Gi"),
    fs_group=USER,
    grace_period=600,
    # It asks the database only when it is asked, so it starts while that is made.
    needs=(),
    containers=(
        common.api_container(
            name="glance",
            port=PORT,
            health="/healthcheck",
            user=USER,
            ini="/etc/glance/uwsgi.ini",
            env=(
                *_ENV,
                *common.passwords("glance", "keystone_authtoken"),
                common.token_cache_key("glance"),
            ),
            mounts=(DataMount(HOME),),
            resources=Amount(memory="224Mi", memory_limit="1Gi"),
        ),
    ),
    shares_data=shares_images,
    single_because=(
        "images are on one volume of one node: losing that node stops uploads, and boots from "
        "images that no host has cached; with a shared store more members can serve"
    ),
    backup="its database; the files of the store are not in it",
)

SERVICE = ServiceDefinition(
    name="glance",
    databases=("glance",),
    connections=(Connection(key="database-url", database="glance"),),
    catalogue=Catalogue(type="image", name="glance", role="glance", port=PORT),
    identity=True,
    secrets=("token-cache-key",),
    steps=(
        Step(
            name="setup",
            image="glance",
            security=Security(user=USER),
            files=setup_files,
            needs=("mariadb/accounts", "haproxy"),
            tasks=(
                Task(
                    name="db-sync",
                    command=("glance-manage", "db_sync"),
                    env=_ENV,
                    mounts=(FileMount(), *common.scratch(HOME)),
                ),
            ),
            advice="check that the database answers and lets the user glance in",
        ),
    ),
)
