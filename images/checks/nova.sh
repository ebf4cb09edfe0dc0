user nova
runs nova-manage --version
runs nova-conductor --version
runs nova-scheduler --version
runs nova-novncproxy --version
wsgi /usr/bin/nova-api-wsgi /usr/bin/nova-metadata-wsgi /etc/nova/nova.conf /etc/nova/api-paste.ini /usr/share/novnc/vnc_lite.html
