local paused = Map.new("/etc/stackroles/paused.map", Map._str)

-- Waits while a backend has no member that serves and is not paused.
core.register_action("hold", { "http-req" }, function(txn, backend, seconds)
  local members = core.backends[backend]
  local waited = 0
  local longest = tonumber(seconds) * 1000
  while members:get_srv_act() == 0 and not paused:lookup(backend) and waited < longest do
    core.msleep(100)
    waited = waited + 100
  end
  txn:set_var("txn.served", members:get_srv_act() > 0)
end, 2)
