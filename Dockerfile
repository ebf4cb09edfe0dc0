# The operator: a virtual environment of hash-pinned wheels on Debian 13's own Python.
#
#   docker build -t localhost/stackroles/operator:dev .
#
# BASE      any Debian 13
# APT_URI   package mirror to use instead of the base's own
# PIP_ARGS  for example "--no-index --find-links requirements/wheels" with wheels fetched on the host
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
ARG APT_URI=""
ARG PIP_ARGS=""
RUN if [ -n "$APT_URI" ]; then \
      rm -f /etc/apt/sources.list.d/*.sources \
   && printf 'deb %s trixie main\n' "$APT_URI" > /etc/apt/sources.list; \
    fi \
 && apt-get -q update \
 && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install ca-certificates python3 python3-venv
WORKDIR /src
COPY requirements/ requirements/
RUN python3 -m venv /build && python3 -m venv /opt/stackroles \
 && /build/bin/pip install -q ${PIP_ARGS} --only-binary=:all: --require-hashes -r requirements/build.txt \
 && /opt/stackroles/bin/pip install -q ${PIP_ARGS} --only-binary=:all: --require-hashes -r requirements/operator.txt
COPY LICENSE README.md pyproject.toml ./
COPY operator/ operator/
# What goes is never imported: a test suite, and the bytecode of the Kubernetes client's generated classes
# (they load one by one on use, and the operator sends and gets plain dicts).
RUN /build/bin/pip wheel -q --no-index --no-deps --no-build-isolation -w dist . \
 && /opt/stackroles/bin/pip install -q --no-index --no-deps dist/*.whl \
 && /opt/stackroles/bin/pip check \
 && cd /opt/stackroles/lib/python3.13/site-packages \
 && rm -rf openstack/tests kubernetes/client/*/__pycache__ kubernetes/aio/client/*/__pycache__ \
 && /opt/stackroles/bin/pip uninstall -q -y pip

FROM ${BASE}
ARG APT_URI=""
RUN if [ -n "$APT_URI" ]; then \
      rm -f /etc/apt/sources.list.d/*.sources \
   && printf 'deb %s trixie main\n' "$APT_URI" > /etc/apt/sources.list; \
    fi \
 && apt-get -q update \
 && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && : > /etc/machine-id
COPY --from=build /opt/stackroles /opt/stackroles
# malloc instead of Python's own arenas gives freed memory back after a relist.
ENV PATH=/opt/stackroles/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 PYTHONMALLOC=malloc PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["stackroles"]
