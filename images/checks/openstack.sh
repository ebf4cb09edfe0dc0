user nobody
runs python3 -c 'import keystonemiddleware, pymemcache, pymysql, oslo_db, oslo_messaging'
app=$(mktemp -d)
cat > "$app/app.py" << 'PYTHON'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
PYTHON
serves / --wsgi-file "$app/app.py"
