user mysql
runs restic version
runs mariadb-backup --version
runs ovsdb-client --version
export RESTIC_REPOSITORY RESTIC_PASSWORD=check RESTIC_CACHE_DIR
RESTIC_REPOSITORY=$(mktemp -d) RESTIC_CACHE_DIR=$(mktemp -d)
runs restic init
runs restic backup /etc/stackroles-release
runs restic check --read-data
