user neutron
runs neutron-api --help
runs neutron-db-manage --help
runs neutron-periodic-workers --version
runs neutron-ovn-maintenance-worker --version
runs neutron-ovn-metadata-agent --version
runs haproxy -v
runs ovsdb-client --version
runs ip -V
runs iptables --version
readable /usr/bin/neutron-api /etc/neutron/neutron.conf /etc/neutron/api-paste.ini /etc/neutron/plugins/ml2/ml2_conf.ini /etc/neutron/rootwrap.conf
runs python3 -c 'import neutron.server, neutron.plugins.ml2.drivers.ovn.mech_driver.mech_driver, unbound'
