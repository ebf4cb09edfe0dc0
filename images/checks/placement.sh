user placement
runs placement-manage --version
wsgi /usr/bin/placement-api /etc/placement/placement.conf
