"""keystone: identity, and the catalogue of all services."""

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
    SecretMount,
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

USER = 42425
PORT = common.IDENTITY_PORT
FERNET_KEYS = "fernet-keys"
CREDENTIAL_KEYS = "credential-keys"
# The Secret `<cloud>-admin`: username, password.
ADMIN = "admin"

_CONFIG = "/etc/keystone/keystone.conf"
_SCRIPT = "/etc/keystone/bootstrap.sh"
_ENV = (SecretEnv("OS_DATABASE__CONNECTION", "keystone", "database-url"),)
# keystone reads the directories at every token, so that new keys need no restart.
_KEYS = (
    SecretMount(f"keystone-{FERNET_KEYS}", "/etc/keystone/fernet-keys"),
    SecretMount(f"keystone-{CREDENTIAL_KEYS}", "/etc/keystone/credential-keys"),
)

_LOG_LEVELS = (
    *("amqp=WARN", "sqlalchemy=WARN", "oslo_messaging=INFO", "oslo.cache=INFO", "stevedore=WARN"),
    *("urllib3.connectionpool=WARN", "urllib3.util.retry=WARN", "oslo_policy=INFO"),
    *("dogpile.core.dogpile=INFO", "keystone.common.fernet_utils=ERROR"),
)


def _render(cloud: Cloud, user: Sections) -> str:
    return oslo.render(
        common.logging(),
        common.database(),
        common.cache(cloud),
        {
            # The directory of a Secret's volume is always world-readable, its files are not.
            "DEFAULT": {"default_log_levels": _LOG_LEVELS},
            # bcrypt hashes no more; a longer password is refused instead of cut.
            "identity": {"max_password_length": 72},
            "token": {"provider": "fernet"},
            "fernet_tokens": {
                "key_repository": "/etc/keystone/fernet-keys/",
                # Daily rotation of tokens that live an hour and are honoured for two days more.
                "max_active_keys": 5,
            },
            "credential": {"key_repository": "/etc/keystone/credential-keys/"},
            "oslo_messaging_notifications": {"driver": "noop"},
            "oslo_middleware": {"enable_proxy_headers_parsing": True},
        },
        user,
    )


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the API's files."""
    options = cloud.options("keystone", "keystone")
    return {
        **resolvers.python_files(cloud),
        _CONFIG: _render(cloud, common.oslo_options(options)),
        "/etc/keystone/uwsgi.ini": wsgi.uwsgi("keystone.wsgi.api:application", PORT, options),
    }


def setup_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of the set-up step."""
    url = f"{common.identity_url(cloud)}/v3"
    # Repeated, it resets the administrator's password and the endpoints; the password comes from
    # the environment (OS_BOOTSTRAP_PASSWORD).
    script = " \\\n  ".join(
        (
            "exec keystone-manage bootstrap",
            "--bootstrap-username admin",
            "--bootstrap-project-name admin",
            "--bootstrap-role-name admin",
            "--bootstrap-service-name keystone",
            f"--bootstrap-region-id '{cloud.spec.region}'",
            f"--bootstrap-admin-url {url}",
            f"--bootstrap-internal-url {url}",
            f"--bootstrap-public-url {url}",
        )
    )
    return {
        _CONFIG: _render(cloud, common.setup_options(cloud, "keystone", "database")),
        _SCRIPT: f"{script}\n",
    }


KEYSTONE = RoleDefinition(
    name="keystone",
    service="keystone",
    open_because="clients of the API, and agents in the nodes' own network",
    image="keystone",
    workload=Workload.DEPLOYMENT,
    files=files,
    options=ANY,
    fs_group=USER,
    grace_period=75,
    # It touches the database only when it is asked something, so it starts while that is made.
    needs=(),
    containers=(
        wsgi.api_container(
            name="keystone",
            port=PORT,
            health="/healthcheck",
            user=USER,
            ini="/etc/keystone/uwsgi.ini",
            env=_ENV,
            mounts=(*_KEYS, *common.scratch("/var/lib/keystone")),
            resources=Amount(memory="128Mi", memory_limit="768Mi"),
        ),
    ),
    backup="its database; both key Secrets, without which credentials cannot be read",
)

# The step, by its name in the bring-up graph, that fills keystone with users and addresses.
CATALOGUE = "keystone/catalogue"

# Not a service, but brought and kept like the passwords of one.
ADMINISTRATOR = ServiceDefinition(name=ADMIN, secrets=("password",))

SERVICE = ServiceDefinition(
    name="keystone",
    databases=("keystone",),
    connections=(Connection(key="database-url", database="keystone"),),
    catalogue=Catalogue(type="identity", name="keystone", role="keystone", port=PORT, path="/v3"),
    keyrings=(FERNET_KEYS, CREDENTIAL_KEYS),
    steps=(
        Step(
            name="setup",
            image="keystone",
            security=Security(user=USER),
            files=setup_files,
            needs=("mariadb/accounts", "haproxy"),
            tasks=(
                Task(
                    name="db-sync",
                    command=("keystone-manage", "db_sync"),
                    env=_ENV,
                    mounts=(FileMount(), *common.scratch("/var/lib/keystone")),
                ),
                Task(
                    name="bootstrap",
                    command=("sh", "-eu", _SCRIPT),
                    env=(*_ENV, SecretEnv("OS_BOOTSTRAP_PASSWORD", ADMIN, "password")),
                    mounts=(FileMount(), *_KEYS, *common.scratch("/var/lib/keystone")),
                ),
            ),
            advice="check that the database answers and lets the user keystone in",
        ),
        Step(
            name="catalogue",
            image="keystone",
            security=Security(user=USER),
            tasks=(),
            needs=("keystone", "keystone/setup"),
            advice="check that keystone answers and that the password in the admin Secret is the "
            "administrator's",
        ),
    ),
)
