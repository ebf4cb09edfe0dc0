# Runs as root in a role image: nothing that must differ between machines or clouds may be in it.
set -o errexit -o nounset -o pipefail
status=0
bad() { echo "  not clean: $*"; status=1; }

[ ! -s /etc/machine-id ] || bad "/etc/machine-id is set"
for path in /var/lib/dbus/machine-id /etc/iscsi/initiatorname.iscsi /etc/nvme/hostnqn /etc/nvme/hostid \
  /var/lib/systemd/random-seed /var/lib/rabbitmq/.erlang.cookie /etc/ovn/system-id.conf /etc/openvswitch/system-id.conf \
  /etc/openvswitch/conf.db /root/.my.cnf; do
  [ ! -e "$path" ] || bad "$path exists"
done
for directory in /var/lib/mysql /etc/ssl/private /etc/keystone/fernet-keys /etc/keystone/credential-keys \
  /var/lib/openvswitch /var/lib/ovn /var/lib/libvirt/secrets /root/.ssh /var/lib/apt/lists; do
  [ ! -d "$directory" ] || [ -z "$(find "$directory" -type f)" ] || bad "$directory holds files"
done
# A private key is a file with a line that says so; program text that speaks of keys has it inside a line.
keys=$(grep -rlsE --binary-files=without-match '^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY' /etc /root /home /opt /srv /usr/share /usr/local /var || true)
[ -z "$keys" ] || bad "private keys: $keys"
hosts=$(find /etc/ssh -name 'ssh_host_*' 2> /dev/null || true)
[ -z "$hosts" ] || bad "host keys: $hosts"
passwords=$(awk -F: '$2 !~ /^[!*]/ {print $1}' /etc/shadow)
[ -z "$passwords" ] || bad "users with a password: $passwords"

while read -r name id _; do
  [ "$(id -u "$name"):$(id -g "$name")" = "$id:$id" ] || bad "$name is not $id: $(id "$name")"
done < <(grep -v '^#' /usr/local/lib/stackroles/users)
while read -r name id home _; do
  [ ! -d "$home" ] || [ "$name" = qemu ] || [ "$name" = libvirt ] || [ "$(stat -c %u "$home")" = "$id" ] ||
    bad "$home belongs to $(stat -c %U "$home"), not to $name"
done < <(grep -v '^#' /usr/local/lib/stackroles/users)

# Every module of the services was compiled in the build: a read-only file system cannot make up for it.
missing=$(python3 - << 'PYTHON'
import importlib.util
import pathlib

root = pathlib.Path("/usr/lib/python3/dist-packages")
skipped = {"test", "tests", "templates"}
for source in root.rglob("*.py"):
    if not skipped & set(source.parts) and not pathlib.Path(importlib.util.cache_from_source(source)).exists():
        print(source)
PYTHON
)
[ "$(wc -w <<< "$missing")" -lt 20 ] || bad "$(wc -w <<< "$missing") Python modules are not compiled, such as" $(head -3 <<< "$missing")
exit $status
