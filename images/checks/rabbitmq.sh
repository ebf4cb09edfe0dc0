user rabbitmq
data=$(mktemp -d)
export RABBITMQ_MNESIA_BASE=$data/mnesia RABBITMQ_LOG_BASE=$data/log RABBITMQ_LOGS=- RABBITMQ_NODENAME=rabbit@localhost
export RABBITMQ_CONFIG_FILE=$data/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$data/plugins RABBITMQ_PID_FILE=$data/pid
echo 'default_queue_type = quorum' > "$data/rabbitmq.conf"
echo '[rabbitmq_management,rabbitmq_prometheus].' > "$data/plugins"
rabbitmq-server > "$data/out" 2>&1 &
server=$!
if ! runs timeout 120 rabbitmqctl wait --timeout 100 "$data/pid"; then cat "$data/out" >&2; exit 1; fi
runs rabbitmq-diagnostics -q check_running
runs rabbitmqctl version
runs rabbitmqctl stop
wait $server
