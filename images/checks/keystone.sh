user keystone
runs keystone-manage --version
readable /usr/bin/keystone-wsgi-public /etc/keystone/keystone.conf
# The API with a database of its own in one file: migrations, keys, an answer.
dir=$(mktemp -d)
cat > "$dir/keystone.conf" << CONF
[database]
connection = sqlite:///$dir/db
[fernet_tokens]
key_repository = $dir/fernet
[credential]
key_repository = $dir/credential
CONF
export OS_KEYSTONE_CONFIG_FILES=$dir/keystone.conf
runs keystone-manage --config-file "$dir/keystone.conf" db_sync
runs keystone-manage --config-file "$dir/keystone.conf" fernet_setup
runs keystone-manage --config-file "$dir/keystone.conf" credential_setup
serves /v3 --wsgi-file /usr/bin/keystone-wsgi-public
