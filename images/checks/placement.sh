user placement
runs placement-manage --version
readable /usr/bin/placement-api /etc/placement/placement.conf
dir=$(mktemp -d)
printf '[api]\nauth_strategy = noauth2\n[placement_database]\nconnection = sqlite:///%s/db\n' "$dir" > "$dir/placement.conf"
export OS_PLACEMENT_CONFIG_DIR=$dir
runs placement-manage --config-file "$dir/placement.conf" db sync
serves / --wsgi-file /usr/bin/placement-api
