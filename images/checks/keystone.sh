user keystone
runs keystone-manage --version
wsgi /usr/bin/keystone-wsgi-public /etc/keystone/keystone.conf
runs python3 -c 'import keystone.server.wsgi'
