user mysql
runs mariadbd --version
runs mariadb-backup --version
runs mariadb --version
runs mariadb-dump --version
runs mariadb-admin --version
runs socat -V
runs ss -V
readable /usr/lib/galera/libgalera_smm.so /usr/bin/wsrep_sst_mariabackup /usr/bin/wsrep_sst_common
# A data directory is made, the position is read from it, and the server answers with wsrep loaded.
data=$(mktemp -d)
runs mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=socket --auth-root-socket-user=mysql --skip-test-db
cat > "$data/my.cnf" <<CNF
[mysqld]
datadir=$data
socket=$data/sock
pid_file=$data/pid
skip_networking=ON
wsrep_on=ON
wsrep_provider=/usr/lib/galera/libgalera_smm.so
wsrep_cluster_address=gcomm://
binlog_format=ROW
CNF
runs galera_recovery --defaults-file="$data/my.cnf"
mariadbd --defaults-file="$data/my.cnf" --wsrep-new-cluster > "$data/log" 2>&1 &
server=$!
for _ in $(seq 60); do
  answer=$(mariadb --no-defaults --user=mysql --socket="$data/sock" -N -e "SHOW STATUS LIKE 'wsrep_ready'" 2> /dev/null) && break
  kill -0 $server || { cat "$data/log" >&2; exit 1; }
  sleep 0.5
done
[ "$(echo ${answer:-})" = "wsrep_ready ON" ] || { echo "  wsrep: ${answer:-no answer}" >&2; tail -20 "$data/log" >&2; exit 1; }
echo "  mariadbd serves, $answer"
runs mariadb-backup --no-defaults --backup --galera-info --user=mysql --socket="$data/sock" --datadir="$data" --target-dir="$data.backup"
kill $server && wait $server
