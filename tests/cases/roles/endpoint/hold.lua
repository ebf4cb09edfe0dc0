-- Waits while a backend has no member that serves.
core.register_action("hold", { "http-req" }, function(txn, backend, seconds)
  local members = core.backends[backend]
  local waited = 0
  while members:get_srv_act() == 0 and waited < tonumber(seconds) * 1000 do
    core.msleep(100)
    waited = waited + 100
  end
  txn:set_var("txn.served", members:get_srv_act() > 0)
end, 2)
