user nova
runs nova-manage --version
runs nova-conductor --version
runs nova-scheduler --version
runs nova-novncproxy --version
readable /usr/bin/nova-api-wsgi /usr/bin/nova-metadata-wsgi /etc/nova/nova.conf /etc/nova/api-paste.ini /usr/share/novnc/vnc_lite.html
runs python3 -c 'import nova.api.openstack.wsgi_app, nova.api.metadata.handler'
