user haproxy
runs haproxy -v
