"""OVN's databases: how their members stand."""
