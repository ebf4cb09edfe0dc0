user openvswitch
runs ovn-northd --version
runs ovn-controller --version
runs ovn-nbctl --version
runs ovn-sbctl --version
runs ovs-vswitchd --version
runs ovsdb-server --version
runs ovsdb-client --version
runs ovs-vsctl --version
runs ovs-appctl --version
runs ovs-ofctl --version
runs iptables --version
runs ethtool --version
readable /usr/share/ovn/scripts/ovn-ctl /usr/share/openvswitch/vswitch.ovsschema
# The northbound database is made and served by the script the role uses.
dir=$(mktemp -d)
export OVN_RUNDIR=$dir OVN_DBDIR=$dir OVN_LOGDIR=$dir OVS_RUNDIR=$dir
/usr/share/ovn/scripts/ovn-ctl --no-monitor --db-nb-file="$dir/nb.db" --db-nb-sock="$dir/nb.sock" --db-nb-cluster-local-addr=127.0.0.1 \
  --ovn-nb-log="-vconsole:off -vsyslog:off -vfile:off" run_nb_ovsdb &
server=$!
for _ in $(seq 100); do [ ! -S "$dir/nb.sock" ] || break; sleep 0.1; done
runs ovn-nbctl --db="unix:$dir/nb.sock" --timeout=30 show
runs ovs-appctl -t "$dir/ovnnb_db.ctl" cluster/status OVN_Northbound
kill $server
wait $server || true
