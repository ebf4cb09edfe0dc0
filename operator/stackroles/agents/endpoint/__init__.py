"""The endpoint of the APIs: HAProxy, with an agent that tells it where the members are."""
