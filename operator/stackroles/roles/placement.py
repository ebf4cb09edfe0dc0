"""placement: what hosts have, and what of it is taken."""

from collections.abc import Mapping

from stackroles.config import oslo
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections
from stackroles.roles import common, resolvers, wsgi
from stackroles.roles.allowed_sections import ANY
from stackroles.roles.container import (
    Amount,
    FileMount,
    SecretEnv,
    Security,
)
from stackroles.roles.definition import (
    Catalogue,
    Connection,
    RoleDefinition,
    ServiceDefinition,
    Step,
    Task,
    Workload,
)

USER = 42482
PORT = 8778

_CONFIG = "/etc/placement/placement.conf"
_ENV = (SecretEnv("OS_PLACEMENT_DATABASE__CONNECTION", "placement", "database-url"),)


def _render(cloud: Cloud, user: Sections) -> str:
    return oslo.render(
        common.logging(),
        common.database("placement_database"),
        common.authtoken(cloud, "placement", "placement"),
        {"api": {"auth_strategy": "keystone"}},
        user,
    )


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the API's files."""
    options = cloud.options("placement", "placement")
    return {
        **resolvers.python_files(cloud),
        _CONFIG: _render(cloud, common.oslo_options(options)),
        "/etc/placement/uwsgi.ini": wsgi.uwsgi("placement.wsgi.api:application", PORT, options),
    }


def setup_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of the set-up step."""
    return {_CONFIG: _render(cloud, common.setup_options(cloud, "placement", "placement_database"))}


PLACEMENT = RoleDefinition(
    name="placement",
    service="placement",
    open_because="clients of the API, and agents in the nodes' own network",
    image="placement",
    workload=Workload.DEPLOYMENT,
    files=files,
    options=ANY,
    fs_group=USER,
    grace_period=75,
    # It writes its standard traits and resource classes when it loads.
    needs=("placement/setup",),
    containers=(
        wsgi.api_container(
            name="placement",
            port=PORT,
            # /healthcheck asks for a token here.
            health="/",
            user=USER,
            ini="/etc/placement/uwsgi.ini",
            env=(
                *_ENV,
                *common.passwords("placement", "keystone_authtoken"),
                common.token_cache_key("placement"),
            ),
            mounts=common.scratch("/var/lib/placement"),
            resources=Amount(memory="128Mi", memory_limit="768Mi"),
        ),
    ),
    backup="its database",
)

SERVICE = ServiceDefinition(
    name="placement",
    databases=("placement",),
    connections=(Connection(key="database-url", database="placement"),),
    catalogue=Catalogue(
        type="placement",
        name="placement",
        role="placement",
        port=PORT,
        listing="/resource_providers?name=none",
    ),
    identity=True,
    secrets=("token-cache-key",),
    steps=(
        Step(
            name="setup",
            image="placement",
            security=Security(user=USER),
            files=setup_files,
            needs=("mariadb/accounts", "haproxy"),
            tasks=(
                Task(
                    name="db-sync",
                    command=("placement-manage", "db", "sync"),
                    env=_ENV,
                    mounts=(FileMount(), *common.scratch("/var/lib/placement")),
                ),
            ),
            advice="check that the database answers and lets the user placement in",
        ),
    ),
)
