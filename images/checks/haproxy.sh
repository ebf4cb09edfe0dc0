user haproxy
runs haproxy -v
# Requests wait for a member in Lua.
runs sh -c "haproxy -vv | grep -F +LUA"
