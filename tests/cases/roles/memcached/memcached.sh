exec memcached \
  --listen=0.0.0.0 \
  --port=11211 \
  --udp-port=0 \
  --memory-limit=64 \
  --conn-limit=4096 \
  --threads=2
