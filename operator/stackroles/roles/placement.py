"""placement: what hosts have, and what of it is taken."""

from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections, merge
from stackroles.roles import common
from stackroles.roles.api_service import ApiService
from stackroles.roles.container import ResourceDefaults
from stackroles.roles.definition import Catalogue, DatabaseUrl

PORT = 8778


def _options(cloud: Cloud, _: str) -> Sections:
    return merge(
        common.logging(),
        common.database("placement_database"),
        common.authtoken(cloud, "placement", "placement"),
        {"api": {"auth_strategy": "keystone"}},
    )


_SERVICE = ApiService(
    name="placement",
    user=42482,
    config="/etc/placement/placement.conf",
    options=_options,
    connections={"placement_database": DatabaseUrl(key="database-url", database="placement")},
    scratch=("/var/lib/placement",),
)

PLACEMENT = _SERVICE.api(
    _SERVICE.api_files("placement", "placement.wsgi.api:application", PORT),
    port=PORT,
    # /healthcheck asks for a token here.
    health="/",
    env=common.token_env("placement"),
    # It writes its standard traits and resource classes when it loads.
    needs=("placement/setup",),
    resources=ResourceDefaults(memory="128Mi", memory_limit="768Mi"),
    backup="its database",
)

SERVICE = _SERVICE.definition(
    Catalogue(
        type="placement",
        name="placement",
        role="placement",
        port=PORT,
        listing="/resource_providers?name=none",
    ),
    _SERVICE.setup(_SERVICE.migration("db-sync", "placement-manage", "db", "sync")),
)
