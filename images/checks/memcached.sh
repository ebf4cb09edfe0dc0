user memcache
runs memcached --version
