"""The RabbitMQ cluster: how its members stand."""
