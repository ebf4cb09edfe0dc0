"""PID 1 of a RabbitMQ member."""
