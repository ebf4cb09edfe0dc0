"""An OpenStack service in one place: what its API, its other processes and its set-up share.

A service file says what is its own (options, databases, ports, what it needs) and gets its roles,
its set-up step and its definition from one `ApiService`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stackroles.config import oslo
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections
from stackroles.roles import common, resolvers, wsgi
from stackroles.roles.allowed_sections import ANY, NO_WSGI
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    Container,
    FileMount,
    Mount,
    Port,
    Probe,
    ResourceDefaults,
    SecretEnv,
    Security,
    Variable,
)
from stackroles.roles.definition import (
    Catalogue,
    DatabaseUrl,
    Files,
    OpenStackService,
    RoleDefinition,
    Step,
    Task,
    Workload,
)
from stackroles.roles.topology import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiService:
    """What the roles and the set-up of one service share.

    Attributes:
        name: the service; also its image, its accounts and its own directory below /etc.
        user: whom its processes run as.
        config: path of its file of options.
        options: the operator's options of a role, or, by the service's name, of the set-up.
        connections: its databases by the section that holds their URL.
        broker: whether its processes use the broker.
        files: files of all its roles besides the options, the same for every cloud.
        env: environment of all its roles besides the URLs of its databases.
        scratch: where its processes may write.
    """

    name: str
    user: int
    config: str
    options: Callable[[Cloud, str], Sections]
    connections: Mapping[str, DatabaseUrl]
    broker: bool = False
    files: Files[Cloud] = field(default=lambda _: {})
    env: tuple[Variable, ...] = ()
    scratch: tuple[str, ...] = ()

    @property
    def database_env(self) -> tuple[Variable, ...]:
        """The URLs of its databases, from its Secret."""
        return tuple(
            SecretEnv(_variable(section), self.name, connection.key)
            for section, connection in self.connections.items()
        )

    @property
    def writable(self) -> tuple[Mount, ...]:
        """Places to write."""
        return common.scratch(*self.scratch)

    def role_files(self, role: str, extra: Sections | None = None) -> Files[Cloud]:
        """Return how the files of a role without a WSGI server are rendered.

        Args:
            role: the role.
            extra: options of this role alone.
        """

        def files(cloud: Cloud) -> Mapping[str, str]:
            user = common.oslo_options(cloud.options(role, self.name))
            return {
                **resolvers.python_files(cloud),
                **self.files(cloud),
                **(common.broker_files(cloud) if self.broker else {}),
                self.config: oslo.render(self.options(cloud, role), extra or {}, user),
            }

        return files

    def api_files(self, role: str, module: str, port: int, **extra: str | int) -> Files[Cloud]:
        """Return how the files of a role under the WSGI server are rendered.

        Args:
            role: the role.
            module: the application; see `wsgi.uwsgi`.
            port: where it listens.
            extra: options of the WSGI server for this role; underscores stand for dashes.
        """
        others = self.role_files(role)

        def files(cloud: Cloud) -> Mapping[str, str]:
            server = wsgi.uwsgi(module, port, cloud.options(role, self.name), **extra)
            return {**others(cloud), self._server: server}

        return files

    @property
    def _server(self) -> str:
        return f"/etc/{self.name}/{wsgi.CONFIGURATION}"

    def api(
        self,
        files: Files[Cloud],
        *,
        port: int,
        role: str = "",
        health: str = "/healthcheck",
        env: tuple[Variable, ...] = (),
        mounts: tuple[Mount, ...] = (),
        needs: tuple[str, ...] = (),
        resources: ResourceDefaults,
        backup: str,
    ) -> RoleDefinition[Cloud]:
        """Return the role of an API; what is unusual about it is for `dataclasses.replace`.

        Args:
            files: as `api_files` made it.
            port: where it listens.
            role: its name; the service's by default.
            health: path that answers 200 to 399 without a token.
            env: its environment besides the URLs of its databases.
            mounts: its mounts besides its files and the places to write.
            needs: roles and steps that must be done before it is first started.
            resources: what it may use.
            backup: what a backup of it contains.
        """
        name = role or self.name
        return RoleDefinition(
            name=name,
            service=self.name,
            image=self.name,
            workload=Workload.DEPLOYMENT,
            clustering=common.STATELESS,
            endpoint=True,
            health=health,
            files=files,
            options=ANY,
            spelling=oslo.spelling,
            fs_group=self.user,
            grace_period=75,
            shared_budget=common.SERVICES_BUDGET,
            needs=needs,
            containers=(
                wsgi.api_container(
                    name=name,
                    port=port,
                    user=self.user,
                    ini=self._server,
                    env=(*self.env, *self.database_env, *env),
                    mounts=(*mounts, *self.writable),
                    resources=resources,
                ),
            ),
            backup=backup,
        )

    def process(
        self,
        name: str,
        *command: str,
        readiness: Probe | None = None,
        startup: Probe | None = None,
        no_liveness_because: str = common.NO_RPC_LIVENESS,
        ports: tuple[Port, ...] = (),
        env: tuple[Variable, ...] = (),
        resources: ResourceDefaults,
        extra: Sections | None = None,
    ) -> RoleDefinition[Cloud]:
        """Return the role of a process of its own, a Deployment unless it is replaced.

        Args:
            name: the role.
            command: its program and arguments; the file of options is added.
            readiness: when it serves; None behind a gate, which has the probes.
            startup: when it has started; as above.
            no_liveness_because: why nobody restarts it.
            ports: where it listens.
            env: its environment besides the URLs of its databases.
            resources: what it may use.
            extra: options of this role alone.
        """
        return RoleDefinition(
            name=name,
            service=self.name,
            image=self.name,
            workload=Workload.DEPLOYMENT,
            files=self.role_files(name, extra),
            options=NO_WSGI,
            spelling=oslo.spelling,
            fs_group=self.user,
            grace_period=75,
            shared_budget=common.SERVICES_BUDGET,
            containers=(
                Container(
                    name=name,
                    command=(*command, "--config-file", self.config),
                    security=Security(user=self.user),
                    ports=ports,
                    startup=startup,
                    readiness=readiness,
                    no_liveness_because=no_liveness_because,
                    env=(*resolvers.PYTHON, *self.env, *self.database_env, *env),
                    mounts=(FileMount(), *self.writable),
                    resources=resources,
                ),
            ),
        )

    def setup_files(self, cloud: Cloud) -> Mapping[str, str]:
        """Return the files of the set-up step."""
        setup = common.setup_options(cloud, self.name, *self.connections)
        return {self.config: oslo.render(self.options(cloud, self.name), setup)}

    def task(
        self,
        name: str,
        *command: str,
        env: tuple[Variable, ...] = (),
        mounts: tuple[Mount, ...] = (),
    ) -> Task:
        """Return a command of a step, with the service's databases at hand."""
        return Task(
            name=name,
            command=command,
            env=(*self.database_env, *env),
            mounts=(FileMount(), *mounts, *self.writable),
        )

    def migration(
        self,
        name: str,
        *command: str,
        section: str = "",
        databases: tuple[str, ...] = (),
        env: tuple[Variable, ...] = (),
        mounts: tuple[Mount, ...] = (),
    ) -> Task:
        """Return a command of a step that brings databases to the present schema.

        A first migration that is cut short begins anew at the next attempt.

        Args:
            name: the task's name.
            command: what brings them there.
            section: the section that holds their URL; by default the service's first.
            databases: those it changes; the URL's own by default.
            env: its environment besides the URLs of the service's databases.
            mounts: its mounts besides the service's files and the places to write.
        """
        section = section or next(iter(self.connections))
        own = self.connections[section].database
        agent = (*AGENT_COMMAND, "stackroles.agents.migration", _variable(section))
        return self.task(
            name,
            *(*agent, *(databases or (own,)), "--", *command),
            env=(AGENT_PATH, *env),
            mounts=(AgentMount(), *mounts),
        )

    def setup(self, *tasks: Task, files: Files[Cloud] | None = None) -> Step[Cloud]:
        """Return the step that makes the service's tables and whatever else it begins with."""
        return Step(
            name="setup",
            image=self.name,
            security=Security(user=self.user),
            files=files or self.setup_files,
            needs=(f"{DEFAULT.database.name}/accounts", DEFAULT.proxy.name),
            tasks=tasks,
            advice=f"check that the database answers and lets the user {self.name} in",
        )

    def definition(self, catalogue: Catalogue, *steps: Step[Cloud]) -> OpenStackService:
        """Return the service: a user in keystone, accounts, the key of its token cache, steps."""
        return OpenStackService(
            name=self.name,
            databases=tuple(connection.database for connection in self.connections.values()),
            connections=tuple(self.connections.values()),
            broker=self.broker,
            catalogue=catalogue,
            identity=True,
            secrets=("token-cache-key",),
            steps=steps,
        )


def _variable(section: str) -> str:
    return f"OS_{section.upper()}__CONNECTION"
