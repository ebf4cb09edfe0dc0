"""keystone: identity, and the catalogue of all services."""

from collections.abc import Mapping
from dataclasses import replace

from stackroles.agents.housekeeping.protocol import DeletedRows, Removal
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections, merge
from stackroles.roles import common
from stackroles.roles.api_service import ApiService
from stackroles.roles.container import ResourceDefaults, SecretEnv, SecretMount, Security
from stackroles.roles.definition import Catalogue, DatabaseUrl, OpenStackService, Step
from stackroles.roles.housekeeping import housekeeping_steps

PORT = common.IDENTITY_PORT
FERNET_KEYS = "fernet-keys"
CREDENTIAL_KEYS = "credential-keys"
# The Secret `<cloud>-admin`: username, password.
ADMIN = "admin"

_SCRIPT = "/etc/keystone/bootstrap.sh"
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


def _options(cloud: Cloud, _: str) -> Sections:
    return merge(
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
    )


_SERVICE = ApiService(
    name="keystone",
    user=42425,
    config="/etc/keystone/keystone.conf",
    options=_options,
    connections={"database": DatabaseUrl(key="database-url", database="keystone")},
    scratch=("/var/lib/keystone",),
)


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
    return {**_SERVICE.setup_files(cloud), _SCRIPT: f"{script}\n"}


KEYSTONE = _SERVICE.api(
    _SERVICE.api_files("keystone", "keystone.wsgi.api:application", PORT),
    port=PORT,
    mounts=_KEYS,
    # It touches the database only when it is asked something, so it starts while that is made.
    needs=(),
    resources=ResourceDefaults(memory="128Mi", memory_limit="768Mi"),
    backup="its database; both key Secrets, without which credentials cannot be read",
)

# Tokens leave no rows, and keystone prunes revocations itself: trusts are what stays. As in
# keystone/trust/backends/sql.py one that was deleted goes whatever its age, others by the day on
# which they expired.
_HOUSEKEEPING = housekeeping_steps(
    _SERVICE,
    rows=(
        DeletedRows(
            database="keystone",
            tables=("trust",),
            condition="deleted_at IS NOT NULL OR expires_at_int < {day_microseconds}",
            at_once=True,
        ),
    ),
    removals=(Removal(words=("keystone-manage", "trust_flush", "--date", "{day}")),),
    mounts=_KEYS,
)

# The step, by its name in the bring-up graph, that fills keystone with users and addresses.
CATALOGUE = "keystone/catalogue"

# Not a service, but supplied and kept like the passwords of one.
ADMINISTRATOR = OpenStackService(name=ADMIN, secrets=("password",))

SERVICE = replace(
    _SERVICE.definition(
        Catalogue(type="identity", name="keystone", role="keystone", port=PORT, path="/v3"),
        _SERVICE.setup(
            _SERVICE.migration("db-sync", "keystone-manage", "db_sync"),
            _SERVICE.task(
                "bootstrap",
                *("sh", "-eu", _SCRIPT),
                env=(SecretEnv("OS_BOOTSTRAP_PASSWORD", ADMIN, "password"),),
                mounts=_KEYS,
            ),
            files=setup_files,
        ),
        Step(
            name="catalogue",
            image="keystone",
            security=Security(user=_SERVICE.user),
            tasks=(),
            needs=("keystone", "keystone/setup"),
            advice="check that keystone answers and that the password in the admin Secret is the "
            "administrator's",
        ),
    ),
    # Others ask it; it asks nobody.
    identity=False,
    secrets=(),
    keyrings=(FERNET_KEYS, CREDENTIAL_KEYS),
    housekeeping=_HOUSEKEEPING,
)
