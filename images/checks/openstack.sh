user nobody
wsgi
runs python3 -c 'import keystonemiddleware, pymemcache, pymysql, oslo_db, oslo_messaging'
